/* By the rule that the table of actions states: without a durable record an act is not done.
 * Each action is tried here while no record finds room, or a test that does so is named, or it
 * is listed as one that has none yet: a new action must be one of these. */
#include "tests/unit/daemon/authority_world.h"

struct act {
    enum audit_action action;
    enum registry_ask ask;
    struct registry_question question;
    const char *id;
};

static enum rc try_it(struct world *w, const struct act *act)
{
    struct registry_question q = act->question;
    AUTO_TOLD(told);

    q.preamble.correlation[1] = 9; /* no page of what count_audit() reads */
    if (act->id != NULL)
        set_id(&q, act->id);
    return ask_as(w, REGISTRY_OPERATOR_DOOR, ADMIN, act->ask, &q, &told.answer, &told.reply);
}

/* Refused while there is no room; and then done, as by somebody who never asked before. */
static void expect_refused_then_done(struct world *w, const struct act *act)
{
    unsigned before = count_audit(w, act->action, AUDIT_ALLOWED);
    enum rc rc = RC_OK;

    *w->blocked = 1;
    rc = try_it(w, act);
    *w->blocked = 0;
    if (rc == RC_OK)
        print_message("%s was done\n", audit_action_get(act->action)->name);
    assert_int_not_equal(rc, RC_OK);
    assert_int_equal(audit_action_get(act->action)->unrecorded, AUDIT_REFUSED);
    rc = try_it(w, act);
    if (rc != RC_OK)
        print_message("%s: %s\n", audit_action_get(act->action)->name, fault_text());
    assert_int_equal(rc, RC_OK);
    assert_true(count_audit(w, act->action, AUDIT_ALLOWED) > before);
}

static int prepare_blocked(void **state)
{
    struct world *w = make_world();

    w->blocked = mmap(NULL, sizeof *w->blocked, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w->blocked, MAP_FAILED);
    w->proposal_lifetime_ms = 3600 * 1000;
    start(w);
    *state = w;
    return 0;
}

static int clean_blocked(void **state)
{
    struct world *w = *state;
    void *blocked = (void *)(uintptr_t)w->blocked;
    int rc = clean(state);

    munmap(blocked, sizeof(int));
    return rc;
}

/* ---- What is tried here ---- */

#define STATE(action, id, to)                                                                  \
    {                                                                                          \
        action, REGISTRY_ASK_DEVICE_STATE, { .state = (to) }, id                               \
    }
static const struct act ACTS[] = {
    { AUDIT_DEVICE_ADD, REGISTRY_ASK_DEVICE_ADD, { .version = 0 }, "dev-1" },
    { AUDIT_DEVICE_READ, REGISTRY_ASK_DEVICE_SHOW, { .version = 0 }, "dev-1" },
    { AUDIT_TOKEN_NEW, REGISTRY_ASK_TOKEN_NEW, { .version = 0 }, "dev-1" },
    { AUDIT_CERTIFICATE_READ,
      REGISTRY_ASK_CERTIFICATE_LIST,
      { .kind = REGISTRY_DEVICE },
      NULL },
    { AUDIT_OPERATOR_READ, REGISTRY_ASK_OPERATOR_LIST, { .version = 0 }, NULL },
    { AUDIT_OPERATOR_REVOKE,
      REGISTRY_ASK_OPERATOR_REVOKE,
      { .kind = REGISTRY_OPERATOR },
      "looker" },
    { AUDIT_POLICY_CHECK,
      REGISTRY_ASK_POLICY_APPLY,
      { .text = BYTES("# good"), .only_check = true },
      NULL },
    { AUDIT_POLICY_APPLY,
      REGISTRY_ASK_POLICY_APPLY,
      { .text = BYTES("# good"), .version = 1, .why = "to see" },
      NULL },
    { AUDIT_POLICY_READ, REGISTRY_ASK_POLICY_SHOW, { .version = 0 }, NULL },
    { AUDIT_PROPOSAL_MAKE,
      REGISTRY_ASK_POLICY_PROPOSE,
      { .text = BYTES("# good 1"), .version = 2, .why = "to see" },
      NULL },
    { AUDIT_PROPOSAL_REJECT, REGISTRY_ASK_PROPOSAL_REJECT, { .number = 1 }, NULL },
    STATE(AUDIT_DEVICE_SUSPEND, "dev-2", REGISTRY_SUSPENDED),
    STATE(AUDIT_DEVICE_RESUME, "dev-2", REGISTRY_ACTIVE),
    STATE(AUDIT_DEVICE_REVOKE, "dev-2", REGISTRY_REVOKED),
};

