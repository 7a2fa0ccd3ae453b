#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "keys/check.h"
#include "tests/support/tbs.h"

AUTO_STRUCT(keys_rules, free)
AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(X509, X509_free)
AUTO_TYPE(X509_NAME, X509_NAME_free)
AUTO_TYPE(X509_EXTENSION, X509_EXTENSION_free)
AUTO_TYPE(AUTHORITY_KEYID, AUTHORITY_KEYID_free)
#define AUTO_TBS [[gnu::cleanup(tbs_clear)]] struct tbs

#define DEVICE "dev-00042"
enum { DAY_S = 86400 };

struct ground {
    struct keys_rules *rules;
    const struct keys_rule *rule;
};

static int prepare(void **state)
{
    static struct ground ground;

    ground.rules = tbs_example_rules();
    ground.rule = keys_rules_find(ground.rules, BYTES("devices"));
    *state = &ground;
    return 0;
}

static int clear(void **state)
{
    struct ground *ground = *state;

    free(ground->rules);
    return 0;
}

static enum rc check(const struct ground *g, struct bytes tbs, struct keys_finding *finding)
{
    static const struct keys_memory nothing;
    struct keys_question question = { .kind = KEYS_CERTIFICATE, .to_be_signed = tbs };

    return keys_check(g->rules, g->rule, &question, &nothing, TBS_NOW_S, finding);
}

static enum rc check_tbs(const struct ground *g, const struct tbs *tbs)
{
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding finding = { 0 };

    return check(g, tbs_build(tbs, &built), &finding);
}

static void finds_what_is_in_a_good_one(void **state)
{
    const struct ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };
    uint8_t digest[32];
    struct bytes bytes;

    tbs_fill_device(&tbs, g->rule, DEVICE);
    bytes = tbs_build(&tbs, &built);
    if (check(g, bytes, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.kind, KEYS_CERTIFICATE);
    assert_int_equal(f.serial_len, 16);
    assert_memory_equal(f.serial, "\x4f\x3e\x2d\x1c", 4);
    assert_int_equal(f.not_before_s, TBS_NOW_S);
    assert_int_equal(f.not_after_s, TBS_NOW_S + 365 * DAY_S);
    SHA256(bytes.at, bytes.len, digest);
    assert_memory_equal(f.digest, digest, 32);
    SHA256(tbs.piece[TBS_KEY].at, KEYS_PUBLIC_KEY, digest);
    assert_memory_equal(f.subject_key, digest, 32);
}

static void refuses_every_truncation(void **state)
{
    const struct ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 }, untouched = { 0 };
    struct bytes bytes;

    tbs_fill_device(&tbs, g->rule, DEVICE);
    bytes = tbs_build(&tbs, &built);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, bytes.at, len);
        assert_int_equal(check(g, (struct bytes){ exact, len }, &f), RC_MALFORMED);
        free(exact);
    }
    assert_memory_equal(&f, &untouched, sizeof f);
}

static void refuses_a_tail(void **state)
{
    const struct ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };

    tbs_fill_device(&tbs, g->rule, DEVICE);
    tbs_build(&tbs, &built);
    buf_add_u8(&built, 0);
    assert_int_equal(check(g, buf_bytes(&built), &f), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "bytes after the end"));
}

