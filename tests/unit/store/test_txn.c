#include "tests/unit/store/scratch.h"

#include <string.h>

static enum rc put_ten(struct store_txn *txn, void *with)
{
    static const char *const KEYS[] = { "a",    "aa",       "ab", "abc", "b",
                                        "\xff", "\xff\xff", "c",  "ca",  "d" };

    (void)with;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        TRY(store_txn_insert(txn, DEVICES, bytes_of_text(KEYS[i]), bytes_of_text(KEYS[i])));
    return RC_OK;
}

struct scan {
    struct store_range range;
    const char *expected; /* the keys, joined by spaces */
};

static enum rc scan(struct store_txn *txn, void *with)
{
    const struct scan *what = with;
    AUTO_OF(store_cursor) *cursor = NULL;
    AUTO_BUF(found, 256);
    struct bytes key;
    struct store_value value;

    TRY(store_cursor_open(txn, DEVICES, &what->range, &cursor));
    enum rc rc = store_cursor_next(cursor, &key, &value);
    for (; rc == RC_OK; rc = store_cursor_next(cursor, &key, &value)) {
        assert_true(bytes_equal(key, value.bytes));
        assert_int_equal(value.revision, 1);
        buf_addf(&found, "%s", found.len > 0 ? " " : "");
        buf_add(&found, key);
    }
    assert_int_equal(rc, RC_NOT_FOUND);
    assert_int_equal(store_cursor_next(cursor, &key, &value), RC_NOT_FOUND);
    if (!bytes_equal_text(buf_bytes(&found), what->expected))
        fail_msg("expected \"%s\", got \"%.*s\"", what->expected, BYTES_FMT(buf_bytes(&found)));
    return RC_OK;
}

static void scans_give_exactly_the_range(void **state)
{
    static const struct scan SCANS[] = {
        { .expected = "a aa ab abc b c ca d \xff \xff\xff" },
        { { .backward = true }, "\xff\xff \xff d ca c b abc ab aa a" },
        { { .prefix = BYTES("a") }, "a aa ab abc" },
        { { .prefix = BYTES("a"), .backward = true }, "abc ab aa a" },
        { { .prefix = BYTES("ab"), .backward = true }, "abc ab" },
        { { .prefix = BYTES("\xff") }, "\xff \xff\xff" },
        { { .prefix = BYTES("\xff"), .backward = true }, "\xff\xff \xff" },
        { { .prefix = BYTES("\xff\xff"), .backward = true }, "\xff\xff" },
        { { .prefix = BYTES("e") }, "" },
        { { .prefix = BYTES("e"), .backward = true }, "" },
        { { .from = BYTES("b") }, "b c ca d \xff \xff\xff" },
        { { .from = BYTES("b"), .backward = true }, "\xff\xff \xff d ca c b" },
        { { .after = BYTES("b") }, "c ca d \xff \xff\xff" },
        { { .after = BYTES("b"), .backward = true }, "\xff\xff \xff d ca c" },
        { { .after = BYTES("bb"), .below = BYTES("d") }, "c ca" },
        { { .below = BYTES("b") }, "a aa ab abc" },
        { { .below = BYTES("b"), .backward = true }, "abc ab aa a" },
        { { .below = BYTES("a") }, "" },
        { { .below = BYTES("a"), .backward = true }, "" },
        { { .below = BYTES("0"), .backward = true }, "" },
        { { .from = BYTES("\xff\xff\xff") }, "" },
        { { .from = BYTES("d"), .below = BYTES("b") }, "" },
        { { .from = BYTES("d"), .below = BYTES("b"), .backward = true }, "" },
        { { .prefix = BYTES("a"), .after = BYTES("aa"), .below = BYTES("abc") }, "ab" },
        { { .prefix = BYTES("a"), .from = BYTES("b") }, "" },
        { { .prefix = BYTES("a"), .below = BYTES("z"), .backward = true }, "abc ab aa a" },
        { { .prefix = BYTES("c"), .below = BYTES("b"), .backward = true }, "" },
    };
    struct scratch_world *w = *state;

    assert_int_equal(store_write(w->store, put_ten, NULL), RC_OK);
    for (size_t i = 0; i < sizeof SCANS / sizeof *SCANS; i++) {
        struct scan one = SCANS[i];
        assert_int_equal(store_read(w->store, scan, &one), RC_OK);
    }
}

static enum rc scan_and_remove(struct store_txn *txn, void *with)
{
    bool backward = *(bool *)with;
    struct store_range range = { .prefix = BYTES("a"), .backward = backward };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct bytes key;
    struct store_value value;
    unsigned seen = 0;

    TRY(store_cursor_open(txn, DEVICES, &range, &cursor));
    while (store_cursor_next(cursor, &key, &value) == RC_OK) {
        uint8_t copy[8] = { 0 };
        memcpy(copy, key.at, key.len);
        TRY(store_txn_remove(txn, DEVICES, (struct bytes){ copy, key.len }));
        seen++;
    }
    return seen == 4 ? fault(RC_DENIED, "undo it") : fault(RC_CORRUPT, "saw %u", seen);
}

