#include "tests/support/check.h"

#include <pthread.h>

#include "base/buf.h"
#include "broker/limit.h"

static struct policy_decision limited(uint32_t rate, int64_t rate_ms, uint32_t burst,
                                      uint32_t rule)
{
    return (struct policy_decision){
        .allowed = true,
        .obligations = { .rate = rate, .rate_ms = rate_ms, .burst = burst },
        .limit_rule = rule
    };
}

/* The clocks of one device. */
static struct broker_limit *hold(struct broker_limits *limits, const char *id, int64_t now_ms)
{
    struct broker_limit *limit = NULL;

    assert_int_equal(broker_limits_hold(limits, bytes_of_text(id), now_ms, &limit), RC_OK);
    return limit;
}

static int set_up(void **state)
{
    struct broker_limits *limits = NULL;

    assert_int_equal(broker_limits_new(&limits), RC_OK);
    *state = limits;
    return 0;
}

static int tear_down(void **state)
{
    broker_limits_free(*state);
    return 0;
}

static unsigned take_all(struct broker_limit *limit, const struct policy_decision *decided,
                         int64_t now_ms)
{
    unsigned taken = 0;

    while (taken < 1000 && broker_limit_take(limit, decided, now_ms))
        taken++;
    return taken;
}

static void lets_a_burst_through_and_then_the_rate(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision decided = limited(10, 1000, 5, 3);

    assert_int_equal(take_all(limit, &decided, 50000), 5);
    assert_int_equal(take_all(limit, &decided, 50099), 0);
    assert_int_equal(take_all(limit, &decided, 50100), 1);
    assert_int_equal(take_all(limit, &decided, 50350), 2);
    assert_int_equal(take_all(limit, &decided, 50400), 1);
    assert_int_equal(take_all(limit, &decided, 90000), 5);
    broker_limits_release(*state, limit);
}

static void takes_no_more_than_the_rate_over_time(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision decided = limited(7, 60000, 3, 0);
    unsigned taken = 0;

    for (int64_t now = 1; now <= 600000; now += 10)
        taken += broker_limit_take(limit, &decided, now);
    assert_in_range(taken, 70, 70 + 3);
    broker_limits_release(*state, limit);
}

static void counts_each_rule_for_itself_as_far_as_there_are_clocks(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);

    for (uint32_t rule = 0; rule < BROKER_LIMIT_CLOCKS; rule++) {
        struct policy_decision decided = limited(1, 3600000, 2, rule);
        assert_int_equal(take_all(limit, &decided, 1000), 2);
    }
    struct policy_decision shared = limited(1, 3600000, 2, BROKER_LIMIT_CLOCKS);
    assert_int_equal(take_all(limit, &shared, 1000), 0); /* stricter, never laxer */
    broker_limits_release(*state, limit);
}

static void bears_the_largest_numbers(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision often = limited(UINT32_MAX, 1000, UINT32_MAX, 0);
    struct policy_decision rare = limited(1, 3600000, UINT32_MAX, 1);
    struct policy_decision none = { .allowed = true };

    assert_int_equal(take_all(limit, &often, INT32_MAX), 1000);
    assert_int_equal(take_all(limit, &rare, INT32_MAX), 1000);
    assert_int_equal(take_all(limit, &none, INT32_MAX), 1000);
    broker_limits_release(*state, limit);
}

static void who_comes_back_finds_his_clocks_as_they_were(void **state)
{
    struct broker_limits *limits = *state;
    struct policy_decision decided = limited(1, 60000, 3, 5);
    struct broker_limit *first = hold(limits, "d", 1000), *other = hold(limits, "e", 1000);

    assert_int_equal(take_all(first, &decided, 1000), 3);
    struct broker_limit *second = hold(limits, "d", 1000); /* takes over, and shares them */
    assert_int_equal(take_all(second, &decided, 1000), 0);
    broker_limits_release(limits, first);
    broker_limits_release(limits, second);
    second = hold(limits, "d", 61000);
    assert_int_equal(take_all(second, &decided, 61000), 1);
    assert_int_equal(take_all(other, &decided, 61000), 3); /* nobody else's */
    broker_limits_release(limits, second);
    broker_limits_release(limits, other);
}

/* Some, by those who come meanwhile. */
static void what_is_over_is_forgotten(void **state)
{
    enum { DEVICES = 500, SWEEPS = 5000 };
    struct broker_limits *limits = *state;
    struct policy_decision decided = limited(1, 60000, 2, 0);

    for (unsigned i = 0; i < DEVICES; i++) {
        AUTO_BUF(id, 16);
        const char *text = NULL;
        buf_addf(&id, "d%u", i);
        assert_int_equal(buf_text(&id, &text), RC_OK);
        struct broker_limit *limit = hold(limits, text, 1000);
        assert_true(broker_limit_take(limit, &decided, 1000));
        broker_limits_release(limits, limit);
    }
    struct broker_limit *stays = hold(limits, "stays", 1000);
    for (unsigned i = 0; i < SWEEPS; i++)
        broker_limits_release(limits, hold(limits, "x", 60999));
    assert_int_equal(broker_limits_count(limits), DEVICES + 2);
    for (unsigned i = 0; i < SWEEPS; i++)
        broker_limits_release(limits, hold(limits, "x", 61000));
    assert_in_range(broker_limits_count(limits), 1, 2); /* what is held, perhaps x */
    assert_true(broker_limit_take(stays, &decided, 61000));
    broker_limits_release(limits, stays);
}

enum { THREADS = 4, TRIES = 20000, BURST = 5000 };
struct taker {
    pthread_t thread;
    struct broker_limit *limit;
    unsigned taken;
};

static void *take_many(void *with)
{
    struct taker *taker = with;
    struct policy_decision decided = limited(1, 3600000, BURST, 0);

    for (unsigned i = 0; i < TRIES; i++)
        taker->taken += broker_limit_take(taker->limit, &decided, 1000);
    return NULL;
}

static void many_threads_take_no_more_than_one(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1000);
    struct taker takers[THREADS] = { 0 };
    unsigned taken = 0;

    for (size_t i = 0; i < THREADS; i++) {
        takers[i].limit = limit;
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
        taken += takers[i].taken;
    }
    assert_int_equal(taken, BURST);
    broker_limits_release(*state, limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lets_a_burst_through_and_then_the_rate, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(takes_no_more_than_the_rate_over_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(counts_each_rule_for_itself_as_far_as_there_are_clocks,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(bears_the_largest_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_comes_back_finds_his_clocks_as_they_were, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_over_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_threads_take_no_more_than_one, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