/* Pieces of DER in place of the good ones. The fault must say `expected`. */
static const struct {
    const char *claim;
    enum tbs_piece piece;
    const char *hex;
    enum rc rc;
    const char *expected;
} PIECES[] = {
    { "version 1 by absence", TBS_VERSION, "", RC_MALFORMED, "another type" },
    { "version 1", TBS_VERSION, "a003 020100", RC_MALFORMED, "4.1.2.1" },
    { "version 2", TBS_VERSION, "a003 020101", RC_MALFORMED, "4.1.2.1" },
    { "version 4", TBS_VERSION, "a003 020103", RC_MALFORMED, "4.1.2.1" },
    { "serial zero", TBS_SERIAL, "0201 00", RC_DENIED, "1 octets, expected 8 to 20" },
    { "serial negative", TBS_SERIAL, "0210 8f3e2d1c0b0a99887766554433221100", RC_DENIED,
      "negative" },
    { "serial of 7 octets", TBS_SERIAL, "0207 01020304050607", RC_DENIED, "expected 8 to 20" },
    { "serial of 8 octets", TBS_SERIAL, "0208 0102030405060708", RC_OK, "" },
    { "serial of 20 octets", TBS_SERIAL, "0214 0102030405060708091011121314151617181920", RC_OK,
      "" },
    { "serial of 21 octets", TBS_SERIAL, "0215 010203040506070809101112131415161718192021",
      RC_DENIED, "expected 8 to 20" },
    { "serial with a spare zero", TBS_SERIAL, "0209 000102030405060708", RC_MALFORMED,
      "8.3.2" },
    { "serial of no octets", TBS_SERIAL, "0200", RC_MALFORMED, "8.3.1" },
    { "algorithm with NULL", TBS_ALGORITHM, "300c 06082a8648ce3d040302 0500", RC_DENIED,
      "4.1.2.3" },
    { "ecdsa-with-SHA1", TBS_ALGORITHM, "3009 06072a8648ce3d0401", RC_DENIED, "4.1.2.3" },
    { "ecdsa-with-SHA384", TBS_ALGORITHM, "300a 06082a8648ce3d040303", RC_DENIED, "4.1.2.3" },
    { "another issuer", TBS_ISSUER, "300f 310d 300b 0603550403 0c04 41636d65", RC_DENIED,
      "found commonName=Acme" },
    { "the issuer in PrintableString", TBS_ISSUER,
      "3026 310d 300b 060355040a 1304 41636d65 3115 3013 0603550403 130c "
      "41636d652044657669636573",
      RC_DENIED, "octet by octet" },
    { "an empty issuer", TBS_ISSUER, "3000", RC_DENIED, "no Name" },
    { "issuer of the operators' key", TBS_ISSUER,
      "3032 310d 300b 060355040a 0c04 41636d65 3121 301f 0603550403 0c18 "
      "41636d65204f70657261746f727320616e64204c696e6573",
      RC_DENIED, "found organizationName=Acme, commonName=Acme Operators and Lines" },
    { "times as GeneralizedTime", TBS_VALIDITY,
      "3022 180f 32303236313132323132303030305a 180f 32303237313132323132303030305a",
      RC_MALFORMED, "GeneralizedTime before 2050" },
    { "time with an offset", TBS_VALIDITY,
      "3022 1711 3236313132323132303030302b30303030 170d 3237313132323132303030305a",
      RC_MALFORMED, "4.1.2.5" },
    { "time without seconds", TBS_VALIDITY,
      "301c 170b 323631313232313230305a 170d 3237313132323132303030305a", RC_MALFORMED,
      "4.1.2.5" },
    { "empty subject", TBS_SUBJECT, "3000", RC_DENIED, "no serialNumber" },
    { "two serialNumbers", TBS_SUBJECT,
      "3028 3112 3010 0603550405 1309 6465762d3030303432 3112 3010 0603550405 1309 "
      "6465762d3030303432",
      RC_MALFORMED, "stands twice" },
    { "two attributes in an RDN", TBS_SUBJECT,
      "3021 311f 300b 060355040a 0c04 41636d65 3010 0603550405 1309 6465762d3030303432",
      RC_MALFORMED, "more than belongs here" },
    { "an empty RDN", TBS_SUBJECT, "3016 3100 3112 3010 0603550405 1309 6465762d3030303432",
      RC_MALFORMED, "missing" },
    { "serialNumber in UTF8String", TBS_SUBJECT,
      "3014 3112 3010 0603550405 0c09 6465762d3030303432", RC_MALFORMED, "another type" },
    { "serialNumber with an at sign", TBS_SUBJECT,
      "3014 3112 3010 0603550405 1309 6465762d3030303440", RC_MALFORMED, "outside its type" },
    { "an attribute not in the rule", TBS_SUBJECT,
      "3022 310c 300a 0603550403 0c03 616263 3112 3010 0603550405 1309 6465762d3030303432",
      RC_DENIED, "commonName, which is not allowed" },
    { "an attribute not in any rule", TBS_SUBJECT,
      "3022 310c 300a 0603550441 0c03 616263 3112 3010 0603550405 1309 6465762d3030303432",
      RC_DENIED, "2.5.4.65" },
    { "organization not as pinned", TBS_SUBJECT,
      "3023 310d 300b 060355040a 0c04 41636d66 3112 3010 0603550405 1309 6465762d3030303432",
      RC_DENIED, "is not \"Acme\"" },
    { "organization with a control", TBS_SUBJECT,
      "3023 310d 300b 060355040a 0c04 41636d0a 3112 3010 0603550405 1309 6465762d3030303432",
      RC_MALFORMED, "controls" },
    { "organization in T61String", TBS_SUBJECT,
      "3023 310d 300b 060355040a 1404 41636d65 3112 3010 0603550405 1309 6465762d3030303432",
      RC_MALFORMED, "another type" },
    { "RSA key", TBS_KEY,
      "301c 300d 06092a864886f70d010101 0500 030b 00 3008 0203 010001 0201 03", RC_MALFORMED,
      "RFC 5480 2" },
    { "P-384 key", TBS_KEY,
      "3076 3010 06072a8648ce3d0201 06052b81040022 0362 00 04"
      "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e38"
      "72760ab7"
      "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c"
      "90ea0e5f",
      RC_MALFORMED, "RFC 5480 2" },
    { "compressed point", TBS_KEY,
      "3039 3013 06072a8648ce3d0201 06082a8648ce3d030107 0322 00 03"
      "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
      RC_MALFORMED, "RFC 5480 2" },
    { "point off the curve", TBS_KEY,
      "3059 3013 06072a8648ce3d0201 06082a8648ce3d030107 0342 00 04"
      "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
      "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462298",
      RC_MALFORMED, "not on P-256" },
    { "coordinate not reduced", TBS_KEY,
      "3059 3013 06072a8648ce3d0201 06082a8648ce3d030107 0342 00 04"
      "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF"
      "66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4",
      RC_MALFORMED, "not on P-256" },
    { "issuerUniqueID", TBS_UNIQUE_ID, "8102 00ff", RC_MALFORMED, "4.1.2.8" },
    { "subjectUniqueID", TBS_UNIQUE_ID, "8202 00ff", RC_MALFORMED, "4.1.2.8" },
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

/* Rows are written by hand: each must itself be DER as far as its outer length, or it would be
 * refused for the wrong reason; `expected` sees to that. */
static void refuses_each_hostile_piece_by_its_reason(void **state)
{
    const struct ground *g = *state;
    size_t good = 0, count = sizeof PIECES / sizeof *PIECES;

    for (size_t i = 0; i < count; i++) {
        AUTO_TBS tbs = { 0 };
        enum rc rc;

        tbs_fill_device(&tbs, g->rule, DEVICE);
        tbs_set_hex(&tbs, PIECES[i].piece, PIECES[i].hex);
        rc = check_tbs(g, &tbs);
        if (rc == PIECES[i].rc &&
            (rc == RC_OK || strstr(fault_text(), PIECES[i].expected) != NULL))
            good++;
        else
            print_error("%s: %s \"%s\", expected %s \"%s\"\n", PIECES[i].claim, rc_name(rc),
                        rc == RC_OK ? "" : fault_text(), rc_name(PIECES[i].rc),
                        PIECES[i].expected);
    }
    assert_int_equal(good, count);
}

static void holds_the_dates_at_each_bound(void **state)
{
    static const struct {
        const char *claim;
        int64_t from_s, to_s;
        enum rc rc;
    } ROWS[] = {
        { "as early as may be", -300, DAY_S, RC_OK },
        { "a second earlier", -301, DAY_S, RC_DENIED },
        { "now", 0, DAY_S, RC_OK },
        { "a second after now", 1, DAY_S, RC_DENIED },
        { "as long as may be", 0, 398 * DAY_S, RC_OK },
        { "a second longer", 0, 398 * DAY_S + 1, RC_DENIED },
        { "longer by its start in the past", -1, 398 * DAY_S, RC_DENIED },
        { "one second", 0, 1, RC_OK },
        { "nothing", 0, 0, RC_DENIED },
        { "backwards", 0, -1, RC_DENIED },
        { "from 1950 on", INT64_C(-631152000) - TBS_NOW_S, DAY_S, RC_DENIED },
        { "to the end of the calendar", 0, INT64_C(253402300799) - TBS_NOW_S, RC_DENIED },
    };
    const struct ground *g = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, DEVICE);
        tbs_set_validity(&tbs, TBS_NOW_S + ROWS[i].from_s, TBS_NOW_S + ROWS[i].to_s);
        if (check_tbs(g, &tbs) != ROWS[i].rc)
            fail_msg("%s: %s", ROWS[i].claim, fault_text());
    }
}

