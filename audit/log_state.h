/* What append, search, erasing and pruning share. Private to audit/. */
#pragma once

#include "audit/index.h"
#include "audit/log.h"
#include "audit/sealing.h"

enum { AUDIT_SPAN = 256, AUDIT_FAR_BLOCKS = 256, AUDIT_SPAN_BYTES = 16, AUDIT_SALTS = 64 };

/* By what a record is found, from when it is appended until its block is whole: held against
 * the stored leaf before it is believed, if some change came to nothing since. */
struct audit_kept {
    bool valid;
    uint64_t index, undone; /* store_txn_undone() */
    uint8_t leaf[AUDIT_LEAF];
    int64_t wall_ms;
    struct audit_facets facets;
};

/* Where the index was found damaged last, and is not mended yet: who reads cannot. */
struct audit_index_damage {
    bool there;
    enum audit_index_level level;
    uint64_t number, mended; /* the latter by this transaction; 0: by none yet */
};

struct audit_log {
    unsigned first_table;
    unsigned far_blocks; /* AUDIT_FAR_BLOCKS; tests make do with fewer */
    /* Of each block so many a step of merging: of all together no more than there is room for.
     */
    unsigned step_facets;
    struct audit_hasher *hasher;
    uint8_t salts[AUDIT_SALTS][AUDIT_SALT];
    size_t salts_left;
    struct buf record, entry; /* room to make one in */
    struct audit_sealing *sealing;
    struct buf stored, opened;      /* an entry as it lies there, and one that was read */
    struct audit_index_item *items; /* room for the index of a block; NULL until it is needed */
    struct audit_kept *kept;        /* AUDIT_SPAN of them; NULL: none */
    struct audit_tree_tail tail;
    struct audit_index_damage damage;
};

struct audit_tree audit_log_tree(struct audit_log *log);

/* The record with this index as it lies there, also if it is being erased; its commitment is
 * not checked. Borrows from log->record. RC_NOT_FOUND, RC_CORRUPT. */
enum rc audit_log_record(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct audit_record *record);

/* What a record tells that its number does not, to be added in the transaction that appends
 * it. */
struct audit_sums audit_sums_of(const struct audit_record *record, bool sparse);
void audit_sums_join(struct audit_sums *sums, struct audit_sums more);
enum rc audit_sums_add(struct audit_log *log, struct store_txn *txn, enum audit_source source,
                       struct audit_sums sums);

/* Earliest and latest wall_ms of AUDIT_SPAN neighbours, told when the last of them is
 * appended; and of as many as a far has, told once all blocks in there are in the index. */
struct audit_span {
    int64_t earliest_ms, latest_ms;
};
enum rc audit_span_get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       struct audit_span *span);
enum rc audit_span_get_far(struct audit_log *log, struct store_txn *txn, uint64_t far,
                           struct audit_span *span);
/* Of a whole block; its far's is widened by it. */
enum rc audit_span_put(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       const struct audit_span *span);

/* As audit_log_get(), but opens what is being erased, too; from the rows of AUDIT_ENTRIES. */
enum rc audit_log_get_doomed(struct audit_log *log, struct store_txn *txn, uint64_t index,
                             struct bytes *entry);
/* The leaf alone, without its key. */
enum rc audit_log_get_leaf(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           struct bytes *leaf, bool *bare);
/* If it lies under this key, which is to go, it lies under its subject's from now on. entry as
 * below, record as it says. */
enum rc audit_log_reseal(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         uint32_t number, struct bytes entry,
                         const struct audit_record *record);
/*
 * Of this record only the leaf stays, and of its facets those that the head has as well. entry
 * is as audit_log_get() or _get_doomed() gave it.
 */
enum rc audit_log_strip(struct audit_log *log, struct store_txn *txn, uint64_t index,
                        struct bytes entry);
