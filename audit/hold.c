#include "audit/hold.h"

#include "audit/retention_state.h"
#include "base/text.h"

static const uint8_t NEXT_KEY[] = { AUDIT_ROW_NEXT_HOLD };

/* ---- One hold ---- */

enum rc audit_why_check(struct bytes reason)
{
    if (reason.len == 0 || reason.len > AUDIT_WHY_MAX || !text_is_utf8(reason))
        return fault(RC_MALFORMED, "reason: a text of 1 to %d octets", AUDIT_WHY_MAX);
    for (size_t i = 0; i < reason.len; i++)
        if (reason.at[i] < 0x20 || reason.at[i] == 0x7f)
            return fault(RC_MALFORMED, "reason: a control character");
    return RC_OK;
}

static enum rc check(const struct audit_hold *hold)
{
    if (hold->kind > AUDIT_LINE || (hold->kind == AUDIT_NOBODY) != (hold->id.len == 0) ||
        hold->id.len > AUDIT_ID_MAX)
        return fault(RC_MALFORMED, "hold: of a device, an operator or a line with its id, or "
                                   "of nobody in particular");
    if (hold->since_ms < 0 || hold->until_ms < 0 ||
        (hold->until_ms != 0 && hold->until_ms < hold->since_ms))
        return fault(RC_MALFORMED, "hold: a time before 1970, or an end before the beginning");
    return audit_why_check(hold->reason);
}

void audit_hold_write(const struct audit_hold *hold, struct buf *buf)
{
    buf_add_u8(buf, (uint8_t)hold->kind);
    buf_add_u64(buf, (uint64_t)hold->since_ms);
    buf_add_u64(buf, (uint64_t)hold->until_ms);
    buf_add_u64(buf, (uint64_t)hold->made_ms);
    buf_add_sized16(buf, hold->id);
    buf_add_sized16(buf, hold->by);
    buf_add_sized16(buf, hold->reason);
}

enum rc audit_hold_read(struct reader *r, struct audit_hold *hold)
{
    struct audit_hold read = { .kind = (enum audit_actor_kind)reader_u8(r) };

    read.since_ms = (int64_t)reader_u64(r);
    read.until_ms = (int64_t)reader_u64(r);
    read.made_ms = (int64_t)reader_u64(r);
    read.id = reader_sized16(r, AUDIT_ID_MAX);
    read.by = reader_sized16(r, AUDIT_ID_MAX);
    read.reason = reader_sized16(r, AUDIT_WHY_MAX);
    if (r->broken)
        return fault(RC_MALFORMED, "hold: cut short");
    TRY(check(&read));
    *hold = read;
    return RC_OK;
}

bool audit_hold_covers(const struct audit_hold *hold, const struct audit_record *record)
{
    if (record->wall_ms < hold->since_ms ||
        (hold->until_ms != 0 && record->wall_ms > hold->until_ms))
        return false;
    if (hold->kind == AUDIT_NOBODY)
        return true;
    return (record->actor_kind == hold->kind && bytes_equal(record->actor, hold->id)) ||
           (hold->kind == AUDIT_DEVICE && bytes_equal(record->device, hold->id));
}

/* ---- All of them ---- */

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

enum rc audit_hold_add(struct audit_log *log, struct store_txn *txn,
                       const struct audit_hold *hold, uint64_t *number)
{
    AUTO_HOLDS(holds);
    AUTO_BUF(key, AUDIT_FACET_KEY_MAX);
    AUTO_BUF(value, AUDIT_HOLD_BYTES_MAX);
    struct bytes bytes;
    bool erasing = false;

    TRY(check(hold));
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

enum rc audit_hold_remove(struct audit_log *log, struct store_txn *txn, uint64_t number,
                          struct buf *room, struct audit_hold *hold)
{
    const unsigned table = log->first_table + AUDIT_HOLDS;
    AUTO_BUF(key, AUDIT_FACET_KEY_MAX);
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
