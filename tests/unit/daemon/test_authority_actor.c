/* What the log says of who decided an act that was done: the version of the policy that was
 * asked, and the rule if one did. */
#include "tests/unit/daemon/authority_world.h"

static enum rc as_admin(struct world *w, enum registry_ask ask,
                        const struct registry_question *q)
{
    AUTO_TOLD(told);

    return admin(w, ask, *q, &told);
}

static struct registry_question about(const char *device)
{
    struct registry_question q = { 0 };

    set_id(&q, device);
    return q;
}

/* In place of a version, the next one; the rules begin on line 2. */
static void apply(struct world *w, uint64_t instead, const char *rules)
{
    AUTO_BUF(text, REGISTRY_POLICY_MAX);
    AUTO_TOLD(told);

    buf_addf(&text, "# good\n%s", rules);
    const struct registry_question q = { .why = "to see",
                                         .version = instead,
                                         .text = buf_bytes(&text) };
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_int_equal(told.answer.policy.version, instead + 1);
}

/* The newest allowed record of an action, of this target unless it is NULL. */
static void expect(struct world *w, enum audit_action action, const char *target,
                   uint64_t version, uint32_t rule, const char *reason)
{
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .decisions = 1u << AUDIT_ALLOWED,
                                       .most = 20 };
    struct audit_page page;
    struct audit_hit hit;
    AUTO_TOLD(told);

    find_audit(w, &query, &told, &page);
    do
        assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    while (target != NULL && !bytes_equal_text(hit.record->target, target));
    assert_int_equal(hit.record->policy_version, version);
    assert_int_equal(hit.record->rule, rule);
    if (reason != NULL)
        assert_true(bytes_equal_text(hit.record->reason, reason));
    audit_page_clear(&page);
}

static void enrol_one(struct world *w)
{
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
}

static void what_a_role_allows_names_the_version_that_did_not_deny_it(void **state)
{
    struct world *w = *state;

    add_device(w, "dev-1");
    expect(w, AUDIT_DEVICE_ADD, NULL, 1, 0, NULL);
    apply(w, 1, "deny operator call \"GET /v1/status\"\n");
    expect(w, AUDIT_POLICY_APPLY, NULL, 2, 0, "to see"); /* the one that it is about */
    enrol_one(w);
    expect(w, AUDIT_TOKEN_NEW, NULL, 2, 0, NULL);
    expect(w, AUDIT_TOKEN_USE, NULL, 2, 0, NULL);
    expect(w, AUDIT_CERTIFICATE_ISSUE, NULL, 2, 0, NULL);
    struct registry_question q = { 0 };
    assert_int_equal(as_admin(w, REGISTRY_ASK_DEVICE_LIST, &q), RC_OK);
    expect(w, AUDIT_DEVICE_READ, NULL, 2, 0, NULL);
    q.text = BYTES("# good");
    q.only_check = true;
    assert_int_equal(as_admin(w, REGISTRY_ASK_POLICY_APPLY, &q), RC_OK); /* kept: not asked */
    expect(w, AUDIT_POLICY_CHECK, NULL, 0, 0, NULL);
}

static void what_a_rule_allows_names_the_rule(void **state)
{
    struct world *w = *state;

    apply(w, 1,
          "allow operator call \"POST /v1/devices/#\"\n"
          "allow anyone enroll\n"
          "allow role \"admin\" revoke \"dev-1\"\n"
          "allow role \"admin\" revoke \"dev-2\"\n"
          "allow role \"admin\" call \"POST /v1/policies\"\n");
    add_device(w, "dev-1");
    expect(w, AUDIT_DEVICE_ADD, NULL, 2, 2, NULL);
    enrol_one(w);
    expect(w, AUDIT_TOKEN_USE, NULL, 2, 3, NULL);
    expect(w, AUDIT_CERTIFICATE_ISSUE, NULL, 2, 3, NULL);
    struct registry_question q = about("dev-1");
    q.state = REGISTRY_REVOKED;
    assert_int_equal(as_admin(w, REGISTRY_ASK_DEVICE_STATE, &q), RC_OK);
    expect(w, AUDIT_DEVICE_REVOKE, NULL, 2, 4, NULL);
    expect(w, AUDIT_CERTIFICATE_REVOKE, NULL, 2, 4, NULL);
}

/* Each of many by the rule that is about it, and all of them by the one about the call. */
static void each_of_many_names_its_own_rule(void **state)
{
    struct world *w = *state;
    AUTO_BUF(ids, REGISTRY_IDS_BYTES);

    add_device(w, "dev-1");
    add_device(w, "dev-2");
    apply(w, 1,
          "allow operator call \"POST /v1/devices/revoke\"\n"
          "allow role \"admin\" revoke \"dev-1\"\n"
          "allow role \"admin\" revoke \"dev-2\"\n");
    assert_int_equal(registry_ids_add(&ids, BYTES("dev-1")), RC_OK);
    assert_int_equal(registry_ids_add(&ids, BYTES("dev-2")), RC_OK);
    struct registry_question q = { .ids = buf_bytes(&ids) };
    assert_int_equal(as_admin(w, REGISTRY_ASK_DEVICE_REVOKE_MANY, &q), RC_OK);
    expect(w, AUDIT_DEVICE_REVOKE, "device dev-1", 2, 3, NULL);
    expect(w, AUDIT_DEVICE_REVOKE, "device dev-2", 2, 4, NULL);
    expect(w, AUDIT_DEVICE_REVOKE_MANY, NULL, 2, 2, NULL);
}

static void another_version_than_the_one_it_is_about_is_told_in_words(void **state)
{
    struct world *w = *state;

    apply(w, 1, "allow operator call \"GET /v1/policies/1\"\n");
    struct registry_question q = { .version = 1 };
    AUTO_TOLD(told);
    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_POLICY_SHOW, &q,
                            &told.answer, &told.reply),
                     RC_OK);
    expect(w, AUDIT_POLICY_READ, NULL, 1, 0, "allowed by line 2 of version 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)
        TEST(what_a_role_allows_names_the_version_that_did_not_deny_it),
        TEST(what_a_rule_allows_names_the_rule),
        TEST(each_of_many_names_its_own_rule),
        TEST(another_version_than_the_one_it_is_about_is_told_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
