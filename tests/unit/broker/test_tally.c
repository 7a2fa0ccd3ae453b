/* What a session did, counted by topic, and beyond a few topics by rule: against a naive count.
 */
#include "tests/support/check.h"

#include "broker/tally.h"

#include <stdlib.h>

/* Slots are numbers here: the tally only hands them out again. */
struct told {
    enum audit_action action;
    uint32_t rule;
    uint64_t topic;
};

static struct audit_slot *slot_of(size_t number)
{
    static char places[256];

    return (struct audit_slot *)(void *)&places[number];
}

static struct audit_record act_of(enum audit_action action, uint32_t rule)
{
    return (struct audit_record){ .action = action, .rule = rule, .policy_version = 7 };
}

static struct audit_slot *count(struct tally *tally, const struct audit_record *act,
                                uint64_t topic, size_t next)
{
    struct audit_slot *slot = broker_tally_find(tally, act, &topic);

    if (slot != NULL)
        return slot;
    if (broker_tally_is_full(tally))
        broker_tally_clear(tally);
    assert_int_equal(broker_tally_begin(tally, act, topic, slot_of(next)), RC_OK);
    return slot_of(next);
}

static void a_few_topics_have_a_window_each_and_the_others_one(void **state)
{
    const struct audit_record publish = act_of(AUDIT_PUBLISH, 3);
    const struct audit_record receive = act_of(AUDIT_RECEIVE, 4);
    struct tally tally = { 0 };

    (void)state;
    for (unsigned round = 0; round < 3; round++)
        for (uint64_t topic = 1; topic <= 20; topic++) {
            size_t window = topic <= TALLY_TOPICS ? topic : TALLY_TOPICS + 1;
            assert_ptr_equal(count(&tally, &publish, topic, window), slot_of(window));
        }
    assert_int_equal(tally.used, TALLY_TOPICS + 1);
    /* Another action has windows of its own, whatever that one has used. */
    for (uint64_t topic = 1; topic <= 20; topic++) {
        size_t window = 100 + (topic <= TALLY_TOPICS ? topic : TALLY_TOPICS + 1);
        assert_ptr_equal(count(&tally, &receive, topic, window), slot_of(window));
    }
    assert_int_equal(tally.used, 2 * (TALLY_TOPICS + 1));
    broker_tally_clear(&tally);
}

static void another_rule_or_policy_is_another_window(void **state)
{
    struct audit_record act = act_of(AUDIT_PUBLISH, 3);
    struct tally tally = { 0 };

    (void)state;
    assert_ptr_equal(count(&tally, &act, 1, 1), slot_of(1));
    act.rule = 4;
    assert_ptr_equal(count(&tally, &act, 1, 2), slot_of(2));
    act.policy_version = 8;
    assert_ptr_equal(count(&tally, &act, 1, 3), slot_of(3));
    act.decision = AUDIT_FAILED;
    assert_ptr_equal(count(&tally, &act, 1, 4), slot_of(4));
    act = act_of(AUDIT_PUBLISH, 3);
    assert_ptr_equal(count(&tally, &act, 1, 5), slot_of(1));
    broker_tally_clear(&tally);
}

/* Whatever comes: an act is counted where action and rule are its own, and its topic, or none.
 */
static void no_act_is_counted_under_another(void **state)
{
    static const enum audit_action ACTIONS[] = { AUDIT_PUBLISH, AUDIT_SUBSCRIBE, AUDIT_RECEIVE,
                                                 AUDIT_RETAIN, AUDIT_WILL };
    struct told told[256] = { 0 };
    struct tally tally = { 0 };
    uint64_t dice = 9;
    size_t most = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        const struct audit_record act =
            act_of(ACTIONS[(dice >> 33) % 5], 1 + (uint32_t)(dice >> 37) % 3);
        uint64_t topic = 1 + (dice >> 41) % 12;
        const struct audit_slot *slot = broker_tally_find(&tally, &act, &topic);
        if (slot == NULL && broker_tally_is_full(&tally))
            broker_tally_clear(&tally);
        if (slot == NULL) {
            told[tally.used] = (struct told){ act.action, act.rule, topic };
            assert_int_equal(broker_tally_begin(&tally, &act, topic, slot_of(tally.used)),
                             RC_OK);
            continue;
        }
        const struct told *one = &told[(const char *)slot - (const char *)slot_of(0)];
        assert_int_equal(one->action, act.action);
        assert_int_equal(one->rule, act.rule);
        assert_true(one->topic == topic);
        size_t topics = 0;
        for (size_t j = 0; j < tally.used; j++)
            topics += told[j].topic != 0;
        most = topics > most ? topics : most;
    }
    assert_int_equal(most, TALLY_TOPICS_ALL);
    broker_tally_clear(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_topics_have_a_window_each_and_the_others_one),
        cmocka_unit_test(another_rule_or_policy_is_another_window),
        cmocka_unit_test(no_act_is_counted_under_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
