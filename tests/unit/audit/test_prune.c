/* Retention: what is due by a clock that nobody can push ahead. */
#include "tests/unit/audit/logs.h"

#include "audit/holds.h"
#include "audit/prune.h"

enum { DAY = 86400000, HOUR = 3600000 };

struct world {
    struct logs *logs;
    struct audit_record record;
    struct audit_prune prune;
    struct audit_pruned pruned;
    uint32_t days, before;
    uint64_t minimum, keys, index;
    bool bare;
};

static enum rc append(struct store_txn *txn, void *with)
{
    struct world *w = with;

    return audit_log_append(w->logs->log, txn, &w->record, &w->index);
}

static enum rc set_days(struct store_txn *txn, void *with)
{
    struct world *w = with;

    return audit_prune_set(w->logs->log, txn, w->days, w->prune.wall_ms, &w->before);
}

static enum rc step(struct store_txn *txn, void *with)
{
    struct world *w = with;

    return audit_prune_step(w->logs->log, txn, &w->prune, &w->pruned);
}

static enum rc look(struct store_txn *txn, void *with)
{
    struct world *w = with;
    struct audit_entry entry;
    struct bytes bytes;

    TRY(audit_prune_minimum(w->logs->log, txn, &w->minimum));
    TRY(store_txn_count(txn, AUDIT_KEYS, &w->keys));
    TRY(audit_log_get(w->logs->log, txn, w->index, &bytes));
    TRY(audit_leaf_read(bytes, &entry));
    w->bare = entry.erased;
    return RC_OK;
}

static void begin(struct world *w, void *logs)
{
    *w = (struct world){ .logs = logs,
                         .record = { .action = AUDIT_HANDSHAKE,
                                     .decision = AUDIT_DENIED,
                                     .peer = BYTES("203.0.113.7:1") },
                         .prune = { .below = UINT64_MAX, .most = 100 } };
}

static void add(struct world *w, int64_t wall_ms)
{
    w->record.wall_ms = wall_ms;
    assert_int_equal(store_write(w->logs->store, append, w), RC_OK);
}

static void retain(struct world *w, uint32_t days, int64_t wall_ms)
{
    w->days = days;
    w->prune.wall_ms = wall_ms;
    assert_int_equal(store_write(w->logs->store, set_days, w), RC_OK);
}

static void prune_at(struct world *w, int64_t wall_ms, int64_t elapsed_ms)
{
    w->prune.wall_ms = wall_ms;
    w->prune.elapsed_ms = elapsed_ms;
    assert_int_equal(store_write(w->logs->store, step, w), RC_OK);
}

static bool is_bare(struct world *w, uint64_t index)
{
    w->index = index;
    assert_int_equal(store_read(w->logs->store, look, w), RC_OK);
    return w->bare;
}

static uint64_t minimum(struct world *w)
{
    is_bare(w, 0);
    return w->minimum;
}

static const int64_t START = 20000LL * DAY;

static void nothing_is_pruned_without_a_setting(void **state)
{
    struct world w;

    begin(&w, *state);
    add(&w, START);
    prune_at(&w, START + 1000LL * DAY, 100LL * DAY);
    assert_false(w.pruned.run_over || w.pruned.more);
    assert_false(is_bare(&w, 0));
}

static void what_is_due_is_pruned_to_the_millisecond(void **state)
{
    struct world w;

    begin(&w, *state);
    add(&w, START);
    add(&w, START + 1);
    add(&w, START + 2);
    retain(&w, 10, START + 2);
    assert_int_equal(w.before, 0);
    prune_at(&w, START + 10 * DAY, 10 * DAY);
    assert_false(w.pruned.run_over);
    assert_false(is_bare(&w, 0));
    prune_at(&w, START + 10 * DAY + 2, HOUR);
    assert_true(w.pruned.run_over);
    assert_int_equal(w.pruned.records, 2);
    assert_int_equal(w.pruned.first, 0);
    assert_int_equal(w.pruned.last, 1);
    assert_true(is_bare(&w, 0) && is_bare(&w, 1) && !is_bare(&w, 2));
    assert_int_equal(minimum(&w), 2);
    retain(&w, 0, START + 10 * DAY + 2);
    assert_int_equal(w.before, 10);
    prune_at(&w, START + 100LL * DAY, 100LL * DAY);
    assert_false(is_bare(&w, 2));
}

