#include "audit/tiles.h"

#include "audit/log_state.h"

static enum rc read_bundle(struct audit_log *log, struct store_txn *txn, uint64_t first,
                           size_t count, struct buf *content)
{
    struct audit_entry entry;
    struct bytes bytes;

    for (size_t i = 0; i < count; i++) {
        TRY(audit_log_get(log, txn, first + i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        buf_add_sized16(content, entry.leaf);
    }
    return RC_OK;
}

enum rc audit_tiles_read(struct audit_log *log, struct store_txn *txn,
                         const struct audit_tile *tile, struct buf *content)
{
    const struct audit_tree tree = audit_log_tree(log);
    uint64_t first = tile->index * AUDIT_TILE_WIDTH;
    struct bytes done;

    if (tile->entries)
        TRY(read_bundle(log, txn, first, tile->width, content));
    else
        TRY(audit_tree_hashes(&tree, txn, tile->level * AUDIT_TILE_LOG, first, tile->width,
                              content));
    return buf_done(content, &done);
}
