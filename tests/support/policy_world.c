#include "tests/support/policy_world.h"

#include "tests/support/check.h"
#include "tests/support/policy_naive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Topics have a level more than filters have before their #. */
enum { FILTER_LEVELS = 2, FILTER_LEVELS_LONG = 3, WORDS_MAX = 9 };

static uint64_t dice;
static unsigned filter_levels = FILTER_LEVELS;

void world_seed(uint64_t seed)
{
    dice = seed;
}

unsigned world_roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* ---- The long form ---- */

unsigned world_times(void)
{
    const char *given = getenv("TOUCHMARK_POLICIES");
    unsigned long times = given == NULL ? 1 : strtoul(given, NULL, 10);

    if (times == 0 || times > WORLD_TIMES_MAX) {
        fprintf(stderr, "TOUCHMARK_POLICIES=%s: a number from 1 to %d is wanted\n", given,
                WORLD_TIMES_MAX);
        exit(2);
    }
    return (unsigned)times;
}

void world_tell_shares(uint64_t yes, uint64_t no, uint64_t by_none)
{
    const double all = (double)(yes + no + by_none);

    print_message("%.0f requests: %.0f %% allowed, %.0f %% denied by a rule, %.0f %% by none\n",
                  all, 100 * (double)yes / all, 100 * (double)no / all,
                  100 * (double)by_none / all);
}

/* ---- The world ---- */

static const char *const NAME[WORLD_NAMES] = { "a", "b", "aa",
                                               "x" }; /* no rule names the last */
static const char *const WORDS[WORLD_NAMES][WORDS_MAX] = {
    { "a", "b", "aa", "$s", "z", "" },
    { "a", "b", "aa", "$s", "z", "", "ab", "ba" },
    { "a", "b", "aa", "$s", "z", "", "aaa" },
    { "a", "b", "aa", "$s", "z", "", "x", "ax", "xa" },
};
const enum policy_action world_actions[WORLD_ACTIONS] = { POLICY_CONNECT, POLICY_PUBLISH,
                                                          POLICY_SUBSCRIBE, POLICY_RECEIVE };

static struct world_topics topics_of[WORLD_NAMES];

static struct bytes groups[] = { BYTES("g"), BYTES("h"), BYTES("i") };
struct policy_facts world_devices[WORLD_DEVICES];

static void add_topics(size_t name, const char *prefix, size_t level)
{
    struct world_topics *topics = &topics_of[name];

    for (size_t i = 0; i < WORDS_MAX && WORDS[name][i] != NULL; i++) {
        AUTO_BUF(text, 32);
        const char *made = NULL;
        buf_addf(&text, "%s%s%s", prefix, level == 1 ? "" : "/", WORDS[name][i]);
        assert_int_equal(buf_text(&text, &made), RC_OK);
        assert_true(topics->count < WORLD_TOPICS_MAX);
        if (*made != '\0')
            memcpy(topics->text[topics->count++], made, strlen(made) + 1);
        if (level <= filter_levels)
            add_topics(name, made, level + 1);
    }
}

const struct world_topics *world_topics_for(const struct policy_facts *device)
{
    return &topics_of[(size_t)(device - world_devices) % WORLD_NAMES];
}

struct bytes world_topic_for(const struct policy_facts *device)
{
    const struct world_topics *topics = world_topics_for(device);

    return bytes_of_text(topics->text[world_roll((unsigned)topics->count)]);
}

int world_set_up(void **state)
{
    (void)state;
    if (world_times() > 1)
        filter_levels = FILTER_LEVELS_LONG;
    for (size_t i = 0; i < WORLD_DEVICES; i++) {
        world_devices[i] =
            (struct policy_facts){ .device_id = bytes_of_text(NAME[i % WORLD_NAMES]),
                                   .groups = groups,
                                   .group_count = i / WORLD_NAMES };
        if ((i + i / WORLD_NAMES) % 2 == 1)
            world_devices[i].device_profile = BYTES("a");
        if (i < WORLD_NAMES)
            add_topics(i, "", 1);
    }
    return 0;
}

static enum rc each_device(void *with,
                           enum rc (*visit)(void *visitor, const struct policy_facts *device),
                           void *visitor)
{
    (void)with;
    for (size_t i = 0; i < WORLD_DEVICES; i++)
        TRY(visit(visitor, &world_devices[i]));
    return RC_OK;
}

const struct policy_fleet world_fleet = { each_device, NULL };

/* ---- Policies ---- */

static void add_filter(struct buf *text, bool conditions)
{
    static const char *const LEVELS[] = {
        "a", "b", "aa", "", "+", "+", "${device.id}", "a${device.id}", "${device.id}a"
    };
    /* Not every device knows these, or not in every request. */
    static const char *const DOUBTFUL[] = { "${line.id}",    "${device.profile}",
                                            "$${line.id}",   "${device.profile}a",
                                            "$${device.id}", "${line.id}${device.id}" };
    const unsigned levels = 1 + world_roll(filter_levels);
    const bool rest = world_roll(3) == 0;

    buf_addf(text, " \"");
    for (unsigned i = 0; i < levels; i++) {
        const char *level = conditions && world_roll(4) == 0 ? WORLD_PICK(DOUBTFUL)
                            : i == 0 && world_roll(8) == 0   ? "$s"
                                                             : WORLD_PICK(LEVELS);
        bool alone = levels == 1 && !rest && *level == '\0'; /* no filter */
        buf_addf(text, "%s%s", i == 0 ? "" : "/", alone ? "a" : level);
    }
    buf_addf(text, rest ? "/#\"" : "\"");
}

