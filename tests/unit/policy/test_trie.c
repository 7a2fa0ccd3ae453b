#include "tests/support/check.h"

#include <string.h>

#include "policy/bound.h"

#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* One a line, so that what is told of a rule says which it was. Three words hash alike, in all
 * 64 bits, for who knows how. */
static const char *const RULES[] = {
    "allow device publish \"a/b\"",
    "allow device publish \"a/c/d/e\"",
    "allow device publish \"a/f/+\"",
    "allow device publish \"a/g/#\"",
    "allow device publish \"a/h/+/i/#\"",
    "allow device publish \"a/\"",
    "allow device publish \"a/j/\"",
    "allow device publish \"a/k//l\"",
    "allow device publish \"a/m/+/+\"",
    "deny device publish \"a/n\"",
    "allow device publish \"a/n\"",
    "allow device publish \"a/o/p\" limit 3/s",
    "allow device publish \"a/q\" when message.qos = 1",
    "allow device publish \"a/q\" when message.qos = 0",
    "allow device publish \"a/r\"",
    "allow device publish \"a/r/#\"",
    "allow device publish \"a/s/t\"",
    "allow device publish \"a/s/u\"",
    "allow device publish \"a/v/${device.id}\"",
    "allow device publish \"a/+/w\"",
    "deny device publish \"a/+/x\"",
    "allow device publish \"a/abcdefghABCDEFGH/y\"",
    "allow device publish \"a/UVqkZT1rUCRHUlbW/z\"",
    "allow device publish \"a/LVS1QlotFr64KCZd/+\"",
    "allow device publish \"a/" LONG "\"",
    "allow device publish \"a/" LONG TEN TEN "/\"",
    "allow device publish \"a/" LONG TEN TEN "/12\"",
    "allow device publish \"a/" LONG TEN TEN "3\"",
    "allow device publish \"a/1" LONG TEN "/+/" TEN "\"",
    "allow device publish \"$SYS/a\"",
    "allow device publish \"$SYS/b/#\"",
    "allow device publish \"$share\"",
    "allow device publish \"/b\"",
    "allow device publish \"/c/#\"",
    "allow device publish \"+/only/+\"",
    "deny device publish \"#\" when message.retain",
};

enum { RULE_COUNT = sizeof RULES / sizeof *RULES };

static const char *const TOPICS[] = {
    "a",
    "a/",
    "a//",
    "/",
    "/b",
    "/b/",
    "/c",
    "/c/",
    "/c/d/e",
    "b",
    "a/b",
    "a/b/",
    "a/b/w",
    "a/b/x",
    "a/c",
    "a/c/d",
    "a/c/d/e",
    "a/c/d/e/f",
    "a/c/w",
    "a/f",
    "a/f/",
    "a/f/w",
    "a/f/x",
    "a/f/w/w",
    "a/g",
    "a/g/",
    "a/g/x",
    "a/g/x/y/z",
    "a/h/1/i",
    "a/h/1/i/",
    "a/h/1/i/2/3",
    "a/h//i",
    "a/h/i",
    "a/j",
    "a/j/",
    "a/j//",
    "a/k//l",
    "a/k/l",
    "a/m//",
    "a/m/1/2",
    "a/m/1",
    "a/n",
    "a/o/p",
    "a/o/x",
    "a/q",
    "a/r",
    "a/r/",
    "a/s/t",
    "a/s/u",
    "a/s",
    "a/v/me",
    "a/v/you",
    "a/v/w",
    "a/abcdefghABCDEFGH/y",
    "a/UVqkZT1rUCRHUlbW/z",
    "a/LVS1QlotFr64KCZd/y",
    "a/abcdefghABCDEFGH/z",
    "a/UVqkZT1rUCRHUlbW/y",
    "a/LVS1QlotFr64KCZd",
    "a/abcdefghABCDEFGH/w",
    "a/UVqkZT1rUCRHUlbW/x",
    "a/" LONG,
    "a/" LONG TEN TEN "/",
    "a/" LONG TEN TEN "/12",
    "a/" LONG TEN TEN "/1",
    "a/" LONG TEN TEN "3",
    "a/" LONG TEN TEN "4",
    "a/1" LONG TEN "//" TEN,
    "a/1" LONG TEN "/2/" TEN,
    "$SYS",
    "$SYS/a",
    "$SYS/b",
    "$SYS/b/c/d",
    "$SYS/only/c",
    "$share",
    "$share/only/x",
    "a/only/b",
    "only/only/",
};

static struct bytes filter_of(const char *rule)
{
    const char *start = strchr(rule, '"') + 1;

    return (struct bytes){ (const uint8_t *)start, (size_t)(strchr(start, '"') - start) };
}

/* Of the device "me", with QoS 1, not retained. */
static bool applies(const char *rule, struct bytes topic)
{
    if (strstr(rule, "retain") != NULL || strstr(rule, "qos = 0") != NULL)
        return false;
    if (strstr(rule, "${device.id}") != NULL)
        return bytes_equal_text(topic, "a/v/me");
    return policy_topic_match(filter_of(rule), topic);
}

