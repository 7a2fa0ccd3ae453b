/* The policy that judges: compiled aside and once, in force with its own commit, and never what
 * was only looked at or was undone. */
#include "tests/unit/daemon/authority_world.h"

#include <poll.h>

#include "base/link_message.h"

static uint64_t active(struct world *w)
{
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_SHOW, (struct registry_question){ 0 }, &told),
                     RC_OK);
    return told.answer.policy.version;
}

static enum rc put(struct world *w, const char *text, bool only_check)
{
    struct registry_question q = { .text = bytes_of_text(text),
                                   .why = "to see",
                                   .version = active(w),
                                   .only_check = only_check };
    AUTO_TOLD(told);

    TRY(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told));
    assert_true(told.answer.accepted);
    return RC_OK;
}

static enum rc list_devices(struct world *w)
{
    AUTO_TOLD(told);

    return admin(w, REGISTRY_ASK_DEVICE_LIST, (struct registry_question){ 0 }, &told);
}

static bool has_answer(struct world *w, int wait_ms)
{
    struct pollfd door = { w->doors[REGISTRY_OPERATOR_DOOR], POLLIN, 0 };

    return poll(&door, 1, wait_ms) == 1;
}

/* Asked as an administrator, and the answer not waited for; the other door's link is free. */
static void begin_to(struct world *w, enum registry_ask ask, struct registry_question q)
{
    const struct link_kind *kind = link_protocol_kind(registry_door_protocol(), (uint16_t)ask);
    AUTO_BUF(body, LINK_BODY_MAX);

    q.preamble.actor.known = true;
    memset(q.preamble.actor.fingerprint.at, ADMIN, REGISTRY_FINGERPRINT);
    q.preamble.correlation[0] = 7;
    assert_int_equal(registry_question_write(ask, &q, &body), RC_OK);
    const struct link_message message = {
        .kind = kind,
        .id = link_protocol_first_credit(registry_door_protocol(), kind->lane),
        .body = buf_bytes(&body),
    };
    assert_int_equal(link_message_send(w->doors[REGISTRY_OPERATOR_DOOR], &message, -1), RC_OK);
}

static void others_are_answered(struct world *w)
{
    AUTO_TOLD(told);

    for (int i = 0; i < 10; i++) {
        struct registry_question q = { 0 };
        assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SNAPSHOT, &q,
                                &told.answer, &told.reply),
                         RC_OK);
    }
}

/* check_policy() takes a second for it. */
static void a_short_text_is_compiled_aside_too(void **state)
{
    struct world *w = *state;

    begin_to(w, REGISTRY_ASK_POLICY_APPLY,
             (struct registry_question){
                 .text = BYTES("# good slow"), .why = "to see", .version = 1 });
    others_are_answered(w);
    assert_false(has_answer(w, 0));
    assert_true(has_answer(w, WAIT_MS));
}

static void each_text_is_compiled_once_and_what_was_only_checked_judges_nobody(void **state)
{
    struct world *w = *state;

    assert_int_equal(list_devices(w), RC_OK);
    unsigned before = *policies_compiled;
    assert_int_equal(put(w, "# good\ndeny operator call \"GET /v1/devices\"\n", false), RC_OK);
    assert_int_equal(put(w, "# good\n", true), RC_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(list_devices(w), RC_DENIED);
    assert_non_null(strstr(fault_text(), "line 2 of version 2"));
    assert_int_equal(put(w, "# good\n", false), RC_OK);
    assert_int_equal(list_devices(w), RC_OK);
    assert_int_equal(*policies_compiled, before + 3);
}

static void one_whose_commit_failed_judges_nobody(void **state)
{
    struct world *w = *state;

    stop(w);
    w->full_at = "policy-apply";
    w->full = 2; /* the change's record, in both runs of it */
    start(w);
    assert_int_equal(list_devices(w), RC_OK);
    unsigned before = *policies_compiled;
    assert_int_equal(put(w, "# good\ndeny operator call \"#\"\n", false), RC_LIMIT);
    assert_int_equal(active(w), 1);
    assert_int_equal(list_devices(w), RC_OK);
    assert_int_equal(*policies_compiled, before + 1);
}

/* ---- A new life ---- */

static void restart(struct world *w)
{
    stop(w);
    *policies_compiled = 0;
    start(w);
}

static void acts_wait_for_the_active_one_and_its_repair_does_not(void **state)
{
    struct world *w = *state;

    assert_int_equal(put(w, "# good slow\ndeny operator call \"POST /v1/devices/#\"\n", false),
                     RC_OK);
    restart(w);
    begin_to(w, REGISTRY_ASK_DEVICE_LIST, (struct registry_question){ 0 });
    others_are_answered(w);
    assert_false(has_answer(w, 0));
    assert_true(has_answer(w, WAIT_MS));
    restart(w);
    assert_int_equal(list_devices(w), RC_OK);
    assert_int_equal(*policies_compiled, 1);
    restart(w);
    assert_int_equal(active(w), 2); /* what is kept */
    assert_int_equal(put(w, "# good\n", false), RC_OK);
    assert_int_equal(list_devices(w), RC_OK);
    usleep(1200000); /* by when the former is compiled, which is nobody's any more */
    add_device(w, "dev-1");
    assert_int_equal(*policies_compiled, 2);
}

static enum rc break_policy(struct store_txn *txn, void *with)
{
    const struct registry_policy_new broken = { .author = BYTES("first"),
                                                .text = { .octets = BYTES("no policy at all") },
                                                .why = BYTES("to see"),
                                                .replaces = 1 };
    uint64_t version = 0;

    (void)with;
    return registry_policy_put(txn, &broken, TBS_NOW_S * 1000, &version);
}

/* Lines of the log with this event, and the text. */
static unsigned count_lines(int log, const char *event, const char *text)
{
    static char read[65536];
    unsigned found = 0;

    ssize_t len = pread(log, read, sizeof read - 1, 0);
    assert_true(len >= 0);
    read[len] = '\0';
    for (char *line = read, *end = NULL; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        found += strstr(line, event) != NULL && strstr(line, text) != NULL;
    }
    return found;
}

static void one_that_does_not_compile_is_not_tried_again_and_again(void **state)
{
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];

    stop(w);
    w->log = memfd_create("log", MFD_CLOEXEC);
    assert_true(w->log > 0);
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, break_policy, NULL), RC_OK);
    store_close(store);
    restart(w);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(list_devices(w), RC_DENIED);
        assert_non_null(strstr(fault_text(), "the active one does not compile"));
    }
    assert_int_equal(*policies_compiled, 1);
    assert_int_equal(count_lines(w->log, "authority.trouble ", "version 2, does not compile"),
                     1);
    assert_int_equal(put(w, "# good\n", false), RC_OK);
    assert_int_equal(list_devices(w), RC_OK);
    tell_trouble(w, trouble);
    assert_null(strstr(trouble, "compile"));
    assert_int_equal(count_lines(w->log, "authority.trouble-over", "does not compile"), 1);
    close(w->log);
}

