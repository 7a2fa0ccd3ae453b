/* What append and search share. Private to audit/log*.c. */
#pragma once

#include "audit/index.h"
#include "audit/log.h"

enum { AUDIT_SPAN = 256, AUDIT_FAR = 256 * 256, AUDIT_SPAN_BYTES = 16, AUDIT_SALTS = 64 };

struct audit_index_item;

struct audit_log {
    unsigned first_table;
    struct audit_hasher *hasher;
    uint8_t salts[AUDIT_SALTS][AUDIT_SALT];
    size_t salts_left;
    struct buf record, entry;       /* room to make one in */
    struct audit_index_item *items; /* likewise the index of a block; NULL until it is made */
};

/* The record with this index as it lies there, its texts in room; its commitment is not checked.
 * RC_NOT_FOUND, RC_CORRUPT. */
enum rc audit_log_record(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct buf *room, struct audit_record *record);

/* Count what a record tells that its number does not; in the transaction that appends it. */
enum rc audit_sums_add(struct audit_log *log, struct store_txn *txn,
                       const struct audit_record *record, bool sparse);

/* Earliest and latest wall_ms of AUDIT_SPAN neighbours, and of AUDIT_FAR, which is told once
 * all blocks in there are in the index. */
struct audit_span {
    int64_t earliest_ms, latest_ms;
};
enum rc audit_span_get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       struct audit_span *span);
enum rc audit_span_get_far(struct audit_log *log, struct store_txn *txn, uint64_t far,
                           struct audit_span *span);
enum rc audit_span_widen(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         int64_t wall_ms);
/* By a whole block. */
enum rc audit_span_widen_far(struct audit_log *log, struct store_txn *txn, uint64_t block);
