#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "keys/check.h"
#include "tests/support/crl_rows.h"
#include "tests/support/tbs.h"

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(X509_CRL, X509_CRL_free)
AUTO_TYPE(X509_NAME, X509_NAME_free)
AUTO_TYPE(ASN1_TIME, ASN1_TIME_free)
AUTO_TYPE(ASN1_INTEGER, ASN1_INTEGER_free)
AUTO_TYPE(AUTHORITY_KEYID, AUTHORITY_KEYID_free)

enum { DAY_S = 86400, CRL_MAX = 8 * 1024 };

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

    if (check(rules, crl_build(rules, &(struct crl_pieces){ 0 }, &out), &memory, &f) != RC_OK)
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
    struct bytes tbs = crl_build(rules, &(struct crl_pieces){ .revoked = "" }, &out);

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
    struct bytes tbs = crl_build(rules, &(struct crl_pieces){ 0 }, &out);

    for (size_t len = 0; len < tbs.len; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, tbs.at, len);
        assert_int_equal(check(rules, (struct bytes){ exact, len }, &nothing, &f),
                         RC_MALFORMED);
        free(exact);
    }
}

static void refuses_each_hostile_piece_by_its_reason(void **state)
{
    const struct keys_rules *rules = *state;
    static const struct keys_memory nothing;
    size_t good = 0, count = CRL_COUNT;
    AUTO_BUF(out, CRL_MAX);

    for (size_t i = 0; i < count; i++) {
        struct keys_finding f = { 0 };
        enum rc rc = check(rules, crl_build(rules, &CRL_ROWS[i].pieces, &out), &nothing, &f);

        if (rc == CRL_ROWS[i].rc &&
            (rc == RC_OK || strstr(fault_text(), CRL_ROWS[i].expected) != NULL))
            good++;
        else
            print_error("%s: %s \"%s\", expected %s \"%s\"\n", CRL_ROWS[i].claim, rc_name(rc),
                        rc == RC_OK ? "" : fault_text(), rc_name(CRL_ROWS[i].rc),
                        CRL_ROWS[i].expected);
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