/* What a copy lacks meanwhile is explained by that a run began; and it never stays untold. */
static void a_run_of_several_steps_is_told_when_it_begins_and_when_it_is_over(void **state)
{
    const int64_t later = START + 20LL * DAY;
    struct world w;

    begin(&w, *state);
    for (unsigned i = 0; i < 5; i++)
        add(&w, START);
    retain(&w, 10, START);
    w.prune.most = 2;
    prune_at(&w, later, 20LL * DAY);
    assert_true(w.pruned.run_begins && !w.pruned.run_over && w.pruned.more);
    assert_int_equal(w.pruned.first, 0);
    prune_at(&w, later, 0);
    assert_false(w.pruned.run_begins || w.pruned.run_over);
    retain(&w, 0, later);
    prune_at(&w, later, 0);
    assert_true(w.pruned.run_over && !w.pruned.run_begins && !w.pruned.more);
    assert_int_equal(w.pruned.records, 4);
    prune_at(&w, later, 0);
    assert_false(w.pruned.run_over);
    assert_false(is_bare(&w, 4));
}

/* A year ahead, and nothing that is not a day of it goes in an hour. */
static void a_clock_that_stepped_ahead_prunes_no_faster(void **state)
{
    struct world w;
    const int64_t year = 365LL * DAY;

    begin(&w, *state);
    for (int day = 0; day < 40; day++)
        add(&w, START + day * (int64_t)DAY);
    retain(&w, 30, START + 39LL * DAY);
    prune_at(&w, START + 39LL * DAY + year, 0);
    assert_int_equal(minimum(&w), 9);
    prune_at(&w, START + 39LL * DAY + year, HOUR);
    assert_int_equal(minimum(&w), 10);
    prune_at(&w, START + 39LL * DAY + year, 2 * HOUR);
    assert_int_equal(minimum(&w), 12);
    /* Right again: at once, however far it had come. */
    prune_at(&w, START + 39LL * DAY, HOUR);
    add(&w, START + 40LL * DAY);
    prune_at(&w, START + 40LL * DAY, DAY);
    assert_int_equal(minimum(&w), 12);
    prune_at(&w, START + 43LL * DAY, DAY);
    assert_int_equal(minimum(&w), 13);
}

/* Set with a clock that is wrong already: the newest record's word counts. */
static void retention_begins_at_the_newest_record(void **state)
{
    struct world w;

    begin(&w, *state);
    add(&w, START);
    add(&w, START + 5LL * DAY);
    retain(&w, 30, START + 5000LL * DAY);
    prune_at(&w, START + 5000LL * DAY, 0);
    assert_int_equal(minimum(&w), 0);
    assert_false(is_bare(&w, 0));
}

/* All that is there when it is met waits together, not one after the other; and by a clock that
 * nobody sets. */
static void what_is_dated_far_ahead_does_not_hold_up_the_rest_for_ever(void **state)
{
    struct world w;
    const int64_t now = START + 20LL * DAY;

    begin(&w, *state);
    add(&w, START);
    add(&w, START + 5000LL * DAY);
    add(&w, START);
    add(&w, START + 6000LL * DAY);
    add(&w, START);
    retain(&w, 10, START);
    prune_at(&w, now, 20LL * DAY);
    assert_int_equal(minimum(&w), 1);
    add(&w, START + 7000LL * DAY); /* came later: waits for itself */
    prune_at(&w, now + 400LL * DAY, 0);
    assert_int_equal(minimum(&w), 1);
    prune_at(&w, now + 10LL * DAY, 10LL * DAY);
    assert_int_equal(minimum(&w), 1);
    prune_at(&w, now + 10LL * DAY + 1, 1);
    assert_int_equal(w.pruned.records, 4);
    assert_int_equal(minimum(&w), 5);
    assert_true(is_bare(&w, 1) && is_bare(&w, 4) && !is_bare(&w, 5));
    prune_at(&w, now + 20LL * DAY + 1, 10LL * DAY);
    assert_int_equal(minimum(&w), 5);
    prune_at(&w, now + 20LL * DAY + 2, 1);
    assert_int_equal(minimum(&w), 6);
}

static void what_was_not_exported_stays(void **state)
{
    struct world w;

    begin(&w, *state);
    for (int i = 0; i < 10; i++)
        add(&w, START);
    retain(&w, 1, START);
    w.prune.below = 4;
    prune_at(&w, START + 5LL * DAY, 5LL * DAY);
    assert_int_equal(minimum(&w), 4);
    assert_true(is_bare(&w, 3) && !is_bare(&w, 4));
    w.prune.below = UINT64_MAX;
    prune_at(&w, START + 5LL * DAY, 0);
    assert_int_equal(minimum(&w), 10);
}

