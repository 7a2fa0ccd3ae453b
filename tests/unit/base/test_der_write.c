#include "tests/support/check.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include "base/der.h"
#include "base/text.h"

static void assert_hex(const struct buf *buf, const char *hex)
{
    AUTO_BUF(text, 1024);
    const char *got = NULL;

    assert_false(buf->broken);
    text_add_hex(&text, buf_bytes(buf));
    assert_int_equal(buf_text(&text, &got), RC_OK);
    assert_string_equal(got, hex);
}

static void writes_the_one_form_of_each_value(void **state)
{
    AUTO_BUF(buf, 1024);

    (void)state;
    der_add_boolean(&buf, true);
    der_add_boolean(&buf, false);
    assert_hex(&buf, "0101ff010100");
    buf_reset(&buf);
    der_add_u63(&buf, 0);
    der_add_u63(&buf, 127);
    der_add_u63(&buf, 128);
    der_add_u63(&buf, INT64_MAX);
    assert_hex(&buf, "02010002017f0202008002087fffffffffffffff");
    buf_reset(&buf);
    der_add_unsigned(&buf, BYTES(""));
    der_add_unsigned(&buf, BYTES("\0\0\x80"));
    der_add_unsigned(&buf, BYTES("\x7f\xff"));
    assert_hex(&buf, "0201000202008002027fff");
    buf_reset(&buf);
    der_add_bits(&buf, BYTES("\x80\x00"));
    der_add_named_bits(&buf, 0);
    der_add_named_bits(&buf, 1);
    der_add_named_bits(&buf, 0x60);
    der_add_named_bits(&buf, 0x8001);
    assert_hex(&buf, "0303008000"
                     "030100"
                     "03020780"
                     "03020106"
                     "0303008001");
}

static void refuses_what_has_no_encoding(void **state)
{
    static const char *const NO_OIDS[] = {
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "1.2.",
        "3.1",
        "0.40",
        "1.40",
        "1.02",
        "1.2 ",
        "1.2.a",
        "-1.2",
        "1.2.9223372036854775808",
        "1.2.99999999999999999999",
    };
    AUTO_BUF(buf, 1024);

    (void)state;
    der_add_u63(&buf, (uint64_t)INT64_MAX + 1);
    assert_true(buf.broken);
    buf_reset(&buf);
    der_add_time(&buf, -631152001); /* 1949-12-31T23:59:59Z */
    assert_true(buf.broken);
    buf_reset(&buf);
    der_add_time(&buf, 253402300800); /* year 10000 */
    assert_true(buf.broken);
    for (size_t i = 0; i < sizeof NO_OIDS / sizeof *NO_OIDS; i++) {
        buf_reset(&buf);
        der_add_oid(&buf, NO_OIDS[i]);
        if (!buf.broken)
            fail_msg("accepted as an OID: '%s'", NO_OIDS[i]);
    }
}

static void gives_every_length_its_shortest_form(void **state)
{
    static const size_t LENGTHS[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 20 };

    (void)state;
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        size_t len = LENGTHS[i];
        AUTO_BUF(nested, 4 << 20);
        AUTO_BUF(flat, 4 << 20);

        size_t mark = der_begin(&nested, DER_OCTET_STRING);
        assert_non_null(buf_extend(&nested, len));
        der_end(&nested, mark);
        der_add(&flat, DER_OCTET_STRING, (struct bytes){ nested.at + nested.len - len, len });
        assert_true(bytes_equal(buf_bytes(&nested), buf_bytes(&flat)));

        const unsigned char *at = flat.at;
        ASN1_OCTET_STRING *theirs = d2i_ASN1_OCTET_STRING(NULL, &at, (long)flat.len);
        assert_non_null(theirs);
        assert_int_equal(i2d_ASN1_OCTET_STRING(theirs, NULL), flat.len);
        ASN1_OCTET_STRING_free(theirs);
        struct der der = der_open(buf_bytes(&flat));
        assert_int_equal(der_take_octets(&der).len, len);
        assert_true(der_done(&der));
    }
}

