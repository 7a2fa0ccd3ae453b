/* What the active policy denies of acts and certificates: with the rule's name, in the log with
 * version and rule, and without effect; and what no policy takes from an administrator. */
#include "tests/unit/daemon/authority_world.h"

#include "daemon/authority_route.h"
#include "registry/rights.h"

enum { SECOND = 0xa3 };

static enum rc as(struct world *w, uint8_t who, enum registry_ask ask,
                  struct registry_question q, struct told *told)
{
    memcpy(q.preamble.peer, "192.0.2.7:55000", 16);
    return ask_as(w, REGISTRY_OPERATOR_DOOR, who, ask, &q, &told->answer, &told->reply);
}

static struct registry_question about(const char *device)
{
    struct registry_question q = { 0 };

    set_id(&q, device);
    return q;
}

static enum rc try_it(struct world *w, uint8_t who, enum registry_ask ask,
                      struct registry_question q)
{
    AUTO_TOLD(told);

    return as(w, who, ask, q, &told);
}

/* Whatever version is active; the rules begin on line 2. */
static uint64_t apply(struct world *w, const char *rules)
{
    struct registry_question q = { .why = "to see" };
    AUTO_BUF(text, REGISTRY_POLICY_MAX);
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_SHOW, q, &told), RC_OK);
    q.version = told.answer.policy.version;
    buf_addf(&text, "# good\n%s", rules);
    q.text = buf_bytes(&text);
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_true(told.answer.accepted);
    return told.answer.policy.version;
}

/* The newest denial of an action is this rule's. */
static void expect_record(struct world *w, enum audit_action action, uint64_t version,
                          unsigned line, const char *actor)
{
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .decisions = 1u << AUDIT_DENIED,
                                       .most = 1 };
    struct audit_page page;
    struct audit_hit hit;
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_BUF(reason, AUDIT_REASON_MAX);
    AUTO_TOLD(told);

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    assert_int_equal(hit.record->policy_version, version);
    assert_int_equal(hit.record->rule, line);
    assert_true(bytes_equal_text(hit.record->actor, actor));
    buf_addf(&reason, "policy: denied by line %u of version %u", line, (unsigned)version);
    assert_true(bytes_equal(hit.record->reason, buf_bytes(&reason)));
    audit_page_clear(&page);
}

static void expect_denial(enum rc rc, const char *rule)
{
    assert_int_equal(rc, RC_DENIED);
    assert_non_null(strstr(fault_text(), rule));
    assert_true(registry_is_policy_denial(rc, bytes_of_text(strstr(fault_text(), "policy: "))));
}

static enum registry_state state_of(struct world *w, const char *device)
{
    AUTO_TOLD(told);

    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_DEVICE_SHOW, about(device), &told), RC_OK);
    return told.answer.subject.state;
}

/* ---- Routes ---- */

static void what_is_denied_is_not_done_and_says_which_rule(void **state)
{
    struct world *w = *state;

    uint64_t version = apply(w, "deny operator \"first\" call \"POST /v1/devices/#\"\n");
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, about("dev-1")),
                  "policy: denied by line 2 of version 2");
    expect_record(w, AUDIT_DEVICE_ADD, version, 2, "first");
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_SHOW, about("dev-1")), RC_NOT_FOUND);
    assert_int_equal(
        try_it(w, ADMIN, REGISTRY_ASK_DEVICE_LIST, (struct registry_question){ 0 }), RC_OK);
    version = apply(w, "\n\ndeny role \"auditor\", role \"admin\" call \"GET /v1/devices\"\n");
    expect_denial(try_it(w, AUDITOR, REGISTRY_ASK_DEVICE_LIST, (struct registry_question){ 0 }),
                  "policy: denied by line 4 of version 3");
    expect_record(w, AUDIT_DEVICE_READ, version, 4, "looker");
    add_device(w, "dev-1");
}

