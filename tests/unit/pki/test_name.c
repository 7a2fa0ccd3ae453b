#include "tests/support/check.h"

#include <openssl/x509.h>
#include <string.h>

#include "base/der.h"
#include "pki/name.h"
#include "pki/oid.h"

static void libcrypto_writes_the_same_name(void **state)
{
    const struct pki_name name = { .organization = BYTES("Acm\xc3\xa9"),
                                   .common_name = BYTES("gate 7"),
                                   .serial_number = BYTES("TM-0001") };
    X509_NAME *theirs = X509_NAME_new();
    unsigned char *at = NULL;
    AUTO_BUF(ours, 512);

    (void)state;
    assert_int_equal(pki_name_write(&ours, &name), RC_OK);
    X509_NAME_add_entry_by_txt(theirs, "O", V_ASN1_UTF8STRING,
                               (const unsigned char *)"Acm\xc3\xa9", -1, -1, 0);
    X509_NAME_add_entry_by_txt(theirs, "CN", V_ASN1_UTF8STRING, (const unsigned char *)"gate 7",
                               -1, -1, 0);
    X509_NAME_add_entry_by_txt(theirs, "serialNumber", V_ASN1_PRINTABLESTRING,
                               (const unsigned char *)"TM-0001", -1, -1, 0);
    int len = i2d_X509_NAME(theirs, &at);
    assert_int_equal(len, ours.len);
    assert_memory_equal(at, ours.at, ours.len);
    OPENSSL_free(at);
    X509_NAME_free(theirs);
    assert_int_equal(pki_name_check(buf_bytes(&ours)), RC_OK);
    assert_int_equal(pki_name_count(buf_bytes(&ours)), 3);
}

static void refuses_values_that_their_type_cannot_hold(void **state)
{
    uint8_t long_value[PKI_NAME_VALUE_MAX + 1];
    const struct {
        struct pki_name name;
        enum rc rc;
    } ROWS[] = {
        { { .serial_number = BYTES("A-1.b:c/(d)'+,=?") }, RC_OK },
        { { .serial_number = BYTES("a_b") }, RC_MALFORMED },
        { { .serial_number = BYTES("a@b") }, RC_MALFORMED },
        { { .serial_number = BYTES("a\0b") }, RC_MALFORMED },
        { { .common_name = BYTES("\xc3\xa9") }, RC_OK },
        { { .common_name = BYTES("\xc3") }, RC_MALFORMED },
        { { .common_name = BYTES("\xed\xa0\x80") }, RC_MALFORMED },
        { { .common_name = BYTES("a\0b") }, RC_MALFORMED },
        { { .organization = BYTES("") }, RC_MALFORMED },
        { { .common_name = { long_value, PKI_NAME_VALUE_MAX } }, RC_OK },
        { { .common_name = { long_value, PKI_NAME_VALUE_MAX + 1 } }, RC_LIMIT },
    };

    (void)state;
    memset(long_value, 'x', sizeof long_value);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(buf, 512);

        buf_add(&buf, BYTES("before"));
        if (pki_name_write(&buf, &ROWS[i].name) != ROWS[i].rc)
            fail_msg("row %zu: %s", i, fault_text());
        assert_true(ROWS[i].rc == RC_OK || buf.len == 6);
    }
}

#define RDN(type, text) "\x31\x0c\x30\x0a\x06\x03\x55\x04\x03" type "\x03" text

