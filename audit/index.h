/* By what records are found: for each facet, in which blocks of the log it is, and where in
 * them. Private to audit/. */
#pragma once

#include "audit/facet.h"
#include "store/txn.h"

struct audit_log;

/*
 * A block is AUDIT_SPAN records. When its last one is appended, its facets go into
 * AUDIT_SEARCH, in the same transaction:
 *   kind u8, hash u64, block u64 -> one octet a record that has it, ascending; of 32 and more,
 *                                   32 octets with a bit for each record, the lowest first
 *   0x40, hash u64, index u64 -> nothing: that record says that a certificate was made; put
 *                                there when it is appended
 *   0xff                      -> u64: every whole block from this one on is there
 * So a record costs no look-up of its own, and what many neighbours share is one key. Records
 * of the last block, and of blocks below that number, are found by a look at each.
 */
enum { AUDIT_INDEX_KEY = 1 + 8 + 8, AUDIT_INDEX_VALUE = 32 };

struct audit_places {
    uint64_t bits[4];
};

/* The block is whole, and has been appended to. */
enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t block);

/* Every whole block from *low on can be looked up; UINT64_MAX: none, and it never began. */
enum rc audit_index_low(struct audit_log *log, struct store_txn *txn, uint64_t *low);
/* They can be from this one on, if not from a lower one. */
enum rc audit_index_reach(struct audit_log *log, struct store_txn *txn, uint64_t block);

/* This record has the facet no more. Not there: RC_OK. */
enum rc audit_index_take_out(struct audit_log *log, struct store_txn *txn,
                             struct audit_facet facet, uint64_t index);
/* Take out what the record had and what is left of it has not. */
enum rc audit_index_forget(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           const struct audit_record *record, const struct audit_record *left);

/* Where a facet is, going down. Zero it, set facet; audit_posting_end(). */
struct audit_posting {
    struct audit_facet facet;
    struct store_cursor *cursor;
    uint8_t below[AUDIT_INDEX_KEY];
    bool known, ended;
    uint64_t block; /* once known, unless ended */
    struct audit_places places;
    uint64_t looks; /* at the store, in all */
};
/* Go to the greatest block of it that is at most this. RC_CORRUPT. */
enum rc audit_posting_seek(struct audit_log *log, struct store_txn *txn,
                           struct audit_posting *posting, uint64_t most);
void audit_posting_end(struct audit_posting *posting);

/* Where the record with this index says that the certificate was made. */
void audit_index_made_key(struct bytes fingerprint, uint64_t index,
                          uint8_t key[AUDIT_INDEX_KEY]);
/* In the transaction that appends the record, or erases it; of other records nothing. */
enum rc audit_made_add(struct audit_log *log, struct store_txn *txn, uint64_t index,
                       const struct audit_record *record);
enum rc audit_made_remove(struct audit_log *log, struct store_txn *txn, uint64_t index,
                          const struct audit_record *record);