/* ---- Drafts ---- */

static uint64_t propose(struct world *w, const char *text)
{
    struct registry_question q = { .text = bytes_of_text(text), .version = active(w) };
    AUTO_TOLD(told);

    memcpy(q.why, "tried", 6);
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_PROPOSE, q, &told), RC_OK);
    assert_int_equal(told.answer.accepted, told.answer.proposal.number != 0);
    return told.answer.proposal.number;
}

static enum rc activate_with(struct world *w, uint64_t number, const char *why)
{
    struct registry_question q = { .number = number };
    AUTO_TOLD(told);

    memcpy(q.why, why, strlen(why));
    return admin(w, REGISTRY_ASK_PROPOSAL_APPROVE, q, &told);
}

static enum rc activate(struct world *w, uint64_t number)
{
    return activate_with(w, number, "tried");
}

static void a_draft_is_checked_when_it_is_kept_and_in_force_when_it_is_activated(void **state)
{
    struct world *w = *state;

    assert_int_equal(propose(w, "bad"), 0);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_MAKE, AUDIT_DENIED), 1);
    uint64_t first = propose(w, "# good\ndeny operator call \"GET /v1/devices\"\n");
    uint64_t second = propose(w, "# good\n");
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_MAKE, AUDIT_ALLOWED), 2);
    assert_int_equal(active(w), 1);
    assert_int_equal(list_devices(w), RC_OK);
    restart(w);
    assert_int_equal(activate_with(w, first, ""), RC_MALFORMED);
    assert_int_equal(activate_with(w, first, "  "), RC_MALFORMED);
    assert_int_equal(active(w), 1);
    assert_int_equal(activate(w, first), RC_OK);
    assert_int_equal(active(w), 2);
    assert_int_equal(list_devices(w), RC_DENIED);
    assert_int_equal(activate(w, first), RC_EXISTS);
    assert_int_equal(activate(w, second), RC_EXISTS); /* it was in place of version 1 */
    assert_int_equal(active(w), 2);
}

static void under_four_eyes_a_draft_needs_two_as_well(void **state)
{
    struct world *w = *state;

    stop(w);
    w->four_eyes = 1 << REGISTRY_ACT_POLICY;
    start(w);
    assert_int_equal(activate(w, propose(w, "# good\n")), RC_DENIED);
    assert_int_equal(active(w), 1);
}

static int prepare_lasting(void **state)
{
    struct world *w = make_world();

    w->proposal_lifetime_ms = 3600000;
    start(w);
    *state = w;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_text_is_compiled_aside_too),
        TEST(each_text_is_compiled_once_and_what_was_only_checked_judges_nobody),
        TEST(one_whose_commit_failed_judges_nobody),
        TEST(acts_wait_for_the_active_one_and_its_repair_does_not),
        TEST(one_that_does_not_compile_is_not_tried_again_and_again),
        cmocka_unit_test_setup_teardown(
            a_draft_is_checked_when_it_is_kept_and_in_force_when_it_is_activated,
            prepare_lasting, clean),
        cmocka_unit_test_setup_teardown(under_four_eyes_a_draft_needs_two_as_well,
                                        prepare_lasting, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
