#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "keys/check.h"
#include "tests/support/tbs.h"
#include "tests/support/tbs_rows.h"

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(X509, X509_free)
AUTO_TYPE(X509_NAME, X509_NAME_free)
AUTO_TYPE(X509_EXTENSION, X509_EXTENSION_free)
AUTO_TYPE(AUTHORITY_KEYID, AUTHORITY_KEYID_free)
#define AUTO_TBS [[gnu::cleanup(tbs_clear)]] struct tbs

enum { DAY_S = 86400 };

static void finds_what_is_in_a_good_one(void **state)
{
    const struct tbs_ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };
    uint8_t digest[32];
    struct bytes bytes;

    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
    bytes = tbs_build(&tbs, &built);
    if (tbs_check_bytes(g, bytes, &f) != RC_OK)
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
    const struct tbs_ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 }, untouched = { 0 };
    struct bytes bytes;

    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
    bytes = tbs_build(&tbs, &built);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, bytes.at, len);
        assert_int_equal(tbs_check_bytes(g, (struct bytes){ exact, len }, &f), RC_MALFORMED);
        free(exact);
    }
    assert_memory_equal(&f, &untouched, sizeof f);
}

static void refuses_a_tail(void **state)
{
    const struct tbs_ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };

    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
    tbs_build(&tbs, &built);
    buf_add_u8(&built, 0);
    assert_int_equal(tbs_check_bytes(g, buf_bytes(&built), &f), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "bytes after the end"));
}

static void refuses_each_hostile_field_by_its_reason(void **state)
{
    tbs_check_rows(*state, TBS_FIELD_ROWS, TBS_FIELD_COUNT);
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
    const struct tbs_ground *g = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
        tbs_set_validity(&tbs, TBS_NOW_S + ROWS[i].from_s, TBS_NOW_S + ROWS[i].to_s);
        if (tbs_check(g, &tbs) != ROWS[i].rc)
            fail_msg("%s: %s", ROWS[i].claim, fault_text());
    }
}

static void never_outlives_its_issuer(void **state)
{
    const struct tbs_ground *g = *state;
    struct tbs_ground near = *g;
    struct keys_rule *rule = malloc(sizeof *rule);
    AUTO_TBS tbs = { 0 };

    assert_non_null(rule);
    *rule = *g->rule;
    near.rule = rule;
    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
    tbs_set_validity(&tbs, TBS_NOW_S, TBS_NOW_S + DAY_S);
    rule->not_after_s = TBS_NOW_S + DAY_S;
    assert_int_equal(tbs_check(&near, &tbs), RC_OK);
    rule->not_after_s--;
    assert_int_equal(tbs_check(&near, &tbs), RC_DENIED);
    assert_non_null(strstr(fault_text(), "ends 1 s after the issuer's own notAfter"));
    free(rule);
}

static void never_certifies_our_own_keys(void **state)
{
    const struct tbs_ground *g = *state;

    for (size_t i = 0; i < g->rules->count; i++) {
        AUTO_TBS tbs = { 0 };

        tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
        tbs_set_hex(&tbs, TBS_KEY, "");
        buf_add(&tbs.piece[TBS_KEY], BYTES_OF(g->rules->rule[i].public_key));
        assert_int_equal(tbs_check(g, &tbs), RC_DENIED);
        assert_non_null(strstr(fault_text(), g->rules->rule[i].name));
    }
}

static void never_names_a_subject_as_an_issuer(void **state)
{
    const struct tbs_ground *g = *state;
    struct keys_rule *rule = malloc(sizeof *rule);
    struct tbs_ground open = { g->rules, rule };
    AUTO_TBS tbs = { 0 };

    assert_non_null(rule);
    *rule = *g->rule;
    rule->certificate.subject[KEYS_COMMON_NAME].presence = KEYS_OPTIONAL;
    rule->certificate.subject[KEYS_SERIAL_NUMBER].presence = KEYS_OPTIONAL;
    tbs_fill_device(&tbs, rule, TBS_DEVICE);
    tbs_set_hex(&tbs, TBS_SUBJECT, "");
    buf_add(&tbs.piece[TBS_SUBJECT],
            (struct bytes){ g->rules->rule[2].issuer, g->rules->rule[2].issuer_len });
    assert_int_equal(tbs_check(&open, &tbs), RC_DENIED);
    assert_non_null(strstr(fault_text(), "subject is the issuer of key doors"));
    free(rule);
}

static void each_key_signs_its_own_kinds(void **state)
{
    static const struct keys_memory nothing;
    const struct tbs_ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding f = { 0 };
    struct keys_question question = { .kind = KEYS_CHECKPOINT };

    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
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
    const struct tbs_ground *g = *state;
    AUTO_TBS tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    struct bytes bytes;
    size_t accepted = 0;

    tbs_fill_device(&tbs, g->rule, TBS_DEVICE);
    bytes = tbs_build(&tbs, &built);
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned change = 1; change < 256; change++) {
            struct keys_finding f = { 0 };
            uint8_t before = built.at[i];

            built.at[i] = (uint8_t)(before ^ change);
            if (tbs_check_bytes(g, bytes, &f) == RC_OK) {
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
                               (const unsigned char *)TBS_DEVICE, -1, -1, 0);
    X509_set_pubkey(made, key);
    add_key_ids(made, rule);
    add_conf(made, NID_key_usage, "critical,digitalSignature");
    add_conf(made, NID_ext_key_usage, "clientAuth");
    add_conf(made, NID_basic_constraints, "critical,CA:FALSE");
    add_conf(made, NID_subject_alt_name, "URI:urn:touchmark:device:" TBS_DEVICE);
    add_conf(made, NID_crl_distribution_points, "URI:http://crl.acme.example/1.crl");
    add_conf(made, NID_info_access, "OCSP;URI:http://ocsp.acme.example/");
    return made;
}

static void accepts_what_libcrypto_builds(void **state)
{
    const struct tbs_ground *g = *state;
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
    AUTO(X509) *made = make_with_libcrypto(g->rule, key);
    struct keys_finding f = { 0 };
    unsigned char *tbs = NULL;
    int len;

    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    len = i2d_re_X509_tbs(made, &tbs);
    assert_true(len > 0);
    if (tbs_check_bytes(g, (struct bytes){ tbs, (size_t)len }, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.not_after_s, TBS_NOW_S + 90 * DAY_S);
    OPENSSL_free(tbs);
    tbs = NULL;

    assert_true(X509_sign(made, key, EVP_sha384()) > 0);
    len = i2d_re_X509_tbs(made, &tbs);
    assert_int_equal(tbs_check_bytes(g, (struct bytes){ tbs, (size_t)len }, &f), RC_DENIED);
    OPENSSL_free(tbs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_in_a_good_one),
        cmocka_unit_test(accepts_what_libcrypto_builds),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_a_tail),
        cmocka_unit_test(refuses_each_hostile_field_by_its_reason),
        cmocka_unit_test(holds_the_dates_at_each_bound),
        cmocka_unit_test(never_outlives_its_issuer),
        cmocka_unit_test(never_certifies_our_own_keys),
        cmocka_unit_test(never_names_a_subject_as_an_issuer),
        cmocka_unit_test(each_key_signs_its_own_kinds),
        cmocka_unit_test(one_changed_octet_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, tbs_prepare, tbs_release);
}
