/* Acts that need two administrators: who counts as the second, and when; and what is left of it
 * in the registry and in the log. */
#include "tests/unit/daemon/authority_world.h"

#include <sys/mman.h>

#include "audit/hold.h"

enum { SECOND = 0xa3, FIRSTS_OTHER = 0xa4, LIFETIME_MS = 3600000 };
enum {
    ALL = 1 << REGISTRY_ACT_POLICY | 1 << REGISTRY_ACT_REVOCATION | 1 << REGISTRY_ACT_ERASURE |
          1 << REGISTRY_ACT_RELEASE
};

static volatile int64_t *later_ms; /* shared: how far the authority's wall clock is ahead */

static int64_t moved_hour(void *with)
{
    (void)with;
    return TBS_NOW_S * 1000 + *later_ms;
}

static enum rc add_more(struct store_txn *txn, void *with)
{
    struct registry_subject second = { .kind = REGISTRY_OPERATOR,
                                       .id = "second",
                                       .role = REGISTRY_ADMIN };
    struct registry_certificate its = operators(SECOND), other = operators(FIRSTS_OTHER);

    (void)with;
    memcpy(its.subject, "second", 7);
    memcpy(other.subject, "first", 6);
    TRY(registry_subject_add(txn, &second, TBS_NOW_S * 1000));
    TRY(registry_certificate_register(txn, &its, TBS_NOW_S * 1000));
    return registry_certificate_register(txn, &other, TBS_NOW_S * 1000);
}

/* As prepare(), with a second administrator, another certificate of the first, and the setting,
 * which is in force from a start on. */
static int prepare_two(void **state)
{
    assert_int_equal(prepare(state), 0);
    struct world *w = *state;
    stop(w);
    later_ms =
        mmap(NULL, sizeof *later_ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)(uintptr_t)later_ms != MAP_FAILED);
    w->signing.clock.wall_ms = moved_hour;
    w->four_eyes = ALL;
    w->proposal_lifetime_ms = LIFETIME_MS;
    w->singles_most = 2;
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, add_more, w), RC_OK);
    store_close(store);
    start(w);
    return 0;
}

static int clean_two(void **state)
{
    munmap((void *)(uintptr_t)later_ms, sizeof *later_ms);
    return clean(state);
}

static void restart(struct world *w)
{
    stop(w);
    start(w);
}

/* ---- Asking ---- */

static enum rc as(struct world *w, uint8_t who, enum registry_ask ask,
                  struct registry_question q, struct told *told)
{
    return ask_as(w, REGISTRY_OPERATOR_DOOR, who, ask, &q, &told->answer, &told->reply);
}

static struct registry_question policy(const char *text, uint64_t replaces)
{
    return (struct registry_question){ .text = bytes_of_text(text),
                                       .version = replaces,
                                       .why = "pumps need it" };
}

static uint64_t propose(struct world *w, const char *text, uint64_t replaces)
{
    AUTO_TOLD(told);

    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_POLICY_APPLY, policy(text, replaces), &told),
                     RC_OK);
    assert_true(told.answer.accepted);
    assert_int_equal(told.answer.policy.version, 0);
    assert_true(told.answer.proposal.number > 0);
    return told.answer.proposal.number;
}

static enum rc approve(struct world *w, uint8_t who, uint64_t number)
{
    AUTO_TOLD(told);

    return as(w, who, REGISTRY_ASK_PROPOSAL_APPROVE,
              (struct registry_question){ .number = number, .why = "I looked" }, &told);
}

static enum rc reject(struct world *w, uint8_t who, uint64_t number)
{
    AUTO_TOLD(told);

    return as(w, who, REGISTRY_ASK_PROPOSAL_REJECT,
              (struct registry_question){ .number = number }, &told);
}

static enum registry_proposal_state state_of(struct world *w, uint64_t number)
{
    AUTO_TOLD(told);

    assert_int_equal(as(w, AUDITOR, REGISTRY_ASK_PROPOSAL_SHOW,
                        (struct registry_question){ .number = number }, &told),
                     RC_OK);
    return told.answer.proposal.state;
}

static uint64_t active_policy(struct world *w)
{
    AUTO_TOLD(told);

    assert_int_equal(
        as(w, AUDITOR, REGISTRY_ASK_POLICY_SHOW, (struct registry_question){ 0 }, &told),
        RC_OK);
    return told.answer.policy.version;
}

