/* The audit log: records as leaves of a Merkle tree, searchable, in tables of the authority's
 * store. */
#pragma once

#include "audit/leaf.h"
#include "audit/query.h"
#include "audit/tree.h"
#include "base/secret.h"
#include "journal/journal.h"
#include "store/txn.h"

/*
 * The caller's schema holds these tables in this order, beginning at `first_table`. Everything
 * runs in the caller's transaction: a change and its record commit together or not at all.
 * Records are numbered from 0 (the leaf's index); a number once given is never given again.
 */
enum audit_table {
    AUDIT_ENTRIES,     /* index -> leaf and sealed body (sealing.h) */
    AUDIT_NODES,       /* level u8, block u64 -> hashes (tree.h) */
    AUDIT_SEARCH,      /* by what records are found (index.h) */
    AUDIT_SPANS,       /* index / 256 -> earliest and latest wall_ms in there */
    AUDIT_SOURCES,     /* source u8, spool id -> last sequence taken; log_sums.c */
    AUDIT_CHECKPOINTS, /* tree size -> signed note */

    AUDIT_KEYS,   /* subjects and their wrapped keys (sealing.h) */
    AUDIT_HOLDS,  /* holds, erasures under way, how far pruning came (hold.h, erase.h, prune.h)
                   */
    AUDIT_FLOODS, /* what is refused often, counted (flood.h) */
    AUDIT_TABLES
};
enum { AUDIT_FLOOD_MAX = 640 };
const struct store_table *audit_log_tables(void);

/* Holds no state of the log: only the hashes' contexts and random octets in stock. One
 * thread's. */
struct audit_log;
enum rc audit_log_new(unsigned first_table, struct audit_log **log);
void audit_log_free(struct audit_log *log);
AUTO_STRUCT(audit_log, audit_log_free)
/* The key that wraps the bodies' keys, STORE_SEAL_KEY octets, copied. Without it nothing can be
 * appended, and no body be read; sizes, roots, proofs and checkpoints need none. */
enum rc audit_log_unlock(struct audit_log *log, const struct secret *key);
/* RC_DENIED: bodies in this store are sealed under another one. */
enum rc audit_log_check_key(struct audit_log *log, struct store_txn *txn);

/* One record of the authority's own; source and sequence are filled in here. *index (may be
 * NULL) is its number if the transaction commits. RC_MALFORMED: record.h. */
enum rc audit_log_append(struct audit_log *log, struct store_txn *txn,
                         const struct audit_record *record, uint64_t *index);

/* Where a record of a spool comes from: the channel's word, not the record's. */
struct audit_origin {
    enum audit_source source;
    uint8_t spool[AUDIT_SPOOL_ID];
    uint64_t sequence;
    bool sparse;    /* its numbers leave gaps: they count more than records */
    int64_t now_ms; /* wall, when it is taken: saying.h */
};
/*
 * Take in a record of a spool, once: *taken is false if it is there already. RC_DENIED: the
 * sequence leaves a gap (unless sparse), so records are missing, or it is not this source's to
 * tell (saying.h); nothing is taken. RC_MALFORMED: not a record.
 */
enum rc audit_log_take(struct audit_log *log, struct store_txn *txn,
                       const struct audit_origin *origin, struct bytes record, bool *taken);
/*
 * The same for many in one transaction, at less cost: begin, add one after the other, end.
 * Without an end the transaction must not commit.
 */
struct audit_sums {
    uint64_t beyond, sparse; /* acts beyond one a record; records whose sequence leaves gaps */
};
struct audit_taking {
    struct audit_origin origin; /* given; its sequence is the next one's to add */
    uint64_t before, last;      /* the last one that was there, and that is */
    struct audit_sums sums;
};
enum rc audit_log_take_begin(struct audit_log *log, struct store_txn *txn,
                             struct audit_taking *taking);
enum rc audit_log_take_one(struct audit_log *log, struct store_txn *txn,
                           struct audit_taking *taking, struct bytes record, bool *taken);
enum rc audit_log_take_end(struct audit_log *log, struct store_txn *txn,
                           const struct audit_taking *taking);
/* The last sequence taken from this spool: what to ask READ after; 0 if none. */
enum rc audit_log_taken(struct audit_log *log, struct store_txn *txn,
                        const struct audit_origin *origin, uint64_t *sequence);

