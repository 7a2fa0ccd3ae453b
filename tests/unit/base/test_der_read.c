#include "tests/support/check.h"

#include <openssl/asn1.h>
#include <stdio.h>
#include <string.h>

#include "base/der.h"

/* What a row of a table asks the reader to take. */
enum kind {
    WHOLE,
    BOOLEAN,
    FLAG,
    INTEGER,
    UNSIGNED,
    U63,
    OID,
    BITS,
    NAMED,
    TIME,
    OCTETS,
    SEQUENCE,
};

static uint64_t take(struct der *der, enum kind kind)
{
    struct der in;

    switch (kind) {
    case WHOLE:
        return der_take_whole(der).len;
    case BOOLEAN:
        return der_take_boolean(der);
    case FLAG:
        return der_take_flag(der);
    case INTEGER:
        return der_take_integer(der).len;
    case UNSIGNED:
        return der_take_unsigned(der).len;
    case U63:
        return der_take_u63(der);
    case OID:
        return der_take_oid(der).len;
    case BITS:
        return der_take_bits(der).len;
    case NAMED:
        return der_take_named_bits(der);
    case TIME:
        return (uint64_t)der_take_time(der);
    case OCTETS:
        return der_take_octets(der).len;
    case SEQUENCE:
        in = der_enter(der, DER_SEQUENCE);
        der_take_integer(&in);
        der_leave(der, &in);
        return 0;
    }
    return 0;
}

struct refusal {
    enum kind kind;
    struct bytes der;
    const char *why; /* beginning of it */
    size_t offset;
};

