#include "tests/unit/store/scratch.h"

#include "store/feed.h"
#include "store/queue.h"

#include <string.h>

static enum rc add_records(struct store_txn *txn, void *with)
{
    for (unsigned i = 0; i < *(unsigned *)with; i++)
        TRY(store_feed_add(txn, 7, BYTES("body")));
    return RC_OK;
}

static enum rc get_position(struct store_txn *txn, void *with)
{
    *(struct store_position *)with = store_feed_position(txn);
    return RC_OK;
}

struct watching {
    struct store_position position;
    size_t most, seen;
    uint64_t expected;
    enum rc answer;
    size_t answer_at;
};

static enum rc see(void *with, const struct store_record *record)
{
    struct watching *watching = with;

    if (watching->answer != RC_OK && watching->seen == watching->answer_at)
        return watching->answer;
    assert_int_equal(record->sequence, watching->expected);
    assert_int_equal(record->kind, 7);
    assert_true(bytes_equal_text(record->body, "body"));
    watching->expected++;
    watching->seen++;
    return RC_OK;
}

static enum rc watch(struct store_txn *txn, void *with)
{
    struct watching *watching = with;

    return store_feed_watch(txn, &watching->position, watching->most, see, watching);
}

static void watching_goes_on_where_it_ended(void **state)
{
    struct scratch_world *w = *state;
    struct watching watching = { .most = 4, .expected = 1 };

    assert_int_equal(store_read(w->store, get_position, &watching.position), RC_OK);
    assert_int_equal(watching.position.sequence, 0);
    assert_int_equal(store_read(w->store, watch, &watching), RC_OK);
    assert_int_equal(watching.seen, 0);
    assert_int_equal(store_write(w->store, add_records, &(unsigned){ 10 }), RC_OK);
    for (unsigned call = 0; call < 4; call++)
        assert_int_equal(store_read(w->store, watch, &watching), RC_OK);
    assert_int_equal(watching.seen, 10);
    assert_int_equal(watching.position.sequence, 10);
    assert_int_equal(store_sequence(w->store), 10);
}

static void a_record_that_was_not_taken_comes_again(void **state)
{
    struct scratch_world *w = *state;
    struct watching watching = { .most = 10, .expected = 1, .answer = RC_BUSY, .answer_at = 3 };

    assert_int_equal(store_read(w->store, get_position, &watching.position), RC_OK);
    assert_int_equal(store_write(w->store, add_records, &(unsigned){ 5 }), RC_OK);
    assert_int_equal(store_read(w->store, watch, &watching), RC_BUSY);
    assert_int_equal(watching.position.sequence, 3);
    watching.answer = RC_OK;
    assert_int_equal(store_read(w->store, watch, &watching), RC_OK);
    assert_int_equal(watching.seen, 5);
}

static void a_position_that_is_not_ours_needs_a_snapshot(void **state)
{
    struct scratch_world *w = *state;
    struct watching watching = { .most = 1, .expected = 6 };

    assert_int_equal(store_write(w->store, add_records, &(unsigned){ 5 }), RC_OK);
    assert_int_equal(store_read(w->store, get_position, &watching.position), RC_OK);
    assert_int_equal(store_read(w->store, watch, &watching), RC_OK);
    watching.position.sequence = 6;
    assert_int_equal(store_read(w->store, watch, &watching), RC_NOT_FOUND);
    watching.position.sequence = UINT64_MAX;
    assert_int_equal(store_read(w->store, watch, &watching), RC_NOT_FOUND);
    watching.position.sequence = 5;
    watching.position.lineage[3] ^= 1;
    assert_int_equal(store_read(w->store, watch, &watching), RC_NOT_FOUND);
    assert_int_equal(watching.seen, 0);
}

struct word {
    struct bytes follower;
    struct store_position position;
    uint64_t sequence;
};

static enum rc acknowledge(struct store_txn *txn, void *with)
{
    const struct word *word = with;

    return store_feed_acknowledge(txn, word->follower, &word->position);
}

static enum rc forget(struct store_txn *txn, void *with)
{
    return store_feed_forget(txn, ((const struct word *)with)->follower);
}

static enum rc get_lowest(struct store_txn *txn, void *with)
{
    return store_feed_acknowledged_by_all(txn, with);
}

static enum rc get_word(struct store_txn *txn, void *with)
{
    struct word *word = with;

    return store_feed_acknowledged(txn, word->follower, &word->sequence);
}

