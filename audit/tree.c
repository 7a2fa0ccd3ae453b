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

static enum rc put_run(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                       uint64_t block, const struct proof_hash *at, size_t count)
{
    struct node_key key = key_of(level, block);

    return store_txn_put(txn, tree->table, BYTES_OF(key.at),
                         (struct bytes){ at->at, count * PROOF_HASH });
}

/* ---- The tail ---- */

static bool is_tail_of(const struct audit_tree *tree, const struct store_txn *txn)
{
    return tree->tail != NULL && tree->tail->serial != 0 &&
           tree->tail->serial == store_txn_serial(txn);
}

static enum rc write_tail(const struct audit_tree *tree, struct store_txn *txn)
{
    if (!is_tail_of(tree, txn) || !tree->tail->ahead)
        return RC_OK;
    uint64_t last = tree->tail->next - 1;
    TRY(put_run(tree, txn, 0, last / AUDIT_BLOCK, tree->tail->at, last % AUDIT_BLOCK + 1));
    tree->tail->ahead = false;
    return RC_OK;
}

void audit_tree_hold(const struct audit_tree *tree, const struct store_txn *txn)
{
    tree->tail->held = store_txn_serial(txn);
}

enum rc audit_tree_release(const struct audit_tree *tree, struct store_txn *txn)
{
    tree->tail->held = 0;
    return write_tail(tree, txn);
}

/* ---- Runs ---- */

static enum rc read_run(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                        uint64_t begin, size_t count, struct run *run)
{
    struct node_key key = key_of(level, begin / AUDIT_BLOCK);
    size_t skip = (size_t)(begin % AUDIT_BLOCK) * PROOF_HASH;
    struct store_value value;

    assert(skip + count * PROOF_HASH <= AUDIT_BLOCK * PROOF_HASH);
    TRY(write_tail(tree, txn));
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

/* The leaf goes into the tail, behind those before it in its block. */
static enum rc add_to_tail(const struct audit_tree *tree, struct store_txn *txn, uint64_t index,
                           const struct proof_hash *leaf, struct audit_tree_tail *tail)
{
    const size_t before = (size_t)(index % AUDIT_BLOCK);
    struct run run;

    if (before > 0 && (tail->serial != store_txn_serial(txn) || tail->next != index)) {
        TRY(read_run(tree, txn, 0, index - before, before, &run));
        memcpy(tail->at, run.at, before * PROOF_HASH);
    }
    tail->at[before] = *leaf;
    tail->serial = store_txn_serial(txn);
    tail->next = index + 1;
    tail->ahead = true;
    return RC_OK;
}

/* A block of the level below is whole, and so may be this one's then. */
static enum rc add_above(const struct audit_tree *tree, struct store_txn *txn, unsigned level,
                         uint64_t place, struct run *run)
{
    const size_t before = (size_t)(place % AUDIT_BLOCK);
    const struct proof_hash hash = fold(tree, run);

    if (before > 0)
        TRY(read_run(tree, txn, level, place - before, before, run));
    run->at[before] = hash;
    run->count = before + 1;
    return put_run(tree, txn, level, place / AUDIT_BLOCK, run->at, run->count);
}

enum rc audit_tree_append(const struct audit_tree *tree, struct store_txn *txn, uint64_t index,
                          const struct proof_hash *leaf)
{
    struct audit_tree_tail own = { 0 }, *tail = tree->tail != NULL ? tree->tail : &own;
    uint64_t place = index;
    struct run run;

    TRY(add_to_tail(tree, txn, index, leaf, tail));
    run.count = (size_t)(index % AUDIT_BLOCK) + 1;
    if (run.count < AUDIT_BLOCK && tail->held == store_txn_serial(txn))
        return RC_OK;
    TRY(put_run(tree, txn, 0, index / AUDIT_BLOCK, tail->at, run.count));
    tail->ahead = false;
    memcpy(run.at, tail->at, run.count * PROOF_HASH);
    for (unsigned level = AUDIT_BLOCK_LEVELS; run.count == AUDIT_BLOCK;
         level += AUDIT_BLOCK_LEVELS)
        TRY(add_above(tree, txn, level, place /= AUDIT_BLOCK, &run));
    return RC_OK;
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
