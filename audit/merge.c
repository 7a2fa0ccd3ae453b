#include "audit/log_state.h"

/* Of each block so many keys a step: of all together no more than there is room for. */
enum { KEYS_OF_BLOCK = 16, CURSOR = 0x42 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* ---- How far it came ---- */

/* From the beginning, if it was another far's. */
static enum rc get_place(struct audit_log *log, struct store_txn *txn, uint64_t far,
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
    AUTO_OF(store_cursor) *cursor = NULL;
    uint8_t first[AUDIT_INDEX_KEY];
    const struct store_range range = { .prefix = { first, 1 + 4 }, .from = BYTES_OF(first) };
    struct audit_index_item item = { .at = (uint8_t)(block % m->log->far_blocks) };
    struct store_value value;
    struct bytes key;
    unsigned taken = 0;
    enum rc rc = RC_OK;

    audit_index_key(AUDIT_INDEX_BLOCK, block, from, first);
    TRY(store_cursor_open(m->txn, table(m->log), &range, &cursor));
    for (; taken < KEYS_OF_BLOCK; taken++) {
        rc = store_cursor_next(cursor, &key, &value);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        struct reader r = READER(key);
        reader_take(&r, 1 + 4);
        item.kind = reader_u8(&r);
        item.hash = reader_u32(&r);
        m->items[m->count++] = item;
    }
    item.at = UINT8_MAX;
    if (!m->cut || audit_index_compare(&item, &m->last) < 0)
        m->last = item;
    m->cut = true;
    return RC_OK;
}

static struct audit_facet behind(const struct audit_index_item *last)
{
    if (last->hash == UINT32_MAX)
        return (struct audit_facet){ 0, (uint8_t)(last->kind + 1) };
    return (struct audit_facet){ last->hash + 1, last->kind };
}

enum rc audit_index_merge(struct audit_log *log, struct store_txn *txn, uint64_t far,
                          bool *whole)
{
    struct merging m = { .log = log, .txn = txn };
    struct audit_facet from;

    TRY(audit_index_items(log, &m.items));
    TRY(get_place(log, txn, far, &from));
    for (unsigned at = 0; at < log->far_blocks; at++)
        TRY(read_block(&m, far * log->far_blocks + at, from));
    m.items = audit_index_sort(log, m.count); /* blocks ascend already */
    while (m.cut && m.count > 0 && audit_index_compare(&m.items[m.count - 1], &m.last) > 0)
        m.count--;
    TRY(audit_index_put_items(log, txn, AUDIT_INDEX_FAR, far, m.items, m.count));
    *whole = !m.cut;
    return m.cut ? put_place(log, txn, far, behind(&m.last)) : put_mark(log, txn, far);
}
