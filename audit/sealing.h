/* Bodies as they lie in the store: each sealed under a key of whom the record is about. Private
 * to audit/. */
#pragma once

#include "audit/leaf.h"
#include "base/secret.h"
#include "store/seal.h"
#include "store/txn.h"

/*
 * The table AUDIT_ENTRIES holds of each record
 *   255 || leaf || sealed(salt || body)   store/seal.h has the sealed value
 *   leaf                                  erased
 *   leaf || salt || body                  of a program older than this; a leaf begins with 1
 * Neither the leaf nor what is exported knows of it: an entry (leaf.h) is made of it on
 * reading.
 *
 * The table AUDIT_KEYS:
 *   0                   -> the next key's number, u32
 *   1 || number u32     -> 1 || the subject's key in this table, or 2 || the wrapped key: its
 *                          subject is being erased
 *   2 || kind u8 || id  -> number u32, index of the first record u64, made (wall) u64, the
 *                          wrapped key
 *   3                   -> a known text, sealed under the sealing key, by which it is known
 * A wrapped key is 32 octets sealed under the sealing key at its row 1. A number is never given
 * again. A record whose key is gone, or is to go, counts as erased.
 *
 * Whom a record is about: the device, operator or line that acted; where nobody known did, or
 * a process, the device that it speaks of; else nobody, whose records share a window: a key for
 * a day, which covers the records from its first to the next one's. So what somebody did to a
 * device does not end with the device. The acts of erasing, holding and pruning have a key that
 * is never destroyed. (A program older than this sealed under the device's key what operators
 * and lines did to it: erase.c seals that anew.)
 */
enum {
    AUDIT_STORED_MAX = 1 + AUDIT_ENTRY_MAX + STORE_SEAL_OVERHEAD,
    AUDIT_KEY_VALUE_MAX = 160,
    AUDIT_WINDOW_MS = 86400000,
};

struct audit_subject {
    uint8_t kind; /* of enum audit_actor_kind, or AUDIT_SUBJECT_LOG */
    struct bytes id;
};
enum { AUDIT_SUBJECT_LOG = 255 };
struct audit_subject audit_subject_of(const struct audit_record *record);

/* Keys that are open, at most some of them: a memory of what unwrapping gave, so nothing that a
 * transaction's end could make untrue. */
struct audit_sealing;
enum rc audit_sealing_new(unsigned first_table, struct audit_sealing **sealing);
void audit_sealing_free(struct audit_sealing *sealing);
AUTO_STRUCT(audit_sealing, audit_sealing_free)
/* The sealing key: STORE_SEAL_KEY octets, copied. Without it nothing is sealed or opened. */
enum rc audit_sealing_unlock(struct audit_sealing *sealing, const struct secret *key);
/* RC_DENIED: it is another key than the one that this store's bodies are sealed under; or there
 * is none, and they are. */
enum rc audit_sealing_check(struct audit_sealing *sealing, struct store_txn *txn);

/* Append to stored what the table shall hold of this entry. */
enum rc audit_sealing_close(struct audit_sealing *sealing, struct store_txn *txn,
                            uint64_t index, const struct audit_record *record,
                            struct bytes entry, struct buf *stored);
/* The entry: the bare leaf if its key is gone or, unless `doomed`, is to go. Borrows from
 * stored or room. */
enum rc audit_sealing_open(struct audit_sealing *sealing, struct store_txn *txn, uint64_t index,
                           struct bytes stored, bool doomed, struct buf *room,
                           struct bytes *entry);
/* The key that it lies under; 0: none, or it is bare. */
uint32_t audit_sealing_number(struct bytes stored);
/* The leaf of what the table holds: needs no key. */
enum rc audit_sealing_leaf(struct bytes stored, struct bytes *leaf, bool *bare);

/* The subject's key is opened no more, and its next record gets a new one. *number is 0 if it
 * has none. */
enum rc audit_sealing_doom(struct audit_sealing *sealing, struct store_txn *txn,
                           const struct audit_subject *subject, uint32_t *number);
enum rc audit_sealing_destroy(struct audit_sealing *sealing, struct store_txn *txn,
                              uint32_t number);
/* Destroy the keys of windows all of whose records lie below this index, at most so many. */
enum rc audit_sealing_end_windows(struct audit_sealing *sealing, struct store_txn *txn,
                                  uint64_t below, unsigned most);
