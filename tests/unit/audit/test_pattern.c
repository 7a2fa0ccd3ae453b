/* The pattern of topics that are counted together: it matches all of them, whatever they are.
 */
#include "tests/unit/audit/logs.h"

#include "audit/facet.h"
#include "audit/pattern.h"
#include "audit/pending.h"
#include "audit/topic.h"
#include "policy/topic.h"

#include <string.h>

static void topics_have_a_pattern_in_common(void **state)
{
    static const struct {
        const char *topics[4], *wanted;
    } ROWS[] = {
        { { "a/b/c", "a/b/c" }, "a/b/c" },
        { { "a/b/c", "a/x/c" }, "a/+/c" },
        { { "a/b/c", "a/x/c", "a/b/y" }, "a/+/+" },
        { { "a/b/c", "a/b" }, "a/b/#" },
        { { "a/b", "a/b/c", "a/b/c/d" }, "a/b/#" },
        { { "a/b/c", "x/b/c", "x/b" }, "+/b/#" },
        { { "a", "b" }, "+" },
        { { "a", "b", "c/d" }, "+/#" },
        { { "$SYS/a", "b/a" }, "#" },
        { { "$SYS/a", "$SYS/b" }, "$SYS/+" },
        { { "", "a" }, "#" },
        { { "/a", "/b" }, "/+" },
        { { "a//c", "a/b/c" }, "a/+/c" },
        { { "a/#", "a/b/c" }, "a/#" }, /* filters */
        { { "a/+/c", "a/b/c", "a/b/#" }, "a/+/#" },
        { { "a/b", "a/#", "z/b" }, "+/#" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(room, AUDIT_TARGET_MAX);
        const struct bytes first = bytes_of_text(ROWS[i].topics[0]);
        uint64_t pattern = 0;
        for (size_t j = 0; j < 4 && ROWS[i].topics[j] != NULL; j++)
            pattern = audit_pattern_widen(pattern, first, bytes_of_text(ROWS[i].topics[j]));
        const struct bytes text = audit_pattern_text(pattern, first, &room);
        if (!bytes_equal_text(text, ROWS[i].wanted))
            fail_msg("row %zu: %.*s", i, BYTES_FMT(text));
    }
}

/* A topic of few letters and many levels, of two lengths: they often agree. */
static struct bytes at_random(uint64_t *dice, unsigned deep, struct buf *room)
{
    static const char *const LEVELS[] = { "", "a", "b", "sensor" };
    const unsigned levels = 1 + (unsigned)(logs_dice(dice) % deep);

    buf_reset(room);
    for (unsigned i = 0; i < levels; i++)
        buf_addf(room, "%s%s", i > 0 ? "/" : "", LEVELS[logs_dice(dice) % 4]);
    if (room->len == 0)
        buf_addf(room, logs_dice(dice) % 2 == 0 ? "/" : "$SYS/a");
    return buf_bytes(room);
}

/* As a search asks the index: of each term at least one facet. */
static bool is_found(const struct audit_record *record, struct bytes topic)
{
    const struct audit_query query = { .topic = topic, .most = 1 };
    struct audit_facets facets;
    struct audit_terms terms;
    size_t met = 0;

    audit_facets_of(record, &facets);
    audit_terms_of(&query, &terms);
    for (size_t i = 0; i < terms.count; i++) {
        bool has = false;
        for (size_t j = 0; j < terms.at[i].count * facets.count; j++) {
            const struct audit_facet *wanted = &terms.at[i].of[j / facets.count];
            const struct audit_facet *there = &facets.at[j % facets.count];
            has = has || (wanted->hash == there->hash && wanted->kind == there->kind);
        }
        met += has;
    }
    return met == terms.count && audit_topic_meets_record(topic, record);
}

/* Each topic is found by itself in the record that counts all, and by the index, too. */
static void whatever_is_counted_is_found_by_its_topic(void **state)
{
    static const unsigned DEEP[] = { 2, 4, 70, 126 };
    uint64_t dice = 5;

    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        AUTO_BUF(first_room, 2048);
        AUTO_BUF(room, AUDIT_TARGET_MAX);
        struct buf topics[3] = { BUF_MAX(2048), BUF_MAX(2048), BUF_MAX(2048) };
        const unsigned deep = DEEP[logs_dice(&dice) % 4];
        const struct bytes first = at_random(&dice, deep, &first_room);
        uint64_t pattern = 0;
        for (size_t i = 0; i < 3; i++)
            pattern = audit_pattern_widen(pattern, first, at_random(&dice, deep, &topics[i]));
        const struct audit_record record = {
            .action = AUDIT_PUBLISH,
            .decision = AUDIT_ALLOWED,
            .actor_kind = AUDIT_DEVICE,
            .actor = BYTES("dev-1"),
            .target = audit_pattern_text(pattern, first, &room),
            .aggregate = { .count = 4, .targets = 4 },
        };
        assert_true(record.target.len <= AUDIT_TARGET_MAX);
        assert_int_equal(policy_topic_check_filter(record.target), RC_OK);
        for (size_t i = 0; i < 3; i++) {
            assert_true(is_found(&record, buf_bytes(&topics[i])));
            buf_clear(&topics[i]);
        }
    }
}

/* Whatever else is counted with it, by what it is subscribed to. */
static void a_shared_subscription_is_found_among_others(void **state)
{
    static const char *const OTHERS[] = { "$share/h/a/b", "$share/g/c", "$share/g", "$share",
                                          "x/y" };
    const struct bytes first = BYTES("$share/g/a/b");

    (void)state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        AUTO_BUF(room, AUDIT_TARGET_MAX);
        const uint64_t pattern = audit_pattern_widen(0, first, bytes_of_text(OTHERS[i]));
        const struct audit_record record = {
            .action = AUDIT_SUBSCRIBE,
            .decision = AUDIT_DENIED,
            .actor_kind = AUDIT_DEVICE,
            .actor = BYTES("dev-1"),
            .target = audit_pattern_text(pattern, first, &room),
            .aggregate = { .count = 2, .targets = 2 },
        };
        if (!is_found(&record, BYTES("a/b")))
            fail_msg("not in %.*s, with %s", BYTES_FMT(record.target), OTHERS[i]);
    }
}

/* Long topics: what has no room becomes #. */
static void no_pattern_is_longer_than_a_target(void **state)
{
    char one[AUDIT_TARGET_MAX], two[AUDIT_TARGET_MAX];
    AUTO_BUF(room, AUDIT_TARGET_MAX);

    (void)state;
    memset(one, 'x', sizeof one);
    memcpy(two, one, sizeof two);
    one[1] = two[1] = one[1000] = two[1000] = one[1022] = two[1022] = '/';
    two[0] = 'y';
    const struct bytes first = BYTES_OF(one);
    uint64_t pattern = audit_pattern_widen(0, first, BYTES_OF(two));
    struct bytes text = audit_pattern_text(pattern, first, &room);
    assert_int_equal(text.len, AUDIT_TARGET_MAX);
    assert_memory_equal(text.at, "+/xx", 4);
    assert_memory_equal(text.at + AUDIT_TARGET_MAX - 4, "xx/#", 4);
    assert_true(audit_topic_meets(text, BYTES_OF(two)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_have_a_pattern_in_common),
        cmocka_unit_test(whatever_is_counted_is_found_by_its_topic),
        cmocka_unit_test(a_shared_subscription_is_found_among_others),
        cmocka_unit_test(no_pattern_is_longer_than_a_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
