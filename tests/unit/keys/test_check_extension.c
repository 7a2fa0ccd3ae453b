#include "tests/support/check.h"

#include <stdlib.h>

#include "keys/check.h"
#include "tests/support/tbs.h"
#include "tests/support/tbs_rows.h"

#define AUTO_TBS [[gnu::cleanup(tbs_clear)]] struct tbs
enum { DAY_S = 86400 };

static void refuses_each_hostile_extension_by_its_reason(void **state)
{
    tbs_check_rows(*state, TBS_EXTENSION_ROWS, TBS_EXTENSION_COUNT);
}

static void the_uri_is_the_subject(void **state)
{
    static const struct {
        const char *serial_number, *uri;
        enum rc rc;
    } ROWS[] = {
        { "a", "urn:touchmark:device:a", RC_OK },
        { "A-1.b.2", "urn:touchmark:device:A-1.b.2", RC_OK },
        { "a_b", "urn:touchmark:device:a_b", RC_MALFORMED }, /* X.680 41.4 has no underscore */
        { "a", "urn:touchmark:device:b", RC_DENIED },
        { "a", "urn:touchmark:device:A", RC_DENIED },
        { "a", "urn:touchmark:device:", RC_DENIED },
        { "a", "urn:touchmark:device:a ", RC_DENIED },
        { "a", "urn:touchmark:device:a:b", RC_DENIED },
        { "a", "urn:touchmark:device", RC_DENIED },
        { "a", "urn:touchmark:operator:a", RC_DENIED },
        { "a", "URN:touchmark:device:a", RC_DENIED },
        { "a:b", "urn:touchmark:device:a:b", RC_DENIED },
        { "a/b", "urn:touchmark:device:a/b", RC_DENIED },
        { "a b", "urn:touchmark:device:a b", RC_DENIED },
        { "1234567890123456789012345678901234567890123456789012345678901234",
          "urn:touchmark:device:"
          "1234567890123456789012345678901234567890123456789012345678901234",
          RC_OK },
        { "12345678901234567890123456789012345678901234567890123456789012345",
          "urn:touchmark:device:"
          "12345678901234567890123456789012345678901234567890123456789012345",
          RC_MALFORMED },
    };
    const struct tbs_ground *g = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
        tbs_set_subject(&tbs, NULL, ROWS[i].serial_number);
        tbs_set_san_uri(&tbs, ROWS[i].uri);
        if (tbs_check(g, &tbs) != ROWS[i].rc)
            fail_msg("%s, %s: %s", ROWS[i].serial_number, ROWS[i].uri, fault_text());
    }
}

static void doors_have_hosts_and_addresses(void **state)
{
    static const struct {
        const char *claim, *names;
        enum rc rc;
    } ROWS[] = {
        { "a.acme.example", "820e 612e61636d652e6578616d706c65", RC_OK },
        { "acme.example", "820c 61636d652e6578616d706c65", RC_DENIED },
        { ".acme.example", "820d 2e61636d652e6578616d706c65", RC_DENIED },
        { "*.acme.example", "820e 2a2e61636d652e6578616d706c65", RC_DENIED },
        { "xacme.example", "820d 7861636d652e6578616d706c65", RC_DENIED },
        { "A.acme.example", "820e 412e61636d652e6578616d706c65", RC_DENIED },
        { "a..acme.example", "820f 612e2e61636d652e6578616d706c65", RC_DENIED },
        { "-.acme.example", "820e 2d2e61636d652e6578616d706c65", RC_DENIED },
        { "localhost", "8209 6c6f63616c686f7374", RC_OK },
        { "localhost twice", "8209 6c6f63616c686f7374 8209 6c6f63616c686f7374", RC_DENIED },
        { "10.255.0.1", "8704 0aff0001", RC_OK },
        { "11.0.0.1", "8704 0b000001", RC_DENIED },
        { "127.0.0.1", "8704 7f000001", RC_OK },
        { "127.0.0.2", "8704 7f000002", RC_DENIED },
        { "::1", "8710 00000000000000000000000000000001", RC_DENIED },
        { "five octets", "8705 0a00000100", RC_DENIED },
        { "10.0.0.1 and a.acme.example", "8704 0a000001 820e 612e61636d652e6578616d706c65",
          RC_OK },
    };
    const struct tbs_ground *g = *state;
    const struct tbs_ground doors = { g->rules, keys_rules_find(g->rules, BYTES("doors")) };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };
        AUTO_BUF(names, TBS_PIECE_MAX);
        struct bytes inner;

        tbs_fill_device(&tbs, doors.rule, TBS_DEVICE);
        tbs_set_validity(&tbs, TBS_NOW_S, TBS_NOW_S + 7 * DAY_S);
        tbs_set_hex(&tbs, TBS_SUBJECT, "300f 310d 300b 0603550403 0c04 646f6f72");
        tbs_set_hex(&tbs, TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070301");
        tbs_set_hex(&tbs, TBS_AIA, "");
        tbs_set_hex(&tbs, TBS_SAN, ROWS[i].names);
        buf_add(&names, BYTES("\x86\x17urn:touchmark:door:door"));
        buf_add(&names, buf_bytes(&tbs.piece[TBS_SAN]));
        inner = buf_bytes(&names);
        buf_reset(&tbs.piece[TBS_SAN]);
        buf_add(&tbs.piece[TBS_SAN], BYTES("\x30\x00\x06\x03\x55\x1d\x11\x04\x00\x30\x00"));
        tbs.piece[TBS_SAN].at[1] = (uint8_t)(9 + inner.len);
        tbs.piece[TBS_SAN].at[8] = (uint8_t)(2 + inner.len);
        tbs.piece[TBS_SAN].at[10] = (uint8_t)inner.len;
        buf_add(&tbs.piece[TBS_SAN], inner);
        if (tbs_check(&doors, &tbs) != ROWS[i].rc)
            fail_msg("%s: %s", ROWS[i].claim, fault_text());
    }
}

