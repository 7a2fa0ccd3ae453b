#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"
#include "base/own.h"
#include "keys/check.h"
#include "tests/support/tbs.h"

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(X509_CRL, X509_CRL_free)
AUTO_TYPE(X509_NAME, X509_NAME_free)
AUTO_TYPE(ASN1_TIME, ASN1_TIME_free)
AUTO_TYPE(ASN1_INTEGER, ASN1_INTEGER_free)
AUTO_TYPE(AUTHORITY_KEYID, AUTHORITY_KEYID_free)

enum { DAY_S = 86400, CRL_MAX = 8 * 1024 };

/* Pieces of a TBSCertList in hexadecimal; NULL is the good one. */
struct list {
    const char *version, *algorithm, *issuer, *times, *revoked, *extensions;
};

static int prepare(void **state)
{
    *state = tbs_example_rules();
    return 0;
}

static int clear(void **state)
{
    free(*state);
    return 0;
}

static void add_piece(struct buf *to, const char *hex, const char *good)
{
    struct tbs tbs = { 0 };

    tbs_set_hex(&tbs, TBS_EXTRA, hex != NULL ? hex : good);
    buf_add(to, buf_bytes(&tbs.piece[TBS_EXTRA]));
    tbs_clear(&tbs);
}

/* 2026-11-22T12:00:00Z, 2026-11-29T12:00:00Z */
#define TIMES      "170d 3236313132323132303030305a 170d 3236313132393132303030305a"
#define REVOKED_AT "170d 3236313132323131303030305a"
#define AKI        "301f 0603551d23 0418 3016 8014 5fe82ceca48d78771db12b8988e52ad0fe755298"
#define NUMBER     "300a 0603551d14 0403 020105"

/* Two entries: serial 5; serial 256 with keyCompromise. */
#define TWO_ENTRIES                                                                            \
    "3037 3012 0201 05 " REVOKED_AT " 3021 0202 0100 " REVOKED_AT                              \
    " 300c 300a 0603551d15 0403 0a0101"

static struct bytes build(const struct keys_rules *rules, const struct list *list,
                          struct buf *out)
{
    size_t whole;
    struct bytes built = { 0 };

    buf_reset(out);
    whole = der_begin(out, DER_SEQUENCE);
    add_piece(out, list->version, "020101");
    add_piece(out, list->algorithm, "300a 06082a8648ce3d040302");
    if (list->issuer != NULL)
        add_piece(out, list->issuer, "");
    else
        buf_add(out, (struct bytes){ rules->rule[0].issuer, rules->rule[0].issuer_len });
    add_piece(out, list->times, TIMES);
    add_piece(out, list->revoked, TWO_ENTRIES);
    add_piece(out, list->extensions, "a02f 302d " AKI NUMBER);
    der_end(out, whole);
    assert_int_equal(buf_done(out, &built), RC_OK);
    return built;
}

static enum rc check(const struct keys_rules *rules, struct bytes tbs,
                     const struct keys_memory *memory, struct keys_finding *finding)
{
    struct keys_question question = { .kind = KEYS_CRL, .to_be_signed = tbs };

    return keys_check(rules, &rules->rule[0], &question, memory, TBS_NOW_S, finding);
}

static void finds_what_is_in_a_good_one(void **state)
{
    const struct keys_rules *rules = *state;
    struct keys_memory memory = { .crl_number = 4, .tree_size = 9 };
    struct keys_finding f = { 0 };
    AUTO_BUF(out, CRL_MAX);

    if (check(rules, build(rules, &(struct list){ 0 }, &out), &memory, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.kind, KEYS_CRL);
    assert_int_equal(f.revoked, 2);
    assert_int_equal(f.memory.crl_number, 5);
    assert_int_equal(f.memory.tree_size, 9);
    assert_int_equal(f.not_before_s, TBS_NOW_S);
    assert_int_equal(f.not_after_s, TBS_NOW_S + 7 * DAY_S);
}

static void its_number_only_rises(void **state)
{
    const struct keys_rules *rules = *state;
    struct keys_finding f = { 0 };
    AUTO_BUF(out, CRL_MAX);
    struct bytes tbs = build(rules, &(struct list){ .revoked = "" }, &out);

    for (uint64_t last = 0; last < 10; last++) {
        struct keys_memory memory = { .crl_number = last };

        assert_int_equal(check(rules, tbs, &memory, &f), last < 5 ? RC_OK : RC_DENIED);
    }
}

static void refuses_every_truncation(void **state)
{
    const struct keys_rules *rules = *state;
    static const struct keys_memory nothing;
    struct keys_finding f = { 0 };
    AUTO_BUF(out, CRL_MAX);
    struct bytes tbs = build(rules, &(struct list){ 0 }, &out);

    for (size_t len = 0; len < tbs.len; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, tbs.at, len);
        assert_int_equal(check(rules, (struct bytes){ exact, len }, &nothing, &f),
                         RC_MALFORMED);
        free(exact);
    }
}

