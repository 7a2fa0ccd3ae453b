/* What the Merkle tree hashes of a record, and what is stored beside it. */
#pragma once

#include "audit/record.h"
#include "journal/proof.h"

/*
 * leaf  = head (48) || commitment (32)
 * entry = leaf || salt (16) || body, or the leaf alone once the body was erased
 *
 * commitment = HMAC-SHA-256(key = salt, body). Without the salt it tells nothing about the
 * body: that rests on HMAC being a pseudo-random function (what it was proven to be), where
 * SHA-256(salt || body) would need SHA-256 itself to be a random oracle, and could be extended.
 * It binds because SHA-256 has no known collisions and the salt's length is fixed (HMAC keys of
 * different lengths can be equal). The salt has 128 bits: nobody who was not given it can test
 * a guess, however short the body.
 */
enum {
    AUDIT_SALT = 16,
    AUDIT_LEAF = AUDIT_HEAD + PROOF_HASH,
    AUDIT_ENTRY_MAX = AUDIT_RECORD_MAX + PROOF_HASH + AUDIT_SALT,
    AUDIT_SPOOL_ID = 16,
};

/* HMAC and SHA-256, fetched once. One thread's. */
struct audit_hasher;
enum rc audit_hasher_new(struct audit_hasher **hasher);
void audit_hasher_free(struct audit_hasher *hasher);
AUTO_STRUCT(audit_hasher, audit_hasher_free)
struct journal_digest *audit_hasher_digest(const struct audit_hasher *hasher);

/* An entry taken apart; all borrowed. An erased one has no salt and no body. */
struct audit_entry {
    struct bytes leaf, head, commitment, salt, body;
    bool erased;
};

/* Append the entry of a record (head and body, as audit_record_write() made them). */
void audit_leaf_write(struct audit_hasher *hasher, struct bytes record,
                      const uint8_t salt[AUDIT_SALT], struct buf *entry);
/* RC_MALFORMED: no entry can have that length. The commitment is not checked here. */
enum rc audit_leaf_read(struct bytes entry, struct audit_entry *parts);
/* RC_DENIED: the body or its salt is not what the leaf committed to. Nothing is left to check
 * of an erased one. */
enum rc audit_leaf_check(struct audit_hasher *hasher, const struct audit_entry *entry);
struct proof_hash audit_leaf_hash(struct audit_hasher *hasher, const struct audit_entry *entry);
/* The record; of an erased one only what the head says. room holds head and body together, and
 * the texts borrow from it. */
enum rc audit_leaf_record(const struct audit_entry *entry, struct buf *room,
                          struct audit_record *record);