/* A rule for CAs, and what it signs. */
static void a_ca_rule_pins_the_path_length(void **state)
{
    static const struct {
        const char *constraints;
        int path_length;
        enum rc rc;
    } ROWS[] = {
        { "300f 0603551d13 0101ff 0405 3003 0101ff", -1, RC_OK },
        { "3012 0603551d13 0101ff 0408 3006 0101ff 020100", -1, RC_DENIED },
        { "300f 0603551d13 0101ff 0405 3003 0101ff", 0, RC_DENIED },
        { "3012 0603551d13 0101ff 0408 3006 0101ff 020100", 0, RC_OK },
        { "3012 0603551d13 0101ff 0408 3006 0101ff 020101", 0, RC_DENIED },
        { "3012 0603551d13 0101ff 0408 3006 0101ff 0201ff", 0, RC_MALFORMED },
        { "3013 0603551d13 0101ff 0409 3007 0101ff 02020000", 0, RC_MALFORMED },
        { "3016 0603551d13 0101ff 040c 300a 0101ff 02050100000000", 0, RC_DENIED },
        { "300c 0603551d13 0101ff 0402 3000", 0, RC_DENIED },
        { "", 0, RC_DENIED },
    };
    const struct tbs_ground *g = *state;
    struct keys_rule *rule = malloc(sizeof *rule);
    struct tbs_ground ca = { g->rules, rule };

    assert_non_null(rule);
    *rule = *g->rule;
    rule->certificate.ca = true;
    rule->certificate.key_usage = KEYS_KEY_CERT_SIGN | KEYS_CRL_SIGN;
    rule->certificate.extension[KEYS_BASIC_CONSTRAINTS].presence = KEYS_REQUIRED;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        rule->certificate.path_length = ROWS[i].path_length;
        tbs_fill_device(&tbs, rule, TBS_DEVICE);
        tbs_set_hex(&tbs, TBS_KU, "300e 0603551d0f 0101ff 0404 03020106");
        tbs_set_hex(&tbs, TBS_BC, ROWS[i].constraints);
        if (tbs_check(&ca, &tbs) != ROWS[i].rc)
            fail_msg("\"%s\", %d: %s", ROWS[i].constraints, ROWS[i].path_length, fault_text());
    }
    free(rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_hostile_extension_by_its_reason),
        cmocka_unit_test(the_uri_is_the_subject),
        cmocka_unit_test(doors_have_hosts_and_addresses),
        cmocka_unit_test(a_ca_rule_pins_the_path_length),
    };
    return cmocka_run_group_tests(tests, tbs_prepare, tbs_release);
}
