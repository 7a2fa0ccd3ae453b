#include "tests/support/check.h"

#include <string.h>

#include "pki/extension.h"
#include "pki/oid.h"

static void refuses_values_that_break_their_own_rules(void **state)
{
    struct pki_constraints c = { 0 };
    uint16_t bits = 0;
    unsigned purposes = 0;
    struct bytes id = { 0 };

    (void)state;
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x00"), &c), RC_OK);
    assert_true(!c.ca && c.path_length == -1);
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x03\x01\x01\xff"), &c), RC_OK);
    assert_true(c.ca && c.path_length == -1);
    assert_int_equal(
        pki_extension_read_constraints(BYTES("\x30\x06\x01\x01\xff\x02\x01\x00"), &c), RC_OK);
    assert_true(c.ca && c.path_length == 0);
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x03\x01\x01\x00"), &c),
                     RC_MALFORMED);
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x03\x01\x01\x01"), &c),
                     RC_MALFORMED);
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x03\x02\x01\x00"), &c),
                     RC_MALFORMED);
    assert_int_equal(
        pki_extension_read_constraints(BYTES("\x30\x06\x01\x01\xff\x02\x01\xff"), &c),
        RC_MALFORMED);
    assert_int_equal(
        pki_extension_read_constraints(BYTES("\x30\x07\x01\x01\xff\x02\x02\x01\x00"), &c),
        RC_MALFORMED);
    assert_int_equal(pki_extension_read_constraints(BYTES("\x30\x00\x00"), &c), RC_MALFORMED);

    assert_int_equal(pki_extension_read_key_usage(BYTES("\x03\x02\x01\x06"), &bits), RC_OK);
    assert_int_equal(bits, PKI_KEY_CERT_SIGN | PKI_CRL_SIGN);
    assert_int_equal(pki_extension_read_key_usage(BYTES("\x03\x01\x00"), &bits), RC_MALFORMED);
    assert_int_equal(pki_extension_read_key_usage(BYTES("\x03\x02\x00\x80"), &bits),
                     RC_MALFORMED);

    assert_int_equal(pki_extension_read_purposes(BYTES("\x30\x00"), &purposes), RC_MALFORMED);
    assert_int_equal(
        pki_extension_read_purposes(BYTES("\x30\x06\x06\x04\x55\x1d\x25\x00"), &purposes),
        RC_OK);
    assert_int_equal(purposes, PKI_ANY_PURPOSE);
    assert_int_equal(
        pki_extension_read_purposes(
            BYTES("\x30\x0c\x06\x04\x55\x1d\x25\x00\x06\x04\x55\x1d\x25\x00"), &purposes),
        RC_MALFORMED);
    assert_int_equal(pki_extension_read_purposes(BYTES("\x30\x04\x06\x02\x2a\x03"), &purposes),
                     RC_OK);
    assert_int_equal(purposes, PKI_OTHER_PURPOSE);

    assert_int_equal(pki_extension_read_authority(BYTES("\x30\x03\x80\x01x"), &id), RC_OK);
    assert_true(bytes_equal_text(id, "x"));
    assert_int_equal(pki_extension_read_authority(BYTES("\x30\x00"), &id), RC_OK);
    assert_int_equal(id.len, 0);
    assert_int_equal(pki_extension_read_authority(BYTES("\x30\x02\xa1\x00"), &id),
                     RC_MALFORMED);
    assert_int_equal(pki_extension_read_authority(BYTES("\x30\x03\x82\x01\x05"), &id),
                     RC_MALFORMED);
    assert_int_equal(pki_extension_read_key_id(BYTES("\x04\x01x"), &id), RC_OK);
    assert_int_equal(pki_extension_read_key_id(BYTES("\x04\x01xx"), &id), RC_MALFORMED);
}

static void takes_as_many_as_it_says_and_each_once(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= PKI_EXTENSIONS_MAX + 1; count++) {
        AUTO_BUF(buf, 4096);
        struct pki_extensions all;

        size_t list = der_begin(&buf, DER_SEQUENCE);
        for (unsigned i = 0; i < count; i++) {
            AUTO_BUF(oid, 16);
            const char *dotted = NULL;
            buf_addf(&oid, "1.2.%u", i);
            assert_int_equal(buf_text(&oid, &dotted), RC_OK);
            struct pki_extension_mark mark = pki_extension_begin(&buf, dotted, i % 2 == 1);
            buf_add_u8(&buf, (uint8_t)i);
            pki_extension_end(&buf, mark);
        }
        der_end(&buf, list);
        struct der der = der_open(buf_bytes(&buf));
        pki_extension_take_all(&der, &all);
        bool good = count > 0 && count <= PKI_EXTENSIONS_MAX;
        assert_int_equal(der_done(&der), good);
        if (!good)
            continue;
        assert_int_equal(all.count, count);
        assert_non_null(pki_extension_find(&all, "1.2.0"));
        assert_null(pki_extension_find(&all, "1.3.0"));
        assert_int_equal(all.at[count - 1].critical, (count - 1) % 2 == 1);
        assert_int_equal(all.at[count - 1].value.at[0], count - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_values_that_break_their_own_rules),
        cmocka_unit_test(takes_as_many_as_it_says_and_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
