#include "store/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct store_cursor {
    struct store_txn *txn;
    struct MDB_cursor *engine;
    unsigned table;
    struct store_range range;
    bool placed; /* the engine's cursor stands on the key given last */
    bool ended;
    uint64_t changes; /* of the transaction when the engine's cursor was placed */
    size_t last_len;
    uint8_t last[STORE_KEY_MAX];
};

enum rc store_cursor_open(struct store_txn *txn, unsigned table,
                          const struct store_range *range, struct store_cursor **cursor)
{
    assert(table < txn->store->schema->table_count);
    if (range->prefix.len > STORE_KEY_MAX || range->from.len > STORE_KEY_MAX ||
        range->after.len > STORE_KEY_MAX || range->below.len > STORE_KEY_MAX)
        return fault(RC_LIMIT, "scan: a bound is longer than any key, %d bytes", STORE_KEY_MAX);
    struct store_cursor *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "scan");
    made->txn = txn;
    made->table = table;
    made->range = *range;
    enum rc rc = store_txn_settle(
        txn, store_engine_cursor_open(txn->engine, txn->store->tables[table], &made->engine));
    if (rc != RC_OK) {
        free(made);
        return rc;
    }
    txn->cursors++;
    *cursor = made;
    return RC_OK;
}

void store_cursor_close(struct store_cursor *cursor)
{
    if (cursor == NULL)
        return;
    cursor->txn->cursors--;
    store_engine_cursor_close(cursor->engine);
    free(cursor);
}

static struct bytes last_of(const struct store_cursor *cursor)
{
    return (struct bytes){ cursor->last, cursor->last_len };
}

static bool is_low(const struct store_range *range, struct bytes key)
{
    return bytes_compare(key, range->from) < 0 ||
           (range->after.len > 0 && bytes_compare(key, range->after) <= 0) ||
           (!bytes_start_with(key, range->prefix) && bytes_compare(key, range->prefix) < 0);
}

static bool is_high(const struct store_range *range, struct bytes key)
{
    return (range->below.len > 0 && bytes_compare(key, range->below) >= 0) ||
           (!bytes_start_with(key, range->prefix) && bytes_compare(key, range->prefix) > 0);
}

/* The highest of the three lower bounds. */
static struct bytes lower_bound(const struct store_range *range)
{
    struct bytes low = range->prefix;

    if (bytes_compare(low, range->from) < 0)
        low = range->from;
    return bytes_compare(low, range->after) < 0 ? range->after : low;
}

/* What follows all keys that start with the prefix; empty when nothing does. */
static struct bytes past_prefix(struct bytes prefix, uint8_t room[STORE_KEY_MAX])
{
    size_t len = prefix.len;

    while (len > 0 && prefix.at[len - 1] == 0xff)
        len--;
    if (len > 0) {
        memcpy(room, prefix.at, len);
        room[len - 1]++;
    }
    return (struct bytes){ room, len };
}

/* LMDB refuses an empty key. */
static enum rc move_to_at_least(struct store_cursor *cursor, struct bytes *key,
                                struct bytes *value)
{
    if (key->len == 0)
        return store_engine_cursor_move(cursor->engine, STORE_ENGINE_FIRST, key, value);
    return store_engine_cursor_move(cursor->engine, STORE_ENGINE_AT_LEAST, key, value);
}

/* Place on the highest key below this one; empty: on the highest of all. */
static enum rc move_below(struct store_cursor *cursor, struct bytes *key, struct bytes *value)
{
    enum rc rc = key->len > 0 ? move_to_at_least(cursor, key, value) : RC_NOT_FOUND;

    if (rc == RC_NOT_FOUND)
        return store_engine_cursor_move(cursor->engine, STORE_ENGINE_LAST, key, value);
    TRY(rc);
    return store_engine_cursor_move(cursor->engine, STORE_ENGINE_PREVIOUS, key, value);
}

static enum rc place_first(struct store_cursor *cursor, struct bytes *key, struct bytes *value)
{
    const struct store_range *range = &cursor->range;
    uint8_t room[STORE_KEY_MAX];

    if (!range->backward) {
        *key = lower_bound(range);
        return move_to_at_least(cursor, key, value);
    }
    *key = past_prefix(range->prefix, room);
    if (range->below.len > 0 && (key->len == 0 || bytes_compare(range->below, *key) < 0))
        *key = range->below;
    return move_below(cursor, key, value);
}

/* Changes since the last key may have moved the engine's cursor: find the place by the key. */
static enum rc place_again(struct store_cursor *cursor, struct bytes *key, struct bytes *value)
{
    *key = last_of(cursor);
    if (cursor->range.backward)
        return move_below(cursor, key, value);
    TRY(move_to_at_least(cursor, key, value));
    if (bytes_equal(*key, last_of(cursor)))
        return store_engine_cursor_move(cursor->engine, STORE_ENGINE_NEXT, key, value);
    return RC_OK;
}

static enum rc move(struct store_cursor *cursor, struct bytes *key, struct bytes *value)
{
    if (!cursor->placed)
        return place_first(cursor, key, value);
    if (cursor->changes != cursor->txn->changes)
        return place_again(cursor, key, value);
    return store_engine_cursor_move(
        cursor->engine, cursor->range.backward ? STORE_ENGINE_PREVIOUS : STORE_ENGINE_NEXT, key,
        value);
}

/* Keys on the near side of the range are stepped over: a bound may itself not be wanted. */
static enum rc move_into_range(struct store_cursor *cursor, struct bytes *key,
                               struct bytes *value)
{
    for (;;) {
        TRY(store_txn_step(cursor->txn));
        enum rc rc = move(cursor, key, value);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? rc : store_txn_settle(cursor->txn, rc);
        if (key->len > STORE_KEY_MAX)
            return store_txn_settle(cursor->txn, fault(RC_CORRUPT, "store: a key is too long"));
        cursor->placed = true;
        cursor->changes = cursor->txn->changes;
        cursor->last_len = key->len;
        memcpy(cursor->last, key->at, key->len);
        bool low = is_low(&cursor->range, *key), high = is_high(&cursor->range, *key);
        if (!low && !high)
            return RC_OK;
        if (cursor->range.backward ? low : high)
            return RC_NOT_FOUND;
    }
}

enum rc store_cursor_next(struct store_cursor *cursor, struct bytes *key,
                          struct store_value *value)
{
    struct bytes at = { 0 };
    struct reader r = { 0 };

    if (cursor->ended)
        return RC_NOT_FOUND;
    enum rc rc = move_into_range(cursor, &at, &r.left);
    cursor->ended = rc == RC_NOT_FOUND;
    TRY(rc);
    uint64_t revision = reader_u64(&r);
    if (r.broken)
        return store_txn_settle(cursor->txn, fault(RC_CORRUPT, "store: a value is cut short"));
    *key = at;
    *value = (struct store_value){ .bytes = r.left, .revision = revision };
    return RC_OK;
}
