#include "tests/support/check.h"

#include <stdlib.h>

#include "keys/check.h"
#include "tests/support/tbs.h"

#define AUTO_TBS [[gnu::cleanup(tbs_clear)]] struct tbs
enum { DAY_S = 86400 };

static const struct tbs_row ROWS_OF_EXTENSIONS[] = {
    { "no authorityKeyIdentifier", TBS_AKI, "", RC_DENIED,
      "authorityKeyIdentifier is missing" },
    { "another authorityKeyIdentifier", TBS_AKI,
      "301f 0603551d23 0418 3016 8014 00000000000000000000000000000000000000aa", RC_DENIED,
      "not the key-id of devices" },
    { "authorityKeyIdentifier by serial too", TBS_AKI,
      "3022 0603551d23 041b 3019 8014 5fe82ceca48d78771db12b8988e52ad0fe755298 820101",
      RC_MALFORMED, "4.2.1.1" },
    { "empty authorityKeyIdentifier", TBS_AKI, "3009 0603551d23 0402 3000", RC_MALFORMED,
      "4.2.1.1" },
    { "critical authorityKeyIdentifier", TBS_AKI,
      "3022 0603551d23 0101ff 0418 3016 8014 5fe82ceca48d78771db12b8988e52ad0fe755298",
      RC_DENIED, "not to be critical" },
    { "no subjectKeyIdentifier", TBS_SKI, "", RC_DENIED, "subjectKeyIdentifier is missing" },
    { "subjectKeyIdentifier of another key", TBS_SKI,
      "301d 0603551d0e 0416 0414 5fe82ceca48d78771db12b8988e52ad0fe755298", RC_DENIED,
      "4.2.1.2" },
    { "empty subjectKeyIdentifier", TBS_SKI, "3009 0603551d0e 0402 0400", RC_DENIED,
      "4.2.1.2" },
    { "no keyUsage", TBS_KU, "", RC_DENIED, "keyUsage is missing" },
    { "keyUsage not critical", TBS_KU, "300b 0603551d0f 0404 03020780", RC_DENIED,
      "to be critical" },
    { "criticality as an explicit FALSE", TBS_KU, "300e 0603551d0f 010100 0404 03020780",
      RC_MALFORMED, "11.5" },
    { "criticality as 01", TBS_KU, "300e 0603551d0f 010101 0404 03020780", RC_MALFORMED,
      "11.1" },
    { "keyCertSign", TBS_KU, "300e 0603551d0f 0101ff 0404 03020284", RC_DENIED, "found 0x021" },
    { "keyCertSign alone", TBS_KU, "300e 0603551d0f 0101ff 0404 03020204", RC_DENIED,
      "found 0x020" },
    { "cRLSign too", TBS_KU, "300e 0603551d0f 0101ff 0404 03020182", RC_DENIED, "found 0x041" },
    { "decipherOnly too", TBS_KU, "300f 0603551d0f 0101ff 0405 0303078080", RC_DENIED,
      "found 0x101" },
    { "no usage at all", TBS_KU, "300d 0603551d0f 0101ff 0403 030100", RC_DENIED,
      "found 0x000" },
    { "usage with trailing zero bits", TBS_KU, "300e 0603551d0f 0101ff 0404 03020680",
      RC_MALFORMED, "11.2.2" },
    { "no extKeyUsage", TBS_EKU, "", RC_DENIED, "extKeyUsage is missing" },
    { "serverAuth", TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070301", RC_DENIED,
      "found 0x1" },
    { "serverAuth too", TBS_EKU,
      "301d 0603551d25 0416 3014 06082b06010505070302 06082b06010505070301", RC_DENIED,
      "found 0x3" },
    { "clientAuth twice", TBS_EKU,
      "301d 0603551d25 0416 3014 06082b06010505070302 06082b06010505070302", RC_DENIED,
      "one twice" },
    { "anyExtendedKeyUsage", TBS_EKU, "300f 0603551d25 0408 3006 0604551d2500", RC_DENIED,
      "2.5.29.37.0 (anyExtendedKeyUsage)" },
    { "anyExtendedKeyUsage too", TBS_EKU,
      "3019 0603551d25 0412 3010 06082b06010505070302 0604551d2500", RC_DENIED,
      "anyExtendedKeyUsage" },
    { "OCSPSigning", TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070309", RC_DENIED,
      "1.3.6.1.5.5.7.3.9" },
    { "empty extKeyUsage", TBS_EKU, "3009 0603551d25 0402 3000", RC_MALFORMED, "missing" },
    { "no basicConstraints, which is optional", TBS_BC, "", RC_OK, "" },
    { "CA:TRUE", TBS_BC, "300f 0603551d13 0101ff 0405 3003 0101ff", RC_DENIED, "found TRUE" },
    { "CA:TRUE as 01", TBS_BC, "300f 0603551d13 0101ff 0405 3003 010101", RC_MALFORMED,
      "11.1" },
    { "CA:TRUE in a long length", TBS_BC, "3010 0603551d13 0101ff 0406 308103 0101ff",
      RC_MALFORMED, "10.1" },
    { "CA:TRUE in an indefinite length", TBS_BC, "3011 0603551d13 0101ff 0407 3080 0101ff 0000",
      RC_MALFORMED, "10.1" },
    { "CA:TRUE of two octets", TBS_BC, "3010 0603551d13 0101ff 0406 3004 0102ffff",
      RC_MALFORMED, "8.2.1" },
    { "CA:TRUE with path length", TBS_BC, "3012 0603551d13 0101ff 0408 3006 0101ff 020100",
      RC_DENIED, "found TRUE" },
    { "CA:FALSE written out", TBS_BC, "300f 0603551d13 0101ff 0405 3003 010100", RC_MALFORMED,
      "11.5" },
    { "path length without CA", TBS_BC, "300f 0603551d13 0101ff 0405 3003 020100", RC_MALFORMED,
      "4.2.1.9" },
    { "CA:TRUE behind the end", TBS_BC, "3011 0603551d13 0101ff 0407 3000 3003 0101ff",
      RC_MALFORMED, "bytes after the end" },
    { "basicConstraints not critical", TBS_BC, "3009 0603551d13 0402 3000", RC_DENIED,
      "to be critical" },
    { "no subjectAltName", TBS_SAN, "", RC_DENIED, "subjectAltName is missing" },
    { "empty subjectAltName", TBS_SAN, "3009 0603551d11 0402 3000", RC_DENIED,
      "expected at least 1" },
    { "dNSName with NUL", TBS_SAN, "300f 0603551d11 0408 3006 8204 61 00 2e62", RC_DENIED,
      "dns \"a\\x00.b\" matches no pattern" },
    { "iPAddress", TBS_SAN, "300f 0603551d11 0408 3006 8704 0a000001", RC_DENIED,
      "matches no pattern" },
    { "rfc822Name", TBS_SAN, "300e 0603551d11 0407 3005 8103 614062", RC_DENIED, "tag 0x81" },
    { "otherName", TBS_SAN, "3016 0603551d11 040f 300d a00b 06032a0304 a004 0c024142",
      RC_DENIED, "tag 0xa0" },
    { "directoryName", TBS_SAN, "300d 0603551d11 0406 3004 a402 3000", RC_DENIED, "tag 0xa4" },
    { "two SANs, one foreign", TBS_SAN,
      "3032 0603551d11 042b 3029 861e "
      "75726e3a746f7563686d61726b3a6465766963653a6465762d3030303432 "
      "8207 782e6c6f63616c",
      RC_DENIED, "matches no pattern" },
    { "the same URI twice", TBS_SAN,
      "3049 0603551d11 0442 3040 861e "
      "75726e3a746f7563686d61726b3a6465766963653a6465762d3030303432 "
      "861e 75726e3a746f7563686d61726b3a6465766963653a6465762d3030303432",
      RC_DENIED, "one more than the rule allows" },
    { "distribution point elsewhere", TBS_CDP,
      "301b 0603551d1f 0414 3012 3010 a00e a00c 860a 687474703a2f2f782f61", RC_DENIED,
      "not below http://crl.acme.example/" },
    { "CRLs from another issuer", TBS_CDP,
      "3035 0603551d1f 042e 302c 302a a01e a01c 861a "
      "687474703a2f2f63726c2e61636d652e6578616d706c652f64 61 a208 a406 3004 3102 3000",
      RC_MALFORMED, "4.2.1.13" },
    { "no distribution point", TBS_CDP, "", RC_OK, "" },
    { "OCSP elsewhere", TBS_AIA,
      "3022 06082b06010505070101 0416 3014 3012 06082b06010505073001 8606 687474703a2f",
      RC_DENIED, "not below http://ocsp.acme.example/" },
    { "another access method", TBS_AIA,
      "3022 06082b06010505070101 0416 3014 3012 06082b06010505073003 8606 687474703a2f",
      RC_DENIED, "4.2.2.1" },
    { "keyUsage twice", TBS_EXTRA, "300e 0603551d0f 0101ff 0404 03020780", RC_MALFORMED,
      "stands twice" },
    { "a second basicConstraints with CA:TRUE", TBS_EXTRA,
      "300f 0603551d13 0101ff 0405 3003 0101ff", RC_MALFORMED, "stands twice" },
    { "an unknown extension", TBS_EXTRA, "300a 06042a030405 0402 0500", RC_DENIED,
      "extension 1.2.3.4.5 is not" },
    { "an unknown critical extension", TBS_EXTRA, "300d 06042a030405 0101ff 0402 0500",
      RC_DENIED, "1.2.3.4.5" },
    { "nameConstraints", TBS_EXTRA, "300c 0603551d1e 0101ff 0402 3000", RC_DENIED,
      "2.5.29.30" },
    { "certificatePolicies", TBS_EXTRA, "300d 0603551d20 0406 3004 3002 0600", RC_DENIED,
      "2.5.29.32" },
    { "policyMappings", TBS_EXTRA, "3009 0603551d21 0402 3000", RC_DENIED, "2.5.29.33" },
    { "the poison of RFC 6962", TBS_EXTRA, "3013 060a2b06010401d679020403 0101ff 0402 0500",
      RC_DENIED, "1.3.6.1.4.1.11129.2.4.3" },
    { "something else among the extensions", TBS_EXTRA, "0500", RC_MALFORMED, "another type" },
};

static void refuses_each_hostile_extension_by_its_reason(void **state)
{
    tbs_check_rows(*state, ROWS_OF_EXTENSIONS,
                   sizeof ROWS_OF_EXTENSIONS / sizeof *ROWS_OF_EXTENSIONS);
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
