#include "tests/unit/registry/samples.h"

struct watched {
    unsigned changes[REGISTRY_CHANGE_AUTHORITIES + 1];
    struct registry_projection *projection;
};

static void see(void *with, const struct registry_change *change)
{
    ((struct watched *)with)->changes[change->kind]++;
}

static int prepare(void **state)
{
    struct watched *w = calloc(1, sizeof *w);
    const struct registry_observer observer = { see, w };

    assert_non_null(w);
    assert_int_equal(registry_projection_new(&observer, &w->projection), RC_OK);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct watched *w = *state;

    registry_projection_free(w->projection);
    free(w);
    return 0;
}

static enum rc apply(struct watched *w, enum registry_change_kind kind, struct bytes body)
{
    return registry_projection_apply(w->projection, &(struct registry_change){ kind, body });
}

static void put_subject(struct watched *w, const struct registry_subject *subject)
{
    AUTO_BUF(form, 4096);

    registry_subject_write(subject, &form);
    assert_int_equal(apply(w, REGISTRY_CHANGE_SUBJECT, buf_bytes(&form)), RC_OK);
}

static void put_certificate(struct watched *w, const struct registry_certificate *certificate)
{
    AUTO_BUF(form, 4096);

    registry_certificate_write(certificate, &form);
    assert_int_equal(apply(w, REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&form)), RC_OK);
}

static enum registry_verdict judge(const struct watched *w, uint8_t number, int64_t now_s)
{
    struct registry_fingerprint fingerprint;
    const struct registry_certificate *certificate = NULL;
    const struct registry_subject *subject = NULL;

    memset(fingerprint.at, number, sizeof fingerprint.at);
    return registry_projection_judge(w->projection, &fingerprint, now_s, &certificate,
                                     &subject);
}

static void a_certificate_is_judged_by_itself_its_subject_and_the_hour(void **state)
{
    struct watched *w = *state;
    struct registry_subject device = sample_device("dev-1");
    struct registry_certificate one = sample_certificate(1, "dev-1");

    assert_int_equal(judge(w, 1, 150), REGISTRY_UNKNOWN);
    put_certificate(w, &one);
    assert_int_equal(judge(w, 1, 150), REGISTRY_SUBJECT_REVOKED);
    put_subject(w, &device);
    assert_int_equal(judge(w, 1, 99), REGISTRY_NOT_YET_VALID);
    assert_int_equal(judge(w, 1, 100), REGISTRY_ACCEPTED);
    assert_int_equal(judge(w, 1, 200), REGISTRY_ACCEPTED);
    assert_int_equal(judge(w, 1, 201), REGISTRY_EXPIRED);

    device.revision++;
    device.state = REGISTRY_SUSPENDED;
    put_subject(w, &device);
    assert_int_equal(judge(w, 1, 150), REGISTRY_SUBJECT_SUSPENDED);
    device.revision++;
    device.state = REGISTRY_REGISTERED;
    put_subject(w, &device);
    assert_int_equal(judge(w, 1, 150), REGISTRY_SUBJECT_SUSPENDED);
    device.revision++;
    device.state = REGISTRY_REVOKED;
    put_subject(w, &device);
    assert_int_equal(judge(w, 1, 150), REGISTRY_SUBJECT_REVOKED);
    one.revision++;
    one.state = REGISTRY_CERTIFICATE_REVOKED;
    put_certificate(w, &one);
    assert_int_equal(judge(w, 1, 150), REGISTRY_CERTIFICATE_WAS_REVOKED);
}

static void a_change_that_comes_twice_or_late_changes_nothing(void **state)
{
    struct watched *w = *state;
    struct registry_certificate revoked = sample_certificate(1, "dev-1"), issued = revoked;

    revoked.state = REGISTRY_CERTIFICATE_REVOKED;
    revoked.revision = 5;
    put_certificate(w, &revoked);
    put_certificate(w, &revoked);
    put_certificate(w, &issued);
    assert_int_equal(judge(w, 1, 150), REGISTRY_CERTIFICATE_WAS_REVOKED);
    assert_int_equal(w->changes[REGISTRY_CHANGE_CERTIFICATE], 1);
}

