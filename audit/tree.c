#include "audit/tree.h"

#include <assert.h>
#include <string.h>

struct node_key {
    uint8_t at[AUDIT_NODE_KEY];
};

static struct node_key key_of(unsigned level, uint64_t block)
{
    struct store_number number = store_key_number(block);
    struct node_key key = { { (uint8_t)level } };

    memcpy(key.at + 1, number.at, sizeof number.at);
    return key;
}

/* A part of one level of the tree: hashes [begin, end), all in one block. */
struct run {
    struct proof_hash at[AUDIT_BLOCK];
    size_t count;
};

static enum rc read_run(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                        uint64_t begin, size_t count, struct run *run)
{
    struct node_key key = key_of(level, begin / AUDIT_BLOCK);
    size_t skip = (size_t)(begin % AUDIT_BLOCK) * PROOF_HASH;
    struct store_value value;

    assert(skip + count * PROOF_HASH <= AUDIT_BLOCK * PROOF_HASH);
    enum rc rc = store_txn_get(txn, tree->table, BYTES_OF(key.at), &value);
    if (rc == RC_NOT_FOUND || (rc == RC_OK && value.bytes.len < skip + count * PROOF_HASH))
        return fault(RC_CORRUPT, "audit tree: hash %llu of level %u is missing",
                     (unsigned long long)(begin + count - 1), level);
    TRY(rc);
    memcpy(run->at, value.bytes.at + skip, count * PROOF_HASH);
    run->count = count;
    return RC_OK;
}

/* Pairs become their parents until one is left; count is a power of two. */
static struct proof_hash fold(const struct audit_tree *tree, struct run *run)
{
    for (size_t count = run->count; count > 1; count /= 2)
        for (size_t i = 0; i < count / 2; i++)
            run->at[i] = journal_proof_node(tree->digest, &run->at[2 * i], &run->at[2 * i + 1]);
    return run->at[0];
}

/* The root of the whole subtree over leaves [place << level, (place + 1) << level). */
static enum rc whole(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                     uint64_t place, struct proof_hash *hash)
{
    unsigned above = level % AUDIT_BLOCK_LEVELS;
    struct run run;

    TRY(read_run(tree, txn, level - above, place << above, (size_t)1 << above, &run));
    *hash = fold(tree, &run);
    return RC_OK;
}

enum rc audit_tree_append(const struct audit_tree *tree, struct store_txn *txn, uint64_t index,
                          const struct proof_hash *leaf)
{
    struct proof_hash hash = *leaf;
    uint64_t place = index;

    for (unsigned level = 0;; level += AUDIT_BLOCK_LEVELS, place /= AUDIT_BLOCK) {
        struct node_key key = key_of(level, place / AUDIT_BLOCK);
        size_t before = (size_t)(place % AUDIT_BLOCK);
        struct run run = { 0 };

        if (before > 0)
            TRY(read_run(tree, txn, level, place - before, before, &run));
        run.at[before] = hash;
        run.count = before + 1;
        TRY(store_txn_put(txn, tree->table, BYTES_OF(key.at),
                          (struct bytes){ (const uint8_t *)run.at, run.count * PROOF_HASH }));
        if (run.count < AUDIT_BLOCK)
            return RC_OK;
        hash = fold(tree, &run);
    }
}

/* The largest power of two below size, as its exponent; size > 1 (RFC 9162 2.1.1: k). */
static unsigned split(uint64_t size)
{
    return 63 - (unsigned)__builtin_clzll(size - 1);
}

/* RFC 9162 2.1.1 over leaves [begin, end); begin is a multiple of the subtree's width. */
static enum rc root_of(const struct audit_tree *tree, struct store_txn *txn, uint64_t begin,
                       uint64_t end, struct proof_hash *root)
{
    struct proof_hash parts[64];
    size_t count = 0;

    assert(begin < end);
    while (begin < end) {
        uint64_t size = end - begin;
        unsigned level = 63 - (unsigned)__builtin_clzll(size);
        TRY(whole(tree, txn, level, begin >> level, &parts[count]));
        count++;
        begin += (uint64_t)1 << level;
    }
    struct proof_hash hash = parts[count - 1];
    while (--count > 0)
        hash = journal_proof_node(tree->digest, &parts[count - 1], &hash);
    *root = hash;
    return RC_OK;
}

enum rc audit_tree_root(const struct audit_tree *tree, struct store_txn *txn, uint64_t size,
                        struct proof_hash *root)
{
    if (size > 0)
        return root_of(tree, txn, 0, size, root);
    *root = journal_proof_empty();
    return RC_OK;
}

enum rc audit_tree_hashes(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                          uint64_t place, size_t count, struct buf *hashes)
{
    struct run run;

    assert(level % AUDIT_BLOCK_LEVELS == 0);
    while (count > 0) {
        size_t room = AUDIT_BLOCK - (size_t)(place % AUDIT_BLOCK);
        size_t some = count < room ? count : room;
        TRY(read_run(tree, txn, level, place, some, &run));
        buf_add(hashes, (struct bytes){ (const uint8_t *)run.at, some * PROOF_HASH });
        place += some;
        count -= some;
    }
    return RC_OK;
}

/* What a proof passes by on its way down: the root of one sibling after the other. */
struct descent {
    uint64_t begin, end; /* the subtree that the way has come to */
    struct proof_hash *nodes;
    size_t count;
};

/* Into the half that holds the leaf; the other half's root is a node of the proof. */
static enum rc step_down(const struct audit_tree *tree, struct store_txn *txn, uint64_t leaf,
                         struct descent *way)
{
    uint64_t middle = way->begin + ((uint64_t)1 << split(way->end - way->begin));
    struct proof_hash *node = &way->nodes[way->count++];

    if (leaf < middle) {
        TRY(root_of(tree, txn, middle, way->end, node));
        way->end = middle;
    } else {
        TRY(root_of(tree, txn, way->begin, middle, node));
        way->begin = middle;
    }
    return RC_OK;
}

/* Proofs name their nodes from the leaf up. */
static void turn_around(struct descent *way)
{
    for (size_t i = 0; i < way->count / 2; i++) {
        struct proof_hash swapped = way->nodes[i];
        way->nodes[i] = way->nodes[way->count - 1 - i];
        way->nodes[way->count - 1 - i] = swapped;
    }
}

enum rc audit_tree_prove_inclusion(const struct audit_tree *tree, struct store_txn *txn,
                                   uint64_t index, uint64_t size, struct proof_hash *nodes,
                                   size_t *count)
{
    struct descent way = { 0, size, nodes, 0 };

    assert(index < size);
    while (way.end - way.begin > 1)
        TRY(step_down(tree, txn, index, &way));
    turn_around(&way);
    *count = way.count;
    return RC_OK;
}

enum rc audit_tree_prove_consistency(const struct audit_tree *tree, struct store_txn *txn,
                                     uint64_t old_size, uint64_t new_size,
                                     struct proof_hash *nodes, size_t *count)
{
    struct descent way = { 0, new_size, nodes, 0 };

    assert(old_size <= new_size);
    if (old_size == 0 || old_size == new_size) {
        *count = 0;
        return RC_OK;
    }
    /* Down to the subtree that ends where the old tree ended. Only if that one is not the whole
     * old tree does the verifier not know its root (RFC 9162 2.1.4.1: b). */
    while (way.end != old_size)
        TRY(step_down(tree, txn, old_size - 1, &way));
    if (way.begin > 0) {
        TRY(root_of(tree, txn, way.begin, way.end, &nodes[way.count]));
        way.count++;
    }
    turn_around(&way);
    *count = way.count;
    return RC_OK;
}
