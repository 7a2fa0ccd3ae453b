#include "audit/log.h"

#include "audit/checkpoint.h"
#include "audit/log_state.h"
#include "audit/saying.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { NOTE_MAX = 4096, HOLD_MAX = 512, SOURCE_KEY = 1 + AUDIT_SPOOL_ID };

static const struct store_table TABLES[] = {
    [AUDIT_ENTRIES] = { "audit_entries", STORE_KEY_NUMBER, AUDIT_STORED_MAX },
    [AUDIT_NODES] = { "audit_nodes", STORE_KEY_BYTES, AUDIT_BLOCK *PROOF_HASH },
    [AUDIT_SEARCH] = { "audit_search", STORE_KEY_BYTES, AUDIT_INDEX_VALUE },
    [AUDIT_SPANS] = { "audit_spans", STORE_KEY_NUMBER, AUDIT_SPAN_BYTES },
    [AUDIT_SOURCES] = { "audit_sources", STORE_KEY_BYTES, 8 },
    [AUDIT_CHECKPOINTS] = { "audit_checkpoints", STORE_KEY_NUMBER, NOTE_MAX },

    [AUDIT_KEYS] = { "audit_keys", STORE_KEY_BYTES, AUDIT_KEY_VALUE_MAX },
    [AUDIT_HOLDS] = { "audit_holds", STORE_KEY_BYTES, HOLD_MAX },
    [AUDIT_FLOODS] = { "audit_floods", STORE_KEY_BYTES, AUDIT_FLOOD_MAX },
};

const struct store_table *audit_log_tables(void)
{
    return TABLES;
}

enum rc audit_log_new(unsigned first_table, struct audit_log **log)
{
    AUTO_OF(audit_log) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit log");
    made->first_table = first_table;
    made->far_blocks = AUDIT_FAR_BLOCKS;
    made->step_facets = AUDIT_INDEX_ITEMS / AUDIT_FAR_BLOCKS;
    made->record = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    made->entry = (struct buf)BUF_MAX(AUDIT_ENTRY_MAX);
    made->stored = (struct buf)BUF_MAX(AUDIT_STORED_MAX);
    made->opened = (struct buf)BUF_MAX(AUDIT_ENTRY_MAX);
    TRY(audit_hasher_new(&made->hasher));
    TRY(audit_sealing_new(first_table, &made->sealing));
    *log = TAKE(made);
    return RC_OK;
}

void audit_log_free(struct audit_log *log)
{
    if (log == NULL)
        return;
    audit_hasher_free(log->hasher);
    audit_sealing_free(log->sealing);
    buf_clear(&log->record);
    buf_clear(&log->entry);
    buf_clear(&log->stored);
    buf_clear(&log->opened);
    free(log->items);
    free(log->kept);
    explicit_bzero(log->salts, sizeof log->salts);
    free(log);
}

enum rc audit_log_unlock(struct audit_log *log, const struct secret *key)
{
    return audit_sealing_unlock(log->sealing, key);
}

enum rc audit_log_check_key(struct audit_log *log, struct store_txn *txn)
{
    return audit_sealing_check(log->sealing, txn);
}

static unsigned table(const struct audit_log *log, enum audit_table which)
{
    return log->first_table + which;
}

struct audit_tree audit_log_tree(struct audit_log *log)
{
    return (struct audit_tree){ table(log, AUDIT_NODES), audit_hasher_digest(log->hasher),
                                &log->tail };
}

static enum rc take_salt(struct audit_log *log, uint8_t salt[AUDIT_SALT])
{
    uint8_t *from;

    if (log->salts_left == 0) {
        if (getrandom(log->salts, sizeof log->salts, 0) != sizeof log->salts)
            return fault_errno("audit log: random octets for salts");
        log->salts_left = AUDIT_SALTS;
    }
    from = log->salts[--log->salts_left];
    memcpy(salt, from, AUDIT_SALT);
    explicit_bzero(from, AUDIT_SALT);
    return RC_OK;
}