static void never_outlives_its_issuer(void **state)
{
    const struct ground *g = *state;
    struct ground near = *g;
    struct keys_rule *rule = malloc(sizeof *rule);
    AUTO_TBS tbs = { 0 };

    assert_non_null(rule);
    *rule = *g->rule;
    near.rule = rule;
    tbs_fill_device(&tbs, g->rule, DEVICE);
    tbs_set_validity(&tbs, TBS_NOW_S, TBS_NOW_S + DAY_S);
    rule->not_after_s = TBS_NOW_S + DAY_S;
    assert_int_equal(check_tbs(&near, &tbs), RC_OK);
    rule->not_after_s--;
    assert_int_equal(check_tbs(&near, &tbs), RC_DENIED);
    assert_non_null(strstr(fault_text(), "ends 1 s after the issuer's own notAfter"));
    free(rule);
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
    const struct ground *g = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, DEVICE);
        tbs_set_subject(&tbs, NULL, ROWS[i].serial_number);
        tbs_set_san_uri(&tbs, ROWS[i].uri);
        if (check_tbs(g, &tbs) != ROWS[i].rc)
            fail_msg("%s, %s: %s", ROWS[i].serial_number, ROWS[i].uri, fault_text());
    }
}

static void never_certifies_our_own_keys(void **state)
{
    const struct ground *g = *state;

    for (size_t i = 0; i < g->rules->count; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, DEVICE);
        tbs_set_hex(&tbs, TBS_KEY, "");
        buf_add(&tbs.piece[TBS_KEY], BYTES_OF(g->rules->rule[i].public_key));
        assert_int_equal(check_tbs(g, &tbs), RC_DENIED);
        assert_non_null(strstr(fault_text(), g->rules->rule[i].name));
    }
}

