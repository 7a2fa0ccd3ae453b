/* Two Merkle trees that are one up to a fork, for the tests of witnesses. */
#pragma once

#include "tests/unit/audit/logs.h"

enum { TREES_LEAVES = 60, TREES_FORK = 25 };

struct trees_tree {
    struct logs *logs;
    struct audit_hasher *hasher;
    bool second;
};

static inline enum rc trees_grow(struct store_txn *txn, void *with)
{
    const struct trees_tree *tree = with;
    struct journal_digest *digest = audit_hasher_digest(tree->hasher);
    const struct audit_tree in = { AUDIT_NODES, digest, NULL };

    for (uint64_t i = 0; i < TREES_LEAVES; i++) {
        const uint8_t leaf[2] = { (uint8_t)i, tree->second && i >= TREES_FORK };
        struct proof_hash hash = journal_proof_leaf(digest, BYTES_OF(leaf));
        TRY(audit_tree_append(&in, txn, i, &hash));
    }
    return RC_OK;
}

static inline void trees_plant(struct trees_tree *tree, bool second)
{
    void *logs = NULL;

    tree->second = second;
    logs_set_up(&logs);
    tree->logs = logs;
    assert_int_equal(audit_hasher_new(&tree->hasher), RC_OK);
    assert_int_equal(store_write(tree->logs->store, trees_grow, tree), RC_OK);
}

static inline void trees_fell(struct trees_tree *tree)
{
    void *logs = tree->logs;

    audit_hasher_free(tree->hasher);
    logs_tear_down(&logs);
}

/* The root at `to`, and the consistency proof from `from` if that is not above. */
struct trees_proof {
    const struct trees_tree *tree;
    uint64_t from, to;
    struct proof_hash root, nodes[PROOF_NODES_MAX];
    size_t count;
};

static inline enum rc trees_prove_in(struct store_txn *txn, void *with)
{
    struct trees_proof *p = with;
    const struct audit_tree in = { AUDIT_NODES, audit_hasher_digest(p->tree->hasher), NULL };

    TRY(audit_tree_root(&in, txn, p->to, &p->root));
    p->count = 0;
    return p->from > p->to
               ? RC_OK
               : audit_tree_prove_consistency(&in, txn, p->from, p->to, p->nodes, &p->count);
}

static inline struct trees_proof trees_prove(const struct trees_tree *tree, uint64_t from,
                                             uint64_t to)
{
    struct trees_proof proof = { .tree = tree, .from = from, .to = to };

    assert_int_equal(store_read(tree->logs->store, trees_prove_in, &proof), RC_OK);
    return proof;
}