static void reads_back_what_it_wrote(void **state)
{
    static const int64_t TIMES[] = { -631152000, 0,          1700000000,
                                     2524607999, 2524608000, 253402300799 };
    AUTO_BUF(buf, 1024);

    (void)state;
    size_t outer = der_begin(&buf, DER_SEQUENCE);
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++)
        der_add_time(&buf, TIMES[i]);
    size_t inner = der_begin(&buf, DER_CONTEXT_CONSTRUCTED(3));
    der_add_oid(&buf, "2.999.9223372036854775727");
    der_add_octets(&buf, BYTES("x"));
    der_end(&buf, inner);
    for (unsigned bits = 0; bits < 0x10000; bits += 257) {
        der_add_named_bits(&buf, (uint16_t)bits);
        if (buf.len > 900)
            break;
    }
    der_end(&buf, outer);

    struct der der = der_open(buf_bytes(&buf));
    struct der in = der_enter(&der, DER_SEQUENCE);
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++)
        assert_int_equal(der_take_time(&in), TIMES[i]);
    struct der deeper = der_enter(&in, DER_CONTEXT_CONSTRUCTED(3));
    assert_true(der_oid_is(der_take_oid(&deeper), "2.999.9223372036854775727"));
    assert_int_equal(der_take_octets(&deeper).len, 1);
    der_leave(&in, &deeper);
    for (unsigned bits = 0; der_peek(&in) != 0; bits += 257)
        assert_int_equal(der_take_named_bits(&in), bits);
    der_leave(&der, &in);
    assert_int_equal(der_finish(&der, "what we wrote"), RC_OK);
}

static void agrees_with_libcrypto_on_object_identifiers(void **state)
{
    static const char *const OIDS[] = {
        "0.0",
        "0.39",
        "1.39",
        "2.0",
        "2.5.4.3",
        "2.39",
        "2.40",
        "2.47",
        "2.48",
        "2.999.3",
        "1.2.840.113549.1.9.14",
        "1.3.6.1.5.5.7.3.2",
        "1.2.127",
        "1.2.128",
        "1.2.16383",
        "1.2.16384",
        "1.2.9223372036854775807",
    };

    (void)state;
    for (size_t i = 0; i < sizeof OIDS / sizeof *OIDS; i++) {
        AUTO_BUF(ours, 128);
        AUTO_BUF(text, 128);
        const char *dotted = NULL;
        ASN1_OBJECT *theirs = OBJ_txt2obj(OIDS[i], 1);
        struct bytes content = { OBJ_get0_data(theirs), OBJ_length(theirs) };

        der_add_oid(&ours, OIDS[i]);
        struct der der = der_open(buf_bytes(&ours));
        struct bytes oid = der_take_oid(&der);
        assert_true(der_done(&der));
        assert_true(bytes_equal(oid, content));
        assert_true(der_oid_is(oid, OIDS[i]));
        assert_false(der_oid_is(oid, "2.5.4.4"));
        assert_false(der_oid_is(oid, "no oid"));
        der_add_oid_text(&text, oid);
        assert_int_equal(buf_text(&text, &dotted), RC_OK);
        assert_string_equal(dotted, OIDS[i]);
        ASN1_OBJECT_free(theirs);
    }
}

static void stays_broken_where_it_did_not_fit(void **state)
{
    (void)state;
    for (size_t most = 0; most < 140; most++) {
        AUTO_BUF(buf, most);
        struct bytes got;

        size_t outer = der_begin(&buf, DER_SEQUENCE);
        size_t inner = der_begin(&buf, DER_OCTET_STRING);
        for (int i = 0; i < 130; i++)
            buf_add_u8(&buf, 'x');
        der_end(&buf, inner);
        der_end(&buf, outer);
        assert_int_equal(buf_done(&buf, &got), most < 136 ? RC_LIMIT : RC_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_one_form_of_each_value),
        cmocka_unit_test(refuses_what_has_no_encoding),
        cmocka_unit_test(gives_every_length_its_shortest_form),
        cmocka_unit_test(reads_back_what_it_wrote),
        cmocka_unit_test(agrees_with_libcrypto_on_object_identifiers),
        cmocka_unit_test(stays_broken_where_it_did_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
