#include "tests/support/check.h"

#include <pthread.h>

#include "base/buf.h"
#include "broker/limit.h"

static struct policy_decision limited(uint32_t rate, int64_t rate_ms, uint32_t burst,
                                      uint64_t key)
{
    return (struct policy_decision){
        .allowed = true,
        .obligations = { .rate = rate, .rate_ms = rate_ms, .burst = burst },
        .limit_key = key
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
    struct policy_decision decided = limited(7, 60000, 3, 1);
    unsigned taken = 0;

    for (int64_t now = 1; now <= 600000; now += 10)
        taken += broker_limit_take(limit, &decided, now);
    assert_in_range(taken, 70, 70 + 3);
    broker_limits_release(*state, limit);
}

/* Keys that fall together in any table. */
static void counts_each_limit_for_itself(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);

    for (unsigned turn = 0; turn < 2; turn++)
        for (uint64_t key = 1; key <= BROKER_LIMIT_CLOCKS; key++) {
            struct policy_decision decided = limited(1, 3600000, 2, key << 32 | 5);
            assert_int_equal(take_all(limit, &decided, 1000), turn == 0 ? 2 : 0);
        }
    broker_limits_release(*state, limit);
}

/* The 3rd is over soonest, and nobody waits for another. */
static void of_too_many_the_one_that_is_over_soonest_gives_way(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision third = limited(1, 3600000, 1, 3);

    for (uint64_t key = 1; key <= BROKER_LIMIT_CLOCKS + 1; key++) {
        struct policy_decision decided = limited(1, 3600000, key == 3 ? 1 : 2, key);
        assert_int_equal(take_all(limit, &decided, 1000), key == 3 ? 1 : 2);
    }
    for (uint64_t key = 1; key <= BROKER_LIMIT_CLOCKS + 1; key++) {
        struct policy_decision decided = limited(1, 3600000, 2, key);
        assert_true(key == 3 || !broker_limit_take(limit, &decided, 1000));
    }
    assert_true(broker_limit_take(limit, &third, 1000));
    broker_limits_release(*state, limit);
}

static void those_that_are_over_make_way_first(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision stays = limited(1, 3600000, 1, UINT64_MAX);

    assert_true(broker_limit_take(limit, &stays, 1000));
    for (uint64_t key = 1; key <= 5000; key++) {
        struct policy_decision decided = limited(1, 1000, 1, key);
        assert_true(broker_limit_take(limit, &decided, 1000 + (int64_t)key * 2));
        assert_false(broker_limit_take(limit, &decided, 1000 + (int64_t)key * 2));
    }
    assert_false(broker_limit_take(limit, &stays, 12000));
    broker_limits_release(*state, limit);
}

static void bears_the_largest_numbers(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    struct policy_decision often = limited(UINT32_MAX, 1000, UINT32_MAX, UINT64_MAX);
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
    struct policy_decision decided = limited(1, 60000, 2, 1);

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

/* ---- From version to version ---- */

enum { LINES = 14, LINE_MAX = 100, ASKED = 7, SWITCHES = 300, ACTS = 20 };
static const char LINES_OF[LINES][LINE_MAX] = {
    "allow device publish \"a\" limit 1/h\n",
    "allow device publish \"a\", \"b\" limit 2/h\n",
    "allow device publish \"b\" limit 20/m burst 3\n",
    "allow device publish \"b\" limit 20/m burst 2\n",
    "allow device publish, retain \"b\" limit 20/m burst 2\n",
    "allow device publish \"c/+\" limit 3/m\n",
    "allow device publish \"c/#\" limit 3/m burst 4\n",
    "allow device publish \"${device.id}\" limit 5/h\n",
    "allow device publish \"d\" when message.qos is not known limit 6/h\n",
    "allow device publish \"d\" when message.size is not known limit 6/h\n",
    "allow device publish \"d\" when device.id in { \"d\", \"e\" } limit 6/h\n",
    "allow device publish \"#\"\n",
    "deny device publish \"c/x\"\n",
    "allow operator publish \"a\" limit 1/h\n",
};
static const char *const ASKED_FOR[ASKED] = { "a", "b", "c", "c/x", "c/y", "d", "e" };

static unsigned roll(unsigned sides)
{
    static uint64_t dice = 20261128;

    dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (unsigned)(dice >> 33) % sides;
}

/* Some of the lines in some order; which: by number of the rule. */
static struct policy *make_version(unsigned *which)
{
    AUTO_BUF(text, 4096);
    struct policy_errors errors;
    struct policy *made = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < LINES; i++)
        which[i] = i;
    for (unsigned i = 0; i < LINES; i++) {
        unsigned other = i + roll(LINES - i), line = which[other];
        which[other] = which[i];
        if (roll(4) == 0)
            continue;
        which[i] = which[count];
        which[count++] = line;
        buf_addf(&text, "%s", LINES_OF[line]);
    }
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &made), RC_OK);
    return made;
}

/* A clock for each line, as docs/policy-language.md says it. */
static bool may_still(int64_t *ahead_us, const struct policy_obligations *o, int64_t now_us)
{
    int64_t interval_us = o->rate_ms * 1000 / o->rate;
    int64_t from_us = *ahead_us > now_us ? *ahead_us : now_us;

    if (from_us - now_us > (o->burst - 1) * interval_us)
        return false;
    *ahead_us = from_us + interval_us;
    return true;
}

static void counts_by_rule_over_any_switch(void **state)
{
    struct broker_limit *limit = hold(*state, "d", 1);
    const struct policy_facts facts = { .device_id = BYTES("d") };
    int64_t ahead_us[LINES] = { 0 }, now_ms = 1;
    unsigned refused = 0;

    for (unsigned version = 0; version < SWITCHES; version++) {
        unsigned which[LINES];
        struct policy_session session;
        AUTO_OF(policy) *policy = make_version(which);
        assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
        for (unsigned i = 0; i < ACTS; i++, now_ms += roll(20000)) {
            struct policy_decision decided =
                policy_decide(&session, POLICY_PUBLISH, bytes_of_text(ASKED_FOR[roll(ASKED)]));
            if (!decided.allowed || decided.obligations.rate == 0)
                continue;
            bool may = may_still(&ahead_us[which[decided.limit_rule]], &decided.obligations,
                                 now_ms * 1000);
            assert_int_equal(broker_limit_take(limit, &decided, now_ms), may);
            refused += !may;
        }
    }
    assert_in_range(refused, SWITCHES, SWITCHES * ACTS / 2);
    broker_limits_release(*state, limit);
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
    struct policy_decision decided = limited(1, 3600000, BURST, 9);

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
        cmocka_unit_test_setup_teardown(counts_each_limit_for_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_too_many_the_one_that_is_over_soonest_gives_way,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_are_over_make_way_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_by_rule_over_any_switch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bears_the_largest_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_comes_back_finds_his_clocks_as_they_were, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_over_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_threads_take_no_more_than_one, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
