/*
 * reach, who, check and derive against an interpreter that goes through all requests of a small
 * world: so an answer is right if and only if it is right for each.
 *
 * test_policy_analysis [SEED] looks elsewhere; TOUCHMARK_POLICIES=N (./dev policies), at N
 * times as many policies, with topics of four levels.
 */
#include "tests/support/check.h"
#include "tests/support/policy_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static unsigned rounds = 40;

/* ---- reach ---- */

/* 0: not in an area, 1: in one on condition, 2: in one that is sure. */
static unsigned reached(const struct policy_reach *reach, enum policy_action action,
                        struct bytes topic)
{
    unsigned how = 0;

    for (size_t i = 0; i < reach->count; i++) {
        const struct policy_reach_entry *entry = &reach->at[i];
        if (!(entry->actions & 1U << action) || !world_holds(&entry->area, action, topic))
            continue;
        unsigned here = entry->sure ? 2 : 1;
        assert_true(how == 0 || how == here); /* a topic is told in one sense */
        assert_true(entry->rule_count > 0);
        how = here;
    }
    return how;
}

static void reach_is_right(const struct world_policy *made, const struct policy_facts *device,
                           const struct policy_reach *reach, enum policy_action action,
                           struct bytes topic)
{
    unsigned how = reached(reach, action, topic);

    for (unsigned which = 0; which < WORLD_REQUESTS; which++) {
        struct policy_decision decision = world_decide(made, device, action, topic, which);
        if (how == 1 || decision.allowed == (how == 2))
            continue;
        AUTO_BUF(text, 64 * 1024);
        policy_reach_write(reach, &text);
        fail_msg("%.*s %s %.*s: %s\n%s\n%.*s", BYTES_FMT(device->device_id),
                 policy_action_name(action), BYTES_FMT(topic),
                 decision.allowed ? "allowed" : "denied", made->text,
                 BYTES_FMT(buf_bytes(&text)));
    }
}

static void reach_tells_what_each_device_may_do(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct world_policy made = { 0 };
        struct policy_reach reach;
        const struct policy_facts *device = &WORLD_PICK(world_devices);
        world_make(&made, round % 2 == 1);
        assert_int_equal(policy_reach(made.policy, device, &reach), RC_OK);
        for (size_t a = 0; a < WORLD_ACTIONS; a++)
            for (size_t t = 0; t < world_topics_for(device)->count; t += 1 + world_roll(3))
                reach_is_right(&made, device, &reach, world_actions[a],
                               bytes_of_text(world_topics_for(device)->text[t]));
        policy_reach_clear(&reach);
        world_clear(&made);
    }
}

static const struct doubt_row {
    const char *policy, *told;
} DOUBTS[] = {
    { "allow device publish \"$x/#\"\ndeny device publish \"${line.id}/#\"\n",
      "publish \"$x/#\" (line 1)\n" },
    { "allow device publish \"$x/#\"\ndeny device publish \"$${line.id}/#\"\n",
      "publish \"$x/#\" unless \"$${line.id}/#\" is meant (line 1)\n" },
    { "allow device publish \"$${line.id}/a\"\n",
      "publish \"$+/a\" if \"$${line.id}/a\" is meant (line 1)\n" },
};

static void reach_tells_what_rests_on_a_dollar_topic(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof DOUBTS / sizeof *DOUBTS; i++) {
        struct policy_errors errors = { 0 };
        struct policy_reach reach;
        AUTO_OF(policy) *policy = NULL;
        AUTO_BUF(text, 4096);
        const char *told = NULL;
        assert_int_equal(policy_compile(bytes_of_text(DOUBTS[i].policy), 7, &errors, &policy),
                         RC_OK);
        assert_int_equal(policy_reach(policy, &world_devices[0], &reach), RC_OK);
        policy_reach_write(&reach, &text);
        assert_int_equal(buf_text(&text, &told), RC_OK);
        assert_string_equal(told, DOUBTS[i].told);
        policy_reach_clear(&reach);
    }
}

/* ---- who ---- */

/* 0: not told, 1: told on condition, 2: told as sure. */
static enum rc tell(void *with, const struct policy_who_entry *entry)
{
    *(unsigned *)with = entry->sure ? 2 : 1;
    assert_true(entry->rule_count > 0);
    return RC_OK;
}

static enum rc each_one(void *with,
                        enum rc (*visit)(void *visitor, const struct policy_facts *device),
                        void *visitor)
{
    return visit(visitor, with);
}

static void who_is_right(const struct world_policy *made, enum policy_action action,
                         struct bytes resource)
{
    for (size_t i = 0; i < WORLD_DEVICES; i++) {
        const struct policy_fleet fleet = { each_one, &world_devices[i] };
        unsigned how = 0;
        assert_int_equal(policy_who(made->policy, action, resource, &fleet, tell, &how), RC_OK);
        for (unsigned which = 0; which < WORLD_REQUESTS; which++) {
            bool allowed =
                world_decide(made, &world_devices[i], action, resource, which).allowed;
            if (how != 1 && allowed != (how == 2))
                fail_msg("%.*s (%zu) %s %.*s: %s\n%s", BYTES_FMT(world_devices[i].device_id), i,
                         policy_action_name(action), BYTES_FMT(resource),
                         allowed ? "allowed" : "denied", made->text);
        }
    }
}

