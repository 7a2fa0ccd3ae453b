#include "tests/unit/store/scratch.h"

#include "store/feed.h"
#include "store/queue.h"

#include <string.h>

struct world {
    struct scratch scratch;
    int64_t now;
    struct clock clock;
    struct store *store;
    struct store_queue *queue;
};

enum { GROUP = 8, WAITING = 20 };

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const struct store_queue_limits limits = { .waiting = WAITING, .group = GROUP };

    scratch_make(&w->scratch);
    w->clock = scratch_clock(&w->now);
    assert_int_equal(scratch_open(&w->scratch, &w->clock, &w->store), RC_OK);
    assert_int_equal(store_queue_new(w->store, &limits, &w->queue), RC_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    store_queue_free(w->queue);
    store_close(w->store);
    scratch_remove(&w->scratch);
    free(w);
    return 0;
}

/* Inserts its number with `rows` rows and a record in the feed, then fails if it is told to. */
struct insert {
    struct store_job job;
    struct store *store;
    uint64_t number;
    unsigned rows;
    enum rc fate;
    bool answered, durable_when_answered;
    enum rc answer;
    char reason[STORE_REASON_MAX];
};

static enum rc insert(struct store_txn *txn, struct store_job *job)
{
    static const uint8_t VALUE[1000] = { 1 };
    const struct insert *one = (struct insert *)job;

    for (unsigned i = 0; i < one->rows; i++) {
        struct store_number key = store_key_number(one->number * 10000 + i);
        TRY(store_txn_insert(txn, BY_NUMBER, BYTES_OF(key.at), BYTES_OF(VALUE)));
    }
    TRY(store_feed_add(txn, 1, BYTES("inserted")));
    return one->fate == RC_OK ? RC_OK : fault(one->fate, "job %u fails", (unsigned)one->number);
}

static enum rc look_for(struct store_txn *txn, void *with)
{
    struct store_number key = store_key_number(*(const uint64_t *)with * 10000);
    struct store_value value;

    return store_txn_get(txn, BY_NUMBER, BYTES_OF(key.at), &value);
}

static bool is_there(struct store *store, uint64_t number)
{
    return store_read(store, look_for, &number) == RC_OK;
}

static void note(struct store_job *job, enum rc rc)
{
    struct insert *one = (struct insert *)job;
    struct bytes text = bytes_of_text(fault_text());

    assert_false(one->answered);
    one->answered = true;
    one->answer = rc;
    memcpy(one->reason, text.at, text.len < 100 ? text.len + 1 : 0);
    one->durable_when_answered = is_there(one->store, one->number);
}

static struct insert inserting(struct world *w, uint64_t number, enum rc fate)
{
    return (struct insert){ .job = { .change = insert, .done = note },
                            .store = w->store,
                            .number = number,
                            .rows = 2,
                            .fate = fate };
}

static void a_failure_is_undone_alone(void **state)
{
    struct world *w = *state;
    struct insert jobs[WAITING];
    uint64_t good = 0;

    for (unsigned i = 0; i < WAITING; i++) {
        jobs[i] = inserting(w, i, i % 3 == 1 ? RC_DENIED : RC_OK);
        assert_int_equal(store_queue_add(w->queue, &jobs[i].job), RC_OK);
        assert_false(is_there(w->store, i));
    }
    assert_int_equal(store_queue_commit(w->queue), RC_OK);
    for (unsigned i = 0; i < WAITING; i++) {
        bool fine = i % 3 != 1;
        good += fine;
        assert_true(jobs[i].answered);
        assert_int_equal(jobs[i].answer, fine ? RC_OK : RC_DENIED);
        assert_int_equal(jobs[i].durable_when_answered, fine);
        assert_int_equal(is_there(w->store, i), fine);
    }
    assert_string_equal(jobs[1].reason, "job 1 fails");
    assert_string_equal(jobs[19].reason, "job 19 fails");
    assert_int_equal(store_revision(w->store), good);
    assert_int_equal(store_sequence(w->store), good);
}