static void the_slowest_follower_counts(void **state)
{
    struct scratch_world *w = *state;
    static const uint8_t LONG[STORE_FOLLOWER_MAX + 1] = { 'x' };
    struct word one = { .follower = BYTES("one") }, two = { .follower = BYTES("two") };
    uint64_t lowest = 0;

    assert_int_equal(store_write(w->store, add_records, &(unsigned){ 5 }), RC_OK);
    assert_int_equal(store_read(w->store, get_lowest, &lowest), RC_OK);
    assert_int_equal(lowest, 5);
    assert_int_equal(store_read(w->store, get_position, &one.position), RC_OK);
    two.position = one.position;
    two.position.sequence = 2;
    assert_int_equal(store_write(w->store, acknowledge, &one), RC_OK);
    assert_int_equal(store_write(w->store, acknowledge, &two), RC_OK);
    assert_int_equal(store_read(w->store, get_lowest, &lowest), RC_OK);
    assert_int_equal(lowest, 2);
    assert_int_equal(store_read(w->store, get_word, &one), RC_OK);
    assert_int_equal(one.sequence, 5);
    assert_int_equal(store_write(w->store, forget, &two), RC_OK);
    assert_int_equal(store_write(w->store, forget, &two), RC_NOT_FOUND);
    assert_int_equal(store_read(w->store, get_word, &two), RC_NOT_FOUND);
    assert_int_equal(store_read(w->store, get_lowest, &lowest), RC_OK);
    assert_int_equal(lowest, 5);

    one.position.sequence = 6;
    assert_int_equal(store_write(w->store, acknowledge, &one), RC_MALFORMED);
    one.position.sequence = 5;
    one.position.lineage[0] ^= 1;
    assert_int_equal(store_write(w->store, acknowledge, &one), RC_NOT_FOUND);
    one.follower = BYTES("");
    assert_int_equal(store_write(w->store, acknowledge, &one), RC_LIMIT);
    one.follower = BYTES_OF(LONG);
    assert_int_equal(store_write(w->store, acknowledge, &one), RC_LIMIT);
}

struct trimming {
    struct store_feed_keep keep;
    size_t work, removed;
};

static enum rc trim(struct store_txn *txn, void *with)
{
    struct trimming *trimming = with;

    return store_feed_trim(txn, &trimming->keep, trimming->work, &trimming->removed);
}

static void trims_what_is_old_and_acknowledged(void **state)
{
    struct scratch_world *w = *state;
    struct trimming trimming = { .keep = { .age_ms = 100, .most = 20 }, .work = 100 };
    struct word slow = { .follower = BYTES("slow") };
    struct watching late = { .most = 1, .expected = 4 };

    assert_int_equal(store_read(w->store, get_position, &slow.position), RC_OK);
    late.position = slow.position;
    for (w->now = 1; w->now <= 10; w->now++)
        assert_int_equal(store_write(w->store, add_records, &(unsigned){ 1 }), RC_OK);

    slow.position.sequence = 3;
    assert_int_equal(store_write(w->store, acknowledge, &slow), RC_OK);
    w->now = 100;
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 0); /* acknowledged, but young */
    w->now = 102;
    trimming.work = 1;
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 1); /* 2 is old as well, but the work is done */
    w->now = 1000;
    trimming.work = 100;
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 2); /* 4 is not acknowledged */

    late.position.sequence = 2;
    assert_int_equal(store_read(w->store, watch, &late), RC_NOT_FOUND);
    late.position.sequence = 3;
    assert_int_equal(store_read(w->store, watch, &late), RC_OK);
    assert_int_equal(late.seen, 1);

    trimming.keep.most = 5;
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 2); /* seven are too many, whoever wants them */
    trimming.keep.most = 0;
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 5);
    assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
    assert_int_equal(trimming.removed, 0);
    assert_int_equal(store_write(w->store, add_records, &(unsigned){ 1 }), RC_OK);
    assert_int_equal(store_sequence(w->store), 11);
}

/*
 * The property: whatever is written, fails, is trimmed and restarted, a follower that
 * starts from a snapshot and reads on holds what the tables hold, and so does a plain
 * array that was told of every change that was acknowledged.
 */
enum { KEYS = 40, OPS = 4, JOBS = 12, ROUNDS = 120, PUT = 1, REMOVE = 2 };

struct model {
    uint32_t values[KEYS]; /* 0: not there */
};

struct op {
    uint8_t key;
    uint32_t value; /* 0: remove */
};

struct edit {
    struct store_job job;
    struct op ops[OPS];
    size_t count;
    bool fails;
    struct model *truth;
};

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice->state >> 33) % sides;
}

static enum rc edit_one(struct store_txn *txn, const struct op *op)
{
    struct bytes key = { &op->key, 1 };
    AUTO_BUF(value, 64);
    AUTO_BUF(record, 64);

    buf_add_u32(&value, op->value);
    buf_add_u8(&record, op->key);
    buf_add_u32(&record, op->value);
    if (op->value != 0) {
        TRY(store_txn_put(txn, DEVICES, key, buf_bytes(&value)));
    } else {
        enum rc rc = store_txn_remove(txn, DEVICES, key);
        if (rc == RC_NOT_FOUND)
            return RC_OK;
        TRY(rc);
    }
    return store_feed_add(txn, op->value != 0 ? PUT : REMOVE, buf_bytes(&record));
}

static enum rc edit(struct store_txn *txn, struct store_job *job)
{
    const struct edit *edit = (struct edit *)job;

    for (size_t i = 0; i < edit->count; i++)
        TRY(edit_one(txn, &edit->ops[i]));
    return edit->fails ? fault(RC_DENIED, "by lot") : RC_OK;
}