static void checks_every_string_and_the_order_in_a_set(void **state)
{
    static const struct {
        struct bytes der;
        enum rc rc;
    } ROWS[] = {
        { BYTES("\x30\x00"), RC_OK },
        { BYTES("\x30\x0e" RDN("\x0c", "abc")), RC_OK },
        { BYTES("\x30\x0e" RDN("\x13", "abc")), RC_OK },
        { BYTES("\x30\x0e" RDN("\x16", "a@b")), RC_OK },
        { BYTES("\x30\x0e" RDN("\x13", "a@b")), RC_MALFORMED },
        { BYTES("\x30\x0e" RDN("\x14", "abc")), RC_MALFORMED }, /* TeletexString */
        { BYTES("\x30\x0e" RDN("\x1e", "abc")), RC_MALFORMED }, /* BMPString */
        { BYTES("\x30\x0e" RDN("\x04", "abc")), RC_MALFORMED },
        { BYTES("\x30\x0e" RDN("\x0c", "a\0c")), RC_MALFORMED },
        { BYTES("\x30\x0e" RDN("\x0c", "a\xff"
                                       "c")),
          RC_MALFORMED },
        { BYTES("\x30\x02\x31\x00"), RC_MALFORMED },
        { BYTES("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00"), RC_MALFORMED },
        { BYTES("\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
                "a\x30\x08\x06\x03\x55\x04\x05\x13\x01"
                "b"),
          RC_OK },
        { BYTES("\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x05\x13\x01"
                "b\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
                "a"),
          RC_MALFORMED },
        { BYTES("\x30\x00\x00"), RC_MALFORMED },
        { BYTES(""), RC_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (pki_name_check(ROWS[i].der) != ROWS[i].rc)
            fail_msg("row %zu: %s", i, fault_text());
}

static void matches_across_string_types_and_never_across_shapes(void **state)
{
    const struct bytes utf8 = BYTES("\x30\x0e" RDN("\x0c", "abc"));
    const struct bytes printable = BYTES("\x30\x0e" RDN("\x13", "abc"));
    const struct bytes upper = BYTES("\x30\x0e" RDN("\x0c", "ABC"));
    const struct bytes apart = BYTES("\x30\x1c" RDN("\x0c", "abc") RDN("\x0c", "abd"));
    const struct bytes joined = BYTES("\x30\x1a\x31\x18\x30\x0a\x06\x03\x55\x04\x03\x0c\x03"
                                      "abc\x30\x0a\x06\x03\x55\x04\x03\x0c\x03"
                                      "abd");
    const struct bytes broken = BYTES("\x30\x0e" RDN("\x1e", "abc"));

    (void)state;
    assert_true(pki_name_matches(utf8, utf8));
    assert_true(pki_name_matches(utf8, printable));
    assert_false(pki_name_matches(utf8, upper));
    assert_false(pki_name_matches(utf8, apart));
    assert_false(pki_name_matches(apart, utf8));
    assert_int_equal(pki_name_check(joined), RC_OK);
    assert_false(pki_name_matches(apart, joined));
    assert_false(pki_name_matches(utf8, broken));
    assert_false(pki_name_matches(BYTES("\x30\x00"), BYTES("")));
}

static void finds_only_what_stands_there_once(void **state)
{
    const struct bytes twice = BYTES("\x30\x1c" RDN("\x0c", "abc") RDN("\x0c", "abd"));
    struct bytes value = { 0 };

    (void)state;
    assert_true(
        pki_name_find(BYTES("\x30\x0e" RDN("\x0c", "abc")), PKI_OID_COMMON_NAME, &value));
    assert_true(bytes_equal_text(value, "abc"));
    assert_false(pki_name_find(twice, PKI_OID_COMMON_NAME, &value));
    assert_false(pki_name_find(twice, PKI_OID_SERIAL_NUMBER, &value));
}

static void prints_with_every_odd_letter_escaped(void **state)
{
    AUTO_BUF(buf, 512);
    const char *text = NULL;

    (void)state;
    pki_name_add_text(&buf, BYTES("\x30\x1c" RDN("\x0c", "a\"\n") RDN("\x13", "abd")));
    assert_int_equal(buf_text(&buf, &text), RC_OK);
    assert_string_equal(text, "commonName=\"a\\x22\\x0a\", commonName=\"abd\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libcrypto_writes_the_same_name),
        cmocka_unit_test(refuses_values_that_their_type_cannot_hold),
        cmocka_unit_test(checks_every_string_and_the_order_in_a_set),
        cmocka_unit_test(matches_across_string_types_and_never_across_shapes),
        cmocka_unit_test(finds_only_what_stands_there_once),
        cmocka_unit_test(prints_with_every_odd_letter_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