/* The line of the first denial, or else of the first rule that allows; 0: none. */
static unsigned expected(struct bytes topic)
{
    static const char *const FIRST[] = { "deny", "allow" };

    for (size_t effect = 0; effect < 2; effect++)
        for (unsigned i = 0; i < RULE_COUNT; i++)
            if (strncmp(RULES[i], FIRST[effect], strlen(FIRST[effect])) == 0 &&
                applies(RULES[i], topic))
                return i + 1;
    return 0;
}

static struct policy *compile_text(struct bytes text)
{
    struct policy_errors errors;
    struct policy *policy = NULL;

    assert_int_equal(policy_compile(text, 1, &errors, &policy), RC_OK);
    return policy;
}

static struct policy *compile(const char *const *rules, size_t count)
{
    AUTO_BUF(text, 1 << 16);

    for (size_t i = 0; i < count; i++)
        buf_addf(&text, "%s\n", rules[i]);
    return compile_text(buf_bytes(&text));
}

static struct policy_decision decide(const struct policy_session *session, struct bytes topic,
                                     bool retain)
{
    const struct policy_request request = {
        .action = POLICY_PUBLISH,
        .resource = topic,
        .known = POLICY_KNOWS_NOW | POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS | POLICY_KNOWS_RETAIN,
        .qos = 1,
        .retain = retain,
    };

    return policy_decide_request(session, &request);
}

static void finds_just_the_filters_that_match(void **state)
{
    const struct policy_facts facts = { .device_id = BYTES("me") };
    AUTO_OF(policy) *policy = compile(RULES, RULE_COUNT);
    struct policy_session session;
    (void)state;

    assert_true(policy->trie.leaf_units > 0);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (size_t i = 0; i < sizeof TOPICS / sizeof *TOPICS; i++) {
        struct bytes topic = bytes_of_text(TOPICS[i]);
        unsigned line = expected(topic);
        struct policy_decision decided = decide(&session, topic, false);
        if (decided.line != line)
            fail_msg("%.60s: line %u, not %u", TOPICS[i], decided.line, line);
        assert_int_equal(decided.by_rule, line > 0);
        assert_int_equal(decided.allowed, line > 0 && RULES[line - 1][0] == 'a');
        assert_int_equal(decided.obligations.rate, bytes_equal_text(topic, "a/o/p") ? 3 : 0);
        if (TOPICS[i][0] != '$')
            assert_false(decide(&session, topic, true).allowed);
    }
}

/* What a filter shares with denials is asked of the nodes, leaves or not. */
static void a_denial_with_a_leaf_denies_wider_filters(void **state)
{
    static const char *const DENIALS[] = {
        "allow device subscribe \"#\"",       "deny device subscribe \"a/b/c\"",
        "deny device subscribe \"a/d/+/e\"",  "deny device subscribe \"a/f/#\"",
        "allow device subscribe \"a/g/h/i\"",
    };
    static const struct {
        const char *filter;
        bool allowed;
    } ROWS[] = {
        { "a/b/c", false }, { "a/b/+", false },  { "a/b/#", false },   { "a/+/c", false },
        { "a/b/d", true },  { "a/b", true },     { "a/d/1/e", false }, { "a/d/1/+", false },
        { "a/d/1", true },  { "a/f", false },    { "a/f/1/2", false }, { "+/f", false },
        { "a/g/#", true },  { "a/g/h/i", true },
    };
    const struct policy_facts facts = { .device_id = BYTES("me") };
    AUTO_OF(policy) *policy = compile(DENIALS, sizeof DENIALS / sizeof *DENIALS);
    struct policy_session session;
    (void)state;

    assert_true(policy->trie.leaf_units > 0);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (policy_decide_subscribe(&session, bytes_of_text(ROWS[i].filter)).allowed !=
            ROWS[i].allowed)
            fail_msg("%s", ROWS[i].filter);
}

/* A leaf's text takes further units, up to a limit; above it the nodes are walked. */
static void long_filters_have_longer_leaves_or_none(void **state)
{
    static const struct {
        size_t len, units;
    } ROWS[] = { { 2, 1 }, { 30, 1 }, { 31, 2 }, { 222, 4 }, { 223, 0 }, { 600, 0 } };
    const struct policy_facts facts = { .device_id = BYTES("me") };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(rule, 2000);
        char topic[1000] = { 0 };
        memset(topic, 'x', ROWS[i].len);
        buf_addf(&rule, "allow device publish \"%s\"\nallow device publish \"/%s\"\n", topic,
                 topic);
        struct policy_session session;
        AUTO_OF(policy) *policy = compile_text(buf_bytes(&rule));
        /* of two children at the root the second is empty, and has no leaf */
        assert_int_equal(policy->trie.leaf_units, ROWS[i].units);
        assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
        assert_int_equal(decide(&session, bytes_of_text(topic), false).line, 1);
        topic[ROWS[i].len - 1] = 'y';
        assert_false(decide(&session, bytes_of_text(topic), false).allowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_just_the_filters_that_match),
        cmocka_unit_test(a_denial_with_a_leaf_denies_wider_filters),
        cmocka_unit_test(long_filters_have_longer_leaves_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