static void add_rule(struct buf *text, bool conditions)
{
    static const char *const WHO[] = { "device",       "device",        "device",
                                       "device \"a\"", "device \"aa\"", "group \"g\"",
                                       "group \"h\"",  "group \"i\"",   "anyone" };
    static const char *const WHAT[] = { "publish", "subscribe", "receive",
                                        "publish, subscribe" };
    static const char *const WHEN[] = { "message.qos = 1", "not message.qos = 1",
                                        "message.size < 100", "client.id is known",
                                        "message.qos = 1 and message.size < 100" };
    bool allow = world_roll(3) > 0;

    buf_addf(text, "%s %s ", allow ? "allow" : "deny", WORLD_PICK(WHO));
    if (world_roll(6) == 0) {
        buf_addf(text, "connect");
    } else {
        buf_addf(text, "%s", WORLD_PICK(WHAT));
        add_filter(text, conditions);
    }
    if (conditions && world_roll(2) == 0)
        buf_addf(text, " when %s", WORLD_PICK(WHEN));
    if (allow && world_roll(8) == 0)
        buf_addf(text, " limit %u/s", 1 + world_roll(2));
    if (world_roll(8) == 0)
        buf_addf(text, " log full");
    buf_addf(text, "\n");
}

static void read_policy(struct world_policy *made)
{
    struct policy_effort effort = { .most = UINT64_MAX };
    struct policy_errors errors = { 0 };
    struct bytes text = bytes_of_text(made->text);

    if (policy_compile(text, 7, &errors, &made->policy) != RC_OK)
        fail_msg("%s: %s", fault_reason(), made->text);
    assert_int_equal(policy_parse(text, &effort, &errors, &made->rules), RC_OK);
}

void world_make(struct world_policy *made, bool conditions)
{
    AUTO_BUF(text, WORLD_TEXT_MAX);
    const char *done = NULL;

    for (unsigned i = world_roll(6); i > 0; i--)
        add_rule(&text, conditions);
    if (world_roll(4) == 0)
        buf_addf(&text, "group \"%s\" = { \"%s\" }\n", world_roll(2) ? "g" : "h",
                 WORLD_PICK(NAME));
    assert_int_equal(buf_text(&text, &done), RC_OK);
    memcpy(made->text, done, strlen(done) + 1);
    read_policy(made);
}

void world_change(const struct world_policy *from, struct world_policy *made, bool conditions)
{
    AUTO_BUF(text, WORLD_TEXT_MAX);
    const char *done = NULL;

    for (const char *line = from->text; *line != '\0';) {
        size_t len = strcspn(line, "\n") + 1;
        if (world_roll(4) > 0)
            buf_add(&text, (struct bytes){ (const uint8_t *)line, len });
        line += len;
    }
    for (unsigned i = world_roll(3); i > 0; i--)
        add_rule(&text, conditions);
    if (world_roll(6) == 0)
        buf_addf(&text, "group \"h\" = { \"%s\" }\n", WORLD_PICK(NAME));
    assert_int_equal(buf_text(&text, &done), RC_OK);
    memcpy(made->text, done, strlen(done) + 1);
    read_policy(made);
}

void world_clear(struct world_policy *made)
{
    policy_unref(made->policy);
    policy_rules_clear(&made->rules);
}

/* ---- Requests ---- */

static uint64_t allowed, denied, none;

static void count(const struct policy_decision *decision)
{
    allowed += decision->allowed;
    denied += !decision->allowed && decision->by_rule;
    none += !decision->by_rule;
}

int world_tell_all(void **state)
{
    (void)state;
    print_message("gone through: ");
    world_tell_shares(allowed, denied, none);
    return 0;
}

struct policy_request world_request(enum policy_action action, struct bytes resource,
                                    unsigned which)
{
    return (struct policy_request){ .action = action,
                                    .resource = resource,
                                    .known =
                                        which == 0 ? 0 : POLICY_KNOWS_QOS | POLICY_KNOWS_SIZE,
                                    .qos = which & 1,
                                    .size = which & 2 ? 5 : 500 };
}

struct policy_decision world_decide(const struct world_policy *made,
                                    const struct policy_facts *device,
                                    enum policy_action action, struct bytes resource,
                                    unsigned which)
{
    struct policy_facts facts = *device;
    const struct policy_request request = world_request(action, resource, which);
    const struct naive_world world = { &made->rules, &facts, &request, 7 };

    if (which >= 4)
        facts.client_id = BYTES("c");
    if (which >= 5)
        facts.line_id = BYTES("s");
    struct policy_decision decision = naive_decide(&world);
    count(&decision);
    return decision;
}

bool world_matches(struct bytes filter, struct bytes topic)
{
    AUTO_BUF(spelt, 256);
    size_t first = 0;

    if (!bytes_start_with(filter, BYTES("$+")))
        return policy_topic_match(filter, topic);
    while (first < topic.len && topic.at[first] != '/')
        first++;
    buf_add(&spelt, (struct bytes){ topic.at, first });
    buf_add(&spelt, (struct bytes){ filter.at + 2, filter.len - 2 });
    return topic.at[0] == '$' && policy_topic_match(buf_bytes(&spelt), topic);
}

bool world_holds(const struct policy_area *area, enum policy_action action, struct bytes topic)
{
    if (action == POLICY_CONNECT)
        return area->filter.len == 0;
    if (area->filter.len == 0 || !world_matches(area->filter, topic))
        return false;
    for (size_t i = 0; i < area->except_count; i++)
        if (world_matches(area->except[i], topic))
            return false;
    return true;
}