static enum rc apply_policy(struct watched *w, uint64_t version, const char *text, uint32_t len)
{
    struct registry_text named = { bytes_of_text(text), { len, { len > 0 ? 7 : 0 } } };
    AUTO_BUF(body, 1024);

    buf_add_u64(&body, version);
    registry_text_write(&named, &body);
    return apply(w, REGISTRY_CHANGE_POLICY, buf_bytes(&body));
}

static void a_policy_in_parts_is_known_by_its_name(void **state)
{
    struct watched *w = *state;
    uint64_t version = 0;

    assert_int_equal(apply_policy(w, 1, "short", 0), RC_OK);
    assert_int_equal(apply_policy(w, 2, "", REGISTRY_POLICY_MAX), RC_OK);
    struct registry_text text = registry_projection_policy(w->projection, &version);
    assert_int_equal(version, 2);
    assert_int_equal(text.octets.len, 0);
    assert_int_equal(text.name.len, REGISTRY_POLICY_MAX);
    assert_int_equal(text.name.hash[0], 7);
    assert_int_equal(apply_policy(w, 3, "", REGISTRY_POLICY_MAX + 1), RC_MALFORMED);
    assert_int_equal(apply_policy(w, 3, "", REGISTRY_TEXT_PART), RC_MALFORMED);
    assert_int_equal(apply_policy(w, 3, "short", 0), RC_OK);
    assert_int_equal(registry_projection_policy(w->projection, &version).name.len, 0);
    registry_projection_reset(w->projection);
    assert_int_equal(registry_projection_policy(w->projection, &version).name.len, 0);
}

static void the_policy_goes_forward_only(void **state)
{
    struct watched *w = *state;
    uint64_t version = 99;

    assert_int_equal(registry_projection_policy(w->projection, &version).octets.len, 0);
    assert_int_equal(version, 0);
    assert_int_equal(apply_policy(w, 2, "second", 0), RC_OK);
    assert_int_equal(apply_policy(w, 1, "first", 0), RC_OK);
    assert_true(
        bytes_equal_text(registry_projection_policy(w->projection, &version).octets, "second"));
    assert_int_equal(version, 2);
    assert_int_equal(apply_policy(w, 3, "", 0), RC_OK);
    assert_int_equal(registry_projection_policy(w->projection, &version).octets.len, 0);
    assert_int_equal(apply(w, REGISTRY_CHANGE_POLICY, BYTES("\0\0\0")), RC_MALFORMED);
    assert_int_equal(apply(w, REGISTRY_CHANGE_POLICY, BYTES("\0\0\0\0\0\0\0\0x")),
                     RC_MALFORMED);
    assert_int_equal(w->changes[REGISTRY_CHANGE_POLICY], 2);
}

static enum rc apply_crl(struct watched *w, const char *key, uint64_t number, uint32_t len)
{
    AUTO_BUF(body, 64);

    buf_add_sized16(&body, bytes_of_text(key));
    buf_add_u64(&body, number);
    buf_add_u32(&body, len);
    return apply(w, REGISTRY_CHANGE_CRL, buf_bytes(&body));
}

static void crls_are_known_by_key_and_number(void **state)
{
    struct watched *w = *state;
    struct registry_crl crl;
    size_t count = 0;

    assert_int_equal(registry_projection_crl(w->projection, BYTES("devices"), &crl),
                     RC_NOT_FOUND);
    assert_int_equal(apply_crl(w, "devices", 2, 300), RC_OK);
    assert_int_equal(apply_crl(w, "devices", 1, 299), RC_OK);
    assert_int_equal(apply_crl(w, "doors", 1, REGISTRY_CRL_MAX), RC_OK);
    assert_int_equal(registry_projection_crl(w->projection, BYTES("devices"), &crl), RC_OK);
    assert_int_equal(crl.number, 2);
    assert_int_equal(crl.len, 300);
    registry_projection_crls(w->projection, &count);
    assert_int_equal(count, 2);
    assert_int_equal(w->changes[REGISTRY_CHANGE_CRL], 2);
    assert_int_equal(apply_crl(w, "", 3, 1), RC_MALFORMED);
    assert_int_equal(apply_crl(w, "devices", 3, 0), RC_MALFORMED);
    assert_int_equal(apply_crl(w, "devices", 3, REGISTRY_CRL_MAX + 1), RC_MALFORMED);
    assert_int_equal(apply_crl(w, "a-name-of-more-than-32-characters", 3, 1), RC_MALFORMED);
    assert_int_equal(apply(w, REGISTRY_CHANGE_CRL, BYTES("\0\3a\0b\0\0\0\0\0\0\0\3\0\0\0\1")),
                     RC_MALFORMED);
    assert_int_equal(
        apply(w, REGISTRY_CHANGE_CRL, BYTES("\0\7devices\0\0\0\0\0\0\0\3the list itself")),
        RC_MALFORMED);
    registry_projection_reset(w->projection);
    registry_projection_crls(w->projection, &count);
    assert_int_equal(count, 0);
}

