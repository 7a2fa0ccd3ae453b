#include "tests/support/check.h"

#include "broker/retained.h"

static const struct topic_hash_key KEY = { 3, 4 };
static const struct retained_limits LIMITS = { 1000, 1 << 20, { 10000, 1 << 22 } };

struct store {
    struct message_pool *pool;
    struct retained *retained;
};

static struct store open_store(const struct retained_limits *limits)
{
    struct store store;

    assert_int_equal(
        broker_message_pool_new(&(struct message_pool_limits){ 1 << 22, 1 << 16 }, &store.pool),
        RC_OK);
    assert_int_equal(broker_retained_new(limits, &KEY, &store.retained), RC_OK);
    return store;
}

static void close_store(struct store *store)
{
    broker_retained_free(store->retained);
    assert_int_equal(broker_message_pool_bytes(store->pool), 0);
    broker_message_pool_free(store->pool);
}

static enum rc set(struct store *store, struct bytes topic, struct bytes payload,
                   uint32_t expiry_s)
{
    AUTO_BUF(block, 64);
    struct mqtt_publish publish = { .topic = topic, .payload = payload, .retain = true };
    AUTO_OF(message) *message = NULL;

    if (expiry_s != 0)
        broker_mqtt_properties_add_number(&block, MQTT_MESSAGE_EXPIRY, expiry_s);
    publish.properties = broker_mqtt_properties_of(&block, MQTT_PUBLISH);
    assert_int_equal(broker_message_new(store->pool, &publish, 0, &message), RC_OK);
    return broker_retained_set(store->retained, message);
}

static bool count(void *with, struct message *message)
{
    (void)message;
    (*(unsigned *)with)++;
    return true;
}

static unsigned match(const struct store *store, struct bytes filter, int64_t now_ms)
{
    unsigned found = 0;
    size_t steps = 1000;

    assert_true(broker_retained_match(store->retained, filter, now_ms, &steps,
                                      &(struct retained_finder){ count, &found }));
    return found;
}

/* The same in pieces of so many steps. */
static unsigned walk(const struct store *store, struct bytes filter, int64_t now_ms,
                     size_t piece)
{
    unsigned found = 0;
    uint32_t place = 0;
    size_t steps = piece;

    while (!broker_retained_walk(store->retained, filter, now_ms, &steps, &place,
                                 &(struct retained_finder){ count, &found })) {
        assert_int_equal(steps, 0);
        steps = piece;
    }
    return found;
}

static void the_newest_stays_and_an_empty_payload_clears(void **state)
{
    struct store store = open_store(&LIMITS);

    (void)state;
    assert_int_equal(set(&store, BYTES("a"), BYTES("1"), 0), RC_OK);
    assert_int_equal(set(&store, BYTES("a"), BYTES("2"), 0), RC_OK);
    assert_int_equal(broker_retained_count(store.retained), 1);
    struct message *kept = broker_retained_get(store.retained, BYTES("a"));
    assert_true(bytes_equal_text(broker_message_payload(kept), "2"));
    assert_int_equal(set(&store, BYTES("a"), BYTES(""), 0), RC_OK);
    assert_null(broker_retained_get(store.retained, BYTES("a")));
    assert_false(broker_retained_clear(store.retained, BYTES("a")));
    assert_int_equal(broker_retained_bytes(store.retained), 0);
    assert_int_equal(set(&store, BYTES("never/there"), BYTES(""), 0), RC_OK);
    close_store(&store);
}

static void limits_count_what_would_be_left(void **state)
{
    struct retained_limits limits = { 2, 400, { 100, 1 << 20 } };
    struct store store = open_store(&limits);

    (void)state;
    assert_int_equal(set(&store, BYTES("a"), BYTES("1"), 0), RC_OK);
    assert_int_equal(set(&store, BYTES("b"), BYTES("1"), 0), RC_OK);
    assert_int_equal(set(&store, BYTES("c"), BYTES("1"), 0), RC_LIMIT);
    assert_null(broker_retained_get(store.retained, BYTES("c")));
    assert_int_equal(set(&store, BYTES("a"), BYTES("2"), 0), RC_OK);
    static const uint8_t large[300];
    assert_int_equal(set(&store, BYTES("a"), BYTES_OF(large), 0), RC_LIMIT);
    assert_true(bytes_equal_text(
        broker_message_payload(broker_retained_get(store.retained, BYTES("a"))), "2"));
    close_store(&store);
}