static void a_scan_goes_on_when_what_it_stands_on_is_removed(void **state)
{
    struct scratch_world *w = *state;
    struct scan all = { { .prefix = BYTES("a") }, "a aa ab abc" };

    assert_int_equal(store_write(w->store, put_ten, NULL), RC_OK);
    assert_int_equal(store_write(w->store, scan_and_remove, &(bool){ false }), RC_DENIED);
    assert_int_equal(store_write(w->store, scan_and_remove, &(bool){ true }), RC_DENIED);
    assert_int_equal(store_read(w->store, scan, &all), RC_OK);
    assert_int_equal(store_revision(w->store), 1);
}

static enum rc try_everything_once(struct store_txn *txn, void *with)
{
    struct bytes key = BYTES("key");
    struct store_value value;
    uint64_t count = 0;

    (void)with;
    assert_int_equal(store_txn_revision(txn), 1);
    assert_int_equal(store_txn_get(txn, DEVICES, key, &value), RC_NOT_FOUND);
    assert_int_equal(store_txn_remove(txn, DEVICES, key), RC_NOT_FOUND);
    assert_int_equal(store_txn_expect(txn, DEVICES, key, 0), RC_OK);
    assert_int_equal(store_txn_expect(txn, DEVICES, key, 1), RC_BUSY);
    assert_int_equal(store_txn_insert(txn, DEVICES, key, BYTES("1")), RC_OK);
    assert_int_equal(store_txn_insert(txn, DEVICES, key, BYTES("2")), RC_EXISTS);
    assert_int_equal(store_txn_get(txn, DEVICES, key, &value), RC_OK);
    assert_true(bytes_equal_text(value.bytes, "1"));
    assert_int_equal(value.revision, 1);
    assert_int_equal(store_txn_expect(txn, DEVICES, key, 1), RC_OK);
    assert_int_equal(store_txn_expect(txn, DEVICES, key, 0), RC_BUSY);
    assert_int_equal(store_txn_put(txn, DEVICES, key, BYTES("")), RC_OK);
    assert_int_equal(store_txn_get(txn, DEVICES, key, &value), RC_OK);
    assert_int_equal(value.bytes.len, 0);
    assert_int_equal(store_txn_count(txn, DEVICES, &count), RC_OK);
    assert_int_equal(count, 1);
    return store_txn_remove(txn, DEVICES, key);
}

static void each_operation_does_what_its_word_says(void **state)
{
    struct scratch_world *w = *state;

    assert_int_equal(store_write(w->store, try_everything_once, NULL), RC_OK);
    assert_int_equal(store_revision(w->store), 1);
}

static enum rc append_in_order(struct store_txn *txn, void *with)
{
    (void)with;
    assert_int_equal(store_txn_append(txn, DEVICES, BYTES("b"), BYTES("b")), RC_OK);
    assert_int_equal(store_txn_append(txn, DEVICES, BYTES("b"), BYTES("2")), RC_EXISTS);
    assert_int_equal(store_txn_append(txn, DEVICES, BYTES("a"), BYTES("2")), RC_EXISTS);
    assert_non_null(strstr(fault_text(), "or not behind all others"));
    assert_int_equal(store_txn_append(txn, DEVICES, BYTES("c"), BYTES("c")), RC_OK);
    return RC_OK;
}

static void what_is_appended_stands_behind_all_others(void **state)
{
    struct scratch_world *w = *state;
    struct scan all = { .expected = "b c" };

    assert_int_equal(store_write(w->store, append_in_order, NULL), RC_OK);
    assert_int_equal(store_read(w->store, scan, &all), RC_OK);
}

static enum rc look_at_undone(struct store_txn *txn, void *with)
{
    *(uint64_t *)with = store_txn_undone(txn);
    return RC_OK;
}

static uint64_t undone_of(struct scratch_world *w)
{
    uint64_t undone = 0;

    assert_int_equal(store_read(w->store, look_at_undone, &undone), RC_OK);
    return undone;
}

static void what_came_to_nothing_is_counted_and_nothing_else(void **state)
{
    struct scratch_world *w = *state;
    uint64_t before = undone_of(w);

    assert_int_equal(store_write(w->store, put_ten, NULL), RC_OK);
    assert_int_equal(undone_of(w), before + 1); /* the rehearsal */
    assert_int_equal(store_write(w->store, scan_and_remove, &(bool){ true }), RC_DENIED);
    assert_true(undone_of(w) >= before + 1 + 2);
}

static enum rc try_key_lengths(struct store_txn *txn, void *with)
{
    static const struct {
        size_t len;
        unsigned table;
        enum rc rc;
    } LENGTHS[] = {
        { 0, DEVICES, RC_LIMIT },          { 1, DEVICES, RC_OK },
        { STORE_KEY_MAX, DEVICES, RC_OK }, { STORE_KEY_MAX + 1, DEVICES, RC_LIMIT },
        { 7, BY_NUMBER, RC_LIMIT },        { 8, BY_NUMBER, RC_OK },
        { 9, BY_NUMBER, RC_LIMIT },
    };
    static const uint8_t KEY[STORE_KEY_MAX + 1] = { 9 };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_range range = { .below = BYTES_OF(KEY) };

