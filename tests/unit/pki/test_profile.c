#include "tests/support/check.h"

#include <string.h>

#include "pki/profile.h"

static void refuses_holders_that_cannot_be_written(void **state)
{
    static const struct pki_alt_name HOST = { PKI_ALT_DNS,
                                              { (const uint8_t *)"a.example", 9 } };
    static const struct pki_alt_name URI = { PKI_ALT_URI, { (const uint8_t *)"urn:x:y", 7 } };
    uint8_t long_id[PKI_ID_MAX + 1];
    const struct {
        const char *profile;
        struct pki_holder holder;
        enum rc rc;
    } ROWS[] = {
        { "device", { .id = BYTES("TM-1.a") }, RC_OK },
        { "device", { .id = BYTES("") }, RC_MALFORMED },
        { "device", { .id = BYTES("a_b") }, RC_MALFORMED },
        { "device", { .id = BYTES("a/b") }, RC_MALFORMED },
        { "device", { .id = BYTES("a+b") }, RC_MALFORMED },
        { "device", { .id = BYTES("a#") }, RC_MALFORMED },
        { "device", { .id = BYTES("a:b") }, RC_MALFORMED },
        { "device", { .id = BYTES("a b") }, RC_MALFORMED },
        { "device", { .id = BYTES("a%41") }, RC_MALFORMED },
        { "device", { .id = BYTES("\xc3\xa9") }, RC_MALFORMED },
        { "device", { .id = { long_id, PKI_ID_MAX } }, RC_OK },
        { "device", { .id = { long_id, PKI_ID_MAX + 1 } }, RC_MALFORMED },
        { "device", { .id = BYTES("a"), .hosts = &HOST, .hosts_count = 1 }, RC_MALFORMED },
        { "operator", { .id = BYTES("a_b") }, RC_OK },
        { "operator", { .id = BYTES("a@b") }, RC_MALFORMED },
        { "door", { .id = BYTES("a-door") }, RC_LIMIT },
        { "door", { .id = BYTES("a door"), .hosts = &HOST, .hosts_count = 1 }, RC_MALFORMED },
        { "door", { .id = BYTES(""), .hosts = &HOST, .hosts_count = 1 }, RC_MALFORMED },
        { "door", { .id = BYTES("a-door"), .hosts = &HOST, .hosts_count = 1 }, RC_OK },
        { "door", { .id = BYTES("a-door"), .hosts = &URI, .hosts_count = 1 }, RC_MALFORMED },
        { "root", { .id = BYTES("R"), .organization = BYTES("\xff") }, RC_MALFORMED },
        { "root", { .id = { long_id, PKI_ID_MAX + 1 } }, RC_LIMIT },
    };

    (void)state;
    memset(long_id, 'x', sizeof long_id);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (pki_profile_check_holder(pki_profile_find(ROWS[i].profile), &ROWS[i].holder) !=
            ROWS[i].rc)
            fail_msg("row %zu: %s", i, fault_text());
}

static void refuses_hosts_that_are_none(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } ROWS[] = {
        { "a", true },          { "a.b", true },     { "A-1.example", true }, { "", false },
        { ".a", false },        { "a.", false },     { "a..b", false },       { "-a", false },
        { "a-", false },        { "a-.b", false },   { "*.a", false },        { "a_b", false },
        { "a b", false },       { "a/b", false },    { "a.-b", false },       { "1.2", true },
        { "a\xc3\xa9", false }, { "xn--9ca", true },
    };
    uint8_t text[254];

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct pki_alt_name name = { PKI_ALT_DNS, bytes_of_text(ROWS[i].name) };

        if ((pki_alt_name_check(&name) == RC_OK) != ROWS[i].good)
            fail_msg("'%s'", ROWS[i].name);
    }
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : '.';
    assert_int_equal(pki_alt_name_check(&(struct pki_alt_name){ PKI_ALT_DNS, { text, 253 } }),
                     RC_OK);
    text[253] = 'a';
    assert_int_equal(pki_alt_name_check(&(struct pki_alt_name){ PKI_ALT_DNS, { text, 254 } }),
                     RC_MALFORMED);
    memset(text, 'a', sizeof text);
    assert_int_equal(pki_alt_name_check(&(struct pki_alt_name){ PKI_ALT_DNS, { text, 63 } }),
                     RC_OK);
    assert_int_equal(pki_alt_name_check(&(struct pki_alt_name){ PKI_ALT_DNS, { text, 64 } }),
                     RC_MALFORMED);
}

static void no_profile_contradicts_itself(void **state)
{
    size_t count = 0;
    const struct pki_profile *all = pki_profile_all(&count);

    (void)state;
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(pki_profile_find(all[i].name), &all[i]);
        assert_int_equal(all[i].constraints.ca, (all[i].key_usage & PKI_KEY_CERT_SIGN) != 0);
        assert_int_equal(all[i].constraints.ca, all[i].purposes == 0);
        assert_true(all[i].constraints.ca || all[i].constraints.path_length == -1);
        assert_true(all[i].lifetime_s > 0 && all[i].lifetime_s <= all[i].lifetime_most_s);
        assert_int_equal(all[i].purposes & (PKI_ANY_PURPOSE | PKI_OTHER_PURPOSE), 0);
    }
    assert_null(pki_profile_find("checkpoint"));
    assert_null(pki_profile_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_holders_that_cannot_be_written),
        cmocka_unit_test(refuses_hosts_that_are_none),
        cmocka_unit_test(no_profile_contradicts_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