static void what_has_expired_is_not_found(void **state)
{
    struct store store = open_store(&LIMITS);

    (void)state;
    assert_int_equal(set(&store, BYTES("a/1"), BYTES("x"), 10), RC_OK);
    assert_int_equal(set(&store, BYTES("a/2"), BYTES("x"), 0), RC_OK);
    assert_int_equal(match(&store, BYTES("a/+"), 9999), 2);
    assert_int_equal(match(&store, BYTES("a/+"), 10000), 1);
    assert_int_equal(walk(&store, BYTES("a/+"), 10000, 3), 1);
    assert_int_equal(broker_retained_expire(store.retained, 9999), 0);
    assert_int_equal(broker_retained_expire(store.retained, 10000), 1);
    assert_int_equal(broker_retained_count(store.retained), 1);
    close_store(&store);
}

static const char *const TOPICS[] = {
    "a", "a/b", "a/b/c", "a/c",  "a/c/c", "b",        "b/b",       "b//c",
    "/", "/a",  "$x",    "$x/a", "a/$x",  "ab/b/c/d", "b/b/c/d/e",
};
static const char *const FILTERS[] = {
    "#",    "+",  "a",  "a/#", "a/+",     "+/b",   "+/+", "+/+/c", "a/+/c",     "$x",    "$x/#",
    "$x/+", "/#", "/+", "+/#", "a/b/c/#", "b/+/c", "z/#", "z",     "+/+/+/+/+", "a/+/#", "a/$x",
};

static void agrees_with_naive_matching(void **state)
{
    struct store store = open_store(&LIMITS);

    (void)state;
    for (size_t i = 0; i < sizeof TOPICS / sizeof *TOPICS; i++)
        assert_int_equal(set(&store, bytes_of_text(TOPICS[i]), BYTES("x"), 0), RC_OK);
    for (size_t f = 0; f < sizeof FILTERS / sizeof *FILTERS; f++) {
        struct bytes filter = bytes_of_text(FILTERS[f]);
        unsigned expected = 0;
        for (size_t i = 0; i < sizeof TOPICS / sizeof *TOPICS; i++)
            expected += broker_mqtt_topic_matches(filter, bytes_of_text(TOPICS[i]));
        if (match(&store, filter, 0) != expected)
            fail_msg("%s: %u, not %u", FILTERS[f], match(&store, filter, 0), expected);
        for (size_t piece = 1; piece <= 20; piece++)
            assert_int_equal(walk(&store, filter, 0, piece), expected);
    }
    close_store(&store);
}

/* Takes one message at a time, and remembers which. */
struct one_by_one {
    char seen[16];
    size_t count;
    bool full;
};

static bool take_one(void *with, struct message *message)
{
    struct one_by_one *taken = with;

    if (taken->full)
        return false;
    taken->seen[taken->count++] = (char)broker_message_topic(message).at[0];
    taken->full = true;
    return true;
}

static void a_match_of_more_than_its_steps_says_so(void **state)
{
    struct store store = open_store(&LIMITS);
    unsigned found = 0;
    size_t steps = 3;

    (void)state;
    for (size_t i = 0; i < sizeof TOPICS / sizeof *TOPICS; i++)
        assert_int_equal(set(&store, bytes_of_text(TOPICS[i]), BYTES("x"), 0), RC_OK);
    assert_false(broker_retained_match(store.retained, BYTES("#"), 0, &steps,
                                       &(struct retained_finder){ count, &found }));
    assert_int_equal(steps, 0);
    assert_in_range(found, 0, 3);
    close_store(&store);
}

static void what_stays_during_a_walk_is_found_once(void **state)
{
    struct store store = open_store(&LIMITS);
    struct one_by_one taken = { .count = 0 };
    const struct retained_finder finder = { take_one, &taken };
    uint32_t place = 0;
    size_t steps = 1000;

    (void)state;
    for (const char *topic = "a\0b\0c\0d\0e\0"; *topic != '\0'; topic += 2)
        assert_int_equal(set(&store, bytes_of_text(topic), BYTES("x"), 0), RC_OK);
    while (!broker_retained_walk(store.retained, BYTES("#"), 0, &steps, &place, &finder)) {
        taken.full = false;
        if (taken.count == 2) { /* the store changes on both sides of the walk */
            assert_int_equal(set(&store, BYTES("a"), BYTES(""), 0), RC_OK);
            assert_int_equal(set(&store, BYTES("d"), BYTES(""), 0), RC_OK);
            assert_int_equal(set(&store, BYTES("b"), BYTES("y"), 0), RC_OK);
            assert_int_equal(set(&store, BYTES("c"), BYTES("y"), 0), RC_OK);
        }
    }
    assert_string_equal(taken.seen, "abce");
    close_store(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_stays_and_an_empty_payload_clears),
        cmocka_unit_test(limits_count_what_would_be_left),
        cmocka_unit_test(what_has_expired_is_not_found),
        cmocka_unit_test(agrees_with_naive_matching),
        cmocka_unit_test(a_match_of_more_than_its_steps_says_so),
        cmocka_unit_test(what_stays_during_a_walk_is_found_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
