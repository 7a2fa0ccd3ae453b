#include "tests/support/check.h"

#include "tests/support/rfc6962.h"

#include <string.h>

#include "base/text.h"
#include "journal/proof.h"

enum { SIZES = 70 };

static struct proof_hash of_hex(const char *hex)
{
    AUTO_BUF(bytes, PROOF_HASH);
    struct proof_hash hash;

    assert_int_equal(text_read_hex(bytes_of_text(hex), &bytes), RC_OK);
    assert_int_equal(bytes.len, PROOF_HASH);
    memcpy(hash.at, bytes.at, PROOF_HASH);
    return hash;
}

static bool same(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

/* The judge: RFC 9162 2.1.1, 2.1.3.1 and 2.1.4.1 word for word, by recursion. */
struct tree {
    struct journal_digest *digest;
    struct proof_hash leaves[SIZES];
};

struct path {
    struct proof_hash at[PROOF_NODES_MAX];
    size_t count;
};

static size_t split(size_t n)
{
    size_t k = 1;

    while (k * 2 < n)
        k *= 2;
    return k;
}

static struct proof_hash root_of(const struct tree *tree, size_t from, size_t n)
{
    if (n == 0)
        return journal_proof_empty();
    if (n == 1)
        return tree->leaves[from];
    struct proof_hash left = root_of(tree, from, split(n));
    struct proof_hash right = root_of(tree, from + split(n), n - split(n));
    return journal_proof_node(tree->digest, &left, &right);
}

static void add_node(const struct tree *tree, size_t from, size_t n, struct path *path)
{
    path->at[path->count++] = root_of(tree, from, n);
}

static void inclusion(const struct tree *tree, size_t m, size_t from, size_t n,
                      struct path *path)
{
    size_t k = n > 1 ? split(n) : 0;

    if (n == 1)
        return;
    if (m < k) {
        inclusion(tree, m, from, k, path);
        add_node(tree, from + k, n - k, path);
    } else {
        inclusion(tree, m - k, from + k, n - k, path);
        add_node(tree, from, k, path);
    }
}

static void consistency(const struct tree *tree, size_t m, size_t from, size_t n, bool whole,
                        struct path *path)
{
    size_t k = n > 1 ? split(n) : 0;

    if (m == n) {
        if (!whole)
            add_node(tree, from, n, path);
    } else if (m <= k) {
        consistency(tree, m, from, k, whole, path);
        add_node(tree, from + k, n - k, path);
    } else {
        consistency(tree, m - k, from + k, n - k, false, path);
        add_node(tree, from, k, path);
    }
}

static int make_tree(void **state)
{
    static struct tree tree;

    assert_int_equal(journal_digest_new(&tree.digest), RC_OK);
    for (size_t i = 0; i < SIZES; i++) {
        const uint8_t leaf = (uint8_t)i;
        tree.leaves[i] = journal_proof_leaf(tree.digest, (struct bytes){ &leaf, 1 });
    }
    *state = &tree;
    return 0;
}

static int free_tree(void **state)
{
    journal_digest_free(((struct tree *)*state)->digest);
    return 0;
}

/* The eight leaves and the roots that certificate-transparency's tests made well known. */
static void hashes_the_known_trees(void **state)
{
    struct tree tree = *(const struct tree *)*state;
    const struct proof_hash empty = journal_proof_empty();
    struct proof_hash made;

    journal_digest_of(tree.digest, BYTES(""), BYTES(""), made.at);
    assert_true(same(&empty, &made));
    for (size_t i = 0; i < sizeof RFC6962_KNOWN / sizeof *RFC6962_KNOWN; i++) {
        AUTO_BUF(leaf, 16);
        assert_int_equal(text_read_hex(bytes_of_text(RFC6962_KNOWN[i].leaf), &leaf), RC_OK);
        tree.leaves[i] = journal_proof_leaf(tree.digest, buf_bytes(&leaf));
        struct proof_hash want = of_hex(RFC6962_KNOWN[i].root), got = root_of(&tree, 0, i + 1);
        assert_true(same(&want, &got));
    }
}

/* Every node altered, one left out, one too many: refused. */
static void refuses_variants(struct path *path, enum rc (*check)(void *with), void *with)
{
    for (size_t i = 0; i < path->count; i++) {
        path->at[i].at[i % PROOF_HASH] ^= 0x10;
        assert_int_equal(check(with), RC_DENIED);
        path->at[i].at[i % PROOF_HASH] ^= 0x10;
    }
    path->count++;
    assert_int_equal(check(with), RC_DENIED);
    path->count--;
    if (path->count > 0) {
        path->count--;
        assert_int_equal(check(with), RC_DENIED);
        path->count++;
    }
    assert_int_equal(check(with), RC_OK);
}

struct inclusion_case {
    uint64_t index, size;
    struct proof_hash leaf, root;
    struct path path;
};

static enum rc check_inclusion(void *with)
{
    const struct inclusion_case *c = with;

    return journal_proof_check_inclusion(c->index, c->size, &c->leaf, c->path.at, c->path.count,
                                         &c->root);
}

static void accepts_each_leaf_in_its_place_only(void **state)
{
    const struct tree *tree = *state;

    for (size_t size = 1; size <= SIZES; size++)
        for (size_t index = 0; index < size; index++) {
            struct inclusion_case c = {
                index, size, tree->leaves[index], root_of(tree, 0, size), { .count = 0 }
            };
            inclusion(tree, index, 0, size, &c.path);
            refuses_variants(&c.path, check_inclusion, &c);
            for (c.index = 0; c.index <= size; c.index++)
                assert_int_equal(check_inclusion(&c), c.index == index ? RC_OK : RC_DENIED);
            c.index = index;
            c.leaf.at[0] ^= 1;
            assert_int_equal(check_inclusion(&c), RC_DENIED);
            c.leaf.at[0] ^= 1;
            c.root.at[31] ^= 1;
            assert_int_equal(check_inclusion(&c), RC_DENIED);
        }
}

struct consistency_case {
    uint64_t old_size, new_size;
    struct proof_hash old_root, new_root;
    struct path path;
};

static enum rc check_consistency(void *with)
{
    const struct consistency_case *c = with;

    return journal_proof_check_consistency(c->old_size, &c->old_root, c->new_size, &c->new_root,
                                           c->path.at, c->path.count);
}

static void accepts_each_prefix_with_its_roots_only(void **state)
{
    const struct tree *tree = *state;

    for (size_t new_size = 0; new_size <= SIZES; new_size++)
        for (size_t old_size = 0; old_size <= new_size; old_size++) {
            struct consistency_case c = { old_size,
                                          new_size,
                                          root_of(tree, 0, old_size),
                                          root_of(tree, 0, new_size),
                                          { .count = 0 } };
            if (old_size > 0)
                consistency(tree, old_size, 0, new_size, true, &c.path);
            refuses_variants(&c.path, check_consistency, &c);
            c.old_root.at[5] ^= 1;
            assert_int_equal(check_consistency(&c), RC_DENIED);
            c.old_root.at[5] ^= 1;
            if (old_size == 0 && new_size > 0)
                continue; /* everything continues nothing */
            c.new_root.at[5] ^= 1;
            assert_int_equal(check_consistency(&c), RC_DENIED);
        }
}

static void never_accepts_a_tree_that_went_back(void **state)
{
    const struct tree *tree = *state;
    struct consistency_case c = {
        8, 7, root_of(tree, 0, 8), root_of(tree, 0, 7), { .count = 0 }
    };

    assert_int_equal(check_consistency(&c), RC_DENIED);
    consistency(tree, 7, 0, 8, true, &c.path);
    assert_int_equal(check_consistency(&c), RC_DENIED);
}

/* The first leaf of a tree whose other nodes are made up: its path has a node for each level.
 */
static struct proof_hash fold_right(const struct tree *tree, const struct path *path,
                                    size_t from, struct proof_hash hash)
{
    for (size_t i = from; i < path->count; i++)
        hash = journal_proof_node(tree->digest, &hash, &path->at[i]);
    return hash;
}

static void holds_at_the_largest_sizes(void **state)
{
    static const struct {
        uint64_t size;
        size_t levels;
    } sizes[] = {
        { UINT64_C(1) << 62, 62 },       { (UINT64_C(1) << 62) + 1, 63 },
        { (UINT64_C(1) << 63) - 1, 63 }, { UINT64_C(1) << 63, 63 },
        { (UINT64_C(1) << 63) + 1, 64 }, { UINT64_MAX, 64 },
    };
    const struct tree *tree = *state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct inclusion_case c = { .size = sizes[i].size, .leaf = tree->leaves[0] };
        for (; c.path.count < sizes[i].levels; c.path.count++)
            c.path.at[c.path.count] = tree->leaves[c.path.count];
        c.root = fold_right(tree, &c.path, 0, c.leaf);
        refuses_variants(&c.path, check_inclusion, &c);
        /* A tree of the one first leaf is a prefix by the same path. */
        struct consistency_case p = { 1, c.size, c.leaf, c.root, c.path };
        refuses_variants(&p.path, check_consistency, &p);
        /* And one of half the levels' leaves, a whole subtree. */
        struct consistency_case half = {
            UINT64_C(1) << 40, c.size, c.leaf, c.root, { .count = 0 }
        };
        for (size_t level = 40; level < sizes[i].levels; level++)
            half.path.at[half.path.count++] = c.path.at[level];
        half.new_root = fold_right(tree, &half.path, 0, half.old_root);
        refuses_variants(&half.path, check_consistency, &half);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_the_known_trees),
        cmocka_unit_test(accepts_each_leaf_in_its_place_only),
        cmocka_unit_test(accepts_each_prefix_with_its_roots_only),
        cmocka_unit_test(never_accepts_a_tree_that_went_back),
        cmocka_unit_test(holds_at_the_largest_sizes),
    };
    return cmocka_run_group_tests(tests, make_tree, free_tree);
}