static enum rc revoke_device(struct world *w, const char *id)
{
    struct registry_question q = { .state = REGISTRY_REVOKED, .reason = 1 };
    AUTO_TOLD(told);

    set_id(&q, id);
    return admin(w, REGISTRY_ASK_DEVICE_STATE, q, &told);
}

static enum rc revoke_many(struct world *w, const char *const ids[], size_t count,
                           struct told *told)
{
    AUTO_BUF(list, REGISTRY_IDS_BYTES);

    for (size_t i = 0; i < count; i++)
        assert_int_equal(registry_ids_add(&list, bytes_of_text(ids[i])), RC_OK);
    return admin(w, REGISTRY_ASK_DEVICE_REVOKE_MANY,
                 (struct registry_question){ .ids = buf_bytes(&list), .reason = 1 }, told);
}

static enum registry_state device_state(struct world *w, const char *id)
{
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    set_id(&q, id);
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_SHOW, q, &told), RC_OK);
    return told.answer.subject.state;
}

/* The newest record of an action, as the log has it: who, and why. */
struct line {
    char actor[AUDIT_ID_MAX + 1], target[AUDIT_TARGET_MAX + 1], reason[AUDIT_REASON_MAX + 1];
};

static struct line last(struct world *w, enum audit_action action, enum audit_decision decision)
{
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .decisions = (uint8_t)(1u << decision),
                                       .most = 1 };
    struct audit_page page;
    struct audit_hit hit;
    struct line line = { .actor = "" };
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    memcpy(line.actor, hit.record->actor.at, hit.record->actor.len);
    memcpy(line.target, hit.record->target.at, hit.record->target.len);
    if (hit.record->reason.len > 0)
        memcpy(line.reason, hit.record->reason.at, hit.record->reason.len);
    audit_page_clear(&page);
    return line;
}

/* ---- Two persons ---- */

static void a_policy_is_in_force_when_another_administrator_says_so(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(shown);

    uint64_t number = propose(w, "# good two", 1);
    assert_int_equal(active_policy(w), 1);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_MAKE, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_POLICY_APPLY, AUDIT_ALLOWED), 0);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    assert_int_equal(active_policy(w), 2);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_APPROVED);
    struct line line = last(w, AUDIT_POLICY_APPLY, AUDIT_ALLOWED);
    assert_string_equal(line.actor, "second");
    assert_string_equal(line.target, "policy 2");
    assert_string_equal(line.reason, "proposal 1 of first; pumps need it");
    line = last(w, AUDIT_PROPOSAL_APPROVE, AUDIT_ALLOWED);
    assert_string_equal(line.actor, "second");
    assert_string_equal(line.target, "proposal 1");
    assert_string_equal(line.reason, "policy in place of version 1; of first; I looked");
    assert_int_equal(
        as(w, ADMIN, REGISTRY_ASK_POLICY_SHOW, (struct registry_question){ 0 }, &shown), RC_OK);
    assert_true(bytes_equal_text(shown.answer.text, "# good two"));
    assert_string_equal(shown.answer.policy.author, "first");
}

static void one_person_is_not_two(void **state)
{
    struct world *w = *state;
    static const uint8_t NOT_THE_SECOND[] = { ADMIN, FIRSTS_OTHER, AUDITOR, STRANGER, 0 };

    uint64_t number = propose(w, "# good two", 1);
    for (size_t i = 0; i < sizeof NOT_THE_SECOND; i++)
        assert_int_equal(approve(w, NOT_THE_SECOND[i], number), RC_DENIED);
    assert_int_equal(active_policy(w), 1);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_OPEN);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_APPROVE, AUDIT_DENIED),
                     sizeof NOT_THE_SECOND);
    assert_int_equal(reject(w, AUDITOR, number), RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_REJECT, AUDIT_DENIED), 1);
}