static void steps_look_at_few_and_tell_once(void **state)
{
    struct world w;
    unsigned steps = 0, told = 0;

    begin(&w, *state);
    for (int i = 0; i < 95; i++)
        add(&w, START);
    retain(&w, 1, START);
    w.prune.most = 10;
    for (w.pruned.more = true; w.pruned.more; steps++) {
        prune_at(&w, START + 5LL * DAY, 5LL * DAY);
        told += w.pruned.run_over;
    }
    assert_int_equal(steps, 10);
    assert_int_equal(told, 1);
    assert_int_equal(w.pruned.records, 95);
    assert_int_equal(w.pruned.last, 94);
}

static void traces_of_erasing_holding_and_pruning_stay(void **state)
{
    struct world w;

    begin(&w, *state);
    for (unsigned action = AUDIT_LOG_ERASE; action <= AUDIT_LOG_PRUNE; action++) {
        w.record.action = (enum audit_action)action;
        add(&w, START);
    }
    w.record.action = AUDIT_HANDSHAKE;
    add(&w, START);
    retain(&w, 1, START);
    prune_at(&w, START + 5LL * DAY, 5LL * DAY);
    assert_int_equal(w.pruned.records, 1);
    assert_true(!is_bare(&w, 0) && !is_bare(&w, 1) && !is_bare(&w, 2) && is_bare(&w, 3));
    assert_int_equal(minimum(&w), 4);
}

/* A day's key of nobody's records: gone once all of that day are, and what came later stays
 * readable. */
static void a_window_loses_its_key_with_its_last_record(void **state)
{
    struct world w;

    begin(&w, *state);
    for (int day = 0; day < 4; day++)
        for (int i = 0; i < 3; i++)
            add(&w, START + day * (int64_t)DAY);
    is_bare(&w, 0);
    const uint64_t all = w.keys;
    retain(&w, 2, START + 3LL * DAY);
    prune_at(&w, START + 3LL * DAY + 1, HOUR);
    assert_int_equal(minimum(&w), 6);
    assert_int_equal(all - w.keys, 2 * 2);
    for (uint64_t i = 0; i < 12; i++)
        assert_int_equal(is_bare(&w, i), i < 6);
    /* The current window stays open for what comes. */
    prune_at(&w, START + 30LL * DAY, 30LL * DAY);
    assert_int_equal(minimum(&w), 12);
    assert_int_equal(all - w.keys, 3 * 2);
    add(&w, START + 30LL * DAY);
    assert_false(is_bare(&w, 12));
}

/* A spool that was long on its way opens no window of its own. */
static enum rc take_late(struct store_txn *txn, void *with)
{
    struct world *w = with;
    const struct audit_origin origin = {
        AUDIT_FROM_DEVICE_DOOR, { 1 }, w->index + 1, true, w->record.wall_ms
    };
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);
    bool taken;

    TRY(audit_record_write(&w->record, &bytes));
    return audit_log_take(w->logs->log, txn, &origin, buf_bytes(&bytes), &taken);
}

static void a_late_spool_opens_no_window(void **state)
{
    struct world w;

    begin(&w, *state);
    add(&w, START + 9LL * DAY);
    is_bare(&w, 0);
    const uint64_t before = w.keys;
    for (int day = 0; day < 9; day++) {
        w.record.wall_ms = START + day * (int64_t)DAY;
        w.index = (uint64_t)day;
        assert_int_equal(store_write(w.logs->store, take_late, &w), RC_OK);
    }
    is_bare(&w, 0);
    assert_int_equal(w.keys, before);
}

/* ---- Holds ---- */

struct holding {
    struct world *world;
    struct audit_hold hold;
    uint64_t number;
};

static enum rc add_hold(struct store_txn *txn, void *with)
{
    struct holding *h = with;

    return audit_holds_add(h->world->logs->log, txn, &h->hold, &h->number);
}

static enum rc remove_hold(struct store_txn *txn, void *with)
{
    struct holding *h = with;
    AUTO_BUF(room, AUDIT_HOLD_BYTES_MAX);
    struct audit_hold removed;

    return audit_holds_remove(h->world->logs->log, txn, h->number, &room, &removed);
}

