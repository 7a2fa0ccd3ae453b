/*
 * Differences of policies against an interpreter that goes through all requests of a small
 * world with both: whatever differs is told, with its kind, and each entry counts just the
 * devices for which it is so.
 *
 * test_policy_diff [SEED] looks elsewhere; TOUCHMARK_POLICIES=N (./dev policies), at 2 N pairs,
 * with topics of four levels.
 */
#include "tests/support/check.h"
#include "tests/support/policy_world.h"

#include <stdlib.h>
#include <string.h>

static unsigned rounds = 20;

static bool is_in(const struct policy_facts *device, const struct world_policy *old,
                  const struct world_policy *new, struct bytes group)
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
                  const struct world_policy *old, const struct world_policy *new)
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
        held = world_holds(&bound, action, topic);
        for (size_t e = 0; held && e < area->except_count; e++) {
            AUTO_BUF(except, 256);
            held = !world_matches(bind(area->except[e], id, &except), topic);
        }
    }
    return held;
}

struct pair {
    struct world_policy old, new;
    struct policy_diff diff;
    bool conditions;
    unsigned moved[WORLD_DEVICES]; /* actions of which the device has some decided otherwise */
    uint64_t counts[1000];         /* of devices for which an entry is so */
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

static const unsigned UNDER_CONDITIONS =
    1U << POLICY_MORE_ALLOWED | 1U << POLICY_MORE_DENIED | 1U << POLICY_MAY_DIFFER;
static const unsigned EITHER =
    1U << POLICY_MAY_DIFFER | 1U << POLICY_MAY_OBLIGE | 1U << POLICY_OTHER_DUTIES;

/* Each way in which a message may be must be as the entries say, and if it differs some entry
 * says so. */
static void diff_is_right(struct pair *pair, size_t which_device, enum policy_action action,
                          struct bytes topic, bool *so)
{
    const struct policy_facts *device = &world_devices[which_device];
    unsigned told = 0;
    bool same = true, asked = true, allowed = true, denied = true;
    bool more = false, less = false, obliged = false; /* of any request */

    for (unsigned which = 0; which < (pair->conditions ? WORLD_REQUESTS : 1); which++) {
        struct policy_decision old = world_decide(&pair->old, device, action, topic, which);
        struct policy_decision new = world_decide(&pair->new, device, action, topic, which);
        /* Which denials have records of their own is no right of anybody's. */
        asked = asked && old.allowed == new.allowed &&
                (!old.allowed || world_asks_the_same(&old, &new));
        same = same && asked &&
               (!old.allowed || world_is_same_duty(&pair->old, &old, &pair->new, &new));
        allowed = allowed && !old.allowed && new.allowed;
        denied = denied && old.allowed && !new.allowed;
        more = more || (!old.allowed && new.allowed);
        less = less || (old.allowed && !new.allowed);
        obliged = obliged || (old.allowed && new.allowed && !world_asks_the_same(&old, &new));
    }
    for (size_t i = 0; i < pair->diff.count; i++) {
        const struct policy_diff_entry *entry = &pair->diff.at[i];
        if (!is_of(entry, device, &pair->old, &pair->new) || !(entry->actions & 1U << action) ||
            !entry_holds(entry, device->device_id, action, topic))
            continue;
        told |= 1U << entry->change;
        so[i] = so[i] || (entry->change == POLICY_NEWLY_ALLOWED && allowed) ||
                (entry->change == POLICY_NEWLY_DENIED && denied) ||
                (entry->change == POLICY_OTHER_DUTIES && !asked && !allowed && !denied) ||
                (entry->change == POLICY_OTHER_METERS && !same && asked);
    }
    if (!same)
        pair->moved[which_device] |= 1U << action;
    if (!same && told == 0)
        show(pair, "differs, and is not told", device, action, topic);
    if (more && !(told & (1U << POLICY_NEWLY_ALLOWED | 1U << POLICY_MORE_ALLOWED | EITHER)))
        show(pair, "something is newly allowed, and told otherwise", device, action, topic);
    if (less && !(told & (1U << POLICY_NEWLY_DENIED | 1U << POLICY_MORE_DENIED | EITHER)))
        show(pair, "something is newly denied, and told otherwise", device, action, topic);
    if (obliged && told != 0 && (told & ~UNDER_CONDITIONS) == 0)
        show(pair, "obligations differ, and are not told", device, action, topic);
    if (!pair->conditions && allowed && !(told & 1U << POLICY_NEWLY_ALLOWED))
        show(pair, "newly allowed, and is not told", device, action, topic);
    if (!pair->conditions && denied && !(told & 1U << POLICY_NEWLY_DENIED))
        show(pair, "newly denied, and is not told", device, action, topic);
}

static bool is_told_of(const struct pair *pair, const struct policy_facts *device,
                       struct bytes filter)
{
    const struct world_topics *topics = world_topics_for(device);
    bool told = false;