static void names_each_bad_encoding_and_its_place(void **state)
{
    static const struct refusal ROWS[] = {
        { WHOLE, BYTES(""), "an element is missing", 0 },
        { WHOLE, BYTES("\x30"), "X.690 8.1.3: cut short before its length", 0 },
        { WHOLE, BYTES("\x30\x80\0\0"), "X.690 10.1: indefinite", 0 },
        { WHOLE, BYTES("\x04\x81"), "X.690 8.1.3: cut short inside its length", 0 },
        { WHOLE, BYTES("\x04\x81\x01\x00"), "X.690 10.1: length not in the fewest", 0 },
        { WHOLE, BYTES("\x04\x82\x00\x01\x00"), "X.690 10.1: length not in the fewest", 0 },
        { WHOLE, BYTES("\x04\x85\x00\x00\x00\x00\x01\x00"), "X.690 8.1.3.5", 0 },
        { WHOLE, BYTES("\x04\xff\x00"), "X.690 8.1.3.5", 0 },
        { WHOLE, BYTES("\x04\x84\xff\xff\xff\xff\x00"), "X.690 8.1.3: length past", 0 },
        { WHOLE, BYTES("\x04\x02\x00"), "X.690 8.1.3: length past the end", 0 },
        { WHOLE, BYTES("\x00\x00"), "X.690 8.1.5", 0 },
        { WHOLE, BYTES("\x1f\x20\x00"), "X.690 8.1.2.4", 0 },
        { WHOLE, BYTES("\xbf\x20\x00"), "X.690 8.1.2.4", 0 },
        { WHOLE, BYTES("\x24\x03\x04\x01\x00"), "X.690 10.2", 0 },
        { WHOLE, BYTES("\x10\x00"), "X.690 10.2", 0 },
        { OCTETS, BYTES("\x24\x03\x04\x01\x00"), "X.690 10.2", 0 },
        { OCTETS, BYTES("\x05\x00"), "an element of another type", 0 },
        { BOOLEAN, BYTES("\x01\x01\x01"), "X.690 11.1", 0 },
        { BOOLEAN, BYTES("\x01\x00"), "X.690 8.2.1", 0 },
        { BOOLEAN, BYTES("\x01\x02\xff\xff"), "X.690 8.2.1", 0 },
        { FLAG, BYTES("\x01\x01\x00"), "X.690 11.5", 0 },
        { FLAG, BYTES("\x01\x01\x01"), "X.690 11.1", 0 },
        { INTEGER, BYTES("\x02\x00"), "X.690 8.3.1", 0 },
        { INTEGER, BYTES("\x02\x02\x00\x7f"), "X.690 8.3.2", 0 },
        { INTEGER, BYTES("\x02\x02\x00\x00"), "X.690 8.3.2", 0 },
        { INTEGER, BYTES("\x02\x02\xff\x80"), "X.690 8.3.2", 0 },
        { UNSIGNED, BYTES("\x02\x01\x80"), "INTEGER is negative", 0 },
        { UNSIGNED, BYTES("\x02\x01\xff"), "INTEGER is negative", 0 },
        { U63, BYTES("\x02\x01\xff"), "INTEGER is negative", 0 },
        { U63, BYTES("\x02\x09\x00\x80\0\0\0\0\0\0\0"), "INTEGER of 2^63", 0 },
        { U63, BYTES("\x02\x09\x01\x00\0\0\0\0\0\0\0"), "INTEGER of 2^63", 0 },
        { OID, BYTES("\x06\x00"), "X.690 8.19.2: OBJECT IDENTIFIER without", 0 },
        { OID, BYTES("\x06\x03\x2a\x80\x01"), "X.690 8.19.2: subidentifier", 0 },
        { OID, BYTES("\x06\x02\x80\x01"), "X.690 8.19.2: subidentifier", 0 },
        { OID, BYTES("\x06\x02\x2a\x86"), "X.690 8.19.2: last subidentifier", 0 },
        { OID, BYTES("\x06\x0b\x2a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
          "OBJECT IDENTIFIER with an arc of 2^63", 0 },
        { BITS, BYTES("\x03\x00"), "X.690 8.6.2", 0 },
        { BITS, BYTES("\x03\x01\x01"), "X.690 8.6.2", 0 },
        { BITS, BYTES("\x03\x02\x08\x00"), "X.690 8.6.2", 0 },
        { BITS, BYTES("\x03\x02\x01\x81"), "X.690 11.2.1", 0 },
        { BITS, BYTES("\x03\x02\x01\x80"), "BIT STRING not of whole octets", 0 },
        { NAMED, BYTES("\x03\x02\x00\x80"), "X.690 11.2.2", 0 },
        { NAMED, BYTES("\x03\x02\x06\x80"), "X.690 11.2.2", 0 },
        { NAMED, BYTES("\x03\x03\x00\x80\x00"), "X.690 11.2.2", 0 },
        { NAMED, BYTES("\x03\x02\x07\xc0"), "X.690 11.2.1", 0 },
        { NAMED, BYTES("\x03\x04\x00\x80\x00\x01"), "BIT STRING of more than 16", 0 },
        { SEQUENCE, BYTES("\x30\x04\x02\x01\x00\x00"), "more than belongs here", 5 },
        { SEQUENCE, BYTES("\x30\x03\x02\x02\x00"), "X.690 8.1.3: length past the end", 2 },
        { SEQUENCE, BYTES("\x30\x00"), "an element is missing", 2 },
        { SEQUENCE, BYTES("\x31\x03\x02\x01\x00"), "an element of another type", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct der der = der_open(ROWS[i].der);

        assert_int_equal(take(&der, ROWS[i].kind), 0);
        if (der.why == NULL || strncmp(der.why, ROWS[i].why, strlen(ROWS[i].why)) != 0)
            fail_msg("row %zu: %s", i, der.why == NULL ? "accepted" : der.why);
        assert_int_equal(der.offset, ROWS[i].offset);
        assert_int_equal(der_peek(&der), 0);
        assert_false(der_done(&der));
    }
}

static void takes_each_type_at_its_bounds(void **state)
{
    static const struct {
        enum kind kind;
        struct bytes der;
        uint64_t value;
    } ROWS[] = {
        { BOOLEAN, BYTES("\x01\x01\xff"), 1 },
        { BOOLEAN, BYTES("\x01\x01\x00"), 0 },
        { FLAG, BYTES("\x01\x01\xff"), 1 },
        { INTEGER, BYTES("\x02\x01\x80"), 1 },
        { INTEGER, BYTES("\x02\x02\x00\x80"), 2 },
        { INTEGER, BYTES("\x02\x02\xff\x7f"), 2 },
        { UNSIGNED, BYTES("\x02\x01\x00"), 0 },
        { UNSIGNED, BYTES("\x02\x02\x00\x80"), 1 },
        { U63, BYTES("\x02\x01\x00"), 0 },
        { U63, BYTES("\x02\x02\x00\xff"), 255 },
        { U63, BYTES("\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX },
        { OID, BYTES("\x06\x03\x55\x04\x03"), 3 },
        { OID, BYTES("\x06\x0a\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), 10 },
        { BITS, BYTES("\x03\x01\x00"), 0 },
        { BITS, BYTES("\x03\x03\x00\x01\x00"), 2 },
        { NAMED, BYTES("\x03\x01\x00"), 0 },
        { NAMED, BYTES("\x03\x02\x07\x80"), 1 },
        { NAMED, BYTES("\x03\x02\x01\x06"), 0x60 },
        { NAMED, BYTES("\x03\x03\x07\x00\x80"), 0x100 },
        { NAMED, BYTES("\x03\x03\x00\x00\x01"), 0x8000 },
        { WHOLE, BYTES("\x1e\x00"), 2 },
        { WHOLE, BYTES("\x80\x00"), 2 },
        { WHOLE, BYTES("\xbe\x00"), 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct der der = der_open(ROWS[i].der);
        uint64_t value = take(&der, ROWS[i].kind);

        if (!der_done(&der) || value != ROWS[i].value)
            fail_msg("row %zu: %s, %llu", i, der.why == NULL ? "fine" : der.why,
                     (unsigned long long)value);
    }
}

static void reads_times_as_rfc_5280_has_them(void **state)
{
    static const struct {
        uint8_t tag;
        const char *text;
        int64_t seconds;
        const char *why;
    } ROWS[] = {
        { DER_UTC_TIME, "491231235959Z", 2524607999, NULL },
        { DER_UTC_TIME, "500101000000Z", -631152000, NULL },
        { DER_UTC_TIME, "700101000000Z", 0, NULL },
        { DER_UTC_TIME, "000229120000Z", 951825600, NULL },
        { DER_GENERALIZED_TIME, "20500101000000Z", 2524608000, NULL },
        { DER_GENERALIZED_TIME, "99991231235959Z", 253402300799, NULL },
        { DER_GENERALIZED_TIME, "20491231235959Z", 0, "GeneralizedTime before 2050" },
        { DER_GENERALIZED_TIME, "19491231235959Z", 0, "GeneralizedTime before 2050" },
        { DER_GENERALIZED_TIME, "20500230000000Z", 0, "no such time" },
        { DER_UTC_TIME, "230230000000Z", 0, "no such time" },
        { DER_UTC_TIME, "230229000000Z", 0, "no such time" },
        { DER_UTC_TIME, "231301000000Z", 0, "no such time" },
        { DER_UTC_TIME, "230001000000Z", 0, "no such time" },
        { DER_UTC_TIME, "230101240000Z", 0, "no such time" },
        { DER_UTC_TIME, "230101000060Z", 0, "no such time" },
        { DER_UTC_TIME, "2301010000Z", 0, "not as" },
        { DER_UTC_TIME, "230101000000", 0, "not as" },
        { DER_UTC_TIME, "230101000000z", 0, "not as" },
        { DER_UTC_TIME, "230101000000+0000", 0, "not as" },
        { DER_UTC_TIME, "230101000000ZZ", 0, "not as" },
        { DER_UTC_TIME, "2301010000:0Z", 0, "not as" },
        { DER_UTC_TIME, "2301010000 0Z", 0, "not as" },
        { DER_UTC_TIME, "20230101000000Z", 0, "not as" },
        { DER_UTC_TIME, "", 0, "not as" },
        { DER_GENERALIZED_TIME, "205001010000Z", 0, "not as" },
        { DER_GENERALIZED_TIME, "20500101000000.5Z", 0, "not as" },
        { DER_GENERALIZED_TIME, "20500101000000+0100", 0, "not as" },
    };
    AUTO_BUF(buf, 64);

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf_reset(&buf);
        der_add(&buf, ROWS[i].tag, bytes_of_text(ROWS[i].text));
        struct der der = der_open(buf_bytes(&buf));
        int64_t seconds = der_take_time(&der);

        if (seconds != ROWS[i].seconds || der_done(&der) != (ROWS[i].why == NULL))
            fail_msg("%s: %s", ROWS[i].text, der.why == NULL ? "accepted" : der.why);
        assert_true(ROWS[i].why == NULL || strstr(der.why, ROWS[i].why) != NULL);
    }
}

static void keeps_the_order_of_a_set(void **state)
{
    struct bytes before = { 0 };
    struct der good = der_open(BYTES("\x02\x01\x01\x02\x01\x02\x02\x01\x02\x04\x00"));
    struct der bad = der_open(BYTES("\x02\x01\x02\x02\x01\x01"));

    (void)state;
    for (int i = 0; i < 4; i++)
        der_take_ordered(&good, &before);
    assert_true(der_done(&good));
    before = (struct bytes){ 0 };
    der_take_ordered(&bad, &before);
    assert_int_equal(der_take_ordered(&bad, &before).len, 0);
    assert_string_equal(bad.why, "X.690 11.6: elements of a SET OF out of order");
    assert_int_equal(bad.offset, 3);
    assert_int_equal(before.at[2], 2);
}

static void carries_the_innermost_fault_out(void **state)
{
    struct der der = der_open(BYTES("\x30\x07\x31\x05\x02\x01\x05\x05\x00\x02\x01\x01"));
    struct der outer = der_enter(&der, DER_SEQUENCE), inner = der_enter(&outer, DER_SET);

    (void)state;
    assert_int_equal(der_take_u63(&inner), 5);
    der_break(&inner, "five is not welcome");
    der_break(&inner, "a second reason is not kept");
    der_leave(&outer, &inner);
    der_leave(&der, &outer);
    assert_int_equal(der_take_u63(&der), 0);
    assert_int_equal(der_finish(&der, "thing"), RC_MALFORMED);
    assert_string_equal(fault_text(), "thing: five is not welcome at offset 7");
}

static void refuses_a_tail(void **state)
{
    struct der der = der_open(BYTES("\x05\x00\x00"));

    (void)state;
    der_take(&der, DER_NULL);
    assert_false(der_done(&der));
    assert_int_equal(der_finish(&der, "thing"), RC_MALFORMED);
    assert_string_equal(fault_text(), "thing: bytes after the end at offset 2");
}

/* SEQUENCE { BOOLEAN, INTEGER, OID, [0] { OCTET STRING }, BIT STRING, UTCTime } */
static const char NEST[] = "\x30\x26\x01\x01\xff\x02\x02\x00\x80\x06\x03\x55\x04\x03\xa0\x05"
                           "\x04\x03xyz\x03\x02\x07\x80\x17\x0d"
                           "230101000000Z";

static void read_nest(struct der *der)
{
    struct der in = der_enter(der, DER_SEQUENCE);

    der_take_flag(&in);
    der_take_unsigned(&in);
    der_take_oid(&in);
    struct der context = der_enter(&in, DER_CONTEXT_CONSTRUCTED(0));
    der_take_octets(&context);
    der_leave(&in, &context);
    der_take_named_bits(&in);
    der_take_time(&in);
    der_leave(der, &in);
}

static void refuses_every_truncation(void **state)
{
    uint8_t nest[sizeof NEST - 1];
    struct bytes whole = BYTES_OF(nest);

    (void)state;
    memcpy(nest, NEST, sizeof nest);
    struct der der = der_open(whole);
    read_nest(&der);
    assert_int_equal(der_finish(&der, "nest"), RC_OK);
    for (size_t len = 0; len < whole.len; len++) {
        der = der_open((struct bytes){ whole.at, len });
        read_nest(&der);
        assert_false(der_done(&der));
        /* Also with an outer length that fits the cut. */
        if (len < 2)
            continue;
        nest[1] = (uint8_t)(len - 2);
        der = der_open((struct bytes){ whole.at, len });
        read_nest(&der);
        assert_false(der_done(&der));
        nest[1] = (uint8_t)(sizeof nest - 2);
    }
}

/* libcrypto as the judge: what we take as an INTEGER, it writes back as the same bytes. */
static void agrees_with_libcrypto_on_every_short_integer(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 0x10000; value++) {
        const uint8_t two[] = { 0x02, 0x02, (uint8_t)(value >> 8), (uint8_t)value };
        const unsigned char *at = two;
        unsigned char *again = NULL;
        ASN1_INTEGER *theirs = d2i_ASN1_INTEGER(NULL, &at, sizeof two);
        int len = theirs == NULL ? 0 : i2d_ASN1_INTEGER(theirs, &again);
        bool canonical =
            len == sizeof two && bytes_equal(BYTES_OF(two), (struct bytes){ again, 4 });
        struct der der = der_open(BYTES_OF(two));

        der_take_integer(&der);
        if (der_done(&der) != canonical)
            fail_msg("%04x: we %s", value, der_done(&der) ? "accept" : der.why);
        OPENSSL_free(again);
        ASN1_INTEGER_free(theirs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_each_bad_encoding_and_its_place),
        cmocka_unit_test(takes_each_type_at_its_bounds),
        cmocka_unit_test(reads_times_as_rfc_5280_has_them),
        cmocka_unit_test(keeps_the_order_of_a_set),
        cmocka_unit_test(carries_the_innermost_fault_out),
        cmocka_unit_test(refuses_a_tail),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(agrees_with_libcrypto_on_every_short_integer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
