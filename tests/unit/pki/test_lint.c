#include "tests/support/check.h"

#include <string.h>

#include "pki/lint.h"
#include "pki/oid.h"
#include "tests/support/soft_ca.h"

static const struct pki_holder DEVICE = { .id = BYTES("TM-0001") };

/* A fault is planted in what is written; the lint judges by the right facts. */
struct plant {
    struct pki_profile profile;
    struct pki_issuer issuer;
    struct pki_contents contents;
    struct pki_holder holder;
};

static void short_serial(struct plant *p)
{
    p->contents.serial[0] = 0;
}
static void constant_serial(struct plant *p)
{
    memset(p->contents.serial, 0x55, PKI_SERIAL_LEN);
}
static void other_issuer(struct plant *p)
{
    /* The same name as two other string types would be another issuer, too: compared are
     * octets. */
    p->issuer.name = BYTES("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x13\x01X");
}
static void too_early(struct plant *p)
{
    p->contents.not_before = p->issuer.not_before - 1;
}
static void too_late(struct plant *p)
{
    p->contents.not_after = p->issuer.not_after + 1;
    p->contents.not_before = p->issuer.not_after - 1;
}
static void too_long(struct plant *p)
{
    p->contents.not_after =
        p->contents.not_before + p->profile.lifetime_most_s + p->profile.backdate_s + 1;
}
static void id_as_common_name(struct plant *p)
{
    p->profile.id_place = PKI_ID_IN_COMMON_NAME;
}
static void other_prefix(struct plant *p)
{
    p->profile.uri_prefix = "urn:touchmark:operator:";
}
static void no_alt_names(struct plant *p)
{
    p->profile.uri_prefix = NULL;
}
static void point_off_the_curve(struct plant *p)
{
    static uint8_t point[PKI_POINT_LEN] = { 4, 1 };

    p->contents.point = BYTES_OF(point);
}
static void other_authority(struct plant *p)
{
    p->issuer.key_id = BYTES("12345678901234567890");
}
static void ca(struct plant *p)
{
    p->profile.constraints = (struct pki_constraints){ true, -1 };
}
static void ca_with_path(struct plant *p)
{
    p->profile.constraints = (struct pki_constraints){ true, 0 };
}
static void signs_certificates(struct plant *p)
{
    p->profile.key_usage |= PKI_KEY_CERT_SIGN;
}
static void other_usage(struct plant *p)
{
    p->profile.key_usage = 1 << 4;
}
static void server(struct plant *p)
{
    p->profile.purposes |= PKI_SERVER_AUTH;
}
static void no_purposes(struct plant *p)
{
    p->profile.purposes = 0;
}
static void no_crl_url(struct plant *p)
{
    p->issuer.crl_url = NULL;
}
static void other_crl_url(struct plant *p)
{
    p->issuer.crl_url = "http://pki.example/other.crl";
}
static void other_issuer_url(struct plant *p)
{
    p->issuer.issuer_url = "http://pki.example/other.cer";
}
static void nothing(struct plant *p)
{
    (void)p;
}

static void write_planted(struct soft_ca *ca, const struct soft_key *key,
                          void (*plant)(struct plant *p), struct buf *tbs)
{
    struct plant p = {
        .profile = *pki_profile_find("device"),
        .issuer = ca->issuer,
        .contents = { .not_before = SOFT_NOW,
                      .not_after = SOFT_NOW + 86400,
                      .point = BYTES_OF(key->point) },
        .holder = DEVICE,
    };
    AUTO_OF(pki_template) *template = NULL;

    p.contents.holder = &p.holder;
    soft_serial(p.contents.serial, "serial");
    plant(&p);
    assert_int_equal(pki_template_new(&p.profile, &p.issuer, &template), RC_OK);
    assert_int_equal(pki_template_write(template, &p.contents, tbs), RC_OK);
}

struct bench {
    struct soft_ca ca;
    struct soft_key key;
    struct pki_template *template;
};

static int open_bench(void **state)
{
    static struct bench bench;

    soft_ca_open(&bench.ca);
    soft_key_make(&bench.key, "leaf");
    assert_int_equal(
        pki_template_new(pki_profile_find("device"), &bench.ca.issuer, &bench.template), RC_OK);
    *state = &bench;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *bench = *state;

    pki_template_free(bench->template);
    soft_key_clear(&bench->key);
    soft_ca_close(&bench->ca);
    return 0;
}

