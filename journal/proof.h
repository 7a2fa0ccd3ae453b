/* RFC 9162 section 2.1: Merkle tree hashes, and proofs between them. Pure arithmetic over
 * SHA-256. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"
#include "journal/digest.h"

enum { PROOF_HASH = DIGEST_BYTES, PROOF_NODES_MAX = 128 };

struct proof_hash {
    uint8_t at[PROOF_HASH];
};

/* Leaf and node hashes (RFC 9162 2.1.1): SHA-256 over 0x00 || leaf, 0x01 || left || right; the
 * empty tree is SHA-256(""). Whoever hashes leaves hashes many: they bring the digest. */
struct proof_hash journal_proof_leaf(struct journal_digest *digest, struct bytes leaf);
struct proof_hash journal_proof_node(struct journal_digest *digest,
                                     const struct proof_hash *left,
                                     const struct proof_hash *right);
struct proof_hash journal_proof_empty(void);

/* RFC 9162 2.1.3.2: is the leaf (its hash) at this index in the tree of this size and root?
 * RC_DENIED if the proof does not hold. */
enum rc journal_proof_check_inclusion(uint64_t index, uint64_t size,
                                      const struct proof_hash *leaf,
                                      const struct proof_hash *nodes, size_t count,
                                      const struct proof_hash *root);

/*
 * RFC 9162 2.1.4.2: is the old tree a prefix of the new one? RC_DENIED if the proof does not
 * hold. Sizes may be equal: then the roots must be, and count 0. Old size 0 is a prefix of
 * everything, with count 0. The root of size 0 must be journal_proof_empty(), on either side.
 */
enum rc journal_proof_check_consistency(uint64_t old_size, const struct proof_hash *old_root,
                                        uint64_t new_size, const struct proof_hash *new_root,
                                        const struct proof_hash *nodes, size_t count);