/* log->record has the record's octets. */
static enum rc append(struct audit_log *log, struct store_txn *txn,
                      const struct audit_record *record, uint64_t *index)
{
    struct audit_tree tree = audit_log_tree(log);
    uint8_t salt[AUDIT_SALT];
    struct bytes record_bytes, entry_bytes, stored;
    struct audit_entry entry;
    uint64_t at;

    buf_reset(&log->entry);
    buf_reset(&log->stored);
    TRY(buf_done(&log->record, &record_bytes));
    TRY(take_salt(log, salt));
    audit_leaf_write(log->hasher, record_bytes, salt, &log->entry);
    TRY(buf_done(&log->entry, &entry_bytes));
    TRY(audit_leaf_read(entry_bytes, &entry));
    TRY(audit_log_size(log, txn, &at));
    struct store_number key = store_key_number(at);
    struct proof_hash leaf = audit_leaf_hash(log->hasher, &entry);
    TRY(audit_sealing_close(log->sealing, txn, at, record, entry_bytes, &log->stored));
    TRY(buf_done(&log->stored, &stored));
    TRY(store_txn_append(txn, table(log, AUDIT_ENTRIES), BYTES_OF(key.at), stored));
    TRY(audit_tree_append(&tree, txn, at, &leaf));
    TRY(audit_made_add(log, txn, at, record));
    audit_index_keep(log, txn, at, entry.leaf, record);
    if (index != NULL)
        *index = at;
    if (at % AUDIT_SPAN == AUDIT_SPAN - 1)
        TRY(audit_index_block(log, txn, at / AUDIT_SPAN));
    return RC_OK;
}

enum rc audit_log_append(struct audit_log *log, struct store_txn *txn,
                         const struct audit_record *record, uint64_t *index)
{
    struct audit_record ours = *record;

    ours.source = AUDIT_FROM_AUTHORITY;
    ours.source_sequence = 0;
    buf_reset(&log->record);
    TRY(audit_record_write(&ours, &log->record));
    TRY(append(log, txn, &ours, index));
    return audit_sums_add(log, txn, ours.source, audit_sums_of(&ours, false));
}

static void source_key(const struct audit_origin *origin, uint8_t key[SOURCE_KEY])
{
    key[0] = (uint8_t)origin->source;
    memcpy(key + 1, origin->spool, AUDIT_SPOOL_ID);
}

enum rc audit_log_taken(struct audit_log *log, struct store_txn *txn,
                        const struct audit_origin *origin, uint64_t *sequence)
{
    uint8_t key[SOURCE_KEY];
    struct store_value value;

    source_key(origin, key);
    enum rc rc = store_txn_get(txn, table(log, AUDIT_SOURCES), BYTES_OF(key), &value);
    if (rc == RC_NOT_FOUND) {
        *sequence = 0;
        return RC_OK;
    }
    TRY(rc);
    struct reader r = READER(value.bytes);
    uint64_t last = reader_u64(&r);
    if (!reader_done(&r))
        return fault(RC_CORRUPT, "audit log: the last sequence of a spool is damaged");
    *sequence = last;
    return RC_OK;
}

enum rc audit_log_take_begin(struct audit_log *log, struct store_txn *txn,
                             struct audit_taking *taking)
{
    const struct audit_tree tree = audit_log_tree(log);

    TRY(audit_log_taken(log, txn, &taking->origin, &taking->before));
    taking->last = taking->before;
    taking->sums = (struct audit_sums){ 0 };
    audit_tree_hold(&tree, txn);
    return RC_OK;
}

/* log->record has its octets as they shall lie there. */
static enum rc read_spooled(struct audit_log *log, const struct audit_origin *origin,
                            struct bytes record, struct buf *reason, struct audit_record *read)
{
    TRY(audit_record_read(record, read));
    if (read->source != 0)
        return fault(RC_MALFORMED, "audit log: a spooled record names its own source");
    TRY(audit_saying_check(origin->source, read));
    audit_saying_bound(read, origin->now_ms, reason);
    read->source = origin->source;
    read->source_sequence = origin->sequence;
    buf_reset(&log->record);
    return reason->len == 0 ? audit_record_write_again(record, read, &log->record)
                            : audit_record_write(read, &log->record);
}

enum rc audit_log_take_one(struct audit_log *log, struct store_txn *txn,
                           struct audit_taking *taking, struct bytes record, bool *taken)
{
    const struct audit_origin *origin = &taking->origin;
    AUTO_BUF(reason, AUDIT_REASON_MAX);
    struct audit_record read;