static void assert_rule(struct bench *bench, struct bytes tbs, const char *rule)
{
    enum rc rc = pki_lint_certificate(bench->template, bench->ca.verifier, tbs);
    AUTO_BUF(wanted, 128);
    const char *text = NULL;

    buf_addf(&wanted, "lint: profile device: %s: ", rule);
    assert_int_equal(buf_text(&wanted, &text), RC_OK);
    if (rc != RC_DENIED || strstr(fault_text(), text) == NULL)
        fail_msg("%s: %s: %s", rule, rc_name(rc), fault_text());
}

static void each_fault_in_the_facts_is_named(void **state)
{
    static const struct {
        void (*plant)(struct plant *p);
        const char *rule;
    } ROWS[] = {
        { short_serial, "serial_length" },
        { constant_serial, "serial_random" },
        { other_issuer, "issuer_name" },
        { too_early, "dates_within_issuer" },
        { too_late, "dates_within_issuer" },
        { too_long, "lifetime" },
        { id_as_common_name, "subject_attributes" },
        { other_prefix, "uri_matches_subject" },
        { no_alt_names, "alt_name_kinds" },
        { point_off_the_curve, "key_on_curve" },
        { other_authority, "authority_key_identifier" },
        { ca, "basic_constraints" },
        { ca_with_path, "basic_constraints" },
        { signs_certificates, "key_usage" },
        { other_usage, "key_usage" },
        { server, "extended_key_usage" },
        { no_purposes, "extended_key_usage" },
        { no_crl_url, "extensions_allowed" },
        { other_crl_url, "urls" },
        { other_issuer_url, "urls" },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(tbs, PKI_REQUEST_MAX);

        write_planted(&bench->ca, &bench->key, ROWS[i].plant, &tbs);
        assert_rule(bench, buf_bytes(&tbs), ROWS[i].rule);
    }
}

static void nothing_planted_is_nothing_found(void **state)
{
    struct bench *bench = *state;
    AUTO_BUF(tbs, PKI_REQUEST_MAX);

    write_planted(&bench->ca, &bench->key, nothing, &tbs);
    assert_int_equal(pki_lint_certificate(bench->template, bench->ca.verifier, buf_bytes(&tbs)),
                     RC_OK);
}

/* Copies DER, with every element that equals old replaced; lengths around it follow. */
static void replace(struct der *from, struct bytes old, struct bytes new, struct buf *to)
{
    while (der_peek(from) != 0) {
        struct der copy = *from;
        uint8_t tag = der_peek(from);
        struct bytes whole = der_take_whole(from);

        if (bytes_equal(whole, old)) {
            buf_add(to, new);
        } else if ((tag & 0x20) != 0) {
            struct der in = der_enter(&copy, tag);
            size_t mark = der_begin(to, tag);
            replace(&in, old, new, to);
            der_end(to, mark);
        } else {
            buf_add(to, whole);
        }
    }
}

#define ALT_NAMES_OID "\x06\x03\x55\x1d\x11"
#define KEY_ID_OID    "\x06\x03\x55\x1d\x0e"
#define PURPOSES_OID  "\x06\x03\x55\x1d\x25"

