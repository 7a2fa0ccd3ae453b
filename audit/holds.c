#include "audit/holds.h"

#include "audit/retention_state.h"

static const uint8_t NEXT_KEY[] = { AUDIT_ROW_NEXT_HOLD };

enum { KEY_MAX = 1 + 8 };

static struct bytes key_of(uint64_t number, struct buf *key)
{
    buf_add_u8(key, AUDIT_ROW_HOLD);
    buf_add_u64(key, number);
    return buf_bytes(key);
}

static enum rc damaged(void)
{
    return fault_while(RC_CORRUPT, "audit log: the table of holds");
}

enum rc audit_holds_read(struct audit_log *log, struct store_txn *txn,
                         struct audit_holds *holds)
{
    static const uint8_t PREFIX[] = { AUDIT_ROW_HOLD };
    const struct store_range range = { .prefix = BYTES_OF(PREFIX) };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    enum rc rc;

    buf_reset(&holds->bytes);
    holds->count = 0;
    TRY(store_cursor_open(txn, log->first_table + AUDIT_HOLDS, &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        struct reader r = READER(key);
        reader_u8(&r);
        if (holds->count == AUDIT_HOLDS_MAX)
            return damaged();
        holds->at[holds->count++].number = reader_u64(&r);
        buf_add(&holds->bytes, value.bytes);
    }
    if (rc != RC_NOT_FOUND)
        return rc;
    struct reader r = READER(buf_bytes(&holds->bytes));
    for (size_t i = 0; i < holds->count; i++) {
        uint64_t number = holds->at[i].number;
        if (audit_hold_read(&r, &holds->at[i]) != RC_OK)
            return damaged();
        holds->at[i].number = number;
    }
    return reader_done(&r) ? RC_OK : damaged();
}

void audit_holds_clear(struct audit_holds *holds)
{
    buf_clear(&holds->bytes);
}

const struct audit_hold *audit_holds_find(const struct audit_holds *holds,
                                          const struct audit_record *record)
{
    for (size_t i = 0; i < holds->count; i++)
        if (audit_hold_covers(&holds->at[i], record))
            return &holds->at[i];
    return NULL;
}

/* ---- Added, removed ---- */

/* A number is never given again: the log speaks of holds by it. */
static enum rc take_number(struct audit_log *log, struct store_txn *txn, uint64_t *number)
{
    const unsigned table = log->first_table + AUDIT_HOLDS;
    struct store_value value;
    enum rc rc = store_txn_get(txn, table, BYTES_OF(NEXT_KEY), &value);

    *number = 1;
    if (rc == RC_OK) {
        struct reader r = READER(value.bytes);
        *number = reader_u64(&r);
        if (!reader_done(&r))
            return fault(RC_CORRUPT, "audit log: the number of the next hold");
    } else if (rc != RC_NOT_FOUND) {
        return rc;
    }
    struct store_number next = store_key_number(*number + 1);
    return store_txn_put(txn, table, BYTES_OF(NEXT_KEY), BYTES_OF(next.at));
}

enum rc audit_holds_add(struct audit_log *log, struct store_txn *txn,
                        const struct audit_hold *hold, uint64_t *number)
{
    AUTO_HOLDS(holds);
    AUTO_BUF(key, KEY_MAX);
    AUTO_BUF(value, AUDIT_HOLD_BYTES_MAX);
    struct bytes bytes;
    bool erasing = false;

    TRY(audit_hold_check(hold));
    TRY(audit_holds_read(log, txn, &holds));
    if (holds.count == AUDIT_HOLDS_MAX)
        return fault(RC_LIMIT, "there are %d holds already", AUDIT_HOLDS_MAX);
    if (hold->kind != AUDIT_NOBODY)
        TRY(audit_erase_is_under_way(log, txn, hold->kind, hold->id, &erasing));
    if (erasing)
        return fault(RC_BUSY, "the records of %s %.*s are being erased",
                     audit_actor_kind_name(hold->kind), BYTES_FMT(hold->id));
    TRY(take_number(log, txn, number));
    audit_hold_write(hold, &value);
    TRY(buf_done(&value, &bytes));
    return store_txn_put(txn, log->first_table + AUDIT_HOLDS, key_of(*number, &key), bytes);
}

enum rc audit_holds_remove(struct audit_log *log, struct store_txn *txn, uint64_t number,
                           struct buf *room, struct audit_hold *hold)
{
    const unsigned table = log->first_table + AUDIT_HOLDS;
    AUTO_BUF(key, KEY_MAX);
    struct store_value value;

    if (store_txn_get(txn, table, key_of(number, &key), &value) != RC_OK)
        return fault(RC_NOT_FOUND, "there is no hold %llu", (unsigned long long)number);
    buf_reset(room);
    buf_add(room, value.bytes);
    struct reader r = READER(buf_bytes(room));
    if (audit_hold_read(&r, hold) != RC_OK || !reader_done(&r))
        return damaged();
    hold->number = number;
    TRY(store_txn_remove(txn, table, buf_bytes(&key)));
    return audit_prune_again(log, txn);
}
