#include "tests/support/check.h"

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
    struct broker_limit limit = { 0 };
    struct policy_decision decided = limited(10, 1000, 5, 3);

    (void)state;
    assert_int_equal(take_all(&limit, &decided, 50000), 5);
    assert_int_equal(take_all(&limit, &decided, 50099), 0);
    assert_int_equal(take_all(&limit, &decided, 50100), 1);
    assert_int_equal(take_all(&limit, &decided, 50350), 2);
    assert_int_equal(take_all(&limit, &decided, 50400), 1);
    assert_int_equal(take_all(&limit, &decided, 90000), 5);
}

static void takes_no_more_than_the_rate_over_time(void **state)
{
    struct broker_limit limit = { 0 };
    struct policy_decision decided = limited(7, 60000, 3, 0);
    unsigned taken = 0;

    (void)state;
    for (int64_t now = 1; now <= 600000; now += 10)
        taken += broker_limit_take(&limit, &decided, now);
    assert_in_range(taken, 70, 70 + 3);
}

static void counts_each_rule_for_itself_as_far_as_there_are_clocks(void **state)
{
    struct broker_limit limit = { 0 };

    (void)state;
    for (uint32_t rule = 0; rule < BROKER_LIMIT_CLOCKS; rule++) {
        struct policy_decision decided = limited(1, 3600000, 2, rule);
        assert_int_equal(take_all(&limit, &decided, 1000), 2);
    }
    struct policy_decision shared = limited(1, 3600000, 2, BROKER_LIMIT_CLOCKS);
    assert_int_equal(take_all(&limit, &shared, 1000), 0); /* stricter, never laxer */
}

static void bears_the_largest_numbers(void **state)
{
    struct broker_limit limit = { 0 };
    struct policy_decision often = limited(UINT32_MAX, 1000, UINT32_MAX, 0);
    struct policy_decision rare = limited(1, 3600000, UINT32_MAX, 1);
    struct policy_decision none = { .allowed = true };

    (void)state;
    assert_int_equal(take_all(&limit, &often, INT32_MAX), 1000);
    assert_int_equal(take_all(&limit, &rare, INT32_MAX), 1000);
    assert_int_equal(take_all(&limit, &none, INT32_MAX), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_a_burst_through_and_then_the_rate),
        cmocka_unit_test(takes_no_more_than_the_rate_over_time),
        cmocka_unit_test(counts_each_rule_for_itself_as_far_as_there_are_clocks),
        cmocka_unit_test(bears_the_largest_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