static void each_fault_in_the_bytes_is_named(void **state)
{
    static const struct {
        struct bytes old, new;
        const char *rule;
    } ROWS[] = {
        { BYTES("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
          BYTES("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"), "signature_algorithm" },
        { BYTES("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
          BYTES("\x06\x05\x2b\x81\x04\x00\x22"), "key_type" },
        { BYTES("\x17\x0d"
                "260102000000Z"),
          BYTES("\x17\x0d"
                "260101000000Z"),
          "dates_in_order" },
        { BYTES(PURPOSES_OID), BYTES(PURPOSES_OID "\x01\x01\xff"), "extensions_critical" },
        { BYTES(ALT_NAMES_OID), BYTES(ALT_NAMES_OID "\x01\x01\xff"), "extensions_critical" },
        { BYTES(KEY_ID_OID), BYTES("\x06\x03\x2a\x03\x04"), "key_identifier" },
        { BYTES("\x06\x03\x55\x1d\x1f"), BYTES("\x06\x03\x2a\x03\x04"), "extensions_allowed" },
        { BYTES("\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x01"), BYTES("\x06\x03\x55\x1d\x20"),
          "extensions_allowed" },
        { BYTES("\x13\x07TM-0001"), BYTES("\x13\x07TM-0002"), "uri_matches_subject" },
    };
    struct bench *bench = *state;
    AUTO_BUF(good, PKI_REQUEST_MAX);

    write_planted(&bench->ca, &bench->key, nothing, &good);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(bad, PKI_REQUEST_MAX);
        struct der from = der_open(buf_bytes(&good));

        replace(&from, ROWS[i].old, ROWS[i].new, &bad);
        assert_true(der_done(&from));
        assert_false(bytes_equal(buf_bytes(&good), buf_bytes(&bad)));
        assert_rule(bench, buf_bytes(&bad), ROWS[i].rule);
    }
}

static void a_holder_with_the_issuers_key_or_name_is_found(void **state)
{
    struct bench *bench = *state;
    struct pki_profile operator= * pki_profile_find("operator");
    struct pki_issuer issuer = bench->ca.issuer;
    struct pki_contents contents = { .holder = &DEVICE,
                                     .not_before = SOFT_NOW,
                                     .not_after = SOFT_NOW + 86400,
                                     .point = BYTES_OF(bench->ca.issuing.point) };
    AUTO_OF(pki_template) *template = NULL;
    AUTO_BUF(tbs, PKI_REQUEST_MAX);
    AUTO_BUF(name, 512);

    soft_serial(contents.serial, "serial");
    assert_int_equal(pki_template_write(bench->template, &contents, &tbs), RC_OK);
    assert_rule(bench, buf_bytes(&tbs), "key_not_issuers");

    assert_int_equal(pki_profile_write_subject(&operator, & DEVICE, &name), RC_OK);
    issuer.name = buf_bytes(&name);
    contents.point = BYTES_OF(bench->key.point);
    assert_int_equal(pki_template_new(&operator, & issuer, &template), RC_OK);
    buf_reset(&tbs);
    assert_int_equal(pki_template_write(template, &contents, &tbs), RC_OK);
    assert_int_equal(pki_lint_certificate(template, bench->ca.verifier, buf_bytes(&tbs)),
                     RC_DENIED);
    assert_non_null(strstr(fault_text(), "subject_not_issuer"));
}

/* key_usage_agrees is broken only by a profile that contradicts itself. */
static void every_profile_agrees_with_itself(void **state)
{
    struct bench *bench = *state;
    struct pki_profile bad = *pki_profile_find("device");
    AUTO_OF(pki_template) *template = NULL;
    AUTO_BUF(tbs, PKI_REQUEST_MAX);
    struct pki_contents contents = { .holder = &DEVICE,
                                     .not_before = SOFT_NOW,
                                     .not_after = SOFT_NOW + 86400,
                                     .point = BYTES_OF(bench->key.point) };

    bad.key_usage |= PKI_KEY_CERT_SIGN;
    soft_serial(contents.serial, "serial");
    assert_int_equal(pki_template_new(&bad, &bench->ca.issuer, &template), RC_OK);
    assert_int_equal(pki_template_write(template, &contents, &tbs), RC_OK);
    assert_int_equal(pki_lint_certificate(template, bench->ca.verifier, buf_bytes(&tbs)),
                     RC_DENIED);
    assert_non_null(strstr(fault_text(), "key_usage_agrees"));
}

static void nothing_is_signed_that_the_lint_refuses(void **state)
{
    struct bench *bench = *state;
    struct pki_contents contents = { .holder = &DEVICE,
                                     .not_before = SOFT_NOW,
                                     .not_after = SOFT_NOW + 86400,
                                     .point = BYTES_OF(bench->key.point) };
    AUTO_BUF(tbs, PKI_REQUEST_MAX);

    assert_int_equal(pki_issue_prepare(bench->template, bench->ca.verifier, &contents, &tbs),
                     RC_CORRUPT);
    assert_int_equal(tbs.len, 0);
}

static void refuses_every_truncation(void **state)
{
    struct bench *bench = *state;
    AUTO_BUF(tbs, PKI_REQUEST_MAX);

    write_planted(&bench->ca, &bench->key, nothing, &tbs);
    for (size_t len = 0; len < tbs.len; len++)
        assert_int_equal(pki_lint_certificate(bench->template, bench->ca.verifier,
                                              (struct bytes){ tbs.at, len }),
                         RC_MALFORMED);
}

static void has_a_source_and_a_text_for_every_rule(void **state)
{
    const struct pki_lint_rule *rule = NULL;
    size_t count = 0;

    (void)state;
    for (; (rule = pki_lint_rule_at(count)) != NULL; count++)
        assert_true(rule->name[0] != 0 && rule->source[0] != 0 && rule->text[0] != 0);
    assert_int_equal(count, 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_in_the_facts_is_named),
        cmocka_unit_test(nothing_planted_is_nothing_found),
        cmocka_unit_test(each_fault_in_the_bytes_is_named),
        cmocka_unit_test(a_holder_with_the_issuers_key_or_name_is_found),
        cmocka_unit_test(every_profile_agrees_with_itself),
        cmocka_unit_test(nothing_is_signed_that_the_lint_refuses),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(has_a_source_and_a_text_for_every_rule),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