static const struct {
    const char *claim;
    struct list list;
    enum rc rc;
    const char *expected;
} ROWS[] = {
    { "none revoked", { .revoked = "" }, RC_OK, "" },
    { "version left out", { .version = "" }, RC_MALFORMED, "another type" },
    { "version 1", { .version = "020100" }, RC_MALFORMED, "5.1.2.1" },
    { "ecdsa-with-SHA384", { .algorithm = "300a 06082a8648ce3d040303" }, RC_DENIED, "4.1.2.3" },
    { "another issuer",
      { .issuer = "300f 310d 300b 0603550403 0c04 41636d65" },
      RC_DENIED,
      "found commonName=Acme" },
    { "no nextUpdate",
      { .times = "170d 3236313132323132303030305a", .revoked = "" },
      RC_MALFORMED,
      "another type" },
    { "a second too long",
      { .times = "170d 3236313132323132303030305a 170d 3236313132393132303030315a",
        .revoked = "" },
      RC_DENIED,
      "604801 s, expected 604800" },
    { "thisUpdate too early",
      { .times = "170d 3236313132323131353435395a 170d 3236313132323132303030305a",
        .revoked = "" },
      RC_DENIED,
      "301 s before now" },
    { "thisUpdate after now",
      { .times = "170d 3236313132323132303030315a 170d 3236313132323133303030305a",
        .revoked = "" },
      RC_DENIED,
      "1 s after now" },
    { "an empty list", { .revoked = "3000" }, RC_MALFORMED, "missing" },
    { "serial zero",
      { .revoked = "3014 3012 0201 00 " REVOKED_AT },
      RC_MALFORMED,
      "not positive" },
    { "serial negative",
      { .revoked = "3014 3012 0201 80 " REVOKED_AT },
      RC_MALFORMED,
      "negative" },
    { "serial of 20 octets",
      { .revoked = "3027 3025 0214 0102030405060708091011121314151617181920 " REVOKED_AT },
      RC_OK,
      "" },
    { "serial of 21 octets",
      { .revoked = "3028 3026 0215 010203040506070809101112131415161718192021 " REVOKED_AT },
      RC_MALFORMED,
      "more than 20 octets" },
    { "the same serial twice",
      { .revoked = "3028 3012 0201 05 " REVOKED_AT " 3012 0201 05 " REVOKED_AT },
      RC_MALFORMED,
      "ascending" },
    { "serials in descending order",
      { .revoked = "3029 3013 0202 0100 " REVOKED_AT " 3012 0201 05 " REVOKED_AT },
      RC_MALFORMED,
      "ascending" },
    { "revoked after now",
      { .revoked = "3014 3012 0201 05 170d 3236313132323132303030315a" },
      RC_DENIED,
      "revocationDate lies 1 s after now" },
    { "reason unspecified",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0100" },
      RC_MALFORMED,
      "5.3.1" },
    { "certificateHold",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0106" },
      RC_OK,
      "" },
    { "reason 7",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0107" },
      RC_MALFORMED,
      "5.3.1" },
    { "removeFromCRL",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0108" },
      RC_MALFORMED,
      "5.3.1" },
    { "privilegeWithdrawn",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0109" },
      RC_OK,
      "" },
    { "reason 10",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a010a" },
      RC_MALFORMED,
      "5.3.1" },
    { "reason as INTEGER",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 020101" },
      RC_MALFORMED,
      "5.3.1" },
    { "reason critical",
      { .revoked = "3025 3023 0201 05 " REVOKED_AT " 300f 300d 0603551d15 0101ff 0403 0a0101" },
      RC_MALFORMED,
      "never critical" },
    { "reason twice",
      { .revoked = "302e 302c 0201 05 " REVOKED_AT
                   " 3018 300a 0603551d15 0403 0a0101 300a 0603551d15 0403 0a0101" },
      RC_MALFORMED,
      "more than belongs here" },
    { "certificateIssuer",
      { .revoked = "3021 301f 0201 05 " REVOKED_AT " 300b 3009 0603551d1d 0402 3000" },
      RC_MALFORMED,
      "other than reasonCode" },
    { "no extensions", { .extensions = "", .revoked = "" }, RC_MALFORMED, "missing" },
    { "no number",
      { .extensions = "a023 3021 " AKI, .revoked = "" },
      RC_DENIED,
      "cRLNumber is missing" },
    { "no authorityKeyIdentifier",
      { .extensions = "a00e 300c " NUMBER, .revoked = "" },
      RC_DENIED,
      "authorityKeyIdentifier is missing" },
    { "another authorityKeyIdentifier",
      { .extensions = "a02f 302d 301f 0603551d23 0418 3016 8014 "
                      "00e82ceca48d78771db12b8988e52ad0fe755298" NUMBER,
        .revoked = "" },
      RC_DENIED,
      "not the key-id of devices" },
    { "number twice",
      { .extensions = "a03b 3039 " AKI NUMBER NUMBER, .revoked = "" },
      RC_MALFORMED,
      "a second one" },
    { "number critical",
      { .extensions = "a032 3030 " AKI "300d 0603551d14 0101ff 0403 020105", .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "number negative",
      { .extensions = "a02f 302d " AKI "300a 0603551d14 0403 0201ff", .revoked = "" },
      RC_MALFORMED,
      "5.2.3" },
    { "number of 2^63",
      { .extensions = "a037 3035 " AKI "3012 0603551d14 040b 0209 008000000000000000",
        .revoked = "" },
      RC_MALFORMED,
      "5.2.3" },
    { "deltaCRLIndicator",
      { .extensions = "a03e 303c " AKI NUMBER "300d 0603551d1b 0101ff 0403 020101",
        .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "issuingDistributionPoint",
      { .extensions = "a03d 303b " AKI NUMBER "300c 0603551d1c 0101ff 0402 3000",
        .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "an unknown extension",
      { .extensions = "a03b 3039 " AKI NUMBER "300a 06042a030405 0402 0500", .revoked = "" },
      RC_MALFORMED,
      "5.2" },
};

static void refuses_each_hostile_piece_by_its_reason(void **state)
{
    const struct keys_rules *rules = *state;
    static const struct keys_memory nothing;
    size_t good = 0, count = sizeof ROWS / sizeof *ROWS;
    AUTO_BUF(out, CRL_MAX);

    for (size_t i = 0; i < count; i++) {
        struct keys_finding f = { 0 };
        enum rc rc = check(rules, build(rules, &ROWS[i].list, &out), &nothing, &f);

        if (rc == ROWS[i].rc && (rc == RC_OK || strstr(fault_text(), ROWS[i].expected) != NULL))
            good++;
        else
            print_error("%s: %s \"%s\", expected %s \"%s\"\n", ROWS[i].claim, rc_name(rc),
                        rc == RC_OK ? "" : fault_text(), rc_name(ROWS[i].rc), ROWS[i].expected);
    }
    assert_int_equal(good, count);
}

static X509_CRL *make_with_libcrypto(const struct keys_rule *rule, EVP_PKEY *key)
{
    const uint8_t *issuer = rule->issuer;
    AUTO(X509_NAME) *name = d2i_X509_NAME(NULL, &issuer, (long)rule->issuer_len);
    AUTO(ASN1_TIME) *from = ASN1_TIME_set(NULL, (time_t)TBS_NOW_S);
    AUTO(ASN1_TIME) *to = ASN1_TIME_set(NULL, (time_t)(TBS_NOW_S + DAY_S));
    AUTO(ASN1_INTEGER) *number = ASN1_INTEGER_new();
    AUTO(AUTHORITY_KEYID) *aki = AUTHORITY_KEYID_new();
    X509_CRL *crl = X509_CRL_new();

    ASN1_INTEGER_set(number, 77);
    aki->keyid = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(aki->keyid, rule->key_id, (int)rule->key_id_len);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, name);
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, to);
    X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, aki, 0, 0);
    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
    for (long serial = 300; serial > 0; serial -= 100) {
        X509_REVOKED *entry = X509_REVOKED_new();

        ASN1_INTEGER_set(number, serial);
        X509_REVOKED_set_serialNumber(entry, number);
        X509_REVOKED_set_revocationDate(entry, from);
        X509_CRL_add0_revoked(crl, entry);
    }
    X509_CRL_sort(crl);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    return crl;
}

static void accepts_what_libcrypto_builds(void **state)
{
    const struct keys_rules *rules = *state;
    static const struct keys_memory nothing;
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
    AUTO(X509_CRL) *crl = make_with_libcrypto(&rules->rule[0], key);
    struct keys_finding f = { 0 };
    unsigned char *tbs = NULL;
    int len = i2d_re_X509_CRL_tbs(crl, &tbs);

    assert_true(len > 0);
    if (check(rules, (struct bytes){ tbs, (size_t)len }, &nothing, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.revoked, 3);
    assert_int_equal(f.memory.crl_number, 77);
    OPENSSL_free(tbs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_in_a_good_one),
        cmocka_unit_test(accepts_what_libcrypto_builds),
        cmocka_unit_test(its_number_only_rises),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_each_hostile_piece_by_its_reason),
    };
    return cmocka_run_group_tests(tests, prepare, clear);
}
