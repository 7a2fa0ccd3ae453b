#include "journal/proof.h"

#include <inttypes.h>
#include <string.h>

static struct bytes hash_bytes(const struct proof_hash *hash)
{
    return BYTES_OF(hash->at);
}

static bool same(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(hash_bytes(a), hash_bytes(b));
}

struct proof_hash journal_proof_leaf(struct journal_digest *digest, struct bytes leaf)
{
    struct proof_hash hash;

    journal_digest_of(digest, BYTES("\x00"), leaf, hash.at);
    return hash;
}

struct proof_hash journal_proof_node(struct journal_digest *digest,
                                     const struct proof_hash *left,
                                     const struct proof_hash *right)
{
    uint8_t start[1 + PROOF_HASH] = { 0x01 };
    struct proof_hash hash;

    memcpy(start + 1, left->at, PROOF_HASH);
    journal_digest_of(digest, BYTES_OF(start), hash_bytes(right), hash.at);
    return hash;
}

struct proof_hash journal_proof_empty(void)
{
    return (struct proof_hash){ {
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
        0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
        0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    } };
}

/*
 * A walk from a node up to the root: fn and sn of RFC 9162, the places of that node and of the
 * last one on the same level.
 */
struct climb {
    uint64_t fn, sn;
};

/* Levels on which the node has no sibling to its right, and is its own parent. */
static void skip_lone_levels(struct climb *climb)
{
    while ((climb->fn & 1) == 0 && climb->fn != 0) {
        climb->fn >>= 1;
        climb->sn >>= 1;
    }
}

/* Is the next node of the proof a left sibling (else a right one)? Go up one level past it. */
static bool climb_past_left(struct climb *climb)
{
    bool left = (climb->fn & 1) != 0 || climb->fn == climb->sn;

    if (left)
        skip_lone_levels(climb);
    climb->fn >>= 1;
    climb->sn >>= 1;
    return left;
}

enum rc journal_proof_check_inclusion(uint64_t index, uint64_t size,
                                      const struct proof_hash *leaf,
                                      const struct proof_hash *nodes, size_t count,
                                      const struct proof_hash *root)
{
    AUTO_OF(journal_digest) *digest = NULL;
    struct climb climb = { index, size - 1 };
    struct proof_hash r = *leaf;

    if (index >= size)
        return fault(RC_DENIED, "RFC 9162 2.1.3.2: leaf %" PRIu64 " in a tree of %" PRIu64,
                     index, size);
    TRY(journal_digest_new(&digest));
    for (size_t i = 0; i < count; i++) {
        if (climb.sn == 0)
            return fault(RC_DENIED, "RFC 9162 2.1.3.2: proof of %zu nodes is too long", count);
        r = climb_past_left(&climb) ? journal_proof_node(digest, &nodes[i], &r)
                                    : journal_proof_node(digest, &r, &nodes[i]);
    }
    if (climb.sn != 0)
        return fault(RC_DENIED, "RFC 9162 2.1.3.2: proof of %zu nodes is too short", count);
    if (!same(&r, root))
        return fault(RC_DENIED, "RFC 9162 2.1.3.2: proof leads to another root");
    return RC_OK;
}

/* Sizes that need no path between them, but one of zero nodes. */
static enum rc check_trivial(uint64_t old_size, const struct proof_hash *old_root,
                             uint64_t new_size, const struct proof_hash *new_root)
{
    const struct proof_hash empty = journal_proof_empty();

    if (old_size == new_size && !same(old_root, new_root))
        return fault(RC_DENIED, "RFC 9162 2.1.4: two roots for the tree of size %" PRIu64,
                     old_size);
    if (old_size == 0 && !same(old_root, &empty))
        return fault(RC_DENIED, "RFC 9162 2.1.1: root of an empty tree is not SHA-256(\"\")");
    return RC_OK;
}

static enum rc check_path(uint64_t old_size, const struct proof_hash *old_root,
                          uint64_t new_size, const struct proof_hash *new_root,
                          const struct proof_hash *nodes, size_t count)
{
    AUTO_OF(journal_digest) *digest = NULL;
    struct climb climb = { old_size - 1, new_size - 1 };
    size_t used = 0;

    TRY(journal_digest_new(&digest));
    while ((climb.fn & 1) != 0) {
        climb.fn >>= 1;
        climb.sn >>= 1;
    }
    /* A whole old tree is a node of the new one: its root is where the path starts. */
    struct proof_hash fr = (old_size & (old_size - 1)) == 0 ? *old_root : nodes[used++];
    struct proof_hash sr = fr;
    for (; used < count; used++) {
        const struct proof_hash *c = &nodes[used];
        if (climb.sn == 0)
            return fault(RC_DENIED, "RFC 9162 2.1.4.2: proof of %zu nodes is too long", count);
        if (climb_past_left(&climb)) {
            fr = journal_proof_node(digest, c, &fr);
            sr = journal_proof_node(digest, c, &sr);
        } else {
            sr = journal_proof_node(digest, &sr, c);
        }
    }
    if (climb.sn != 0)
        return fault(RC_DENIED, "RFC 9162 2.1.4.2: proof of %zu nodes is too short", count);
    if (!same(&fr, old_root) || !same(&sr, new_root))
        return fault(RC_DENIED, "RFC 9162 2.1.4.2: proof leads to another %s root",
                     same(&fr, old_root) ? "new" : "old");
    return RC_OK;
}

enum rc journal_proof_check_consistency(uint64_t old_size, const struct proof_hash *old_root,
                                        uint64_t new_size, const struct proof_hash *new_root,
                                        const struct proof_hash *nodes, size_t count)
{
    bool trivial = old_size == 0 || old_size == new_size;

    if (old_size > new_size)
        return fault(RC_DENIED, "RFC 9162 2.1.4: tree went back from %" PRIu64 " to %" PRIu64,
                     old_size, new_size);
    if (trivial != (count == 0))
        return fault(RC_DENIED,
                     "RFC 9162 2.1.4.2: proof of %zu nodes from %" PRIu64 " to %" PRIu64, count,
                     old_size, new_size);
    return trivial ? check_trivial(old_size, old_root, new_size, new_root)
                   : check_path(old_size, old_root, new_size, new_root, nodes, count);
}
