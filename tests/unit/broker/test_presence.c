/* threaded */
#include "tests/unit/broker/door_world.h"

/* What a door says of itself in the audit log. */

static void await_record(struct world *w, enum audit_action action, unsigned count)
{
    for (int i = 0; i < 1500 && w->records[action] < count; i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_int_equal(w->records[action], count);
}

static void it_says_that_it_serves_and_that_the_clock_stepped(void **state)
{
    struct world *w = *state;

    await_record(w, AUDIT_PROCESS_START, 1);
    assert_int_equal(w->records[AUDIT_PROCESS_STOP], 0);
    assert_int_equal(w->records[AUDIT_CLOCK_STEP], 0);
    atomic_store(&w->stepped_ms, -3600 * 1000);
    await_record(w, AUDIT_CLOCK_STEP, 1);
    atomic_store(&w->stepped_ms, 0);
    await_record(w, AUDIT_CLOCK_STEP, 2);
    atomic_store(&w->stepped_ms, -40); /* less than a second is told of, too, if it is back */
    await_record(w, AUDIT_CLOCK_STEP, 3);
}

static void fill_spool(struct world *w)
{
    const struct audit_record record = { .action = AUDIT_SESSION_CLOSE,
                                         .decision = AUDIT_ALLOWED,
                                         .reason = BYTES("fills the spool") };

    while (audit_spool_add(w->spool, &record) == RC_OK)
        assert_int_equal(audit_spool_commit(w->spool), RC_OK);
}

/* By the rule of process.start: it does not serve; and its spool is handed on all the same. */
static void it_does_not_listen_before_that_is_durable(void **state)
{
    struct world *w = make_world();

    *state = w;
    w->spool_most = 256 * 1024;
    w->holds = true;
    open_disk(w);
    fill_spool(w);
    open_door(w);
    for (int i = 0; i < 500 && !(w->watching && w->held.kind != NULL); i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_true(w->watching && w->held.kind != NULL);
    for (int i = 0; i < 20; i++) /* what else it waits for is there */
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_false(w->listens);
    w->holds = false;
    answer(&w->held, &(struct registry_answer){ .sequence = 0 });
    await_listening(w);
    await_record(w, AUDIT_PROCESS_START, 1);
    assert_true(w->records[AUDIT_SESSION_CLOSE] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_that_it_serves_and_that_the_clock_stepped,
                                        prepare, clean),
        cmocka_unit_test_teardown(it_does_not_listen_before_that_is_durable, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
