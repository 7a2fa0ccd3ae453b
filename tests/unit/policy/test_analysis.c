/*
 * reach, who and diff against an interpreter that goes through all requests of a small world:
 * four devices in all sets of two groups, all topics of three levels over the words that rules
 * have and what they make of a device's name, and one that none has. So an answer is right if and only if it is right for each.
 *
 * test_policy_analysis [SEED [ROUNDS]] looks further than the tests do.
 */
#include "tests/support/check.h"
#include "tests/support/policy_naive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/analysis.h"

enum { DEPTH = 3, TOPICS_MAX = 600, TEXT_MAX = 4096, NAMES = 4, DEVICES = 4 * NAMES };
enum { REQUESTS = 6, WORDS_MAX = 8 };

static uint64_t dice = 20261127;
static unsigned rounds = 150;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

#define PICK(list) ((list)[roll(sizeof(list) / sizeof *(list))])

/* ---- The world ---- */

static const char *const NAME[NAMES] = { "a", "b", "aa", "x" }; /* no rule names the last */
static const char *const WORDS[NAMES][WORDS_MAX] = {
    { "a", "b", "aa", "$s", "z" },
    { "a", "b", "aa", "$s", "z", "ab", "ba" },
    { "a", "b", "aa", "$s", "z", "aaa" },
    { "a", "b", "aa", "$s", "z", "x", "ax", "xa" },
};
static const enum policy_action ACTIONS[] = { POLICY_CONNECT, POLICY_PUBLISH, POLICY_SUBSCRIBE,
                                              POLICY_RECEIVE };

static struct topics {
    char text[TOPICS_MAX][32];
    size_t count;
} topics_of[NAMES];

static struct bytes groups_of[4][2] = {
    [1] = { BYTES("g") }, [2] = { BYTES("h") }, [3] = { BYTES("g"), BYTES("h") }
};
static struct policy_facts devices[DEVICES];

static void add_topics(size_t name, const char *prefix, size_t level)
{
    struct topics *topics = &topics_of[name];

    for (size_t i = 0; i < WORDS_MAX && WORDS[name][i] != NULL; i++) {
        AUTO_BUF(text, 32);
        const char *made = NULL;
        buf_addf(&text, "%s%s%s", prefix, level == 1 ? "" : "/", WORDS[name][i]);
        assert_int_equal(buf_text(&text, &made), RC_OK);
        assert_true(topics->count < TOPICS_MAX);
        memcpy(topics->text[topics->count++], made, strlen(made) + 1);
        if (level < DEPTH)
            add_topics(name, made, level + 1);
    }
}

static const struct topics *topics_for(const struct policy_facts *device)
{
    return &topics_of[(size_t)(device - devices) % NAMES];
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEVICES; i++) {
        size_t set = i / NAMES;
        devices[i] = (struct policy_facts){ .device_id = bytes_of_text(NAME[i % NAMES]),
                                            .groups = groups_of[set],
                                            .group_count = set == 0 ? 0 : set == 3 ? 2 : 1 };
        if (i < NAMES)
            add_topics(i, "", 1);
    }
    return 0;
}

static enum rc each_device(void *with,
                           enum rc (*visit)(void *visitor, const struct policy_facts *device),
                           void *visitor)
{
    (void)with;
    for (size_t i = 0; i < DEVICES; i++)
        TRY(visit(visitor, &devices[i]));
    return RC_OK;
}

static const struct policy_fleet FLEET = { each_device, NULL };

/* ---- Policies ---- */

struct made {
    char text[TEXT_MAX];
    struct policy *policy;
    struct policy_rules rules;
};

static void add_filter(struct buf *text)
{
    static const char *const LEVELS[] = { "a",  "b", "aa", "+", "+", "${device.id}", "a${device.id}",
                                          "${device.id}a" };
    unsigned levels = 1 + roll(2);

    buf_addf(text, " \"");
    for (unsigned i = 0; i < levels; i++)
        buf_addf(text, "%s%s", i == 0 ? "" : "/",
                 i == 0 && roll(8) == 0 ? "$s" : PICK(LEVELS));
    buf_addf(text, roll(3) == 0 ? "/#\"" : "\"");
}