static void a_condition_asks_for_what_the_authority_knows(void **state)
{
    static const struct {
        const char *rule;
        enum rc one, other; /* a token for dev-1, and for dev-2 */
    } ROWS[] = {
        { "deny operator call \"#\" when device.id = \"dev-1\"", RC_DENIED, RC_OK },
        { "deny operator call \"POST /v1/devices/dev-1/tokens\"", RC_DENIED, RC_OK },
        { "deny operator call \"POST /v1/devices/+/resume\"", RC_OK, RC_OK },
        { "deny operator call \"#\" when connection.address != 192.0.2.0/24", RC_OK, RC_OK },
        { "deny anyone call \"#\" when connection.address = 192.0.2.0/24", RC_DENIED,
          RC_DENIED },
        { "deny operator call \"#\" when connection.door != \"operator\"", RC_OK, RC_OK },
        { "deny operator call \"#\" when operator.role = \"auditor\"", RC_OK, RC_OK },
        { "deny operator call \"#\" when certificate.left < 1d", RC_OK, RC_OK },
        { "deny operator call \"#\" when certificate.left < 2d", RC_DENIED, RC_DENIED },
        { "deny operator call \"#\" when certificate.serial = \"a1\"", RC_DENIED, RC_DENIED },
        { "deny operator call \"#\" when certificate.subject != \"first\"", RC_OK, RC_OK },
        { "deny anyone call \"#\" when not certificate.fingerprint starts with \"a1\"", RC_OK,
          RC_OK },
        /* not known: it holds for who is denied */
        { "deny operator call \"#\" when attestation.verdict != \"affirming\"", RC_DENIED,
          RC_DENIED },
        { "deny device, line call \"#\"", RC_OK, RC_OK },
    };
    struct world *w = *state;

    add_device(w, "dev-1");
    add_device(w, "dev-2");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        apply(w, ROWS[i].rule);
        assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_TOKEN_NEW, about("dev-1")), ROWS[i].one);
        assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_TOKEN_NEW, about("dev-2")),
                         ROWS[i].other);
        if (ROWS[i].other == RC_DENIED)
            assert_non_null(strstr(fault_text(), "policy: denied by line 2 "));
    }
}

static void a_rule_that_allows_gives_nothing_to_a_role(void **state)
{
    struct world *w = *state;

    apply(w, "allow anyone call \"+/#\"\nallow anyone enroll, renew\nallow anyone revoke\n");
    assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_DEVICE_ADD, about("dev-1")), RC_DENIED);
    assert_null(strstr(fault_text(), "policy"));
    assert_int_equal(try_it(w, 0, REGISTRY_ASK_DEVICE_ADD, about("dev-1")), RC_DENIED);
    add_device(w, "dev-1");
}

/* What is asked for by one name is not had by the other. */
static void the_active_policy_is_denied_by_either_of_its_names(void **state)
{
    static const struct {
        const char *route;
        enum rc active, second, first; /* by "active", by its number, and of version 1 */
    } ROWS[] = {
        { "GET /v1/policies/2", RC_DENIED, RC_DENIED, RC_OK },
        { "GET /v1/policies/active", RC_DENIED, RC_DENIED, RC_OK },
        { "GET /v1/policies/1", RC_OK, RC_OK, RC_DENIED },
    };
    struct world *w = *state;
    AUTO_BUF(rule, 256);
    const char *text = NULL;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf_reset(&rule);
        buf_addf(&rule, "deny role \"auditor\" call \"%s\"\n", ROWS[i].route);
        assert_int_equal(buf_text(&rule, &text), RC_OK);
        struct registry_question q = { .version = apply(w, text) };
        assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, q), ROWS[i].second);
        q.version = 0;
        assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, q), ROWS[i].active);
        q.version = 1;
        assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, q), ROWS[i].first);
    }
}

/* ---- What is kept ---- */

static const uint8_t ENTRIES_FROM_0[8];

