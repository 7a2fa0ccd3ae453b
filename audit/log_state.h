/* What append, search, erasing and pruning share. Private to audit/. */
#pragma once

#include "audit/log.h"
#include "audit/sealing.h"

enum { AUDIT_SPAN = 256, AUDIT_SALTS = 64, AUDIT_FACET_HASH = 8 };

struct audit_log {
    unsigned first_table;
    struct audit_hasher *hasher;
    uint8_t salts[AUDIT_SALTS][AUDIT_SALT];
    size_t salts_left;
    struct buf record, entry; /* room to make one in */
    struct audit_sealing *sealing;
    struct buf stored, opened; /* an entry as it lies there, and one that was read */
    bool unfinding;            /* facets are taken out, not put in */
};

/*
 * Facets by which records are found, each a range of AUDIT_SEARCH. Fingerprints and
 * correlation ids stand there with their first 8 octets: what is found is held against the
 * whole query anyway. Allowed ones are most, so the decision is a facet of the others only.
 */
enum audit_facet {
    AUDIT_BY_CORRELATION = 1, /* the most telling first */
    AUDIT_BY_CERTIFICATE,
    AUDIT_BY_DEVICE,
    AUDIT_BY_ACTOR,
    AUDIT_BY_DECISION,
    AUDIT_BY_ACTION,
};
enum { AUDIT_FACET_KEY_MAX = 1 + 1 + AUDIT_ID_MAX + 8 };

void audit_facet_write(struct buf *key, enum audit_facet facet, struct bytes value);

/* Count what a record tells that its number does not; in the transaction that appends it. */
enum rc audit_sums_add(struct audit_log *log, struct store_txn *txn,
                       const struct audit_record *record, bool sparse);

/* Earliest and latest wall_ms of AUDIT_SPAN neighbours. */
struct audit_span {
    int64_t earliest_ms, latest_ms;
};
enum rc audit_span_get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       struct audit_span *span);

/* As audit_log_get(), but opens what is being erased, too; from the rows of AUDIT_ENTRIES. */
enum rc audit_log_get_doomed(struct audit_log *log, struct store_txn *txn, uint64_t index,
                             struct bytes *entry);
/* The leaf alone, without its key. */
enum rc audit_log_get_leaf(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           struct bytes *leaf, bool *bare);
/*
 * Of this record only the leaf stays, and of its facets those that the head has as well. entry
 * is as audit_log_get() or _get_doomed() gave it.
 */
enum rc audit_log_strip(struct audit_log *log, struct store_txn *txn, uint64_t index,
                        struct bytes entry);