/* An administrator who could make administrators would be his own second. */
static void nobody_makes_his_own_second(void **state)
{
    struct world *w = *state;
    struct registry_question q = { .kind = REGISTRY_OPERATOR, .role = REGISTRY_ADMIN };
    AUTO_BUF(csr, 4096);
    AUTO_TOLD(told);
    enum rc rc = RC_BUSY;

    make_csr(&w->device, &csr);
    q.der = buf_bytes(&csr);
    set_id(&q, "puppet");
    for (int tries = 0; rc == RC_BUSY && tries < 1500; tries++, usleep(20000))
        rc = admin(w, REGISTRY_ASK_OPERATOR_ADD, q, &told);
    assert_int_equal(rc, RC_EXISTS);
    assert_int_equal(count_audit(w, AUDIT_OPERATOR_ADD, AUDIT_DENIED), 1);
    q.role = REGISTRY_AUDITOR;
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_ADD, q, &told), RC_OK);
}

static void a_second_who_was_revoked_meanwhile_is_none(void **state)
{
    struct world *w = *state;
    struct registry_question gone = { .kind = REGISTRY_OPERATOR };
    AUTO_TOLD(told);

    uint64_t number = propose(w, "# good two", 1);
    set_id(&gone, "second");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, gone, &told), RC_OK);
    assert_int_equal(approve(w, SECOND, number), RC_DENIED);
    assert_int_equal(active_policy(w), 1);
}

static void nor_is_an_author_who_was(void **state)
{
    struct world *w = *state;
    struct registry_question gone = { .reason = 1 };
    AUTO_TOLD(told);

    uint64_t number = propose(w, "# good two", 1);
    memset(gone.fingerprint.at, ADMIN, sizeof gone.fingerprint.at);
    assert_int_equal(as(w, SECOND, REGISTRY_ASK_CERTIFICATE_REVOKE, gone, &told), RC_OK);
    assert_int_equal(approve(w, SECOND, number), RC_DENIED);
    assert_int_equal(reject(w, SECOND, number), RC_OK);
}

/* ---- Once, in time, and on what it was made for ---- */

static void it_is_done_once(void **state)
{
    struct world *w = *state;

    uint64_t number = propose(w, "# good two", 1), other = propose(w, "# good three", 1);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    assert_int_equal(approve(w, SECOND, number), RC_EXISTS);
    assert_int_equal(reject(w, SECOND, number), RC_EXISTS);
    assert_int_equal(active_policy(w), 2);
    assert_int_equal(approve(w, SECOND, other), RC_EXISTS); /* it replaces version 1 */
    struct line line = last(w, AUDIT_PROPOSAL_APPROVE, AUDIT_DENIED);
    assert_string_equal(line.target, "proposal 2");
    assert_string_equal(line.reason, "proposal 2 is stale: it replaces policy version 1, and "
                                     "version 2 is active");
    assert_int_equal(active_policy(w), 2);
    assert_int_equal(reject(w, ADMIN, other), RC_OK);
    assert_int_equal(state_of(w, other), REGISTRY_PROPOSAL_WITHDRAWN);
    assert_int_equal(approve(w, SECOND, other), RC_EXISTS);
    assert_int_equal(approve(w, SECOND, 99), RC_NOT_FOUND);
}

static void a_stale_or_wrong_text_is_no_proposal(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(told);

    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_POLICY_APPLY, policy("# good", 7), &told),
                     RC_EXISTS);
    assert_int_equal(as(w, ADMIN, REGISTRY_ASK_POLICY_APPLY, policy("bad", 1), &told), RC_OK);
    assert_false(told.answer.accepted);
    assert_int_equal(told.answer.proposal.number, 0);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_MAKE, AUDIT_DENIED), 1);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_MAKE, AUDIT_ALLOWED), 0);
}

static void what_waits_outlives_a_restart(void **state)
{
    struct world *w = *state;

    uint64_t number = propose(w, "# good two", 1);
    restart(w);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_OPEN);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    restart(w);
    assert_int_equal(approve(w, SECOND, number), RC_EXISTS);
    assert_int_equal(active_policy(w), 2);
}

/* The act, its approval and both records are one commit. */
static void a_kill_in_the_middle_leaves_all_of_it_or_nothing(void **state)
{
    struct world *w = *state;

    uint64_t number = propose(w, "# good two", 1);
    stop(w);
    w->dies_at = "proposal-approve";
    start(w);
    assert_int_equal(approve(w, SECOND, number), RC_CLOSED);
    stop(w);
    w->dies_at = NULL;
    start(w);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_OPEN);
    assert_int_equal(active_policy(w), 1);
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_APPROVE, AUDIT_ALLOWED), 0);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    assert_int_equal(active_policy(w), 2);
}

