#include "tests/support/check.h"

#include <string.h>

#include "broker/subscriptions.h"

static const struct topic_hash_key KEY = { 1, 2 };
static const struct subscriptions_limits LIMITS = { 100000, 1000, { 100000, 64 << 20 } };
static const struct subscription QOS_1 = { .options = { .qos = 1 } };

static struct subscriptions *new_index(const struct subscriptions_limits *limits)
{
    struct subscriptions *index;

    assert_int_equal(broker_subscriptions_new(limits, &KEY, &index), RC_OK);
    return index;
}

struct tally {
    struct subscriber *first;
    unsigned counts[64];
    unsigned total;
    uint32_t identifier;
    uint8_t qos;
};

static void count(void *with, struct subscriber *subscriber,
                  const struct subscription *subscription)
{
    struct tally *tally = with;

    tally->counts[subscriber - tally->first]++;
    tally->total++;
    tally->identifier = subscription->identifier;
    tally->qos = subscription->options.qos;
}

static struct tally match(const struct subscriptions *index, struct subscriber *first,
                          struct bytes name)
{
    struct tally tally = { .first = first };

    broker_subscriptions_match(index, name, &(struct subscriptions_finder){ count, &tally });
    return tally;
}

static void add(struct subscriptions *index, struct subscriber *subscriber, struct bytes filter)
{
    bool replaced;

    assert_int_equal(broker_subscriptions_add(index, subscriber, filter, &QOS_1, &replaced),
                     RC_OK);
}

static void the_same_filter_is_replaced(void **state)
{
    AUTO_OF(subscriptions) *index = new_index(&LIMITS);
    struct subscriber one = { 0 };
    struct subscription second = { .options = { .qos = 0 }, .identifier = 9 };
    bool replaced;

    (void)state;
    assert_int_equal(broker_subscriptions_add(index, &one, BYTES("a/+"), &QOS_1, &replaced),
                     RC_OK);
    assert_false(replaced);
    assert_int_equal(broker_subscriptions_add(index, &one, BYTES("a/+"), &second, &replaced),
                     RC_OK);
    assert_true(replaced);
    struct tally tally = match(index, &one, BYTES("a/b"));
    assert_int_equal(tally.total, 1);
    assert_int_equal(tally.qos, 0);
    assert_int_equal(tally.identifier, 9);
    assert_true(broker_subscriptions_remove(index, &one, BYTES("a/+")));
    assert_false(broker_subscriptions_remove(index, &one, BYTES("a/+")));
    assert_int_equal(broker_subscriptions_count(index), 0);
    broker_subscriptions_remove_all(index, &one);
}

static void overlapping_filters_are_each_found(void **state)
{
    AUTO_OF(subscriptions) *index = new_index(&LIMITS);
    struct subscriber one = { 0 };

    (void)state;
    add(index, &one, BYTES("a/#"));
    add(index, &one, BYTES("a/b"));
    add(index, &one, BYTES("+/b"));
    add(index, &one, BYTES("#"));
    add(index, &one, BYTES("a/b/#"));
    assert_int_equal(match(index, &one, BYTES("a/b")).total, 5);
    assert_int_equal(match(index, &one, BYTES("$a/b")).total, 0);
    broker_subscriptions_remove_all(index, &one);
    assert_int_equal(one.count, 0);
}

static void each_limit_holds_and_changes_nothing(void **state)
{
    struct subscriptions_limits limits = { 3, 2, { 100, 1 << 20 } };
    AUTO_OF(subscriptions) *index = new_index(&limits);
    struct subscriber two[2] = { 0 };
    bool replaced = true;

    (void)state;
    add(index, &two[0], BYTES("a"));
    add(index, &two[0], BYTES("b"));
    assert_int_equal(broker_subscriptions_add(index, &two[0], BYTES("c"), &QOS_1, &replaced),
                     RC_LIMIT);
    add(index, &two[0], BYTES("a"));
    add(index, &two[1], BYTES("a"));
    assert_int_equal(broker_subscriptions_add(index, &two[1], BYTES("d"), &QOS_1, &replaced),
                     RC_LIMIT);
    assert_true(replaced);
    assert_int_equal(broker_subscriptions_count(index), 3);
    assert_int_equal(match(index, two, BYTES("d")).total, 0);
    broker_subscriptions_remove_all(index, &two[0]);
    broker_subscriptions_remove_all(index, &two[1]);
}

static bool keeps_only_below_a(void *with, struct bytes filter,
                               const struct subscription *subscription)
{
    (*(unsigned *)with)++;
    assert_int_equal(subscription->options.qos, 1);
    return bytes_start_with(filter, BYTES("a/"));
}

static void a_review_shows_each_filter_and_drops_what_is_refused(void **state)
{
    AUTO_OF(subscriptions) *index = new_index(&LIMITS);
    struct subscriber one = { 0 };
    unsigned shown = 0;

    (void)state;
    add(index, &one, BYTES("a/+/#"));
    add(index, &one, BYTES("/a//"));
    add(index, &one, BYTES("#"));
    add(index, &one, BYTES("a/"));
    broker_subscriptions_review(index, &one,
                                &(struct subscriptions_judge){ keeps_only_below_a, &shown });
    assert_int_equal(shown, 4);
    assert_int_equal(one.count, 2);
    assert_int_equal(match(index, &one, BYTES("a/b")).total, 1);
    assert_int_equal(match(index, &one, BYTES("a/")).total, 2);
    assert_int_equal(match(index, &one, BYTES("z")).total, 0);
    broker_subscriptions_remove_all(index, &one);
}

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(*random >> 33);
}

