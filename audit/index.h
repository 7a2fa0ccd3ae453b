/* By what records are found: which records of a block have a facet, and which blocks of many.
 * Private to audit/. */
#pragma once

#include "audit/facet.h"
#include "store/txn.h"

struct audit_log;

/*
 * A block is AUDIT_SPAN records, a far AUDIT_FAR_BLOCKS blocks. AUDIT_SEARCH holds
 *   0x43                               -> block u64: every whole block from it on is there
 *   0x44                               -> far u64, kind u8, hash u32: where merging it goes on
 *   0x45, kind u8, hash u32, index u64 -> nothing: that record says that a certificate was made
 *   0x90, far u32, kind u8, hash u32   -> cells: which blocks of it have a facet
 *   0x90, far u32, 0xff, 0             -> nothing: the far is there whole
 *   0xd0, block u32, kind u8, hash u32 -> cells: which records of it have a facet
 * What else lies there is of earlier versions.
 *
 * A cell is kind u8, hash u32, a number of octets u8, and so many octets of places: one each,
 * ascending; from 32 places on, 32 octets with a bit for each, the lowest first. Cells ascend;
 * a row has many, none of them below the row's key or from the next row's key on, so a facet
 * is in the last row whose key is not above it. Two rows fill a page of the store.
 *
 * The facets of a block are written when its last record is appended, in the same transaction,
 * in order and at the end of the table: so they cost few pages, however many devices take
 * turns. Those of a far are merged from them later, a bounded step at a time. What is in no
 * block yet is found by a look at each record, what is in no far by a look into each block.
 */
enum { AUDIT_INDEX_KEY = 1 + 4 + 1 + 4, AUDIT_INDEX_VALUE = 1960 };

/* ---- packed.c ---- */

/* Of 256, which. */
struct audit_places {
    uint64_t bits[4];
};
bool audit_places_has(const struct audit_places *places, unsigned at);
bool audit_places_is_empty(const struct audit_places *places);

enum audit_index_level { AUDIT_INDEX_FAR = 0x90, AUDIT_INDEX_BLOCK = 0xd0 };

/* The places of a facet in a block or far; none: empty. RC_CORRUPT. */
enum rc audit_index_get(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        struct audit_places *places);
/* No places: it is taken out. */
enum rc audit_index_put(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        const struct audit_places *places);
/* A row's key; kind 0xff and 0 are a far's mark. */
void audit_index_key(enum audit_index_level level, uint64_t number, struct audit_facet facet,
                     uint8_t key[AUDIT_INDEX_KEY]);
enum { AUDIT_INDEX_WHOLE = 0xff };
enum rc audit_index_is_whole(struct audit_log *log, struct store_txn *txn, uint64_t far,
                             bool *whole);

/* The next in order. */
struct audit_facet audit_facet_behind(struct audit_facet facet);

/* One item of a block or far in the making; sorted, then put. */
struct audit_index_item {
    uint32_t hash;
    uint8_t kind, at;
};
/* All of a block; of each block of a far so many at a time that few are read twice. */
enum { AUDIT_INDEX_ITEMS = 256 * 255 };
/* All at once: nothing from the first to the last of them is there yet. */
enum rc audit_index_put_items(struct audit_log *log, struct store_txn *txn,
                              enum audit_index_level level, uint64_t number,
                              const struct audit_index_item *items, size_t count);
/* What facets there are from this one on, as many as there is room for; `at` is left alone. */
enum rc audit_index_read_items(struct audit_log *log, struct store_txn *txn,
                               enum audit_index_level level, uint64_t number,
                               struct audit_facet from, struct audit_index_item *items,
                               size_t room, size_t *count);
enum rc audit_index_clear(struct audit_log *log, struct store_txn *txn,
                          enum audit_index_level level, uint64_t number);

/* ---- index.c ---- */

/* Room for AUDIT_INDEX_ITEMS, kept. */
enum rc audit_index_items(struct audit_log *log, struct audit_index_item **items);
/* So many of them by kind, then hash; those alike as they were. Where they are now. */
struct audit_index_item *audit_index_sort(struct audit_log *log, size_t count);
int audit_index_compare(const void *left, const void *right);

/* A record that is appended, and one that is stripped: spares the block a look at it. */
void audit_index_keep(struct audit_log *log, const struct store_txn *txn, uint64_t index,
                      struct bytes leaf, const struct audit_record *record);
void audit_index_drop(struct audit_log *log, uint64_t index);
/* The block is whole, and has been appended to; or its rows were taken away. A record that
 * cannot be read is found by its head, if that can. */
enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t block);
/* Every whole block from *low on can be looked up; UINT64_MAX: none, and it never began. */
enum rc audit_index_low(struct audit_log *log, struct store_txn *txn, uint64_t *low);
/* They can be from this one on, if not from a lower one. */
enum rc audit_index_reach(struct audit_log *log, struct store_txn *txn, uint64_t block);

/* ---- merge.c ---- */

/* Merge a bounded part of this far, all of whose blocks are there; *whole: it was the last. */
enum rc audit_index_merge(struct audit_log *log, struct store_txn *txn, uint64_t far,
                          bool *whole);
/* This far's rows were taken away: if it is under way it begins from the beginning. */
enum rc audit_index_merge_anew(struct audit_log *log, struct store_txn *txn, uint64_t far);
/* Facets below this one are merged, of a far that is not whole. */
enum rc audit_index_merged(struct audit_log *log, struct store_txn *txn, uint64_t far,
                           struct audit_facet *below);

/* ---- reindex.c ---- */

/* An earlier version's keys are not all removed yet. */
enum rc audit_index_is_old(struct audit_log *log, struct store_txn *txn, bool *old);
/* What certificates these records say were made. */
enum rc audit_index_find_makings(struct audit_log *log, struct store_txn *txn, uint64_t from,
                                 uint64_t end);
/* Make the block or far anew in which damage was met last (log_state.h), if any was. */
enum rc audit_index_mend(struct audit_log *log, struct store_txn *txn);
/* The record's facets give way to those of what is left of it. */
enum rc audit_index_forget(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           const struct audit_record *record, const struct audit_record *left);
/* The lowest record from `from` on and below `below` that has the facet, or may have it as far
 * as the index knows. RC_NOT_FOUND. */
enum rc audit_index_next(struct audit_log *log, struct store_txn *txn, struct audit_facet facet,
                         uint64_t from, uint64_t below, uint64_t *index);

/* ---- log_find.c: in the transaction that appends a record, or erases it ---- */

/* If it says that a certificate was made. */
enum rc audit_made_add(struct audit_log *log, struct store_txn *txn, uint64_t index,
                       const struct audit_record *record);
enum rc audit_made_remove(struct audit_log *log, struct store_txn *txn, uint64_t index,
                          const struct audit_record *record);