static void no_policy_locks_an_administrator_out(void **state)
{
    struct world *w = *state;
    struct audit_query query = { .most = 10 };
    AUTO_BUF(asked, AUDIT_QUERY_MAX);

    audit_query_write(&query, &asked);
    apply(w, "deny anyone call \"+/#\"\ndeny anyone call \"#\"\n"
             "deny anyone enroll, renew\ndeny anyone revoke\n");
    const struct {
        enum registry_ask ask;
        struct registry_question question;
        bool kept;
    } rows[] = {
        { .ask = REGISTRY_ASK_POLICY_SHOW, .kept = true },
        { .ask = REGISTRY_ASK_POLICY_LIST, .kept = true },
        { .ask = REGISTRY_ASK_AUDIT_LIST,
          .question = { .query = buf_bytes(&asked) },
          .kept = true },
        { .ask = REGISTRY_ASK_AUDIT_ENTRIES,
          .question = { .query = BYTES_OF(ENTRIES_FROM_0) },
          .kept = true },
        { .ask = REGISTRY_ASK_AUDIT_HOLD_LIST, .kept = true },
        { .ask = REGISTRY_ASK_PROPOSAL_LIST, .kept = true },
        { .ask = REGISTRY_ASK_POLICY_APPLY,
          .question = { .text = BYTES("# good"), .only_check = true },
          .kept = true },
        { .ask = REGISTRY_ASK_DEVICE_LIST, .kept = false },
        { .ask = REGISTRY_ASK_OPERATOR_LIST, .kept = false },
        { .ask = REGISTRY_ASK_CERTIFICATE_LIST, .kept = false },
        { .ask = REGISTRY_ASK_STATUS, .kept = false },
        { .ask = REGISTRY_ASK_BACKUP, .kept = false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(try_it(w, ADMIN, rows[i].ask, rows[i].question),
                         rows[i].kept ? RC_OK : RC_DENIED);
        if (rows[i].ask != REGISTRY_ASK_POLICY_APPLY && rows[i].ask != REGISTRY_ASK_BACKUP)
            expect_denial(try_it(w, AUDITOR, rows[i].ask, rows[i].question), "version 2");
    }
    /* and back */
    apply(w, "");
    assert_int_equal(
        try_it(w, ADMIN, REGISTRY_ASK_DEVICE_LIST, (struct registry_question){ 0 }), RC_OK);
}

static enum rc break_policy(struct store_txn *txn, void *with)
{
    const struct registry_policy_new broken = { .author = BYTES("first"),
                                                .text = { .octets = BYTES("no policy at all") },
                                                .why = BYTES("it slipped in"),
                                                .replaces = 1 };
    uint64_t version = 0;

    (void)with;
    return registry_policy_put(txn, &broken, TBS_NOW_S * 1000, &version);
}

static void under_a_policy_that_does_not_compile_nothing_else_is_done(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    stop(w);
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, break_policy, NULL), RC_OK);
    store_close(store);
    start(w);
    expect_denial(enrol(w, &w->device, &token, &told), "the active one does not compile");
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, about("dev-2")),
                  "does not compile");
    apply(w, "");
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, about("dev-2")), RC_OK);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
}

/* ---- Where a rule is demanded ---- */

static int prepare_strict(void **state)
{
    struct world *w = make_world();

    w->acts_by_policy = true;
    start(w);
    *state = w;
    return 0;
}

static void what_no_rule_allows_is_not_done(void **state)
{
    struct world *w = *state;
    const struct registry_question none = { 0 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, about("dev-1")),
                  "policy: no rule of version 1 allows it");
    expect_denial(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, none), "no rule of version 1");
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_POLICY_SHOW, none), RC_OK); /* kept */
    assert_int_equal(count_audit(w, AUDIT_DEVICE_ADD, AUDIT_DENIED), 1);
    apply(w, "allow operator call \"POST /v1/devices/#\"\n");
    assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_DEVICE_ADD, about("dev-1")), RC_DENIED);
    assert_null(strstr(fault_text(), "policy")); /* a rule gives nothing to a role */
    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    expect_denial(enrol(w, &w->device, &token, &told), "no rule of version 2 allows it");
    struct registry_question revoke = about("dev-1");
    revoke.state = REGISTRY_REVOKED;
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_STATE, revoke), "no rule of version 2");
    apply(w, "allow anyone enroll\nallow role \"admin\" revoke\n"
             "allow operator call \"POST /v1/devices/#\"\n"
             "allow role \"auditor\" call \"GET /v1/policies/active\"\n");
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_STATE, revoke), RC_OK);
    assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, none), RC_OK);
    const struct registry_question same = { .version = 3 }, other = { .version = 1 };
    assert_int_equal(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, same), RC_OK);
    expect_denial(try_it(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, other), "no rule of version 3");
}

/* ---- Revocation ---- */