static void what_cannot_be_recorded_is_not_done(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-2");
    new_token(w, "dev-2", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK); /* it is active */
    for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++)
        expect_refused_then_done(w, &ACTS[i]);
}

/* Acts with octets of their own. */
static void what_brings_more_is_not_done_either(void **state)
{
    struct world *w = *state;
    AUTO_BUF(csr, 4096);
    AUTO_BUF(ids, REGISTRY_IDS_BYTES);
    AUTO_BUF(query, AUDIT_QUERY_MAX);
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK); /* the signer is there */
    make_csr(&w->root, &csr);
    assert_int_equal(registry_ids_add(&ids, BYTES("dev-1")), RC_OK);
    audit_query_write(&(const struct audit_query){ .most = 1 }, &query);
    const struct act acts[] = {
        { AUDIT_OPERATOR_ADD,
          REGISTRY_ASK_OPERATOR_ADD,
          { .kind = REGISTRY_LINE, .der = buf_bytes(&csr) },
          "hall" },
        { AUDIT_LOG_READ, REGISTRY_ASK_AUDIT_LIST, { .query = buf_bytes(&query) }, NULL },
        { AUDIT_DEVICE_REVOKE_MANY,
          REGISTRY_ASK_DEVICE_REVOKE_MANY,
          { .ids = buf_bytes(&ids) },
          NULL },
        { AUDIT_PROPOSAL_MAKE,
          REGISTRY_ASK_POLICY_PROPOSE,
          { .text = BYTES("# good 1"), .version = 1, .why = "to see" },
          NULL },
        { AUDIT_PROPOSAL_APPROVE,
          REGISTRY_ASK_PROPOSAL_APPROVE,
          { .number = 1, .why = "to see" },
          NULL },
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        expect_refused_then_done(w, &acts[i]);
}

/* The token is not used up, and what was signed in vain is told of when there is room. */
static void no_certificate_is_given_away_without_its_record(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    *w->blocked = 1;
    assert_int_not_equal(enrol(w, &w->device, &token, &told), RC_OK);
    *w->blocked = 0;
    enum rc rc = RC_LIMIT; /* what must be undone waits for its turn */
    for (int tries = 0; rc != RC_OK && tries < 500; tries++) {
        rc = enrol(w, &w->device, &token, &told);
        if (rc != RC_OK)
            usleep(20000);
    }
    assert_int_equal(rc, RC_OK);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ISSUE, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_TOKEN_USE, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ORPHAN, AUDIT_ALLOWED), 1);
}

/* ---- What is tried elsewhere ---- */

/* All that a session is counted for goes the same way into the spool: one test of it is all
 * of theirs. */

#define DAEMON   "tests/unit/daemon/test_authority_"
#define FULL     "tests/system/test_full.py"
#define SESSIONS FULL, "test_a_session_whose_acts_find_no_room_for_records_is_ended"
#define MORE     DAEMON "unrecorded.c", "what_brings_more_is_not_done_either"
#define HERE     DAEMON "unrecorded.c", "no_certificate_is_given_away_without_its_record"
#define WAITING                                                                                \
    "tests/unit/broker/test_recorder.c", "a_full_spool_says_so_and_what_it_refused_waits"
