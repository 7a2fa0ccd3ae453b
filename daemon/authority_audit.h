/* The authority's audit log: its events as records, and what doors may ask of it. */
#pragma once

#include "audit/flood.h"
#include "daemon/authority.h"

/*
 * The log's tables stand behind the registry's in the same store. What is asked and answered:
 *   AUDIT_LIST        an audit_query; an audit_page
 *   AUDIT_CHECKPOINT  u64 the greatest tree size wanted, 0 for the newest that is published,
 *                     2^64-1 for the newest that is signed, whoever cosigned it; size u64, note
 *   AUDIT_PROOF       u8 1, index u64, size u64 (inclusion) or u8 2, old u64, new u64
 *                     (consistency); nodes, 32 octets each.
 *                     u8 3, index u64, zero u64, or u8 4, fingerprint 32 (of a certificate: its
 *                     issue): a file of audit/proof_file.h under the newest checkpoint
 *   AUDIT_COSIGN      u64 size, lines: signatures under the checkpoint of that size; size u64,
 *                     the note as it is now
 *   AUDIT_ENTRIES     u64 the first index; entries: index u64, length u32, leaf hash, entry
 *   AUDIT_HOLD_LIST   nothing; u16 how many holds, number u64 and hold (hold.h) of each; then
 *                     erasures under way (erase.h)
 */
struct daemon_authority_book {
    struct audit_log *log;
    struct audit_flood *flood; /* what it refuses goes into the log through this */
    struct audit_witnesses witnesses;
    uint64_t published;        /* UINT64_MAX: nobody keeps anything back */
    const struct clock *clock; /* borrowed */
    struct secret key;         /* that wraps those of the log's bodies */
    uint32_t retention;        /* days; 0: for ever. Set before book_begin() */
};
/* Its file, in the registry's folder, and in a copy's. */
#define DAEMON_AUTHORITY_KEY "audit.key"

/* Registry's and audit's tables, in this order: count is their sum. */
enum { DAEMON_AUTHORITY_TABLES = (int)REGISTRY_TABLES + (int)AUDIT_TABLES };
void daemon_authority_tables(struct store_table tables[DAEMON_AUTHORITY_TABLES]);

enum rc daemon_authority_book_open(struct daemon_authority_book *book,
                                   const struct clock *clock);
/* The sealing key from dir, the registry's folder; a new one if there is none, and nothing is
 * sealed yet. RC_NOT_FOUND: it is missing; RC_DENIED: it is another one. */
enum rc daemon_authority_book_unlock(struct daemon_authority_book *book, int dir,
                                     struct store *store);
/* Is the registry a copy that was put back and has not begun a life yet? *how is borrowed for
 * the store's life. */
bool daemon_authority_is_restored(const struct store *store, struct bytes *how);
/* What a life begins with: the log's first records if it is empty; and once, whatever dies
 * meanwhile, that the store is a copy that was put back to work, if it is; what retention was
 * and is, if that changed. */
enum rc daemon_authority_book_begin(struct daemon_authority_book *book, struct store *store);
void daemon_authority_book_close(struct daemon_authority_book *book);
/* The newest checkpoint of at most this size that as many witnesses signed as are demanded;
 * note is borrowed. RC_NOT_FOUND. */
enum rc daemon_authority_newest(const struct daemon_authority_audit *audit,
                                struct store_txn *txn, uint64_t most, uint64_t *size,
                                struct bytes *note);
/* Append the file that kind 3 or 4 of AUDIT_PROOF asks for; r stands behind the kind. */
enum rc daemon_authority_prove_file(const struct daemon_authority_book *book,
                                    struct store_txn *txn, uint8_t kind, struct reader *r,
                                    struct buf *file);
/* The newest one of at most this size that everybody is shown; note is borrowed. RC_NOT_FOUND:
 * none is published yet in this life. */
enum rc daemon_authority_published(const struct daemon_authority_book *book,
                                   struct store_txn *txn, uint64_t most, uint64_t *size,
                                   struct bytes *note);
/* For a setup; book is borrowed. */
struct daemon_authority_audit daemon_authority_book_audit(struct daemon_authority_book *book);