static void one_device_that_may_not_be_revoked_keeps_all_that_were_named(void **state)
{
    struct world *w = *state;
    AUTO_BUF(ids, REGISTRY_IDS_BYTES);
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    add_device(w, "dev-2");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    uint64_t version = apply(w, "deny anyone revoke group \"g\"\ngroup \"g\" = {\"dev-1\"}\n");
    struct registry_question q = about("dev-1");
    q.state = REGISTRY_REVOKED;
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_STATE, q), "line 2 of version 2");
    expect_record(w, AUDIT_DEVICE_REVOKE, version, 2, "first");
    assert_int_equal(registry_ids_add(&ids, BYTES("dev-2")), RC_OK);
    assert_int_equal(registry_ids_add(&ids, BYTES("dev-1")), RC_OK);
    q = (struct registry_question){ .ids = buf_bytes(&ids) };
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_REVOKE_MANY, q), "line 2 of version 2");
    expect_record(w, AUDIT_DEVICE_REVOKE_MANY, version, 2, "first");
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_ACTIVE);
    assert_int_equal(state_of(w, "dev-2"), REGISTRY_REGISTERED);
    assert_int_equal(count_audit(w, AUDIT_DEVICE_REVOKE, AUDIT_ALLOWED), 0);

    struct told shown = { .reply = BUF_MAX(LINK_BODY_MAX) };
    struct registry_certificate one;
    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_DEVICE_SHOW, about("dev-1"), &shown), RC_OK);
    struct reader list = READER(shown.answer.list);
    assert_int_equal(registry_answer_next_certificate(&list, &one), RC_OK);
    q = (struct registry_question){ .fingerprint = one.fingerprint };
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_CERTIFICATE_REVOKE, q), "line 2 of version 2");
    expect_record(w, AUDIT_CERTIFICATE_REVOKE, version, 2, "first");
    told_clear(&shown);
    q = about("dev-2");
    q.state = REGISTRY_REVOKED;
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_STATE, q), RC_OK);
}

/* ---- Two administrators ---- */

static enum rc add_second(struct store_txn *txn, void *with)
{
    struct registry_subject bob = { .kind = REGISTRY_OPERATOR,
                                    .id = "bob",
                                    .role = REGISTRY_ADMIN };
    struct registry_certificate his = operators(SECOND);

    (void)with;
    memcpy(his.subject, "bob", 4);
    TRY(registry_subject_add(txn, &bob, TBS_NOW_S * 1000));
    return registry_certificate_register(txn, &his, TBS_NOW_S * 1000);
}

/* Revocations of many need two; policies do not. */
static int prepare_two(void **state)
{
    struct world *w = make_world();
    struct store *store = open_store(w);

    assert_int_equal(store_write(store, add_second, w), RC_OK);
    store_close(store);
    w->four_eyes = 1 << REGISTRY_ACT_REVOCATION;
    w->proposal_lifetime_ms = 3600000;
    w->singles_most = 2;
    start(w);
    *state = w;
    return 0;
}

static enum rc propose(struct world *w, uint64_t *number)
{
    AUTO_BUF(ids, REGISTRY_IDS_BYTES);
    AUTO_TOLD(told);

    assert_int_equal(registry_ids_add(&ids, BYTES("dev-1")), RC_OK);
    struct registry_question q = { .ids = buf_bytes(&ids) };
    TRY(as(w, ADMIN, REGISTRY_ASK_DEVICE_REVOKE_MANY, q, &told));
    *number = told.answer.proposal.number;
    return RC_OK;
}