#define ALL_OR_NONE DAEMON "fault_acts.c", "no_act_is_parted_from_its_record"
static const struct {
    enum audit_action action;
    const char *file, *test; /* NULL: known to have none yet */
} ELSEWHERE[] = {
    { AUDIT_LOG_START, NULL, NULL },
    { AUDIT_PROCESS_START, "tests/unit/broker/test_presence.c",
      "it_does_not_listen_before_that_is_durable" },
    { AUDIT_PROCESS_STOP, DAEMON "life.c", "a_life_begins_and_ends_and_a_killed_one_is_found" },
    { AUDIT_CLOCK_STEP, "tests/unit/audit/test_step.c", "a_step_is_found_until_it_is_told" },
    { AUDIT_SYSTEM_INIT, NULL, NULL },
    { AUDIT_SYSTEM_BACKUP, DAEMON "keep.c",
      "no_copy_is_made_before_the_log_says_that_it_begins" },
    { AUDIT_SYSTEM_RESTORE, DAEMON "restore.c",
      "whoever_dies_where_a_restore_is_whole_and_written_down_once" },
    { AUDIT_SYSTEM_RECOVER, DAEMON "keep.c",
      "a_recovery_killed_before_its_record_begins_again" },
    { AUDIT_LOG_SPOOL, DAEMON "fault_walk.c",
      "no_commit_that_fails_loses_or_doubles_a_doors_record" },
    { AUDIT_LOG_ERASE, ALL_OR_NONE },
    { AUDIT_LOG_HOLD, ALL_OR_NONE },
    { AUDIT_LOG_PRUNE, NULL, NULL },
    { AUDIT_LOG_COSIGN, NULL, NULL },
    { AUDIT_LOG_EXPORT, NULL, NULL },
    { AUDIT_LOG_PUBLISH, NULL, NULL },
    { AUDIT_DEVICE_REVOKE_MANY, MORE },
    { AUDIT_CERTIFICATE_ISSUE, HERE },
    { AUDIT_CERTIFICATE_RENEW, NULL, NULL },
    { AUDIT_CERTIFICATE_REVOKE, DAEMON "fault_walk.c",
      "no_commit_that_fails_parts_a_certificate_from_its_record" },
    { AUDIT_CERTIFICATE_ORPHAN, HERE },
    { AUDIT_CRL_ISSUE, NULL, NULL },
    { AUDIT_DOOR_CERTIFY, NULL, NULL },
    { AUDIT_KEY_SIGN, "tests/unit/keys/test_signer_faults.c",
      "no_signature_leaves_without_its_entry" },
    { AUDIT_OPERATOR_ADD, MORE },
    { AUDIT_TOKEN_USE, HERE },
    { AUDIT_LOG_READ, MORE },
    { AUDIT_PROPOSAL_APPROVE, MORE },
    { AUDIT_PROPOSAL_EXPIRE, NULL, NULL },
    { AUDIT_HANDSHAKE, FULL, "test_with_a_full_spool_a_door_lets_nobody_in" },
    { AUDIT_SESSION_OPEN, FULL, "test_with_a_full_spool_a_door_lets_nobody_in" },
    { AUDIT_SESSION_CLOSE, WAITING },
    { AUDIT_SESSION_CUT, WAITING },
    { AUDIT_PUBLISH, SESSIONS },
    { AUDIT_SUBSCRIBE, SESSIONS },
    { AUDIT_RECEIVE, SESSIONS },
    { AUDIT_RETAIN, SESSIONS },
    { AUDIT_WILL, SESSIONS },
    { AUDIT_UNSUBSCRIBE, SESSIONS },
};

static bool is_tried_here(enum audit_action action)
{
    for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++)
        if (ACTS[i].action == action)
            return true;
    return false;
}

static void expect_test(const char *path, const char *name)
{
    const char *source = getenv("TOUCHMARK_SOURCE");
    AUTO_BUF(text, 1 << 20);
    AUTO_FD dir = -1;

    assert_non_null(source);
    assert_int_equal(file_open_dir(AT_FDCWD, source, &dir), RC_OK);
    assert_int_equal(file_read(dir, path, &text), RC_OK);
    if (memmem(text.at, text.len, name, strlen(name)) == NULL)
        fail_msg("%s has no test %s", path, name);
}

/* Of what has no record when it is allowed there is nothing to fail. */
static void each_action_of_the_table_is_tried(void **state)
{
    size_t count = 0, listed = 0;
    const struct audit_action_row *rows = audit_action_list(&count);
    (void)state;

    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < sizeof ELSEWHERE / sizeof *ELSEWHERE &&
               ELSEWHERE[at].action != rows[i].action)
            at++;
        bool elsewhere = at < sizeof ELSEWHERE / sizeof *ELSEWHERE;
        listed += elsewhere;
        if (!elsewhere && !is_tried_here(rows[i].action) && rows[i].when != AUDIT_NOT_ALONE)
            fail_msg("%s: no test of what becomes of it without a durable record",
                     rows[i].name);
        if (elsewhere && ELSEWHERE[at].file != NULL)
            expect_test(ELSEWHERE[at].file, ELSEWHERE[at].test);
    }
    assert_int_equal(listed, sizeof ELSEWHERE / sizeof *ELSEWHERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare_blocked, clean_blocked)
        TEST(what_cannot_be_recorded_is_not_done),
        TEST(what_brings_more_is_not_done_either),
        TEST(no_certificate_is_given_away_without_its_record),
        cmocka_unit_test(each_action_of_the_table_is_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