static void who_tells_each_device_that_may(void **state)
{
    static const char *const FILTERS[] = { "#",    "+",     "a/#", "a/+",  "+/a", "$s/#",
                                           "+/+",  "+/+/#", "b",   "aa/b", "+/#", "/+",
                                           "a//#", "/#",    "a/",  "+//+" };
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct world_policy made = { 0 };
        world_make(&made, round % 2 == 1);
        for (size_t a = 0; a < WORLD_ACTIONS; a++)
            who_is_right(&made, world_actions[a], world_topic_for(&WORLD_PICK(world_devices)));
        who_is_right(&made, POLICY_SUBSCRIBE, bytes_of_text(WORLD_PICK(FILTERS)));
        world_clear(&made);
    }
}

/* ---- check ---- */

/* The policy without those of its lines that are in the set. */
static struct policy *without(const struct world_policy *made, uint64_t lines)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    AUTO_BUF(text, WORLD_TEXT_MAX);
    unsigned number = 0;

    for (const char *line = made->text; *line != '\0';) {
        size_t len = strcspn(line, "\n") + 1;
        if (!(lines >> ++number & 1))
            buf_add(&text, (struct bytes){ (const uint8_t *)line, len });
        line += len;
    }
    assert_int_equal(policy_compile(buf_bytes(&text), 7, &errors, &policy), RC_OK);
    return policy;
}

/* Of who is no device, ${device.id} is not known, and so a condition: what rests on one may
 * differ for all that the difference knows. So many entries are sure, or about devices. */
static void count_changes(const struct policy *a, const struct policy *b, size_t *all,
                          size_t *sure)
{
    struct policy_diff diff;

    assert_int_equal(policy_diff(a, b, NULL, &diff), RC_OK);
    *all = diff.count;
    *sure = 0;
    for (size_t i = 0; i < diff.count; i++)
        *sure += diff.at[i].asker == POLICY_BY_DEVICE || diff.at[i].after.len == 0;
    policy_diff_clear(&diff);
}

/* What was told can go, all of it at once; what was not told is needed, each line. */
static void check_is_right(const struct world_policy *made, bool conditions)
{
    struct policy_findings findings;
    uint64_t told = 0;
    size_t all = 0, sure = 0;

    assert_int_equal(policy_check(made->policy, NULL, &findings), RC_OK);
    for (size_t i = 0; i < findings.count; i++)
        if (findings.at[i].concern == POLICY_SHADOWED || findings.at[i].concern == POLICY_NEVER)
            told |= UINT64_C(1) << findings.at[i].where.line;
    policy_findings_clear(&findings);
    AUTO_OF(policy) *rest = without(made, told);
    count_changes(made->policy, rest, &all, &sure);
    if (sure > 0)
        fail_msg("is not the same without %" PRIx64 ":\n%s", told, made->text);
    for (size_t i = 0; !conditions && i < made->rules.count; i++) {
        uint64_t line = UINT64_C(1) << made->rules.at[i].at.line;
        AUTO_OF(policy) *less = without(made, told | line);
        count_changes(rest, less, &all, &sure);
        if (!(told & line) && made->rules.at[i].effect == POLICY_ALLOW && all == 0)
            fail_msg("line %u is not told:\n%s", made->rules.at[i].at.line, made->text);
    }
}

static void check_tells_the_rules_that_do_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct world_policy made = { 0 };
        world_make(&made, round % 2 == 1);
        check_is_right(&made, round % 2 == 1);
        world_clear(&made);
    }
}

/* ---- derive ---- */

static void derivation_is_right(const struct world_policy *made,
                                const struct policy_facts *device, enum policy_action action,
                                struct bytes topic, unsigned which)
{
    const struct policy_request request = world_request(action, topic, which);
    struct policy_decision decision = world_decide(made, device, action, topic, which);
    struct policy_session session;
    struct policy_derivation derivation;
    bool allows = false, denies = false, decides = false;

    assert_int_equal(policy_bind(made->policy, device, &session), RC_OK);
    assert_int_equal(policy_derive(&session, &request, &derivation), RC_OK);
    for (size_t i = 0; i < derivation.count; i++) {
        const struct policy_derived_rule *rule = &derivation.at[i];
        allows = allows || (rule->applies && rule->allows);
        denies = denies || (rule->applies && !rule->allows);
        decides = decides || rule->decides;
        assert_true(!rule->decides || rule->where.rule == decision.rule);
    }
    assert_int_equal(decision.allowed, derivation.decision.allowed);
    assert_int_equal(decision.by_rule, decides);
    assert_int_equal(decision.allowed, allows && !denies);
    policy_derivation_clear(&derivation);
}

static void derive_tells_the_rules_that_apply(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct world_policy made = { 0 };
        world_make(&made, true);
        for (unsigned i = 0; i < 50; i++) {
            const struct policy_facts *device = &WORLD_PICK(world_devices);
            derivation_is_right(&made, device, WORLD_PICK(world_actions),
                                world_topic_for(device), world_roll(4));
        }
        world_clear(&made);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(reach_tells_what_each_device_may_do),
        cmocka_unit_test(reach_tells_what_rests_on_a_dollar_topic),
        cmocka_unit_test(who_tells_each_device_that_may),
        cmocka_unit_test(check_tells_the_rules_that_do_nothing),
        cmocka_unit_test(derive_tells_the_rules_that_apply),
    };

    world_seed(argc > 1 ? strtoull(argv[1], NULL, 10) : 20261127);
    rounds *= world_times();
    return cmocka_run_group_tests(TESTS, world_set_up, world_tell_all);
}