/* Approving as such is nobody's to deny an administrator; what is approved is. */
static void both_are_judged_of_what_two_do(void **state)
{
    struct world *w = *state;
    uint64_t number = 0;

    add_device(w, "dev-1");
    uint64_t version = apply(w, "deny operator \"first\" revoke \"dev-1\"\n");
    expect_denial(propose(w, &number), "policy: denied by line 2");
    expect_record(w, AUDIT_PROPOSAL_MAKE, version, 2, "first");
    apply(w, "");
    assert_int_equal(propose(w, &number), RC_OK);
    const struct registry_question it = { .number = number, .why = "to see" };
    version = apply(w, "\ndeny operator \"bob\" revoke\n");
    expect_denial(try_it(w, SECOND, REGISTRY_ASK_PROPOSAL_APPROVE, it), "denied by line 3");
    expect_record(w, AUDIT_PROPOSAL_APPROVE, version, 3, "bob");
    version = apply(w, "\n\ndeny operator \"bob\" call \"POST /v1/devices/revoke\"\n");
    expect_denial(try_it(w, SECOND, REGISTRY_ASK_PROPOSAL_APPROVE, it), "denied by line 4");
    expect_record(w, AUDIT_PROPOSAL_APPROVE, version, 4, "bob");
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_REGISTERED);
    apply(w, "deny operator call \"POST /v1/proposals/#\"\n");
    assert_int_equal(try_it(w, SECOND, REGISTRY_ASK_PROPOSAL_APPROVE, it), RC_OK);
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_REVOKED);
}

/* ---- Certificates ---- */

static void a_token_is_not_used_up_by_a_denial(void **state)
{
    static const char *const RULES[] = {
        "deny device \"dev-1\" enroll",
        "deny device enroll \"device\"",
        "deny group \"late\" enroll",
        "deny anyone enroll when device.profile = \"device\"",
        "deny device enroll when attestation.verdict != \"affirming\"",
        "deny device enroll when time.now >= 2020-01-01",
        "deny device enroll when request.key = \"p-256\"",
    };
    static const char *const OTHERS[] = {
        "deny device \"dev-2\" enroll\ndeny operator, line enroll\ndeny device renew",
        "deny device enroll \"operator\"",
        "deny group \"early\" enroll",
        "deny device enroll when request.key != \"p-256\"",
    };
    struct world *w = *state;
    struct registry_question q = about("dev-1");
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    q.groups = (struct registry_groups){ .count = 1, .names = { "late" } };
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, q), RC_OK);
    new_token(w, "dev-1", &token);
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
        uint64_t version = apply(w, RULES[i]);
        expect_denial(enrol(w, &w->device, &token, &told), "policy: denied by line 2");
        expect_record(w, AUDIT_CERTIFICATE_ISSUE, version, 2, "");
        expect_record(w, AUDIT_TOKEN_USE, version, 2, "");
    }
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_REGISTERED);
    for (size_t i = 0; i + 1 < sizeof OTHERS / sizeof *OTHERS; i++)
        apply(w, OTHERS[i]);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_ACTIVE);
    q.state = REGISTRY_REVOKED;
    apply(w, "deny operator revoke group \"early\", group \"late\"\n");
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_DEVICE_STATE, q), "policy: denied by line 2");
}

/* The certificate is being signed when the policy becomes another one. */
static void what_is_denied_while_it_is_signed_is_given_to_nobody(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    struct soft_key key;
    int ended = 0;
    AUTO_TOLD(first);
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    soft_key_make(&key, "another");
    add_device(w, "dev-1");
    add_device(w, "dev-2");
    new_token(w, "dev-1", &first);
    new_token(w, "dev-2", &token);
    assert_int_equal(enrol(w, &w->device, &first, &told), RC_OK); /* the signer is there */
    assert_int_equal(kill(w->signing.signer, SIGSTOP), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(enrol(w, &key, &token, &told) == RC_DENIED &&
                      strstr(fault_text(), "policy: denied by line 2 of version 2") != NULL
                  ? 0
                  : 1);
    usleep(1500000); /* it is checked, and at the signer, also on a slow machine */
    uint64_t version = apply(w, "deny device \"dev-2\" enroll\n");
    assert_int_equal(kill(w->signing.signer, SIGCONT), 0);
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    expect_record(w, AUDIT_CERTIFICATE_ISSUE, version, 2, "");
    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    assert_int_equal(told.answer.status.orphans, 1);
    assert_int_equal(state_of(w, "dev-2"), REGISTRY_REGISTERED);
    apply(w, "");
    assert_int_equal(enrol(w, &key, &token, &told), RC_OK);
    soft_key_clear(&key);
}

static enum rc renew(struct world *w, const struct registry_fingerprint *shown)
{
    struct registry_question q = { .preamble.actor = { true, *shown } };
    AUTO_BUF(csr, 4096);
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_BUF(reply, LINK_BODY_MAX);

    make_csr(&w->device, &csr);
    q.der = buf_bytes(&csr);
    assert_int_equal(registry_question_write(REGISTRY_ASK_REENROL, &q, &body), RC_OK);
    return link_ask_and_wait(w->doors[REGISTRY_DEVICE_DOOR], registry_door_protocol(),
                             REGISTRY_ASK_REENROL, buf_bytes(&body), -1, WAIT_MS, &reply);
}

static void renewing_is_its_own_act(void **state)
{
    struct world *w = *state;
    struct registry_certificate one;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_DEVICE_SHOW, about("dev-1"), &told), RC_OK);
    struct reader list = READER(told.answer.list);
    assert_int_equal(registry_answer_next_certificate(&list, &one), RC_OK);
    uint64_t version = apply(w, "deny device renew when certificate.left > 30d\n");
    expect_denial(renew(w, &one.fingerprint), "policy: denied by line 2");
    expect_record(w, AUDIT_CERTIFICATE_RENEW, version, 2, "dev-1");
    apply(w, "deny device renew when certificate.issuer != \"Acme Devices\"\n"
             "deny device enroll\ndeny operator renew\n"
             "deny device renew when connection.door = \"operator\"\n");
    assert_int_equal(renew(w, &one.fingerprint), RC_OK);
    apply(w, "deny device renew when certificate.subject is known and certificate.issuer = "
             "\"Acme Devices\" and certificate.subject = \"dev-1\"\n");
    expect_denial(renew(w, &one.fingerprint), "policy: denied by line 2");
}