static void what_nobody_approves_expires_and_the_log_says_so(void **state)
{
    struct world *w = *state;

    uint64_t number = propose(w, "# good two", 1);
    *later_ms = LIFETIME_MS - 1;
    usleep(1200000);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_OPEN);
    *later_ms = LIFETIME_MS;
    assert_int_equal(approve(w, SECOND, number), RC_EXISTS);
    for (int tries = 0; state_of(w, number) == REGISTRY_PROPOSAL_OPEN && tries < 500; tries++)
        usleep(20000);
    assert_int_equal(state_of(w, number), REGISTRY_PROPOSAL_EXPIRED);
    struct line line = last(w, AUDIT_PROPOSAL_EXPIRE, AUDIT_ALLOWED);
    assert_string_equal(line.actor, "authority");
    assert_string_equal(line.target, "proposal 1");
    assert_int_equal(count_audit(w, AUDIT_PROPOSAL_EXPIRE, AUDIT_ALLOWED), 1);
    assert_int_equal(approve(w, SECOND, number), RC_EXISTS);
    assert_int_equal(active_policy(w), 1);
}

/* ---- Many devices ---- */

static const char *const FLEET[] = { "dev-1", "dev-2", "dev-3" };
enum { FLEET_COUNT = sizeof FLEET / sizeof *FLEET };

static void without_the_setting_many_are_revoked_at_once_and_told_exactly(void **state)
{
    static const char *const NAMED[] = { "dev-1", "dev-2", "nobody", "dev-3" };
    struct world *w = *state;
    AUTO_TOLD(told);

    stop(w);
    w->four_eyes = 0;
    start(w);
    for (size_t i = 0; i < FLEET_COUNT; i++)
        add_device(w, FLEET[i]);
    assert_int_equal(revoke_device(w, "dev-2"), RC_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(revoke_many(w, NAMED, 4, &told), RC_OK);
        assert_int_equal(told.answer.proposal.number, 0);
        assert_int_equal(told.answer.counts.revoked, round == 0 ? 2 : 0);
        assert_int_equal(told.answer.counts.were_revoked, round == 0 ? 1 : 3);
        assert_int_equal(told.answer.counts.unknown, 1);
        assert_true(bytes_equal(told.answer.list, round == 0 ? BYTES("\x01\x02\x03\x01")
                                                             : BYTES("\x02\x02\x03\x02")));
    }
    assert_int_equal(count_audit(w, AUDIT_DEVICE_REVOKE, AUDIT_ALLOWED), 3);
    assert_int_equal(count_audit(w, AUDIT_DEVICE_REVOKE_MANY, AUDIT_ALLOWED), 2);
    struct line line = last(w, AUDIT_DEVICE_REVOKE, AUDIT_ALLOWED);
    assert_string_equal(line.target, "device dev-3");
    assert_string_equal(line.reason, "reason keyCompromise");
    line = last(w, AUDIT_DEVICE_REVOKE_MANY, AUDIT_ALLOWED);
    assert_string_equal(line.target, "devices 4");
    assert_string_equal(line.reason,
                        "0 revoked, 3 were before, 1 unknown; reason keyCompromise");
    assert_int_equal(revoke_many(w, NAMED, 0, &told), RC_MALFORMED);
}

