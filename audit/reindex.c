#include "audit/log_state.h"

enum { OLD_KEYS = 2000 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* What earlier versions wrote has a kind below the first of ours. */
static enum rc remove_old(struct audit_log *log, struct store_txn *txn, bool *found)
{
    static const uint8_t FIRST[] = { AUDIT_BY_ACTION };
    const struct store_range range = { .below = BYTES_OF(FIRST) };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, table(log), &range, &cursor));
    for (unsigned i = 0; i < OLD_KEYS; i++) {
        rc = store_cursor_next(cursor, &key, &value);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        *found = true;
        TRY(store_txn_remove(txn, table(log), key));
    }
    return RC_OK;
}

static enum rc find_makings(struct audit_log *log, struct store_txn *txn, uint64_t from,
                            uint64_t end)
{
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    struct audit_record record;

    for (uint64_t at = from; at < end; at++) {
        buf_reset(&room);
        TRY(audit_log_record(log, txn, at, &room, &record));
        TRY(audit_made_add(log, txn, at, &record));
    }
    return RC_OK;
}

/* From here on whole blocks are put there; of the last one only what is appended from now on
 * has said what certificates it made. */
static enum rc adopt(struct audit_log *log, struct store_txn *txn, uint64_t size)
{
    TRY(find_makings(log, txn, size - size % AUDIT_SPAN, size));
    return audit_index_reach(log, txn, size / AUDIT_SPAN);
}

enum rc audit_log_index(struct audit_log *log, struct store_txn *txn, bool *more)
{
    bool found = false;
    uint64_t low = 0, size = 0;

    *more = true;
    TRY(audit_index_low(log, txn, &low));
    TRY(audit_log_size(log, txn, &size));
    if (low == UINT64_MAX)
        return adopt(log, txn, size);
    TRY(remove_old(log, txn, &found));
    if (found)
        return RC_OK;
    if (low > 0) {
        TRY(find_makings(log, txn, (low - 1) * AUDIT_SPAN, low * AUDIT_SPAN));
        TRY(audit_index_block(log, txn, low - 1));
    }
    *more = low > 1;
    return RC_OK;
}

/* ---- Erasing ---- */

static bool has(const struct audit_facets *facets, struct audit_facet facet)
{
    for (size_t i = 0; i < facets->count; i++)
        if (facets->at[i].kind == facet.kind && facets->at[i].hash == facet.hash)
            return true;
    return false;
}

enum rc audit_index_forget(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           const struct audit_record *record, const struct audit_record *left)
{
    struct audit_facets before, after;
    uint64_t low = 0, size = 0, block = index / AUDIT_SPAN;

    TRY(audit_made_remove(log, txn, index, record));
    TRY(audit_index_low(log, txn, &low));
    TRY(audit_log_size(log, txn, &size));
    if (block < low || block >= size / AUDIT_SPAN)
        return RC_OK;
    audit_facets_of(record, &before);
    audit_facets_of(left, &after);
    for (size_t i = 0; i < before.count; i++)
        if (!has(&after, before.at[i]))
            TRY(audit_index_take_out(log, txn, before.at[i], index));
    return RC_OK;
}