    *taken = origin->sequence > taking->last;
    if (!*taken)
        return RC_OK;
    if (!origin->sparse && origin->sequence != taking->last + 1)
        return fault(RC_DENIED, "audit log: %s spool continues with %llu after %llu",
                     audit_source_name(origin->source), (unsigned long long)origin->sequence,
                     (unsigned long long)taking->last);
    TRY(read_spooled(log, origin, record, &reason, &read));
    TRY(append(log, txn, &read, NULL));
    audit_sums_join(&taking->sums, audit_sums_of(&read, origin->sparse));
    taking->last = origin->sequence;
    return RC_OK;
}

enum rc audit_log_take_end(struct audit_log *log, struct store_txn *txn,
                           const struct audit_taking *taking)
{
    const struct audit_tree tree = audit_log_tree(log);
    struct store_number last = store_key_number(taking->last);
    uint8_t key[SOURCE_KEY];

    TRY(audit_tree_release(&tree, txn));
    if (taking->last == taking->before)
        return RC_OK;
    TRY(audit_sums_add(log, txn, taking->origin.source, taking->sums));
    source_key(&taking->origin, key);
    return store_txn_put(txn, table(log, AUDIT_SOURCES), BYTES_OF(key), BYTES_OF(last.at));
}

enum rc audit_log_take(struct audit_log *log, struct store_txn *txn,
                       const struct audit_origin *origin, struct bytes record, bool *taken)
{
    struct audit_taking taking = { .origin = *origin };

    TRY(audit_log_take_begin(log, txn, &taking));
    TRY(audit_log_take_one(log, txn, &taking, record, taken));
    return audit_log_take_end(log, txn, &taking);
}

enum rc audit_log_size(struct audit_log *log, struct store_txn *txn, uint64_t *size)
{
    return store_txn_count(txn, table(log, AUDIT_ENTRIES), size);
}

static enum rc get_stored(struct audit_log *log, struct store_txn *txn, uint64_t index,
                          struct bytes *stored)
{
    struct store_number key = store_key_number(index);
    struct store_value value;

    TRY(store_txn_get(txn, table(log, AUDIT_ENTRIES), BYTES_OF(key.at), &value));
    *stored = value.bytes;
    return RC_OK;
}

enum rc audit_log_get(struct audit_log *log, struct store_txn *txn, uint64_t index,
                      struct bytes *entry)
{
    struct bytes stored;

    TRY(get_stored(log, txn, index, &stored));
    return audit_sealing_open(log->sealing, txn, index, stored, false, &log->opened, entry);
}

enum rc audit_log_get_doomed(struct audit_log *log, struct store_txn *txn, uint64_t index,
                             struct bytes *entry)
{
    struct bytes stored;

    TRY(get_stored(log, txn, index, &stored));
    return audit_sealing_open(log->sealing, txn, index, stored, true, &log->opened, entry);
}

enum rc audit_log_get_leaf(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           struct bytes *leaf, bool *bare)
{
    struct bytes stored;

    TRY(get_stored(log, txn, index, &stored));
    return audit_sealing_leaf(stored, leaf, bare);
}

enum rc audit_log_reseal(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         uint32_t number, struct bytes entry, const struct audit_record *record)
{
    struct store_number key = store_key_number(index);
    struct bytes stored;

    TRY(get_stored(log, txn, index, &stored));
    if (number == 0 || audit_sealing_number(stored) != number)
        return RC_OK;
    buf_reset(&log->stored);
    TRY(audit_sealing_close(log->sealing, txn, index, record, entry, &log->stored));
    TRY(buf_done(&log->stored, &stored));
    return store_txn_put(txn, table(log, AUDIT_ENTRIES), BYTES_OF(key.at), stored);
}

enum rc audit_log_strip(struct audit_log *log, struct store_txn *txn, uint64_t index,
                        struct bytes entry)
{
    AUTO_BUF(leaf, AUDIT_LEAF);
    struct store_number key = store_key_number(index);
    struct audit_record record, head;
    struct audit_entry parts;