static void with_it_exactly_those_that_were_proposed_are(void **state)
{
    static const char *const NAMED[] = { "dev-1", "nobody" };
    struct world *w = *state;
    AUTO_TOLD(told);

    for (size_t i = 0; i < FLEET_COUNT; i++)
        add_device(w, FLEET[i]);
    assert_int_equal(revoke_many(w, NAMED, 2, &told), RC_NOT_FOUND);
    assert_int_equal(revoke_many(w, FLEET, 2, &told), RC_OK);
    uint64_t number = told.answer.proposal.number;
    assert_true(number > 0);
    assert_int_equal(told.answer.counts.revoked, 0);
    assert_int_equal(device_state(w, "dev-1"), REGISTRY_REGISTERED);
    assert_int_equal(revoke_device(w, "dev-1"), RC_OK); /* meanwhile, singly */
    struct registry_question q = { .number = number, .why = "I looked" };
    assert_int_equal(as(w, SECOND, REGISTRY_ASK_PROPOSAL_APPROVE, q, &told), RC_OK);
    assert_int_equal(told.answer.counts.revoked, 1);
    assert_int_equal(told.answer.counts.were_revoked, 1);
    assert_int_equal(device_state(w, "dev-2"), REGISTRY_REVOKED);
    assert_int_equal(device_state(w, "dev-3"), REGISTRY_REGISTERED);
    struct line line = last(w, AUDIT_DEVICE_REVOKE, AUDIT_ALLOWED);
    assert_string_equal(line.actor, "second");
    assert_string_equal(line.target, "device dev-2");
    assert_string_equal(line.reason, "reason keyCompromise; proposal 1 of first");
    line = last(w, AUDIT_DEVICE_REVOKE_MANY, AUDIT_ALLOWED);
    assert_string_equal(line.target, "devices 2");
    assert_string_equal(line.reason,
                        "proposal 1 of first; 1 revoked, 1 were before, 0 unknown; reason "
                        "keyCompromise");
}

static void one_device_never_waits_and_many_cannot_go_one_by_one(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(told);

    for (size_t i = 0; i < FLEET_COUNT; i++)
        add_device(w, FLEET[i]);
    assert_int_equal(revoke_device(w, "dev-1"), RC_OK);
    assert_int_equal(revoke_device(w, "dev-1"), RC_EXISTS); /* counts for nothing */
    assert_int_equal(revoke_device(w, "dev-2"), RC_OK);
    assert_int_equal(revoke_device(w, "dev-3"), RC_EXISTS);
    assert_int_equal(device_state(w, "dev-3"), REGISTRY_REGISTERED);
    struct line line = last(w, AUDIT_DEVICE_REVOKE, AUDIT_DENIED);
    assert_string_equal(line.target, "device dev-3");
    assert_non_null(strstr(line.reason, "2 single revocations by first"));
    restart(w);
    assert_int_equal(revoke_device(w, "dev-3"), RC_EXISTS);
    struct registry_question q = { .state = REGISTRY_REVOKED, .reason = 1 };
    set_id(&q, "dev-3");
    assert_int_equal(as(w, SECOND, REGISTRY_ASK_DEVICE_STATE, q, &told), RC_OK);
    *later_ms = LIFETIME_MS;
    add_device(w, "dev-4");
    assert_int_equal(revoke_device(w, "dev-4"), RC_OK);
}

/* ---- What the log forgets ---- */

static enum rc erase(struct world *w, uint8_t who, const char *operator, struct told * told)
{
    AUTO_BUF(query, 256);

    buf_add_u8(&query, REGISTRY_OPERATOR);
    buf_add_sized16(&query, bytes_of_text(operator));
    buf_add_sized16(&query, BYTES("ticket 812"));
    return as(w, who, REGISTRY_ASK_AUDIT_ERASE,
              (struct registry_question){ .query = buf_bytes(&query) }, told);
}

static enum rc hold(struct world *w, enum audit_hold_ask what, struct told *told)
{
    const struct audit_hold all = { .reason = BYTES("case 4711") };
    AUTO_BUF(query, 256);

    buf_add_u8(&query, (uint8_t)what);
    if (what == AUDIT_HOLD_ADD) {
        audit_hold_write(&all, &query);
    } else {
        buf_add_u64(&query, 1);
        buf_add_sized16(&query, BYTES("over"));
    }
    return admin(w, REGISTRY_ASK_AUDIT_HOLD,
                 (struct registry_question){ .query = buf_bytes(&query) }, told);
}

static void records_are_erased_by_two_and_by_neither_of_whom_they_are(void **state)
{
    struct world *w = *state;
    struct registry_question gone = { .kind = REGISTRY_OPERATOR };
    AUTO_TOLD(told);

    (void)active_policy(w); /* looker looks */
    assert_int_equal(erase(w, ADMIN, "first", &told), RC_DENIED);
    assert_int_equal(erase(w, ADMIN, "looker", &told), RC_DENIED); /* is active */
    set_id(&gone, "looker");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, gone, &told), RC_OK);
    assert_int_equal(erase(w, ADMIN, "looker", &told), RC_OK);
    uint64_t number = told.answer.proposal.number;
    assert_true(number > 0);
    assert_int_equal(count_audit(w, AUDIT_LOG_ERASE, AUDIT_ALLOWED), 0);
    assert_int_equal(approve(w, ADMIN, number), RC_DENIED);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    assert_true(count_audit(w, AUDIT_LOG_ERASE, AUDIT_ALLOWED) > 0);
    struct line line = last(w, AUDIT_PROPOSAL_MAKE, AUDIT_ALLOWED);
    assert_non_null(
        strstr(line.reason, "erasure of the records of operator looker, ticket 812"));
}