static void an_operator_enrols_what_no_rule_denies_him(void **state)
{
    struct world *w = *state;
    struct registry_question q = about("dev-1");
    AUTO_BUF(csr, 4096);

    add_device(w, "dev-1");
    make_csr(&w->device, &csr);
    q.der = buf_bytes(&csr);
    uint64_t version =
        apply(w, "deny operator \"first\" enroll \"device\" when device.id = \"dev-1\"\n"
                 "deny operator enroll \"line\"\n");
    while (try_it(w, ADMIN, REGISTRY_ASK_ENROL, q) == RC_BUSY)
        usleep(20000);
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_ENROL, q), "policy: denied by line 2");
    expect_record(w, AUDIT_CERTIFICATE_ISSUE, version, 2, "first");
    assert_int_equal(state_of(w, "dev-1"), REGISTRY_REGISTERED);
    struct registry_question line = { .kind = REGISTRY_LINE, .der = q.der };
    set_id(&line, "hall");
    expect_denial(try_it(w, ADMIN, REGISTRY_ASK_OPERATOR_ADD, line),
                  "policy: denied by line 3");
    expect_record(w, AUDIT_OPERATOR_ADD, version, 3, "first");
    line.kind = REGISTRY_OPERATOR;
    line.role = REGISTRY_AUDITOR;
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_OPERATOR_ADD, line), RC_OK);
    apply(w, "deny device, line enroll\n");
    q = about("dev-1");
    AUTO_BUF(other, 4096);
    struct soft_key key;
    soft_key_make(&key, "another");
    make_csr(&key, &other);
    q.der = buf_bytes(&other);
    assert_int_equal(try_it(w, ADMIN, REGISTRY_ASK_ENROL, q), RC_OK);
    soft_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)
        TEST(what_is_denied_is_not_done_and_says_which_rule),
        TEST(a_condition_asks_for_what_the_authority_knows),
        TEST(a_rule_that_allows_gives_nothing_to_a_role),
        TEST(the_active_policy_is_denied_by_either_of_its_names),
        TEST(no_policy_locks_an_administrator_out),
        TEST(under_a_policy_that_does_not_compile_nothing_else_is_done),
        TEST(one_device_that_may_not_be_revoked_keeps_all_that_were_named),
        cmocka_unit_test_setup_teardown(both_are_judged_of_what_two_do, prepare_two, clean),
        cmocka_unit_test_setup_teardown(what_no_rule_allows_is_not_done, prepare_strict, clean),
        TEST(a_token_is_not_used_up_by_a_denial),
        TEST(what_is_denied_while_it_is_signed_is_given_to_nobody),
        TEST(renewing_is_its_own_act),
        TEST(an_operator_enrols_what_no_rule_denies_him),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