    for (size_t i = 0; !told && i < pair->diff.count; i++) {
        const struct policy_diff_entry *entry = &pair->diff.at[i];
        if (!is_of(entry, device, &pair->old, &pair->new) ||
            !(entry->actions & 1U << POLICY_SUBSCRIBE))
            continue;
        for (size_t t = 0; !told && t < topics->count; t++) {
            struct bytes topic = bytes_of_text(topics->text[t]);
            told = policy_topic_match(filter, topic) &&
                   entry_holds(entry, device->device_id, POLICY_SUBSCRIBE, topic);
        }
    }
    return told;
}

/* Of a filter with wildcards that is decided otherwise something is told of some topic. */
static void filters_are_right(const struct pair *pair, const struct policy_facts *device)
{
    for (size_t f = 0; f < WORLD_FILTERS; f++) {
        struct bytes filter = bytes_of_text(world_filters[f]);
        bool same = true;
        for (unsigned which = 0; same && which < (pair->conditions ? WORLD_REQUESTS : 1);
             which++) {
            struct policy_decision old =
                world_decide(&pair->old, device, POLICY_SUBSCRIBE, filter, which);
            struct policy_decision new =
                world_decide(&pair->new, device, POLICY_SUBSCRIBE, filter, which);
            same = old.allowed == new.allowed &&
                   (!old.allowed || world_is_same_duty(&pair->old, &old, &pair->new, &new));
        }
        if (!same && !is_told_of(pair, device, filter))
            show(pair, "differs, and is not told", device, POLICY_SUBSCRIBE, filter);
    }
}

/* Rules with obligations for subscriptions are told where they are others, even if no filter is
 * decided otherwise. */
static bool is_careful(const struct policy_diff_entry *entry)
{
    return entry->change == POLICY_OTHER_METERS && entry->actions & 1U << POLICY_SUBSCRIBE;
}

static bool has_careful(const struct pair *pair)
{
    bool found = false;

    for (size_t i = 0; i < pair->diff.count; i++)
        found = found || is_careful(&pair->diff.at[i]);
    return found;
}

/* For who is of the class, the example is one of the topics. */
static void examples_are_right(const struct pair *pair)
{
    for (size_t i = 0; i < pair->diff.count; i++) {
        const struct policy_diff_entry *entry = &pair->diff.at[i];
        enum policy_action action = (enum policy_action)__builtin_ctz(entry->actions);
        struct bytes id = entry->name.len > 0 ? entry->name : BYTES("other");
        AUTO_BUF(topic, 256);
        if (action == POLICY_CONNECT || entry->asker != POLICY_BY_DEVICE)
            continue;
        struct bytes example = bind(entry->example, id, &topic);
        if (!entry_holds(entry, id, action, example))
            show(pair, "no example", &world_devices[0], action, example);
    }
}

/* What is told of a device is what differs; of conditions it may be more. */
static void changes_are_right(const struct pair *pair, size_t device)
{
    const unsigned told = pair->diff.changed == NULL ? 0 : pair->diff.changed[device];
    unsigned gone_through = 0;

    for (size_t a = 0; a < WORLD_ACTIONS; a++)
        gone_through |= 1U << world_actions[a];
    if (has_careful(pair))
        gone_through &= ~(1U << POLICY_SUBSCRIBE);
    if ((pair->moved[device] & ~told) != 0 ||
        (!pair->conditions && (told & gone_through) != (pair->moved[device] & gone_through)))
        show(pair, "other actions", &world_devices[device], POLICY_CONNECT, BYTES(""));
}

static void entries_are_right(struct pair *pair)
{
    uint64_t moved = 0;

    examples_are_right(pair);
    for (size_t d = 0; d < WORLD_DEVICES; d++) {
        const struct world_topics *topics = world_topics_for(&world_devices[d]);
        bool so[1000] = { false };
        for (size_t a = 0; a < WORLD_ACTIONS; a++)
            for (size_t t = 0; t < (world_actions[a] == POLICY_CONNECT ? 1 : topics->count);
                 t++)
                diff_is_right(pair, d, world_actions[a], bytes_of_text(topics->text[t]), so);
        for (size_t i = 0; i < pair->diff.count; i++)
            pair->counts[i] += so[i];
        filters_are_right(pair, &world_devices[d]);
        moved += pair->moved[d] != 0;
        changes_are_right(pair, d);
    }
    if (pair->conditions)
        return;
    if (has_careful(pair) ? pair->diff.devices < moved : pair->diff.devices != moved)
        show(pair, "another count of devices", &world_devices[0], POLICY_CONNECT, BYTES(""));
    for (size_t i = 0; i < pair->diff.count; i++)
        if (pair->diff.at[i].asker == POLICY_BY_DEVICE && !is_careful(&pair->diff.at[i]) &&
            pair->diff.at[i].devices != pair->counts[i])
            show(pair, "another count of an entry", &world_devices[0], POLICY_CONNECT,
                 BYTES(""));
}

static void diff_tells_all_that_changes(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct pair *pair = calloc(1, sizeof *pair);
        assert_non_null(pair);
        pair->conditions = round % 3 == 2;
        world_crowd(round % 2 == 1);
        world_make(&pair->old, pair->conditions);
        world_change(&pair->old, &pair->new, pair->conditions);
        if (policy_diff(pair->old.policy, pair->new.policy, &world_fleet, &pair->diff) != RC_OK)
            fail_msg("%s: %s\n%s", fault_reason(), pair->old.text, pair->new.text);
        assert_true(pair->diff.count < 1000);
        entries_are_right(pair);
        policy_diff_clear(&pair->diff);
        world_clear(&pair->old);
        world_clear(&pair->new);
        free(pair);
    }
}

