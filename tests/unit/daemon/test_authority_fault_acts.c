/* wraps: mdb_txn_commit */
/* A store that fails at a commit, for each kind of act: with its record, one, or neither.
 * test_authority_faults.c has runs of acts, test_authority_fault_walk.c doors and a signer. */
#include "tests/unit/daemon/failing_store.h"
#include "tests/unit/daemon/spools.h"

#include "audit/hold.h"

enum { NTH_MOST = 2 }; /* the act's own commit, and what comes of it by itself */

struct run {
    struct world *w;
    unsigned number;
    char device[REGISTRY_ID_MAX + 1];
    uint64_t version; /* of the policy in force before */
    struct buf asked;
    uint64_t pushed; /* to the device door's spool */
};

/* ---- What is there, by asking for it ---- */

static uint64_t policy_version(struct run *run)
{
    AUTO_TOLD(told);

    assert_int_equal(admin(run->w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told),
                     RC_OK);
    return told.answer.status.policy_version;
}

static uint64_t is_revoked(struct run *run)
{
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    set_id(&q, run->device);
    assert_int_equal(admin(run->w, REGISTRY_ASK_DEVICE_SHOW, q, &told), RC_OK);
    return told.answer.subject.state == REGISTRY_REVOKED;
}

static uint64_t count_holds(struct run *run)
{
    AUTO_TOLD(told);

    assert_int_equal(
        admin(run->w, REGISTRY_ASK_AUDIT_HOLD_LIST, (struct registry_question){ 0 }, &told),
        RC_OK);
    struct reader r = READER(told.answer.query);
    return reader_u16(&r);
}

static uint64_t length_of_proposals(struct run *run)
{
    AUTO_TOLD(told);

    assert_int_equal(
        admin(run->w, REGISTRY_ASK_PROPOSAL_LIST, (struct registry_question){ 0 }, &told),
        RC_OK);
    return told.answer.list.len;
}

static uint64_t count(struct run *run, const struct audit_query *query)
{
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);
    struct audit_page page;
    struct audit_hit hit;
    uint64_t found = 0;

    audit_query_write(query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(run->w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK)
        found++;
    audit_page_clear(&page);
    return found;
}

/* What it did is what the log still says of it, or not any more. */
static uint64_t is_known(struct run *run)
{
    return count(run,
                 &(const struct audit_query){ .device = bytes_of_text(run->device),
                                              .actions = audit_action_set_of(AUDIT_PUBLISH),
                                              .most = 10 });
}

/* ---- Acts ---- */

static struct registry_question ask_to_revoke(struct run *run)
{
    struct registry_question q = { .state = REGISTRY_REVOKED };

    set_id(&q, run->device);
    return q;
}

static struct registry_question apply(struct run *run)
{
    return (struct registry_question){ .text = BYTES("# good again"),
                                       .version = policy_version(run),
                                       .why = "to see" };
}

static struct registry_question hold(struct run *run)
{
    const struct audit_hold held = { .kind = AUDIT_DEVICE,
                                     .id = BYTES("another"),
                                     .reason = BYTES("case 4711") };

    buf_add_u8(&run->asked, AUDIT_HOLD_ADD);
    audit_hold_write(&held, &run->asked);
    return (struct registry_question){ .query = buf_bytes(&run->asked) };
}