static void add_rule(struct buf *text, bool conditions)
{
    static const char *const WHO[] = { "device",      "device",      "device",    "device \"a\"",
                                       "device \"aa\"", "group \"g\"", "group \"h\"", "anyone" };
    static const char *const WHAT[] = { "publish", "subscribe", "receive", "publish, subscribe" };
    static const char *const WHEN[] = { "message.qos = 1", "not message.qos = 1",
                                        "message.size < 100", "client.id is known",
                                        "message.qos = 1 and message.size < 100" };
    bool allow = roll(3) > 0;

    buf_addf(text, "%s %s ", allow ? "allow" : "deny", PICK(WHO));
    if (roll(6) == 0) {
        buf_addf(text, "connect");
    } else {
        buf_addf(text, "%s", PICK(WHAT));
        add_filter(text);
    }
    if (conditions && roll(2) == 0)
        buf_addf(text, " when %s", PICK(WHEN));
    if (allow && roll(8) == 0)
        buf_addf(text, " limit %u/s", 1 + roll(2));
    if (allow && roll(8) == 0)
        buf_addf(text, " log full");
    buf_addf(text, "\n");
}

static void read_policy(struct made *made)
{
    struct policy_errors errors = { 0 };
    struct bytes text = bytes_of_text(made->text);

    if (policy_compile(text, 7, &errors, &made->policy) != RC_OK)
        fail_msg("%s: %s", fault_reason(), made->text);
    assert_int_equal(policy_parse(text, &errors, &made->rules), RC_OK);
}

static void make_policy(struct made *made, const char *start, bool conditions)
{
    AUTO_BUF(text, TEXT_MAX);
    const char *done = NULL;

    buf_addf(&text, "%s", start);
    for (unsigned i = roll(start[0] == '\0' ? 6 : 2); i > 0; i--)
        add_rule(&text, conditions);
    if (start[0] == '\0' && roll(4) == 0)
        buf_addf(&text, "group \"%s\" = { \"%s\" }\n", roll(2) ? "g" : "h", PICK(NAME));
    assert_int_equal(buf_text(&text, &done), RC_OK);
    memcpy(made->text, done, strlen(done) + 1);
    read_policy(made);
}

/* The same in another order, or without some of its lines, and perhaps some more. */
static void change_policy(const struct made *from, struct made *made, bool conditions)
{
    AUTO_BUF(text, TEXT_MAX);
    const char *done = NULL;

    for (const char *line = from->text; *line != '\0';) {
        size_t len = strcspn(line, "\n") + 1;
        if (roll(4) > 0)
            buf_add(&text, (struct bytes){ (const uint8_t *)line, len });
        line += len;
    }
    for (unsigned i = roll(3); i > 0; i--)
        add_rule(&text, conditions);
    if (roll(6) == 0)
        buf_addf(&text, "group \"h\" = { \"%s\" }\n", PICK(NAME));
    assert_int_equal(buf_text(&text, &done), RC_OK);
    memcpy(made->text, done, strlen(done) + 1);
    read_policy(made);
}

static void clear_policy(struct made *made)
{
    policy_unref(made->policy);
    policy_rules_clear(&made->rules);
}

/* ---- Requests ---- */

/* What a message and client may be, in all ways that conditions tell apart. */
static struct policy_request request_of(enum policy_action action, struct bytes resource,
                                        unsigned which)
{
    return (struct policy_request){ .action = action,
                                    .resource = resource,
                                    .known = which == 0 ? 0
                                                        : POLICY_KNOWS_QOS | POLICY_KNOWS_SIZE,
                                    .qos = which & 1,
                                    .size = which & 2 ? 5 : 500 };
}

static struct policy_decision decide(const struct made *made, const struct policy_facts *device,
                                     enum policy_action action, struct bytes resource,
                                     unsigned which)
{
    struct policy_facts facts = *device;
    const struct policy_request request = request_of(action, resource, which);
    const struct naive_world world = { &made->rules, &facts, &request, 7 };

    if (which >= 4)
        facts.client_id = BYTES("c");
    return naive_decide(&world);
}

