#include "audit/log_state.h"

enum { CURSOR = 0x44 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* ---- How far it came ---- */

/* From the beginning, if it was another far's. */
enum rc audit_index_merged(struct audit_log *log, struct store_txn *txn, uint64_t far,
                           struct audit_facet *from)
{
    static const uint8_t KEY[] = { CURSOR };
    struct store_value value;

    *from = (struct audit_facet){ 0 };
    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(KEY), &value);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    struct reader r = READER(value.bytes);
    uint64_t of = reader_u64(&r);
    struct audit_facet read = { .kind = reader_u8(&r) };
    read.hash = reader_u32(&r);
    if (!reader_done(&r))
        return fault(RC_CORRUPT, "audit log: the state of its index is damaged");
    if (of == far)
        *from = read;
    return RC_OK;
}

static enum rc put_place(struct audit_log *log, struct store_txn *txn, uint64_t far,
                         struct audit_facet from)
{
    static const uint8_t KEY[] = { CURSOR };
    AUTO_BUF(value, 8 + 1 + 4);

    buf_add_u64(&value, far);
    buf_add_u8(&value, from.kind);
    buf_add_u32(&value, from.hash);
    return store_txn_put(txn, table(log), BYTES_OF(KEY), buf_bytes(&value));
}

enum rc audit_index_merge_anew(struct audit_log *log, struct store_txn *txn, uint64_t far)
{
    struct audit_facet from;

    TRY(audit_index_merged(log, txn, far, &from));
    return from.kind == 0 ? RC_OK : put_place(log, txn, far, (struct audit_facet){ 0 });
}

static enum rc put_mark(struct audit_log *log, struct store_txn *txn, uint64_t far)
{
    uint8_t key[AUDIT_INDEX_KEY];

    audit_index_key(AUDIT_INDEX_FAR, far, (struct audit_facet){ 0, AUDIT_INDEX_WHOLE }, key);
    return store_txn_put(txn, table(log), BYTES_OF(key), BYTES(""));
}

/* ---- A step ---- */

struct merging {
    struct audit_log *log;
    struct store_txn *txn;
    struct audit_index_item *items;
    size_t count;
    struct audit_index_item last; /* what lies behind it may lack keys of some block */
    bool cut;                     /* there is something behind */
};

static enum rc read_block(struct merging *m, uint64_t block, struct audit_facet from)
{
    struct audit_index_item *items = m->items + m->count;
    size_t count = 0;

    TRY(audit_index_read_items(m->log, m->txn, AUDIT_INDEX_BLOCK, block, from, items,
                               m->log->step_facets, &count));
    for (size_t i = 0; i < count; i++)
        items[i].at = (uint8_t)(block % m->log->far_blocks);
    m->count += count;
    if (count < m->log->step_facets)
        return RC_OK;
    struct audit_index_item last = items[count - 1];
    last.at = UINT8_MAX;
    if (!m->cut || audit_index_compare(&last, &m->last) < 0)
        m->last = last;
    m->cut = true;
    return RC_OK;
}

enum rc audit_index_merge(struct audit_log *log, struct store_txn *txn, uint64_t far,
                          bool *whole)
{
    struct merging m = { .log = log, .txn = txn };
    struct audit_facet from;

    TRY(audit_index_items(log, &m.items));
    TRY(audit_index_merged(log, txn, far, &from));
    if (from.kind == 0) /* it may have been begun before another far was */
        TRY(audit_index_clear(log, txn, AUDIT_INDEX_FAR, far));
    for (unsigned at = 0; at < log->far_blocks; at++)
        TRY(read_block(&m, far * log->far_blocks + at, from));
    m.items = audit_index_sort(log, m.count); /* blocks ascend already */
    while (m.cut && m.count > 0 && audit_index_compare(&m.items[m.count - 1], &m.last) > 0)
        m.count--;
    TRY(audit_index_put_items(log, txn, AUDIT_INDEX_FAR, far, m.items, m.count));
    *whole = !m.cut;
    if (!m.cut)
        return put_mark(log, txn, far);
    return put_place(log, txn, far,
                     audit_facet_behind((struct audit_facet){ m.last.hash, m.last.kind }));
}