    TRY(audit_leaf_read(entry, &parts));
    buf_add(&leaf, parts.leaf);
    buf_reset(&log->record);
    TRY(audit_leaf_record(&parts, &log->record, &record));
    TRY(audit_record_read_head((struct bytes){ leaf.at, AUDIT_HEAD }, &head));
    audit_index_drop(log, index);
    TRY(audit_index_forget(log, txn, index, &record, &head));
    return store_txn_put(txn, table(log, AUDIT_ENTRIES), BYTES_OF(key.at), buf_bytes(&leaf));
}

struct proof_hash audit_log_leaf_hash(struct audit_log *log, const struct audit_entry *entry)
{
    return audit_leaf_hash(log->hasher, entry);
}

static enum rc check_size(struct audit_log *log, struct store_txn *txn, uint64_t size)
{
    uint64_t now;

    TRY(audit_log_size(log, txn, &now));
    if (size > now)
        return fault(RC_NOT_FOUND, "audit log: size %llu was asked, it has %llu records",
                     (unsigned long long)size, (unsigned long long)now);
    return RC_OK;
}

enum rc audit_log_root(struct audit_log *log, struct store_txn *txn, uint64_t size,
                       struct proof_hash *root)
{
    struct audit_tree tree = audit_log_tree(log);

    TRY(check_size(log, txn, size));
    return audit_tree_root(&tree, txn, size, root);
}

enum rc audit_log_prove_inclusion(struct audit_log *log, struct store_txn *txn, uint64_t index,
                                  uint64_t size, struct proof_hash *nodes, size_t *count)
{
    struct audit_tree tree = audit_log_tree(log);

    TRY(check_size(log, txn, size));
    if (index >= size)
        return fault(RC_NOT_FOUND, "audit log: record %llu in a tree of %llu",
                     (unsigned long long)index, (unsigned long long)size);
    return audit_tree_prove_inclusion(&tree, txn, index, size, nodes, count);
}

enum rc audit_log_prove_consistency(struct audit_log *log, struct store_txn *txn,
                                    uint64_t old_size, uint64_t new_size,
                                    struct proof_hash *nodes, size_t *count)
{
    struct audit_tree tree = audit_log_tree(log);

    TRY(check_size(log, txn, new_size));
    if (old_size > new_size)
        return fault(RC_NOT_FOUND, "audit log: from size %llu back to %llu",
                     (unsigned long long)old_size, (unsigned long long)new_size);
    return audit_tree_prove_consistency(&tree, txn, old_size, new_size, nodes, count);
}

enum rc audit_log_keep_checkpoint(struct audit_log *log, struct store_txn *txn, uint64_t size,
                                  struct bytes note)
{
    struct store_number key = store_key_number(size);
    uint64_t now;

    TRY(audit_log_size(log, txn, &now));
    if (size > now)
        return fault(RC_DENIED, "audit log: a checkpoint of %llu records, there are %llu",
                     (unsigned long long)size, (unsigned long long)now);
    return store_txn_put(txn, table(log, AUDIT_CHECKPOINTS), BYTES_OF(key.at), note);
}

enum rc audit_log_checkpoint(struct audit_log *log, struct store_txn *txn, uint64_t most,
                             uint64_t *size, struct bytes *note)
{
    struct store_number below = store_key_number(most == UINT64_MAX ? most : most + 1);
    struct store_range range = { .below = BYTES_OF(below.at), .backward = true };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;

    TRY(store_cursor_open(txn, table(log, AUDIT_CHECKPOINTS), &range, &cursor));
    enum rc rc = store_cursor_next(cursor, &key, &value);
    if (rc == RC_NOT_FOUND)
        return fault(rc, "audit log: no checkpoint of %llu records or less",
                     (unsigned long long)most);
    TRY(rc);
    *size = store_key_read_number(key);
    *note = value.bytes;
    return RC_OK;
}

enum rc audit_log_vouched(struct audit_log *log, struct store_txn *txn,
                          struct journal_head *head)
{
    struct audit_checkpoint newest = { 0 };
    struct bytes note = BYTES("");
    uint64_t size = 0;

    enum rc rc = audit_log_checkpoint(log, txn, UINT64_MAX, &size, &note);
    if (rc == RC_OK && audit_checkpoint_of_note(note, &newest) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: the checkpoint of %llu records",
                           (unsigned long long)size);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    head->sequence = newest.journal_sequence;
    memcpy(head->hash, newest.journal_hash, sizeof head->hash);
    return RC_OK;
}