static void never_names_a_subject_as_an_issuer(void **state)
{
    const struct ground *g = *state;
    struct keys_rule *rule = malloc(sizeof *rule);
    struct ground open = { g->rules, rule };
    AUTO_TBS tbs = { 0 };

    assert_non_null(rule);
    *rule = *g->rule;
    rule->certificate.subject[KEYS_COMMON_NAME].presence = KEYS_OPTIONAL;
    rule->certificate.subject[KEYS_SERIAL_NUMBER].presence = KEYS_OPTIONAL;
    tbs_fill_device(&tbs, rule, DEVICE);
    tbs_set_hex(&tbs, TBS_SUBJECT, "");
    buf_add(&tbs.piece[TBS_SUBJECT],
            (struct bytes){ g->rules->rule[2].issuer, g->rules->rule[2].issuer_len });
    assert_int_equal(check_tbs(&open, &tbs), RC_DENIED);
    assert_non_null(strstr(fault_text(), "subject is the issuer of key doors"));
    free(rule);
}

static void each_key_signs_its_own_kinds(void **state)
{
    static const struct keys_memory nothing;
    const struct ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };
    struct keys_question question = { .kind = KEYS_CHECKPOINT };

    tbs_fill_device(&tbs, g->rule, DEVICE);
    question.to_be_signed = tbs_build(&tbs, &built);
    assert_int_equal(keys_check(g->rules, g->rule, &question, &nothing, TBS_NOW_S, &f),
                     RC_DENIED);
    assert_non_null(strstr(fault_text(), "checkpoint"));
    question.kind = KEYS_CRL;
    assert_int_equal(keys_check(g->rules, g->rule, &question, &nothing, TBS_NOW_S, &f),
                     RC_MALFORMED);
    question.kind = KEYS_CERTIFICATE;
    assert_int_equal(
        keys_check(g->rules, &g->rules->rule[3], &question, &nothing, TBS_NOW_S, &f),
        RC_DENIED);
    assert_int_equal(
        keys_check(g->rules, &g->rules->rule[1], &question, &nothing, TBS_NOW_S, &f),
        RC_DENIED);
    question.kind = (enum keys_kind)(KEYS_CERTIFICATE | KEYS_CRL);
    assert_int_equal(keys_check(g->rules, g->rule, &question, &nothing, TBS_NOW_S, &f),
                     RC_DENIED);
    question.kind = (enum keys_kind)0;
    assert_int_equal(keys_check(g->rules, g->rule, &question, &nothing, TBS_NOW_S, &f),
                     RC_DENIED);
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
    const struct ground *g = *state;
    const struct ground doors = { g->rules, keys_rules_find(g->rules, BYTES("doors")) };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };
        AUTO_BUF(names, TBS_PIECE_MAX);
        struct bytes inner;

        tbs_fill_device(&tbs, doors.rule, DEVICE);
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
        if (check_tbs(&doors, &tbs) != ROWS[i].rc)
            fail_msg("%s: %s", ROWS[i].claim, fault_text());
    }
}

