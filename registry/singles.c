#include "registry/rows.h"

/*
 * Fact "singles ID": the moments of an operator's latest single revocations, u64 each,
 * ascending as they came, those of the last hour and no others. So it outlives a restart.
 */
enum { ROW_MAX = REGISTRY_SINGLES_MOST * 8 };

static enum rc keep_recent(struct bytes row, int64_t now_ms, struct buf *kept)
{
    struct reader r = READER(row);

    while (r.left.len > 0 && !r.broken) {
        int64_t moment = (int64_t)reader_u64(&r);
        if (moment > now_ms - REGISTRY_SINGLES_WINDOW_MS)
            buf_add_u64(kept, (uint64_t)moment);
    }
    return reader_done(&r) ? RC_OK
                           : fault(RC_CORRUPT, "registry: the moments of single revocations");
}

enum rc registry_single_add(struct store_txn *txn, struct bytes operator, uint64_t most,
                            int64_t now_ms)
{
    struct store_value value;
    struct bytes row;
    AUTO_BUF(name, REGISTRY_ID_MAX + 16);
    AUTO_BUF(kept, ROW_MAX);

    TRY(registry_id_check(operator));
    buf_addf(&name, "singles ");
    buf_add(&name, operator);
    enum rc rc = store_txn_get(txn, REGISTRY_FACTS, buf_bytes(&name), &value);
    if (rc == RC_OK)
        rc = keep_recent(value.bytes, now_ms, &kept);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (kept.len / 8 >= most || most > REGISTRY_SINGLES_MOST)
        return fault(RC_EXISTS,
                     "%zu single revocations by %.*s within the last hour: propose the rest as "
                     "one act (touchmark device revoke --from-file)",
                     kept.len / 8, BYTES_FMT(operator));
    buf_add_u64(&kept, (uint64_t)now_ms);
    TRY(buf_done(&kept, &row));
    return store_txn_put(txn, REGISTRY_FACTS, buf_bytes(&name), row);
}