static void a_hold_is_put_on_by_one_and_taken_off_by_two(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(told);

    assert_int_equal(hold(w, AUDIT_HOLD_REMOVE, &told), RC_NOT_FOUND);
    assert_int_equal(hold(w, AUDIT_HOLD_ADD, &told), RC_OK);
    assert_int_equal(told.answer.proposal.number, 0);
    assert_int_equal(hold(w, AUDIT_HOLD_REMOVE, &told), RC_OK);
    uint64_t number = told.answer.proposal.number;
    assert_true(number > 0);
    assert_int_equal(count_audit(w, AUDIT_LOG_HOLD, AUDIT_ALLOWED), 1);
    assert_int_equal(approve(w, SECOND, number), RC_OK);
    struct line line = last(w, AUDIT_LOG_HOLD, AUDIT_ALLOWED);
    assert_string_equal(line.actor, "second");
    assert_string_equal(line.target, "hold 1 of all");
    assert_string_equal(line.reason, "proposal 1 of first; removed: over");
    assert_int_equal(hold(w, AUDIT_HOLD_REMOVE, &told), RC_NOT_FOUND);
}

/* ---- Looking at them ---- */

static void administrators_and_auditors_see_what_waits(void **state)
{
    struct world *w = *state;
    struct registry_proposal one;
    struct registry_question back = { 0 };
    AUTO_TOLD(told);

    uint64_t number = propose(w, "# good two", 1);
    assert_int_equal(reject(w, SECOND, propose(w, "# good three", 1)), RC_OK);
    assert_int_equal(as(w, AUDITOR, REGISTRY_ASK_PROPOSAL_LIST,
                        (struct registry_question){ .open = true }, &told),
                     RC_OK);
    struct reader r = READER(told.answer.list);
    assert_int_equal(registry_answer_next_proposal(&r, &one), RC_OK);
    assert_int_equal(one.number, number);
    assert_string_equal(one.author, "first");
    assert_string_equal(one.why, "pumps need it");
    assert_int_equal(registry_answer_next_proposal(&r, &one), RC_NOT_FOUND);
    assert_int_equal(as(w, AUDITOR, REGISTRY_ASK_PROPOSAL_SHOW,
                        (struct registry_question){ .number = number }, &told),
                     RC_OK);
    assert_int_equal(
        registry_question_read_body(REGISTRY_ASK_POLICY_APPLY, told.answer.query, &back),
        RC_OK);
    assert_true(bytes_equal_text(back.text, "# good two"));
    assert_int_equal(count_audit(w, AUDIT_POLICY_READ, AUDIT_ALLOWED), 2);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, SECOND, REGISTRY_ASK_PROPOSAL_APPROVE,
                            &(struct registry_question){ .number = number }, &told.answer,
                            &told.reply),
                     RC_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare_two, clean_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_is_in_force_when_another_administrator_says_so),
        TEST(one_person_is_not_two),
        TEST(nobody_makes_his_own_second),
        TEST(a_second_who_was_revoked_meanwhile_is_none),
        TEST(nor_is_an_author_who_was),
        TEST(it_is_done_once),
        TEST(a_stale_or_wrong_text_is_no_proposal),
        TEST(what_waits_outlives_a_restart),
        TEST(a_kill_in_the_middle_leaves_all_of_it_or_nothing),
        TEST(what_nobody_approves_expires_and_the_log_says_so),
        TEST(without_the_setting_many_are_revoked_at_once_and_told_exactly),
        TEST(with_it_exactly_those_that_were_proposed_are),
        TEST(one_device_never_waits_and_many_cannot_go_one_by_one),
        TEST(records_are_erased_by_two_and_by_neither_of_whom_they_are),
        TEST(a_hold_is_put_on_by_one_and_taken_off_by_two),
        TEST(administrators_and_auditors_see_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