static void jobs_see_what_those_before_them_did(void **state)
{
    struct world *w = *state;
    struct insert first = inserting(w, 5, RC_OK), second = inserting(w, 5, RC_OK);

    assert_int_equal(store_queue_add(w->queue, &first.job), RC_OK);
    assert_int_equal(store_queue_add(w->queue, &second.job), RC_OK);
    assert_int_equal(store_queue_commit(w->queue), RC_OK);
    assert_int_equal(first.answer, RC_OK);
    assert_int_equal(second.answer, RC_EXISTS);
    assert_true(second.durable_when_answered);
}

static void too_many_are_not_taken(void **state)
{
    struct world *w = *state;
    struct insert jobs[WAITING + 1];

    for (unsigned i = 0; i <= WAITING; i++) {
        jobs[i] = inserting(w, i, RC_OK);
        assert_int_equal(store_queue_add(w->queue, &jobs[i].job),
                         i < WAITING ? RC_OK : RC_LIMIT);
    }
    assert_int_equal(store_queue_waiting(w->queue), WAITING);
    assert_int_equal(store_queue_commit(w->queue), RC_OK);
    assert_false(jobs[WAITING].answered);
    assert_int_equal(store_queue_waiting(w->queue), 0);
}

static void a_job_too_large_for_the_map_takes_no_neighbour_down(void **state)
{
    struct world *w = *state;
    struct insert jobs[5];

    for (unsigned i = 0; i < 5; i++) {
        jobs[i] = inserting(w, i, RC_OK);
        jobs[i].rows = i == 2 ? 60000 : 3000;
        assert_int_equal(store_queue_add(w->queue, &jobs[i].job), RC_OK);
    }
    assert_int_equal(store_queue_commit(w->queue), RC_OK);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(jobs[i].answered);
        assert_int_equal(jobs[i].answer, i == 2 ? RC_LIMIT : RC_OK);
        assert_int_equal(is_there(w->store, i), i != 2);
    }
    assert_int_equal(store_sequence(w->store), 4);
}

struct chain {
    struct insert insert;
    struct store_queue *queue;
    struct insert *then;
};

static void note_and_queue_another(struct store_job *job, enum rc rc)
{
    struct chain *chain = (struct chain *)job;

    note(job, rc);
    assert_int_equal(store_queue_add(chain->queue, &chain->then->job), RC_OK);
}

static void what_an_answer_queues_is_committed_too(void **state)
{
    struct world *w = *state;
    struct insert then = inserting(w, 2, RC_OK);
    struct chain chain = { inserting(w, 1, RC_OK), w->queue, &then };

    chain.insert.job.done = note_and_queue_another;
    assert_int_equal(store_queue_add(w->queue, &chain.insert.job), RC_OK);
    assert_int_equal(store_queue_commit(w->queue), RC_OK);
    assert_true(then.answered && then.durable_when_answered);
}

static void jobs_left_at_the_end_hear_that_it_closed(void **state)
{
    struct world *w = *state;
    struct insert one = inserting(w, 1, RC_OK);

    assert_int_equal(store_queue_add(w->queue, &one.job), RC_OK);
    store_queue_free(w->queue);
    w->queue = NULL;
    assert_int_equal(one.answer, RC_CLOSED);
    assert_false(is_there(w->store, 1));
}

struct tick {
    struct loop_timer timer;
    struct store_queue *queue;
    struct insert *one;
};

static enum rc tick(struct loop_timer *timer)
{
    struct tick *tick_of = (struct tick *)timer;

    TRY(store_queue_add(tick_of->queue, &tick_of->one->job));
    assert_false(tick_of->one->answered);
    return RC_OK;
}

static void the_turn_of_a_loop_commits(void **state)
{
    struct world *w = *state;
    AUTO_OF(loop) *loop = NULL;
    struct insert one = inserting(w, 1, RC_OK);
    struct tick due = { { .due = tick }, w->queue, &one };

    assert_int_equal(loop_new(&w->clock, &loop), RC_OK);
    loop_add_turn(loop, store_queue_turn(w->queue));
    assert_int_equal(loop_arm(loop, &due.timer, 0), RC_OK);
    assert_int_equal(loop_turn_once(loop, 10), RC_OK);
    assert_true(one.answered && one.durable_when_answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failure_is_undone_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jobs_see_what_those_before_them_did, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_are_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_too_large_for_the_map_takes_no_neighbour_down,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_answer_queues_is_committed_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(jobs_left_at_the_end_hear_that_it_closed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_turn_of_a_loop_commits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