static void authorities_are_whole_certificates(void **state)
{
    struct watched *w = *state;

    assert_int_equal(apply(w, REGISTRY_CHANGE_AUTHORITIES, BYTES("\0\0\0\1a\0\0\0\2bc")),
                     RC_OK);
    assert_int_equal(apply(w, REGISTRY_CHANGE_AUTHORITIES, BYTES("\0\0\0\1a\0\0\0\2b")),
                     RC_MALFORMED);
    assert_int_equal(apply(w, REGISTRY_CHANGE_AUTHORITIES, BYTES("")), RC_MALFORMED);
    assert_int_equal(registry_projection_authorities(w->projection).len, 11);
}

static void a_reset_forgets_everything(void **state)
{
    struct watched *w = *state;
    struct registry_certificate one = sample_certificate(1, "dev-1");
    struct registry_subject device = sample_device("dev-1");
    uint64_t version = 1;

    put_certificate(w, &one);
    put_subject(w, &device);
    assert_int_equal(apply_policy(w, 2, "second", 0), RC_OK);
    registry_projection_reset(w->projection);
    assert_int_equal(registry_projection_count(w->projection), 0);
    assert_int_equal(judge(w, 1, 150), REGISTRY_UNKNOWN);
    assert_int_equal(registry_projection_policy(w->projection, &version).octets.len, 0);
    assert_int_equal(version, 0);
    put_certificate(w, &one);
    assert_int_equal(registry_projection_count(w->projection), 1);
}

/* Random changes, some late: the projection is what an array of the highest revisions says. */
static void it_holds_the_highest_revision_of_each_among_many(void **state)
{
    enum { SUBJECTS = 3000, CHANGES = 20000 };
    struct watched *w = *state;
    uint64_t *highest = calloc(SUBJECTS, sizeof *highest);
    unsigned random = 12345;

    assert_non_null(highest);
    for (unsigned i = 0; i < CHANGES; i++) {
        random = random * 1103515245 + 12345;
        unsigned number = (random >> 8) % SUBJECTS;
        AUTO_BUF(id, 32);
        struct registry_subject device = sample_device("x");
        buf_addf(&id, "dev-%u", number);
        assert_int_equal(registry_id_copy(buf_bytes(&id), device.id), RC_OK);
        device.revision = 1 + (random >> 4) % 1000;
        if (device.revision > highest[number])
            highest[number] = device.revision;
        put_subject(w, &device);
    }
    for (unsigned number = 0; number < SUBJECTS; number++) {
        AUTO_BUF(id, 32);
        buf_addf(&id, "dev-%u", number);
        const struct registry_subject *found =
            registry_projection_subject(w->projection, REGISTRY_DEVICE, buf_bytes(&id));
        assert_int_equal(found == NULL ? 0 : found->revision, highest[number]);
        assert_null(registry_projection_subject(w->projection, REGISTRY_LINE, buf_bytes(&id)));
    }
    free(highest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_is_judged_by_itself_its_subject_and_the_hour),
        TEST(a_change_that_comes_twice_or_late_changes_nothing),
        TEST(the_policy_goes_forward_only),
        TEST(a_policy_in_parts_is_known_by_its_name),
        TEST(crls_are_known_by_key_and_number),
        TEST(authorities_are_whole_certificates),
        TEST(a_reset_forgets_everything),
        TEST(it_holds_the_highest_revision_of_each_among_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