static void edited(struct store_job *job, enum rc rc)
{
    const struct edit *edit = (struct edit *)job;

    assert_int_equal(rc, edit->fails ? RC_DENIED : RC_OK);
    for (size_t i = 0; rc == RC_OK && i < edit->count; i++)
        edit->truth->values[edit->ops[i].key] = edit->ops[i].value;
}

struct follower {
    struct model held;
    struct store_position position;
};

static enum rc follow_record(void *with, const struct store_record *record)
{
    struct follower *follower = with;
    struct reader r = READER(record->body);

    assert_int_equal(record->sequence, follower->position.sequence + 1);
    uint8_t key = reader_u8(&r);
    uint32_t value = reader_u32(&r);
    assert_true(reader_done(&r) && (value == 0) == (record->kind == REMOVE));
    follower->held.values[key] = value;
    return RC_OK;
}

static enum rc follow(struct store_txn *txn, void *with)
{
    struct follower *follower = with;

    return store_feed_watch(txn, &follower->position, 1000, follow_record, follower);
}

static enum rc take_snapshot(struct store_txn *txn, void *with)
{
    struct follower *follower = with;
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_range all = { 0 };
    struct store_value value;
    struct bytes key;

    follower->held = (struct model){ 0 };
    follower->position = store_feed_position(txn);
    TRY(store_cursor_open(txn, DEVICES, &all, &cursor));
    enum rc rc = store_cursor_next(cursor, &key, &value);
    for (; rc == RC_OK; rc = store_cursor_next(cursor, &key, &value)) {
        struct reader r = READER(value.bytes);
        follower->held.values[key.at[0]] = reader_u32(&r);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void write_some(struct scratch_world *w, struct store_queue *queue, struct dice *dice,
                       struct model *truth)
{
    struct edit edits[JOBS];
    size_t count = 1 + roll(dice, JOBS);

    for (size_t i = 0; i < count; i++) {
        edits[i] = (struct edit){ .job = { .change = edit, .done = edited },
                                  .count = roll(dice, OPS + 1),
                                  .fails = roll(dice, 4) == 0,
                                  .truth = truth };
        for (size_t j = 0; j < edits[i].count; j++)
            edits[i].ops[j] = (struct op){ (uint8_t)roll(dice, KEYS),
                                           roll(dice, 3) == 0 ? 0 : 1 + roll(dice, 1000) };
        assert_int_equal(store_queue_add(queue, &edits[i].job), RC_OK);
    }
    w->now += roll(dice, 50);
    assert_int_equal(store_queue_commit(queue), RC_OK);
}

static void follow_or_begin_again(struct scratch_world *w, struct follower *follower,
                                  unsigned *snapshots)
{
    enum rc rc = store_read(w->store, follow, follower);

    if (rc == RC_NOT_FOUND) {
        ++*snapshots;
        rc = store_read(w->store, take_snapshot, follower);
    }
    assert_int_equal(rc, RC_OK);
}

static void assert_same(const struct model *a, const struct model *b)
{
    assert_memory_equal(a->values, b->values, sizeof a->values);
}

static void snapshot_and_feed_equal_the_tables(void **state)
{
    struct scratch_world *w = *state;
    const struct store_queue_limits limits = { .waiting = JOBS, .group = 5 };
    struct dice dice = { 20261122 };
    struct model truth = { 0 };
    struct follower quick = { 0 }, slow = { 0 }, fresh;
    unsigned snapshots = 0;

    assert_int_equal(store_read(w->store, take_snapshot, &quick), RC_OK);
    assert_int_equal(store_read(w->store, take_snapshot, &slow), RC_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct store_queue *queue = NULL;
        struct trimming trimming = { .keep = { .age_ms = 100, .most = 40 }, .work = 30 };
        assert_int_equal(store_queue_new(w->store, &limits, &queue), RC_OK);
        write_some(w, queue, &dice, &truth);
        store_queue_free(queue);
        follow_or_begin_again(w, &quick, &(unsigned){ 0 });
        assert_same(&quick.held, &truth);
        assert_int_equal(store_read(w->store, take_snapshot, &fresh), RC_OK);
        assert_same(&fresh.held, &truth);
        if (roll(&dice, 8) == 0) {
            follow_or_begin_again(w, &slow, &snapshots);
            assert_same(&slow.held, &truth);
        }
        if (roll(&dice, 3) == 0)
            assert_int_equal(store_write(w->store, trim, &trimming), RC_OK);
        if (roll(&dice, 20) == 0) {
            store_close(w->store);
            assert_int_equal(scratch_open(&w->scratch, &w->clock, &w->store), RC_OK);
        }
    }
    assert_true(snapshots > 0); /* else the slow one has not shown what it is here for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(watching_goes_on_where_it_ended, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_was_not_taken_comes_again, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_position_that_is_not_ours_needs_a_snapshot,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(the_slowest_follower_counts, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(trims_what_is_old_and_acknowledged, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(snapshot_and_feed_equal_the_tables, scratch_set_up,
                                        scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
