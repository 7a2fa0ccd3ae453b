#include "store/feed.h"

#include "store/state.h"

#include <assert.h>
#include <string.h>

/*
 * ".feed":      sequence 8 -> revision 8 | wall clock in ms 8 | kind 2 | body
 * ".followers": name       -> sequence 8
 */
enum { HEAD_BYTES = 8 + 8 + 2 };

enum rc store_feed_add(struct store_txn *txn, uint16_t kind, struct bytes body)
{
    struct store_number key = store_key_number(txn->state.sequence + 1);
    AUTO_BUF(head, HEAD_BYTES);

    assert(txn->writes);
    if (body.len > STORE_VALUE_MAX)
        return fault(RC_LIMIT, "feed: record of %zu bytes, limit %d", body.len,
                     STORE_VALUE_MAX);
    buf_add_u64(&head, store_txn_revision(txn));
    buf_add_u64(&head, (uint64_t)txn->wall_ms);
    buf_add_u16(&head, kind);
    TRY(store_txn_settle(txn, buf_done(&head, &(struct bytes){ 0 })));
    TRY(store_txn_settle(txn,
                         store_engine_put(txn->engine, txn->store->feed, STORE_ENGINE_APPEND,
                                          BYTES_OF(key.at), buf_bytes(&head), body)));
    txn->state.sequence++;
    txn->changes++;
    return RC_OK;
}

struct store_position store_feed_position(const struct store_txn *txn)
{
    struct store_position position = { .sequence = txn->state.sequence };

    memcpy(position.lineage, txn->store->lineage, sizeof position.lineage);
    return position;
}

uint64_t store_feed_first(const struct store_txn *txn)
{
    return txn->state.first;
}

static enum rc read_record(struct store_txn *txn, uint64_t sequence,
                           struct store_record *record)
{
    struct store_number key = store_key_number(sequence);
    struct reader r = { 0 };

    enum rc rc = store_engine_get(txn->engine, txn->store->feed, BYTES_OF(key.at), &r.left);
    if (rc == RC_NOT_FOUND)
        rc = fault(RC_CORRUPT, "feed: record %llu is missing", (unsigned long long)sequence);
    TRY(store_txn_settle(txn, rc));
    record->sequence = sequence;
    record->revision = reader_u64(&r);
    record->wall_ms = (int64_t)reader_u64(&r);
    record->kind = reader_u16(&r);
    record->body = r.left;
    if (!r.broken)
        return RC_OK;
    return store_txn_settle(
        txn, fault(RC_CORRUPT, "feed: record %llu is cut short", (unsigned long long)sequence));
}

static bool is_our_life(const struct store_txn *txn, const struct store_position *position)
{
    return bytes_equal(BYTES_OF(txn->store->lineage), BYTES_OF(position->lineage));
}

enum rc store_feed_watch(struct store_txn *txn, struct store_position *position, size_t most,
                         enum rc (*each)(void *with, const struct store_record *record),
                         void *with)
{
    if (!is_our_life(txn, position))
        return fault(RC_NOT_FOUND, "feed: the position is of another life of the store");
    if (position->sequence > txn->state.sequence)
        return fault(RC_NOT_FOUND, "feed: position %llu is past the end, %llu",
                     (unsigned long long)position->sequence,
                     (unsigned long long)txn->state.sequence);
    if (position->sequence + 1 < txn->state.first)
        return fault(RC_NOT_FOUND, "feed: what follows %llu was trimmed, up to %llu",
                     (unsigned long long)position->sequence,
                     (unsigned long long)txn->state.first - 1);
    for (; most > 0 && position->sequence < txn->state.sequence; most--) {
        struct store_record record;
        TRY(store_txn_step(txn));
        TRY(read_record(txn, position->sequence + 1, &record));
        TRY(each(with, &record));
        position->sequence++;
    }
    return RC_OK;
}

static enum rc check_follower(struct bytes follower)
{
    if (follower.len == 0 || follower.len > STORE_FOLLOWER_MAX)
        return fault(RC_LIMIT, "feed: a follower's name of %zu bytes, 1 to %d are allowed",
                     follower.len, STORE_FOLLOWER_MAX);
    return RC_OK;
}