    (void)with;
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        struct bytes key = { KEY, LENGTHS[i].len };
        struct store_value value;
        assert_int_equal(store_txn_put(txn, LENGTHS[i].table, key, BYTES("v")), LENGTHS[i].rc);
        assert_int_equal(store_txn_get(txn, LENGTHS[i].table, key, &value), LENGTHS[i].rc);
    }
    assert_int_equal(store_cursor_open(txn, DEVICES, &range, &cursor), RC_LIMIT);
    return RC_OK;
}

static void keys_keep_to_their_bounds(void **state)
{
    struct scratch_world *w = *state;

    assert_int_equal(store_write(w->store, try_key_lengths, NULL), RC_OK);
}

static enum rc only_look(struct store_txn *txn, void *with)
{
    struct store_value value;

    (void)with;
    return store_txn_get(txn, DEVICES, BYTES("a"), &value);
}

static void a_change_that_changes_nothing_takes_no_revision(void **state)
{
    struct scratch_world *w = *state;

    assert_int_equal(store_write(w->store, put_ten, NULL), RC_OK);
    assert_int_equal(store_write(w->store, only_look, NULL), RC_OK);
    assert_int_equal(store_revision(w->store), 1);
}

static enum rc half(struct store_txn *txn, void *with)
{
    (void)with;
    TRY(store_txn_put(txn, DEVICES, BYTES("zz"), BYTES("half")));
    return fault(RC_DENIED, "by choice");
}

static void a_change_that_fails_leaves_nothing(void **state)
{
    struct scratch_world *w = *state;
    struct scan none = { { .prefix = BYTES("zz") }, "" };

    assert_int_equal(store_write(w->store, half, NULL), RC_DENIED);
    assert_string_equal(fault_text(), "by choice");
    assert_int_equal(store_read(w->store, scan, &none), RC_OK);
    assert_int_equal(store_revision(w->store), 0);
}

/* Counts its runs, as no change should; the rehearsal is seen by that alone. */
static enum rc append_run(struct store_txn *txn, void *with)
{
    struct store_value value = { 0 };
    AUTO_BUF(longer, 64);

    ++*(unsigned *)with;
    enum rc rc = store_txn_get(txn, DEVICES, BYTES("runs"), &value);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    buf_add(&longer, value.bytes);
    buf_addf(&longer, "x");
    return store_txn_put(txn, DEVICES, BYTES("runs"), buf_bytes(&longer));
}

static enum rc expect_one_x(struct store_txn *txn, void *with)
{
    struct store_value value;

    (void)with;
    TRY(store_txn_get(txn, DEVICES, BYTES("runs"), &value));
    return bytes_equal_text(value.bytes, "x") ? RC_OK : fault(RC_DENIED, "not once");
}

static void a_change_that_runs_again_counts_once(void **state)
{
    struct scratch_world *w = *state;
    unsigned runs = 0;

    assert_int_equal(store_write(w->store, append_run, &runs), RC_OK);
    assert_int_equal(runs, 2);
    assert_int_equal(store_read(w->store, expect_one_x, NULL), RC_OK);
    assert_int_equal(store_revision(w->store), 1);
}

struct slow {
    int64_t *now;
    unsigned gets;
};

static enum rc read_slowly(struct store_txn *txn, void *with)
{
    struct slow *slow = with;
    struct store_value value;

    for (unsigned i = 0; i < slow->gets; i++) {
        ++*slow->now;
        TRY(store_txn_get(txn, DEVICES, BYTES("a"), &value));
    }
    return RC_OK;
}

static void a_read_past_its_time_is_ended(void **state)
{
    struct scratch_world *w = *state;
    struct store_settings settings = { .map_bytes = 8 << 20,
                                       .clock = &w->clock,
                                       .read_most_ms = 1000 };
    struct slow in_time = { &w->now, 1000 }, late = { &w->now, 2000 };

    assert_int_equal(store_write(w->store, put_ten, NULL), RC_OK);
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &settings, &w->store), RC_OK);
    assert_int_equal(store_read(w->store, read_slowly, &in_time), RC_OK);
    assert_int_equal(store_read(w->store, read_slowly, &late), RC_LIMIT);
    assert_int_equal(store_read(w->store, read_slowly, &in_time), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scans_give_exactly_the_range, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_scan_goes_on_when_what_it_stands_on_is_removed,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(each_operation_does_what_its_word_says, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(what_is_appended_stands_behind_all_others,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(what_came_to_nothing_is_counted_and_nothing_else,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(keys_keep_to_their_bounds, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_changes_nothing_takes_no_revision,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_fails_leaves_nothing, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_runs_again_counts_once, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_read_past_its_time_is_ended, scratch_set_up,
                                        scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