/* ---- A fact that nobody knows, in a first level ---- */

static const struct doubt_row {
    const char *old, *new, *told;
} DOUBTS[] = {
    /* A name makes no topic one that begins with `$`, */
    { "allow device publish, subscribe \"$x/#\"\n"
      "deny device publish, subscribe \"${line.id}/#\"\n",
      "allow device publish, subscribe \"$x/#\"\n", "no request is decided otherwise\n" },
    { "allow device publish \"+/#\"\ndeny device publish \"${line.id}/#\"\n",
      "allow device publish \"+/#\"\n",
      "may be newly allowed: device: publish \"#\": always; before: unless "
      "\"${line.id}/#\" is meant\n" },
    /* unless the `$` is written. */
    { "allow device publish \"$x/#\", \"a\"\ndeny device publish \"$${line.id}/#\"\n",
      "allow device publish \"$x/#\", \"a\"\n",
      "may be newly allowed: device: publish \"$x/#\": always; before: unless "
      "\"$${line.id}/#\" is meant\n" },
    { "allow device publish \"$x\"\n", "allow device publish \"$x\", \"$${line.id}/#\"\n",
      "may be newly allowed: device: publish \"$+/#\" except \"$x\": if \"$${line.id}/#\" is "
      "meant; before: never\n" },
};

/* ---- Conditions and obligations together ---- */

static const struct doubt_row OBLIGED[] = {
    /* What was allowed at QoS 1, whatever its size, is allowed no more. */
    { "allow device publish \"a\" when message.qos = 1\n",
      "allow device publish \"a\" when message.qos = 1\n"
      "allow device publish \"a\" payload 100\n",
      "may differ, also in obligations: device: publish \"a\": always; before: if message.qos "
      "= "
      "1\n" },
    { "allow device publish \"a\" when message.qos = 1\n",
      "allow device publish \"a\" when message.qos = 1\n"
      "allow device publish \"a\" limit 1/h\n",
      "may differ, also in obligations: device: publish \"a\": always; before: if message.qos "
      "= "
      "1\n" },
    /* What obliges alike goes one way. */
    { "allow device publish \"a\" when message.qos = 1 payload 100\n",
      "allow device publish \"a\" payload 100\n",
      "may be newly allowed: device: publish \"a\": always; before: if message.qos = 1\n" },
    { "allow device publish \"a\"\n", "allow device publish \"a\" when message.qos = 1\n",
      "may be newly denied: device: publish \"a\": if message.qos = 1; before: always\n" },
};

static void diffs_are(const struct doubt_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct doubt_row *row = &rows[i];
        struct policy_errors errors = { 0 };
        struct policy_diff diff = { 0 };
        AUTO_OF(policy) *old = NULL;
        AUTO_OF(policy) *new = NULL;
        AUTO_BUF(text, 4096);
        const char *told = NULL;
        assert_int_equal(policy_compile(bytes_of_text(row->old), 1, &errors, &old), RC_OK);
        assert_int_equal(policy_compile(bytes_of_text(row->new), 2, &errors, &new), RC_OK);
        assert_int_equal(policy_diff(old, new, NULL, &diff), RC_OK);
        policy_diff_write(&diff, &text);
        assert_int_equal(buf_text(&text, &told), RC_OK);
        assert_string_equal(told, row->told);
        policy_diff_clear(&diff);
    }
}

static void what_nobody_knows_begins_no_dollar_topic(void **state)
{
    (void)state;
    diffs_are(DOUBTS, sizeof DOUBTS / sizeof *DOUBTS);
}

static void conditions_go_no_way_for_sure_with_other_obligations(void **state)
{
    (void)state;
    diffs_are(OBLIGED, sizeof OBLIGED / sizeof *OBLIGED);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(what_nobody_knows_begins_no_dollar_topic),
        cmocka_unit_test(conditions_go_no_way_for_sure_with_other_obligations),
        cmocka_unit_test(diff_tells_all_that_changes),
    };

    world_seed(argc > 1 ? strtoull(argv[1], NULL, 10) : 20261127);
    if (world_times() > 1)
        rounds = 2 * world_times(); /* in the larger world one takes as long as ten */
    return cmocka_run_group_tests(TESTS, world_set_up, world_tell_all);
}