enum rc store_feed_acknowledge(struct store_txn *txn, struct bytes follower,
                               const struct store_position *position)
{
    struct store_number sequence = store_key_number(position->sequence);

    assert(txn->writes);
    TRY(check_follower(follower));
    if (!is_our_life(txn, position))
        return fault(RC_NOT_FOUND, "feed: the position is of another life of the store");
    if (position->sequence > txn->state.sequence)
        return fault(RC_MALFORMED, "feed: %llu acknowledged, the last is %llu",
                     (unsigned long long)position->sequence,
                     (unsigned long long)txn->state.sequence);
    TRY(store_txn_settle(txn, store_engine_put(txn->engine, txn->store->followers,
                                               STORE_ENGINE_REPLACE, follower,
                                               BYTES_OF(sequence.at), BYTES(""))));
    txn->changes++;
    return RC_OK;
}

enum rc store_feed_forget(struct store_txn *txn, struct bytes follower)
{
    assert(txn->writes);
    TRY(check_follower(follower));
    enum rc rc = store_engine_remove(txn->engine, txn->store->followers, follower);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "feed: no such follower");
    TRY(store_txn_settle(txn, rc));
    txn->changes++;
    return RC_OK;
}

static enum rc read_sequence(struct store_txn *txn, struct bytes value, uint64_t *sequence)
{
    struct reader r = READER(value);

    uint64_t got = reader_u64(&r);
    if (!reader_done(&r))
        return store_txn_settle(txn, fault(RC_CORRUPT, "feed: a follower's word is damaged"));
    *sequence = got;
    return RC_OK;
}

enum rc store_feed_acknowledged(struct store_txn *txn, struct bytes follower,
                                uint64_t *sequence)
{
    struct bytes value;

    TRY(check_follower(follower));
    enum rc rc = store_engine_get(txn->engine, txn->store->followers, follower, &value);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "feed: no such follower");
    TRY(store_txn_settle(txn, rc));
    return read_sequence(txn, value, sequence);
}

static enum rc lowest(struct store_txn *txn, struct MDB_cursor *cursor, uint64_t *sequence)
{
    struct bytes key = { 0 }, value;
    uint64_t low = txn->state.sequence;

    enum rc rc = store_engine_cursor_move(cursor, STORE_ENGINE_FIRST, &key, &value);
    while (rc == RC_OK) {
        uint64_t one = 0;
        TRY(read_sequence(txn, value, &one));
        low = one < low ? one : low;
        rc = store_engine_cursor_move(cursor, STORE_ENGINE_NEXT, &key, &value);
    }
    if (rc != RC_NOT_FOUND)
        return store_txn_settle(txn, rc);
    *sequence = low;
    return RC_OK;
}

enum rc store_feed_acknowledged_by_all(struct store_txn *txn, uint64_t *sequence)
{
    struct MDB_cursor *cursor = NULL;

    TRY(store_txn_settle(
        txn, store_engine_cursor_open(txn->engine, txn->store->followers, &cursor)));
    enum rc rc = lowest(txn, cursor, sequence);
    store_engine_cursor_close(cursor);
    return rc;
}

static enum rc must_keep(struct store_txn *txn, const struct store_feed_keep *keep,
                         uint64_t acknowledged, bool *kept)
{
    uint64_t sequence = txn->state.first;
    struct store_record record;

    *kept = true;
    if (sequence > txn->state.sequence)
        return RC_OK;
    if (txn->state.sequence - sequence + 1 > keep->most) {
        *kept = false;
        return RC_OK;
    }
    if (sequence > acknowledged)
        return RC_OK;
    TRY(read_record(txn, sequence, &record));
    *kept = txn->wall_ms - record.wall_ms < keep->age_ms;
    return RC_OK;
}

enum rc store_feed_trim(struct store_txn *txn, const struct store_feed_keep *keep, size_t work,
                        size_t *removed)
{
    uint64_t acknowledged = 0;
    size_t count = 0;

    assert(txn->writes);
    TRY(store_feed_acknowledged_by_all(txn, &acknowledged));
    for (; count < work; count++) {
        bool kept = true;
        TRY(must_keep(txn, keep, acknowledged, &kept));
        if (kept)
            break;
        struct store_number key = store_key_number(txn->state.first);
        enum rc rc = store_engine_remove(txn->engine, txn->store->feed, BYTES_OF(key.at));
        if (rc == RC_NOT_FOUND)
            rc = fault(RC_CORRUPT, "feed: record %llu is missing",
                       (unsigned long long)txn->state.first);
        TRY(store_txn_settle(txn, rc));
        txn->state.first++;
        txn->changes++;
    }
    *removed = count;
    return RC_OK;
}