/* What each source told in all, by enum audit_source: records, and the acts that they stand
 * for.
 */
enum { AUDIT_SOURCE_ROOM = AUDIT_FROM_SIGNER + 1 };
/* UINT64_MAX: that many or more acts. */
struct audit_source_sum {
    uint64_t records, acts;
};
enum rc audit_log_sums(struct audit_log *log, struct store_txn *txn,
                       struct audit_source_sum sums[AUDIT_SOURCE_ROOM]);

enum rc audit_log_size(struct audit_log *log, struct store_txn *txn, uint64_t *size);
/* The entry's bytes (leaf.h reads them), borrowed until the next one is got, or the
 * transaction's next change. Of a record that was erased, or is about to be, the leaf alone.
 * RC_NOT_FOUND. */
enum rc audit_log_get(struct audit_log *log, struct store_txn *txn, uint64_t index,
                      struct bytes *entry);

struct proof_hash audit_log_leaf_hash(struct audit_log *log, const struct audit_entry *entry);

/* Newest first. Calls each() for what the query wants, at most query->most; *next is where the
 * next page begins, *more whether there can be one. A page may be short although there is
 * more: a query looks at AUDIT_QUERY_STEPS records and keys of the index at most. */
enum { AUDIT_QUERY_STEPS = 20000 };
enum rc audit_log_list(struct audit_log *log, struct store_txn *txn,
                       const struct audit_query *query,
                       enum rc (*each)(void *with, const struct audit_hit *hit), void *with,
                       uint64_t *next, bool *more);

/* The same oldest first, from index `from` on, by a look at each: query->before is not looked
 * at. *next is the first index that was not; at most AUDIT_FOLLOW_STEPS behind from. */
enum { AUDIT_FOLLOW_STEPS = 256 };
enum rc audit_log_list_on(struct audit_log *log, struct store_txn *txn,
                          const struct audit_query *query, uint64_t from,
                          enum rc (*each)(void *with, const struct audit_hit *hit), void *with,
                          uint64_t *next);

/* The record that says that a certificate was made (issued, renewed, an operator's or a
 * door's), by its whole fingerprint. RC_NOT_FOUND also of one whose record was erased.
 * RC_BUSY: it was not found so far, and the index is being made anew. */
enum rc audit_log_find_certificate(struct audit_log *log, struct store_txn *txn,
                                   struct bytes fingerprint, uint64_t *index);

/*
 * What searches go by is written as records are appended; merging it, so that a look at one
 * place covers many records, is left to calls of audit_log_index(), a bounded step each, as is
 * all of it for a log that an earlier version wrote. Meanwhile searches take more looks, and
 * find the same. audit_log_index_due(), which changes nothing, and *more: there is something to
 * do.
 */
enum rc audit_log_index_due(struct audit_log *log, struct store_txn *txn, bool *due);
enum rc audit_log_index(struct audit_log *log, struct store_txn *txn, bool *more);

/* Root of the tree when it had this size; proofs between sizes (RFC 9162 2.1.3.1, 2.1.4.1).
 * nodes has PROOF_NODES_MAX places. RC_NOT_FOUND: the log is not that long. */
enum rc audit_log_root(struct audit_log *log, struct store_txn *txn, uint64_t size,
                       struct proof_hash *root);
enum rc audit_log_prove_inclusion(struct audit_log *log, struct store_txn *txn, uint64_t index,
                                  uint64_t size, struct proof_hash *nodes, size_t *count);
enum rc audit_log_prove_consistency(struct audit_log *log, struct store_txn *txn,
                                    uint64_t old_size, uint64_t new_size,
                                    struct proof_hash *nodes, size_t *count);

/* Keep a signed checkpoint of this size, replacing one of the same size. RC_DENIED: the log is
 * not that long. The caller verified it. */
enum rc audit_log_keep_checkpoint(struct audit_log *log, struct store_txn *txn, uint64_t size,
                                  struct bytes note);
/* The newest one of this size or less, borrowed. RC_NOT_FOUND. */
enum rc audit_log_checkpoint(struct audit_log *log, struct store_txn *txn, uint64_t most,
                             uint64_t *size, struct bytes *note);
/* The head of the signer's journal that the newest one vouches for: sequence 0 if there is
 * none. RC_CORRUPT. */
enum rc audit_log_vouched(struct audit_log *log, struct store_txn *txn,
                          struct journal_head *head);