/*
 * What may vary within one octet of a good certificate, and why that harms nobody:
 * the serial's content, the dates within their windows, the string type of a pinned
 * value, what stands behind a pinned URI prefix, OCSP or caIssuers at that place.
 */
static bool may_vary(const struct tbs *tbs, struct bytes built, size_t at)
{
    static const struct {
        enum tbs_piece piece;
        size_t from, to; /* octets of the piece; to 0: its end */
    } FREE[] = {
        { TBS_SERIAL, 2, 0 },     { TBS_VALIDITY, 4, 17 },
        { TBS_VALIDITY, 19, 32 }, { TBS_SUBJECT, 11, 12 }, /* UTF8String, PrintableString */
        { TBS_CDP, 43, 0 },                                /* behind http://crl.acme.example/ */
        { TBS_AIA, 27, 28 },                               /* last arc of id-ad-ocsp */
    };

    for (size_t i = 0; i < sizeof FREE / sizeof *FREE; i++) {
        struct bytes place = tbs_find(tbs, FREE[i].piece, built);
        size_t start = (size_t)(place.at - built.at);
        size_t end = start + (FREE[i].to > 0 ? FREE[i].to : place.len);

        if (at >= start + FREE[i].from && at < end)
            return true;
    }
    return false;
}

static void one_changed_octet_is_refused_or_harmless(void **state)
{
    const struct ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct bytes bytes;
    size_t accepted = 0;

    tbs_fill_device(&tbs, g->rule, DEVICE);
    bytes = tbs_build(&tbs, &built);
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned change = 1; change < 256; change++) {
            struct keys_finding f = { 0 };
            uint8_t before = built.at[i];

            built.at[i] = (uint8_t)(before ^ change);
            if (check(g, bytes, &f) == RC_OK) {
                accepted++;
                if (!may_vary(&tbs, bytes, i))
                    fail_msg("octet %zu of %zu: 0x%02x became 0x%02x", i, bytes.len, before,
                             built.at[i]);
                assert_true(f.not_before_s >= TBS_NOW_S - 300 && f.not_before_s <= TBS_NOW_S);
                assert_true(f.not_after_s <= f.not_before_s + 398 * DAY_S);
            }
            built.at[i] = before;
        }
    }
    /* The serial's 15 octets alone give 3,825. */
    assert_true(accepted > 3825);
}

static void add_conf(X509 *certificate, int nid, const char *value)
{
    AUTO(X509_EXTENSION) *made = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(made);
    assert_int_equal(X509_add_ext(certificate, made, -1), 1);
}

static void add_key_ids(X509 *certificate, const struct keys_rule *rule)
{
    AUTO(AUTHORITY_KEYID) *aki = AUTHORITY_KEYID_new();
    X509V3_CTX context;

    aki->keyid = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(aki->keyid, rule->key_id, (int)rule->key_id_len);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_authority_key_identifier, aki, 0, 0),
                     1);

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    AUTO(X509_EXTENSION) *ski =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_key_identifier, "hash");
    assert_non_null(ski);
    assert_int_equal(X509_add_ext(certificate, ski, -1), 1);
}