static bool is_same_duty(const struct policy_decision *a, const struct policy_decision *b)
{
    const struct policy_obligations *x = &a->obligations, *y = &b->obligations;

    return x->rate == y->rate && x->burst == y->burst && x->log_full == y->log_full;
}

static bool holds(const struct policy_area *area, enum policy_action action, struct bytes topic)
{
    if (action == POLICY_CONNECT)
        return area->filter.len == 0;
    if (area->filter.len == 0 || !policy_topic_match(area->filter, topic))
        return false;
    for (size_t i = 0; i < area->except_count; i++)
        if (policy_topic_match(area->except[i], topic))
            return false;
    return true;
}

/* ---- reach ---- */

/* 0: not in an area, 1: in one on condition, 2: in one that is sure. */
static unsigned reached(const struct policy_reach *reach, enum policy_action action,
                        struct bytes topic)
{
    unsigned how = 0;

    for (size_t i = 0; i < reach->count; i++) {
        const struct policy_reach_entry *entry = &reach->at[i];
        if (!(entry->actions & 1U << action) || !holds(&entry->area, action, topic))
            continue;
        unsigned here = entry->sure ? 2 : 1;
        assert_true(how == 0 || how == here); /* a topic is told in one sense */
        assert_true(entry->rule_count > 0);
        how = here;
    }
    return how;
}

static void reach_is_right(const struct made *made, const struct policy_facts *device,
                           const struct policy_reach *reach, enum policy_action action,
                           struct bytes topic)
{
    unsigned how = reached(reach, action, topic);

    for (unsigned which = 0; which < REQUESTS; which++) {
        struct policy_decision decision = decide(made, device, action, topic, which);
        if (how == 1 || decision.allowed == (how == 2))
            continue;
        AUTO_BUF(text, 64 * 1024);
        policy_reach_write(reach, &text);
        fail_msg("%.*s %s %.*s: %s\n%s\n%.*s", BYTES_FMT(device->device_id),
                 policy_action_name(action), BYTES_FMT(topic),
                 decision.allowed ? "allowed" : "denied", made->text, BYTES_FMT(buf_bytes(&text)));
    }
}

static void reach_tells_what_each_device_may_do(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct made made = { 0 };
        struct policy_reach reach;
        const struct policy_facts *device = &PICK(devices);
        make_policy(&made, "", round % 2 == 1);
        assert_int_equal(policy_reach(made.policy, device, &reach), RC_OK);
        for (size_t a = 0; a < sizeof ACTIONS / sizeof *ACTIONS; a++)
            for (size_t t = 0; t < topics_for(device)->count; t += 1 + roll(3))
                reach_is_right(&made, device, &reach, ACTIONS[a],
                               bytes_of_text(topics_for(device)->text[t]));
        policy_reach_clear(&reach);
        clear_policy(&made);
    }
}

/* ---- who ---- */

struct told {
    unsigned how[DEVICES], next;
};

static enum rc tell(void *with, const struct policy_who_entry *entry)
{
    struct told *told = with;

    while (!bytes_equal(devices[told->next].device_id, entry->device))
        told->next++;
    /* Of devices with one name in several groups, the first that is left: see is_told(). */
    told->how[told->next] |= entry->sure ? 2 : 1;
    assert_true(entry->rule_count > 0);
    return RC_OK;
}

struct one {
    const struct policy_facts *device;
    struct told *told;
};

static enum rc each_one(void *with,
                        enum rc (*visit)(void *visitor, const struct policy_facts *device),
                        void *visitor)
{
    const struct one *one = with;

    one->told->next = (unsigned)(one->device - devices);
    return visit(visitor, one->device);
}

static void who_is_right(const struct made *made, enum policy_action action,
                         struct bytes resource)
{
    struct told told = { 0 };

    for (size_t i = 0; i < DEVICES; i++) {
        struct one one = { &devices[i], &told };
        const struct policy_fleet fleet = { each_one, &one };
        assert_int_equal(policy_who(made->policy, action, resource, &fleet, tell, &told),
                         RC_OK);
        for (unsigned which = 0; which < REQUESTS; which++) {
            bool allowed = decide(made, &devices[i], action, resource, which).allowed;
            if (told.how[i] != 1 && allowed != (told.how[i] == 2))
                fail_msg("%.*s (%zu) %s %.*s: %s\n%s", BYTES_FMT(devices[i].device_id), i,
                         policy_action_name(action), BYTES_FMT(resource),
                         allowed ? "allowed" : "denied", made->text);
        }
    }
}

