/* wraps: mdb_txn_commit */
/* A store that fails at its Nth commit, for each N of a run of acts over a door's link. */
#include "tests/unit/daemon/failing_store.h"

/*
 * What was acknowledged has its record, one; what was not acknowledged was done with its record
 * or not done and without one; and a read that was answered is in the log.
 */

enum { ACTS = 12 };

/* ---- Acts ---- */

static void name_of(struct registry_question *q, unsigned run, unsigned act)
{
    AUTO_BUF(id, REGISTRY_ID_MAX);
    const char *text = NULL;

    buf_addf(&id, "dev-%u-%u", run, act);
    assert_int_equal(buf_text(&id, &text), RC_OK);
    set_id(q, text);
}

static bool reads(unsigned act)
{
    return act % 3 == 2;
}

static struct registry_question question_of(unsigned run, unsigned act)
{
    struct registry_question q = { 0 };

    q.preamble.correlation[1] = (uint8_t)(run + 1);
    q.preamble.correlation[2] = (uint8_t)(act + 1);
    if (!reads(act))
        name_of(&q, run, act);
    return q;
}

static enum registry_ask ask_of(unsigned act)
{
    return reads(act) ? REGISTRY_ASK_DEVICE_LIST : REGISTRY_ASK_DEVICE_ADD;
}

static enum rc act(struct world *w, unsigned run, unsigned number)
{
    AUTO_TOLD(told);
    enum rc rc = admin(w, ask_of(number), question_of(run, number), &told);

    if (rc == RC_OK || rc == RC_LIMIT || rc == RC_EXISTS)
        return rc;
    /* A store that cannot be trusted ends the authority; the next one reads what is there. */
    end_life(w);
    begin_life(w);
    return rc;
}

/* ---- The judgement ---- */

struct found {
    unsigned records;
    uint64_t acts;
};

static struct found find(struct world *w, unsigned run, unsigned number)
{
    const struct registry_question of = question_of(run, number);
    uint8_t correlation[AUDIT_CORRELATION];
    struct audit_page page;
    struct audit_hit hit;
    struct found found = { 0 };
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    memcpy(correlation, of.preamble.correlation, sizeof correlation);
    correlation[0] = 7; /* ask_as() */
    const struct audit_query query = {
        .correlation = BYTES_OF(correlation),
        .actions = audit_action_set_of(reads(number) ? AUDIT_DEVICE_READ : AUDIT_DEVICE_ADD),
        .decisions = 1u << AUDIT_ALLOWED,
        .most = 100
    };
    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK) {
        found.records++;
        found.acts += hit.record->aggregate.count == 0 ? 1 : hit.record->aggregate.count;
    }
    audit_page_clear(&page);
    return found;
}

static bool exists(struct world *w, unsigned run, unsigned number)
{
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    name_of(&q, run, number);
    q.preamble.correlation[3] = 1; /* another request */
    enum rc rc = admin(w, REGISTRY_ASK_DEVICE_SHOW, q, &told);
    assert_true(rc == RC_OK || rc == RC_NOT_FOUND);
    return rc == RC_OK;
}

static void judge(struct world *w, unsigned run, const enum rc told[ACTS])
{
    for (unsigned i = 0; i < ACTS; i++) {
        const struct found found = find(w, run, i);
        assert_true(found.records <= 1);
        if (told[i] == RC_OK)
            assert_int_equal(found.records, 1);
        if (!reads(i))
            assert_int_equal(found.records, exists(w, run, i));
        if (reads(i) && told[i] == RC_LIMIT)
            assert_int_equal(found.records, 0);
    }
}

/* The number of commits that the acts made. */
static int live(struct world *w, unsigned run, int nth, enum fault fault)
{
    enum rc told[ACTS];
    int refused = 0;

    *plan = (struct plan){ .left = nth, .fault = fault };
    for (unsigned i = 0; i < ACTS; i++) {
        told[i] = act(w, run, i);
        refused += told[i] != RC_OK;
    }
    int commits = plan->commits;
    *plan = (struct plan){ 0 };
    assert_int_equal(refused, nth > 0);
    judge(w, run, told);
    return commits;
}

static void no_commit_that_fails_parts_an_act_from_its_record(void **state)
{
    struct world *w = *state;
    unsigned run = 0;

    stop(w);
    make_plan();
    begin_life(w);
    int commits = live(w, run++, 0, NO_SPACE);
    assert_int_equal(commits, ACTS); /* one each, reads as well */
    for (unsigned fault = NO_SPACE; fault < FAULTS; fault++)
        for (int nth = 1; nth <= commits; nth++)
            live(w, run++, nth, (enum fault)fault);
    end_life(w);
    drop_plan();
}

/* Killed between the moment when touchmarkd made their link and now: a fresh end comes. */
static void a_signer_that_is_dead_already_ends_nobody(void **state)
{
    struct world *w = *state;
    int dead = -1;

    stop(w);
    assert_int_equal(link_pair(&w->signing.ask, &dead), RC_OK);
    close(dead);
    begin_life(w); /* which asks for status, and is answered */
    AUTO_TOLD(told);
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told),
                     RC_OK);
    assert_false(told.answer.status.signer);
    end_life(w);
    close(w->signing.ask);
    w->signing.ask = -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_commit_that_fails_parts_an_act_from_its_record),
        TEST(a_signer_that_is_dead_already_ends_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