static void what_is_held_is_pruned_once_it_is_no_more(void **state)
{
    struct world w;
    struct holding h = { .world = &w,
                         .hold = { .since_ms = START + 2LL * DAY,
                                   .until_ms = START + 4LL * DAY,
                                   .reason = BYTES("case 4711") } };

    begin(&w, *state);
    for (int day = 0; day < 8; day++)
        add(&w, START + day * (int64_t)DAY);
    retain(&w, 1, START + 7LL * DAY);
    assert_int_equal(store_write(w.logs->store, add_hold, &h), RC_OK);
    prune_at(&w, START + 100LL * DAY, 100LL * DAY);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(is_bare(&w, i), i < 2 || i > 4);
    assert_int_equal(w.minimum, 2);
    assert_int_equal(store_write(w.logs->store, remove_hold, &h), RC_OK);
    assert_int_equal(store_write(w.logs->store, remove_hold, &h), RC_NOT_FOUND);
    prune_at(&w, START + 100LL * DAY, 0);
    assert_int_equal(w.pruned.records, 3);
    assert_int_equal(minimum(&w), 8);
    assert_true(is_bare(&w, 3));
}

static void a_hold_that_says_nothing_is_refused(void **state)
{
    static const char TOO_LONG[AUDIT_WHY_MAX + 2] = { [0 ... AUDIT_WHY_MAX] = 'x' };
    struct world w;
    const struct audit_hold wrong[] = {
        { .reason = BYTES("") },
        { .reason = bytes_of_text(TOO_LONG) },
        { .reason = BYTES("line\nbreak") },
        { .reason = BYTES("\xff") },
        { .reason = BYTES("x"), .kind = AUDIT_DEVICE },
        { .reason = BYTES("x"), .id = BYTES("dev-1") },
        { .reason = BYTES("x"), .id = BYTES("authority"), .kind = AUDIT_PROCESS },
        { .reason = BYTES("x"), .since_ms = -1 },
        { .reason = BYTES("x"), .since_ms = 5, .until_ms = 4 },
    };

    begin(&w, *state);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct holding h = { .world = &w, .hold = wrong[i] };
        assert_int_equal(store_write(w.logs->store, add_hold, &h), RC_MALFORMED);
    }
    for (unsigned i = 0; i <= AUDIT_HOLDS_MAX; i++) {
        struct holding h = { .world = &w, .hold = { .reason = BYTES("x") } };
        assert_int_equal(store_write(w.logs->store, add_hold, &h),
                         i < AUDIT_HOLDS_MAX ? RC_OK : RC_LIMIT);
    }
}

static void a_hold_reads_back_and_its_truncations_do_not(void **state)
{
    const struct audit_hold hold = { .kind = AUDIT_LINE,
                                     .id = BYTES("hall-2"),
                                     .since_ms = 5,
                                     .until_ms = 6,
                                     .made_ms = 7,
                                     .by = BYTES("ada"),
                                     .reason = BYTES("why") };
    AUTO_BUF(one, AUDIT_HOLD_BYTES_MAX);
    AUTO_BUF(two, AUDIT_HOLD_BYTES_MAX);
    struct audit_hold back;

    (void)state;
    audit_hold_write(&hold, &one);
    for (size_t len = 0; len <= one.len; len++) {
        struct reader r = READER(((struct bytes){ one.at, len }));
        assert_int_equal(audit_hold_read(&r, &back), len == one.len ? RC_OK : RC_MALFORMED);
    }
    audit_hold_write(&back, &two);
    assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
}

#define IN_A_LOG(test) cmocka_unit_test_setup_teardown(test, logs_set_up, logs_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_LOG(nothing_is_pruned_without_a_setting),
        IN_A_LOG(what_is_due_is_pruned_to_the_millisecond),
        IN_A_LOG(a_run_of_several_steps_is_told_when_it_begins_and_when_it_is_over),
        IN_A_LOG(a_clock_that_stepped_ahead_prunes_no_faster),
        IN_A_LOG(retention_begins_at_the_newest_record),
        IN_A_LOG(what_is_dated_far_ahead_does_not_hold_up_the_rest_for_ever),
        IN_A_LOG(what_was_not_exported_stays),
        IN_A_LOG(steps_look_at_few_and_tell_once),
        IN_A_LOG(traces_of_erasing_holding_and_pruning_stay),
        IN_A_LOG(a_window_loses_its_key_with_its_last_record),
        IN_A_LOG(a_late_spool_opens_no_window),
        IN_A_LOG(what_is_held_is_pruned_once_it_is_no_more),
        IN_A_LOG(a_hold_that_says_nothing_is_refused),
        cmocka_unit_test(a_hold_reads_back_and_its_truncations_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