static void who_tells_each_device_that_may(void **state)
{
    static const char *const FILTERS[] = { "#",   "+",     "a/#", "a/+",  "+/a", "$s/#",
                                           "+/+", "+/+/#", "b",   "aa/b", "+/#" };
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct made made = { 0 };
        make_policy(&made, "", round % 2 == 1);
        for (size_t a = 0; a < sizeof ACTIONS / sizeof *ACTIONS; a++) {
            const struct topics *topics = &PICK(topics_of);
            who_is_right(&made, ACTIONS[a],
                         bytes_of_text(topics->text[roll((unsigned)topics->count)]));
        }
        who_is_right(&made, POLICY_SUBSCRIBE, bytes_of_text(PICK(FILTERS)));
        clear_policy(&made);
    }
}

/* ---- diff ---- */

static bool is_in(const struct policy_facts *device, const struct made *old,
                  const struct made *new, struct bytes group)
{
    unsigned sides = 0;

    for (size_t i = 0; i < device->group_count; i++)
        if (bytes_equal(device->groups[i], group))
            return true;
    for (size_t i = 0; i < old->rules.member_count; i++)
        if (bytes_equal(old->rules.members[i].device, device->device_id) &&
            bytes_equal(old->rules.members[i].group, group))
            sides |= 1;
    for (size_t i = 0; i < new->rules.member_count; i++)
        if (bytes_equal(new->rules.members[i].device, device->device_id) &&
            bytes_equal(new->rules.members[i].group, group))
            sides |= 2;
    return sides == 3;
}

static bool is_of(const struct policy_diff_entry *entry, const struct policy_facts *device,
                  const struct made *old, const struct made *new)
{
    if (entry->asker != POLICY_BY_DEVICE ||
        (entry->name.len > 0 && !bytes_equal(entry->name, device->device_id)))
        return false;
    for (size_t i = 0; i < entry->group_count; i++)
        if (!is_in(device, old, new, entry->groups[i]))
            return false;
    return true;
}

/* The area's filter for this device. */
static struct bytes bind(struct bytes filter, struct bytes id, struct buf *out)
{
    static const char FACT[] = "${device.id}";
    struct bytes fact = bytes_of_text(FACT);

    while (filter.len > 0) {
        bool here = bytes_start_with(filter, fact);
        size_t len = here ? fact.len : 1;
        buf_add(out, here ? id : (struct bytes){ filter.at, 1 });
        filter = (struct bytes){ filter.at + len, filter.len - len };
    }
    return buf_bytes(out);
}

static bool entry_holds(const struct policy_diff_entry *entry, struct bytes id,
                        enum policy_action action, struct bytes topic)
{
    bool held = false;

    for (size_t i = 0; !held && i < entry->area_count; i++) {
        AUTO_BUF(filter, 256);
        const struct policy_area *area = &entry->areas[i];
        const struct policy_area bound = { .filter = bind(area->filter, id, &filter) };
        held = holds(&bound, action, topic);
        for (size_t e = 0; held && e < area->except_count; e++) {
            AUTO_BUF(except, 256);
            held = !policy_topic_match(bind(area->except[e], id, &except), topic);
        }
    }
    return held;
}

struct pair {
    struct made old, new;
    struct policy_diff diff;
    bool conditions;
    bool moved[DEVICES];   /* some request of the device is decided otherwise */
    uint64_t counts[1000]; /* of devices for which an entry is so */
};

static void show(const struct pair *pair, const char *what, const struct policy_facts *device,
                 enum policy_action action, struct bytes topic)
{
    AUTO_BUF(text, 256 * 1024);

    policy_diff_write(&pair->diff, &text);
    fail_msg("%s: %.*s in %zu groups %s %.*s\nOLD\n%sNEW\n%sDIFF\n%.*s", what,
             BYTES_FMT(device->device_id), device->group_count, policy_action_name(action),
             BYTES_FMT(topic), pair->old.text, pair->new.text, BYTES_FMT(buf_bytes(&text)));
}

