#include "audit/log_state.h"

/* Spans of fars stand in the same table, above all others. */
#define FAR_KEY ((uint64_t)1 << 63)

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SPANS;
}

/* RC_NOT_FOUND: nothing is told of it. */
static enum rc get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                   struct audit_span *span)
{
    struct store_number key = store_key_number(block);
    struct store_value value;

    TRY(store_txn_get(txn, table(log), BYTES_OF(key.at), &value));
    struct reader r = READER(value.bytes);
    span->earliest_ms = (int64_t)reader_u64(&r);
    span->latest_ms = (int64_t)reader_u64(&r);
    return reader_done(&r) ? RC_OK : fault(RC_CORRUPT, "audit log: the times of a block");
}

enum rc audit_span_get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       struct audit_span *span)
{
    enum rc rc = get(log, txn, block, span);

    return rc == RC_NOT_FOUND ? fault(RC_CORRUPT, "audit log: a block without times") : rc;
}

enum rc audit_span_get_far(struct audit_log *log, struct store_txn *txn, uint64_t far,
                           struct audit_span *span)
{
    return audit_span_get(log, txn, FAR_KEY | far, span);
}

static enum rc put(struct audit_log *log, struct store_txn *txn, uint64_t block,
                   const struct audit_span *span)
{
    struct store_number key = store_key_number(block);
    AUTO_BUF(value, AUDIT_SPAN_BYTES);
    struct bytes whole;

    buf_add_u64(&value, (uint64_t)span->earliest_ms);
    buf_add_u64(&value, (uint64_t)span->latest_ms);
    TRY(buf_done(&value, &whole));
    return store_txn_put(txn, table(log), BYTES_OF(key.at), whole);
}

/* Nothing is written if it holds that already. */
static enum rc widen(struct audit_log *log, struct store_txn *txn, uint64_t block,
                     const struct audit_span *by)
{
    struct audit_span span = *by, before;
    enum rc rc = get(log, txn, block, &before);

    if (rc == RC_NOT_FOUND)
        return put(log, txn, block, &span);
    TRY(rc);
    if (by->earliest_ms >= before.earliest_ms && by->latest_ms <= before.latest_ms)
        return RC_OK;
    if (before.earliest_ms < span.earliest_ms)
        span.earliest_ms = before.earliest_ms;
    if (before.latest_ms > span.latest_ms)
        span.latest_ms = before.latest_ms;
    return put(log, txn, block, &span);
}

enum rc audit_span_put(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       const struct audit_span *span)
{
    TRY(put(log, txn, block, span));
    return widen(log, txn, FAR_KEY | block / log->far_blocks, span);
}