static X509 *make_with_libcrypto(const struct keys_rule *rule, EVP_PKEY *key)
{
    const uint8_t *issuer = rule->issuer;
    AUTO(X509_NAME) *name = d2i_X509_NAME(NULL, &issuer, (long)rule->issuer_len);
    X509 *made = X509_new();
    X509_NAME *subject = X509_get_subject_name(made);

    X509_set_version(made, X509_VERSION_3);
    assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), 0x7edcba9876543210),
                     1);
    X509_set_issuer_name(made, name);
    ASN1_TIME_set(X509_getm_notBefore(made), (time_t)TBS_NOW_S);
    ASN1_TIME_set(X509_getm_notAfter(made), (time_t)(TBS_NOW_S + 90 * DAY_S));
    X509_NAME_add_entry_by_txt(subject, "serialNumber", MBSTRING_ASC,
                               (const unsigned char *)DEVICE, -1, -1, 0);
    X509_set_pubkey(made, key);
    add_key_ids(made, rule);
    add_conf(made, NID_key_usage, "critical,digitalSignature");
    add_conf(made, NID_ext_key_usage, "clientAuth");
    add_conf(made, NID_basic_constraints, "critical,CA:FALSE");
    add_conf(made, NID_subject_alt_name, "URI:urn:touchmark:device:" DEVICE);
    add_conf(made, NID_crl_distribution_points, "URI:http://crl.acme.example/1.crl");
    add_conf(made, NID_info_access, "OCSP;URI:http://ocsp.acme.example/");
    return made;
}

static void accepts_what_libcrypto_builds(void **state)
{
    const struct ground *g = *state;
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
    AUTO(X509) *made = make_with_libcrypto(g->rule, key);
    struct keys_finding f = { 0 };
    unsigned char *tbs = NULL;
    int len;

    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    len = i2d_re_X509_tbs(made, &tbs);
    assert_true(len > 0);
    if (check(g, (struct bytes){ tbs, (size_t)len }, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.not_after_s, TBS_NOW_S + 90 * DAY_S);
    OPENSSL_free(tbs);
    tbs = NULL;

    assert_true(X509_sign(made, key, EVP_sha384()) > 0);
    len = i2d_re_X509_tbs(made, &tbs);
    assert_int_equal(check(g, (struct bytes){ tbs, (size_t)len }, &f), RC_DENIED);
    OPENSSL_free(tbs);
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
    const struct ground *g = *state;
    struct keys_rule *rule = malloc(sizeof *rule);
    struct ground ca = { g->rules, rule };

    assert_non_null(rule);
    *rule = *g->rule;
    rule->certificate.ca = true;
    rule->certificate.key_usage = KEYS_KEY_CERT_SIGN | KEYS_CRL_SIGN;
    rule->certificate.extension[KEYS_BASIC_CONSTRAINTS].presence = KEYS_REQUIRED;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        rule->certificate.path_length = ROWS[i].path_length;
        tbs_fill_device(&tbs, rule, DEVICE);
        tbs_set_hex(&tbs, TBS_KU, "300e 0603551d0f 0101ff 0404 03020106");
        tbs_set_hex(&tbs, TBS_BC, ROWS[i].constraints);
        if (check_tbs(&ca, &tbs) != ROWS[i].rc)
            fail_msg("\"%s\", %d: %s", ROWS[i].constraints, ROWS[i].path_length, fault_text());
    }
    free(rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_in_a_good_one),
        cmocka_unit_test(accepts_what_libcrypto_builds),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_a_tail),
        cmocka_unit_test(refuses_each_hostile_piece_by_its_reason),
        cmocka_unit_test(holds_the_dates_at_each_bound),
        cmocka_unit_test(never_outlives_its_issuer),
        cmocka_unit_test(the_uri_is_the_subject),
        cmocka_unit_test(never_certifies_our_own_keys),
        cmocka_unit_test(never_names_a_subject_as_an_issuer),
        cmocka_unit_test(each_key_signs_its_own_kinds),
        cmocka_unit_test(doors_have_hosts_and_addresses),
        cmocka_unit_test(a_ca_rule_pins_the_path_length),
        cmocka_unit_test(one_changed_octet_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, prepare, clear);
}
