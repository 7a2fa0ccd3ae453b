/* RFC 9162 2.1: a Merkle tree that grows in a table of the store. */
#pragma once

#include "base/buf.h"
#include "journal/proof.h"
#include "store/txn.h"

/*
 * The table (STORE_KEY_BYTES, values of AUDIT_BLOCK * 32 octets) holds the hashes of every
 * fourth level, the leaves' first, in blocks of 16: key level u8 || block u64. Hashes never
 * change, blocks only grow, so a tree of an older size lies in there as well. Appending touches
 * one block, and the next level's each sixteenth time; a proof reads O(log n) of them. The
 * tree's size is the caller's to know. Sixteen blocks are a tile of C2SP tlog-tiles.
 */
enum { AUDIT_BLOCK = 16, AUDIT_BLOCK_LEVELS = 4, AUDIT_NODE_KEY = 9 };

struct audit_tree {
    unsigned table;
    struct journal_digest *digest; /* borrowed */
    struct audit_tree_tail *tail;  /* borrowed; NULL: every leaf reads and writes its block */
};

/* The block that grows, as the transaction with this serial left it. Zero at first. */
struct audit_tree_tail {
    uint64_t serial, next; /* next: the index of the leaf to come */
    uint64_t held;         /* the transaction that audit_tree_hold() is for; 0: none */
    bool ahead;            /* of the table */
    struct proof_hash at[AUDIT_BLOCK];
};

/* Add the leaf with this index; those below it are there. */
enum rc audit_tree_append(const struct audit_tree *tree, struct store_txn *txn, uint64_t index,
                          const struct proof_hash *leaf);
/*
 * From here on leaves that do not fill a block stay in the tail, until what is here reads the
 * tree in the same transaction, or audit_tree_release(), without which it must not commit.
 */
void audit_tree_hold(const struct audit_tree *tree, const struct store_txn *txn);
enum rc audit_tree_release(const struct audit_tree *tree, struct store_txn *txn);

/* RC_CORRUPT: a hash that must be there is not. */
enum rc audit_tree_root(const struct audit_tree *tree, struct store_txn *txn, uint64_t size,
                        struct proof_hash *root);
/* Append the roots of whole subtrees of 2^level leaves, the first one's at this place; level is
 * a multiple of AUDIT_BLOCK_LEVELS. RC_CORRUPT: the tree has them not. */
enum rc audit_tree_hashes(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                          uint64_t place, size_t count, struct buf *hashes);
/* index < size; nodes has PROOF_NODES_MAX places. */
enum rc audit_tree_prove_inclusion(const struct audit_tree *tree, struct store_txn *txn,
                                   uint64_t index, uint64_t size, struct proof_hash *nodes,
                                   size_t *count);
/* old_size <= new_size. */
enum rc audit_tree_prove_consistency(const struct audit_tree *tree, struct store_txn *txn,
                                     uint64_t old_size, uint64_t new_size,
                                     struct proof_hash *nodes, size_t *count);