/* Short levels from a small alphabet, so that filters and names meet often. */
static void add_random_topic(uint64_t *random, bool wild, struct buf *topic)
{
    static const char *const LEVELS[] = { "a", "b", "", "$x", "ab" };
    uint32_t depth = next_random(random) % 5 + 1;

    for (uint32_t i = 0; i < depth; i++) {
        uint32_t pick = next_random(random) % 8;
        if (i > 0)
            buf_add_u8(topic, '/');
        if (wild && pick == 5) {
            buf_add_u8(topic, '#');
            return;
        }
        buf_add(topic, wild && pick > 5 ? BYTES("+") : bytes_of_text(LEVELS[pick % 5]));
    }
    if (topic->len == 0)
        buf_add_u8(topic, 'a');
}

enum { FILTERS = 400, WHO = 16 };

struct model {
    struct buf filters[FILTERS];
    struct subscriber *owner[FILTERS]; /* NULL: free */
};

static struct buf *find_in_model(struct model *model, struct subscriber *owner,
                                 struct bytes filter, size_t *at)
{
    for (size_t i = 0; i < FILTERS; i++)
        if (model->owner[i] == owner && bytes_equal(buf_bytes(&model->filters[i]), filter)) {
            *at = i;
            return &model->filters[i];
        }
    return NULL;
}

static void change(struct model *model, struct subscriptions *index, struct subscriber *who,
                   struct bytes filter)
{
    size_t at = 0;
    bool known = find_in_model(model, who, filter, &at) != NULL;

    if (known) {
        assert_true(broker_subscriptions_remove(index, who, filter));
        model->owner[at] = NULL;
        return;
    }
    assert_false(broker_subscriptions_remove(index, who, filter));
    for (at = 0; at < FILTERS && model->owner[at] != NULL; at++)
        ;
    if (at == FILTERS)
        return;
    add(index, who, filter);
    buf_reset(&model->filters[at]);
    buf_add(&model->filters[at], filter);
    model->owner[at] = who;
}

static void forget(struct model *model, struct subscriptions *index, struct subscriber *who)
{
    broker_subscriptions_remove_all(index, who);
    assert_int_equal(who->count, 0);
    for (size_t i = 0; i < FILTERS; i++)
        if (model->owner[i] == who)
            model->owner[i] = NULL;
}

static void compare(const struct model *model, const struct subscriptions *index,
                    struct subscriber *all, struct bytes name)
{
    struct tally found = match(index, all, name);
    unsigned expected[64] = { 0 };

    for (size_t i = 0; i < FILTERS; i++)
        if (model->owner[i] != NULL &&
            broker_mqtt_topic_matches(buf_bytes(&model->filters[i]), name))
            expected[model->owner[i] - all]++;
    assert_memory_equal(found.counts, expected, sizeof expected);
}

static void agrees_with_naive_matching_through_changes(void **state)
{
    AUTO_OF(subscriptions) *index = new_index(&LIMITS);
    static struct model model;
    struct subscriber all[WHO] = { 0 };
    uint64_t random = 42;

    (void)state;
    for (size_t i = 0; i < FILTERS; i++)
        model.filters[i] = BUF_MAX(64);
    for (int step = 0; step < 20000; step++) {
        AUTO_BUF(topic, 64);
        struct subscriber *who = &all[next_random(&random) % WHO];
        uint32_t what = next_random(&random) % 500;
        add_random_topic(&random, what < 250, &topic);
        if (what < 250)
            change(&model, index, who, buf_bytes(&topic));
        else
            compare(&model, index, all, buf_bytes(&topic));
        if (what == 499)
            forget(&model, index, who);
    }
    for (size_t i = 0; i < WHO; i++)
        forget(&model, index, &all[i]);
    assert_int_equal(broker_subscriptions_count(index), 0);
    for (size_t i = 0; i < FILTERS; i++)
        buf_clear(&model.filters[i]);
}

/* Every way of writing + or a level at each depth: as many paths as a trie can make a walk
 * branch. */
static void deep_and_bushy_filters_stay_within_bounds(void **state)
{
    AUTO_OF(subscriptions) *index = new_index(&LIMITS);
    struct subscriber one = { 0 };
    char filter[2 * MQTT_LEVELS_MAX];

    (void)state;
    for (unsigned bits = 0; bits < 512; bits++) {
        for (unsigned i = 0; i < 9; i++) {
            filter[2 * i] = (bits >> i & 1) != 0 ? '+' : 'a';
            filter[2 * i + 1] = '/';
        }
        add(index, &one, (struct bytes){ (const uint8_t *)filter, 17 });
    }
    assert_int_equal(match(index, &one, BYTES("a/a/a/a/a/a/a/a/a")).total, 512);
    for (size_t i = 0; i < sizeof filter; i++)
        filter[i] = i % 2 == 0 ? '+' : '/';
    add(index, &one, (struct bytes){ (const uint8_t *)filter, sizeof filter - 1 });
    for (size_t i = 0; i < sizeof filter; i += 2)
        filter[i] = 'b';
    assert_int_equal(
        match(index, &one, (struct bytes){ (const uint8_t *)filter, sizeof filter - 1 }).total,
        1);
    broker_subscriptions_remove_all(index, &one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_filter_is_replaced),
        cmocka_unit_test(overlapping_filters_are_each_found),
        cmocka_unit_test(each_limit_holds_and_changes_nothing),
        cmocka_unit_test(a_review_shows_each_filter_and_drops_what_is_refused),
        cmocka_unit_test(agrees_with_naive_matching_through_changes),
        cmocka_unit_test(deep_and_bushy_filters_stay_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