/* Each way in which a message may be must be as the entries say, and if it differs some entry
 * says so. */
static void diff_is_right(struct pair *pair, size_t which_device, enum policy_action action,
                          struct bytes topic, bool *so)
{
    const struct policy_facts *device = &devices[which_device];
    unsigned told = 0;
    bool same = true, allowed = true, denied = true;

    for (unsigned which = 0; which < (pair->conditions ? REQUESTS : 1); which++) {
        struct policy_decision old = decide(&pair->old, device, action, topic, which);
        struct policy_decision new = decide(&pair->new, device, action, topic, which);
        same = same && old.allowed == new.allowed && is_same_duty(&old, &new);
        allowed = allowed && !old.allowed && new.allowed;
        denied = denied && old.allowed && !new.allowed;
    }
    for (size_t i = 0; i < pair->diff.count; i++) {
        const struct policy_diff_entry *entry = &pair->diff.at[i];
        if (!is_of(entry, device, &pair->old, &pair->new) ||
            !(entry->actions & 1U << action) ||
            !entry_holds(entry, device->device_id, action, topic))
            continue;
        told |= 1U << entry->change;
        so[i] = so[i] || (entry->change == POLICY_NEWLY_ALLOWED && allowed) ||
                (entry->change == POLICY_NEWLY_DENIED && denied) ||
                (entry->change == POLICY_OTHER_DUTIES && !same && !allowed && !denied);
    }
    pair->moved[which_device] = pair->moved[which_device] || !same;
    if (!same && told == 0)
        show(pair, "differs, and is not told", device, action, topic);
    if (!pair->conditions && allowed && !(told & 1U << POLICY_NEWLY_ALLOWED))
        show(pair, "newly allowed, and is not told", device, action, topic);
    if (!pair->conditions && denied && !(told & 1U << POLICY_NEWLY_DENIED))
        show(pair, "newly denied, and is not told", device, action, topic);
}

static void entries_are_right(struct pair *pair)
{
    uint64_t moved = 0;

    for (size_t d = 0; d < DEVICES; d++) {
        const struct topics *topics = topics_for(&devices[d]);
        bool so[1000] = { false };
        for (size_t a = 0; a < sizeof ACTIONS / sizeof *ACTIONS; a++)
            for (size_t t = 0; t < (ACTIONS[a] == POLICY_CONNECT ? 1 : topics->count); t++)
                diff_is_right(pair, d, ACTIONS[a], bytes_of_text(topics->text[t]), so);
        for (size_t i = 0; i < pair->diff.count; i++)
            pair->counts[i] += so[i];
        moved += pair->moved[d];
    }
    if (pair->conditions)
        return;
    if (pair->diff.devices != moved)
        show(pair, "another count of devices", &devices[0], POLICY_CONNECT, BYTES(""));
    for (size_t i = 0; i < pair->diff.count; i++)
        if (pair->diff.at[i].asker == POLICY_BY_DEVICE &&
            pair->diff.at[i].devices != pair->counts[i])
            show(pair, "another count of an entry", &devices[0], POLICY_CONNECT, BYTES(""));
}

static void diff_tells_all_that_changes(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct pair *pair = calloc(1, sizeof *pair);
        assert_non_null(pair);
        pair->conditions = round % 3 == 2;
        make_policy(&pair->old, "", pair->conditions);
        change_policy(&pair->old, &pair->new, pair->conditions);
        if (policy_diff(pair->old.policy, pair->new.policy, &FLEET, &pair->diff) != RC_OK)
            fail_msg("%s: %s\n%s", fault_reason(), pair->old.text, pair->new.text);
        assert_true(pair->diff.count < 1000);
        entries_are_right(pair);
        policy_diff_clear(&pair->diff);
        clear_policy(&pair->old);
        clear_policy(&pair->new);
        free(pair);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(reach_tells_what_each_device_may_do),
        cmocka_unit_test(who_tells_each_device_that_may),
        cmocka_unit_test(diff_tells_all_that_changes),
    };

    if (argc > 1)
        dice = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        rounds = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(TESTS, set_up, NULL);
}