/* What it did itself: what others did to it stays. */
static void let_it_act(struct run *run)
{
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);
    uint64_t sequence = 0;

    begin_batch(&batch, 1, ++run->pushed);
    add_record(&batch, run->device, "a");
    assert_int_equal(push(run->w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
}

/* Of a device that is out already: of one that goes on nothing is erased. */
static struct registry_question erase(struct run *run)
{
    AUTO_TOLD(told);

    let_it_act(run);

    assert_int_equal(admin(run->w, REGISTRY_ASK_DEVICE_STATE, ask_to_revoke(run), &told),
                     RC_OK);
    buf_add_u8(&run->asked, REGISTRY_DEVICE);
    buf_add_sized16(&run->asked, bytes_of_text(run->device));
    buf_add_sized16(&run->asked, BYTES("ticket 812"));
    return (struct registry_question){ .query = buf_bytes(&run->asked) };
}

static const struct act {
    enum registry_ask ask;
    enum audit_action action;
    struct registry_question (*question)(struct run *run);
    uint64_t (*look)(struct run *run); /* another number once it is done */
} ALONE[] = {
    { REGISTRY_ASK_DEVICE_STATE, AUDIT_DEVICE_REVOKE, ask_to_revoke, is_revoked },
    { REGISTRY_ASK_POLICY_APPLY, AUDIT_POLICY_APPLY, apply, policy_version },
    { REGISTRY_ASK_AUDIT_HOLD, AUDIT_LOG_HOLD, hold, count_holds },
    { REGISTRY_ASK_AUDIT_ERASE, AUDIT_LOG_ERASE, erase, is_known },
}, BY_TWO[] = {
    { REGISTRY_ASK_POLICY_APPLY, AUDIT_PROPOSAL_MAKE, apply, length_of_proposals },
    { REGISTRY_ASK_AUDIT_ERASE, AUDIT_PROPOSAL_MAKE, erase, length_of_proposals },
};

/* ---- The judgement ---- */

/* A store that cannot be trusted ends the authority; the next one reads what is there. */
static void live_on(struct world *w)
{
    AUTO_TOLD(told);

    if (admin(w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told) == RC_OK)
        return;
    end_life(w);
    begin_life(w);
}

static uint64_t count_records(struct run *run, const struct act *act)
{
    const uint8_t correlation[AUDIT_CORRELATION] = { 7, 0, (uint8_t)(run->number >> 8),
                                                     (uint8_t)run->number };

    return count(run, &(const struct audit_query){ .correlation = BYTES_OF(correlation),
                                                   .actions = audit_action_set_of(act->action),
                                                   .decisions = 1u << AUDIT_ALLOWED,
                                                   .most = 10 });
}

/* Whether the act was refused. */
static bool try(struct run *run, const struct act *act, int nth, enum fault fault)
{
    AUTO_BUF(id, REGISTRY_ID_MAX);
    AUTO_TOLD(told);

    run->number++;
    buf_reset(&run->asked);
    buf_addf(&id, "dev-%u", run->number);
    assert_int_equal(registry_id_copy(buf_bytes(&id), run->device), RC_OK);
    add_device(run->w, run->device);
    struct registry_question q = act->question(run);
    q.preamble.correlation[2] = (uint8_t)(run->number >> 8);
    q.preamble.correlation[3] = (uint8_t)run->number;
    uint64_t before = act->look(run);
    *plan = (struct plan){ .left = nth, .fault = fault };
    enum rc rc = admin(run->w, act->ask, q, &told);
    *plan = (struct plan){ 0 };
    live_on(run->w);
    uint64_t records = count_records(run, act);
    assert_int_equal(records, act->look(run) != before);
    if (rc == RC_OK)
        assert_int_equal(records, 1);
    if (rc != RC_OK && fault == NO_SPACE)
        assert_int_equal(records, 0);
    return rc != RC_OK;
}

static void try_all(struct world *w, const struct act *acts, size_t count)
{
    struct run run = { .w = w, .asked = BUF_MAX(1024) };

    for (size_t i = 0; i < count; i++) {
        assert_false(try(&run, &acts[i], 0, NO_SPACE));
        for (unsigned fault = NO_SPACE; fault < FAULTS; fault++)
            for (int nth = 1; nth <= NTH_MOST; nth++)
                assert_true(try(&run, &acts[i], nth, (enum fault)fault) || nth > 1);
    }
    buf_clear(&run.asked);
}

static void no_act_is_parted_from_its_record(void **state)
{
    struct world *w = *state;

    stop(w);
    make_plan();
    begin_life(w);
    try_all(w, ALONE, sizeof ALONE / sizeof *ALONE);
    end_life(w);
    drop_plan();
}

static void no_proposal_is_parted_from_its_record(void **state)
{
    struct world *w = *state;

    stop(w);
    make_plan();
    w->proposal_lifetime_ms = 3600 * 1000;
    assert_int_equal(registry_acts_read(BYTES("policy,retention"), &w->four_eyes), RC_OK);
    begin_life(w);
    try_all(w, BY_TWO, sizeof BY_TWO / sizeof *BY_TWO);
    end_life(w);
    drop_plan();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_act_is_parted_from_its_record),
        TEST(no_proposal_is_parted_from_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
