#include "tests/support/rfc6962.h"
#include "tests/unit/audit/logs.h"

#include "base/text.h"

enum { SIZES = 300, PAIRS = 64 };

struct ground {
    struct logs *logs;
    struct audit_tree tree;
    struct proof_hash leaves[SIZES];
    size_t count;
};

/* RFC 9162 2.1.1 word by word: MTH(D[n]). */
static struct proof_hash naive(const struct ground *g, size_t begin, size_t end)
{
    size_t k = 1;

    if (begin == end)
        return journal_proof_empty();
    if (end - begin == 1)
        return g->leaves[begin];
    while (2 * k < end - begin)
        k *= 2;
    struct proof_hash left = naive(g, begin, begin + k), right = naive(g, begin + k, end);
    return journal_proof_node(g->tree.digest, &left, &right);
}

static bool same(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

static enum rc grow(struct store_txn *txn, void *with)
{
    struct ground *g = with;

    for (size_t i = 0; i < g->count; i++)
        TRY(audit_tree_append(&g->tree, txn, i, &g->leaves[i]));
    return RC_OK;
}

static enum rc compare_roots(struct store_txn *txn, void *with)
{
    struct ground *g = with;

    for (size_t size = 0; size <= g->count; size++) {
        struct proof_hash want = naive(g, 0, size), got;
        TRY(audit_tree_root(&g->tree, txn, size, &got));
        assert_true(same(&want, &got));
    }
    return RC_OK;
}

static enum rc prove_pairs(struct store_txn *txn, void *with)
{
    struct ground *g = with;
    struct proof_hash nodes[PROOF_NODES_MAX];
    size_t count;

    for (size_t new = 0; new <= PAIRS; new ++) {
        struct proof_hash new_root = naive(g, 0, new);
        for (size_t old = 0; old <= new; old++) {
            struct proof_hash old_root = naive(g, 0, old);
            TRY(audit_tree_prove_consistency(&g->tree, txn, old, new, nodes, &count));
            TRY(journal_proof_check_consistency(old, &old_root, new, &new_root, nodes, count));
        }
        for (size_t index = 0; index < new; index++) {
            TRY(audit_tree_prove_inclusion(&g->tree, txn, index, new, nodes, &count));
            TRY(journal_proof_check_inclusion(index, new, &g->leaves[index], nodes, count,
                                              &new_root));
        }
    }
    return RC_OK;
}

static enum rc prove_at_the_bounds(struct store_txn *txn, void *with)
{
    static const size_t SIZES_OF_INTEREST[] = { 1, 15, 16, 17, 255, 256, 257, SIZES };
    enum { N = sizeof SIZES_OF_INTEREST / sizeof *SIZES_OF_INTEREST };
    struct ground *g = with;
    struct proof_hash nodes[PROOF_NODES_MAX];
    struct proof_hash root = naive(g, 0, SIZES);
    size_t count;

    for (size_t i = 0; i < N; i++) {
        struct proof_hash old_root = naive(g, 0, SIZES_OF_INTEREST[i]);
        TRY(audit_tree_prove_consistency(&g->tree, txn, SIZES_OF_INTEREST[i], SIZES, nodes,
                                         &count));
        TRY(journal_proof_check_consistency(SIZES_OF_INTEREST[i], &old_root, SIZES, &root,
                                            nodes, count));
        TRY(audit_tree_prove_inclusion(&g->tree, txn, SIZES_OF_INTEREST[i] - 1, SIZES, nodes,
                                       &count));
        TRY(journal_proof_check_inclusion(SIZES_OF_INTEREST[i] - 1, SIZES,
                                          &g->leaves[SIZES_OF_INTEREST[i] - 1], nodes, count,
                                          &root));
    }
    return audit_tree_root(&g->tree, txn, SIZES + 1, &root) == RC_CORRUPT
               ? RC_OK
               : fault(RC_CORRUPT, "a leaf that is not there has a root");
}

static void ground_make(struct ground *g, void **state, struct audit_hasher *hasher)
{
    *g = (struct ground){ .logs = *state, .count = SIZES };
    g->tree = (struct audit_tree){ AUDIT_NODES, audit_hasher_digest(hasher), NULL };
    for (size_t i = 0; i < SIZES; i++) {
        const uint8_t leaf[2] = { (uint8_t)(i >> 8), (uint8_t)i };
        g->leaves[i] = journal_proof_leaf(g->tree.digest, BYTES_OF(leaf));
    }
}

static void equals_the_naive_tree_at_every_size(void **state)
{
    AUTO_OF(audit_hasher) *hasher = NULL;
    struct ground g;

    assert_int_equal(audit_hasher_new(&hasher), RC_OK);
    ground_make(&g, state, hasher);
    assert_int_equal(store_write(g.logs->store, grow, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, compare_roots, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, prove_pairs, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, prove_at_the_bounds, &g), RC_OK);
}

/* Some leaves more in one transaction, all or none of it held back; every third one comes to
 * nothing. */
struct growth {
    struct ground *ground;
    struct audit_tree tree; /* with a tail */
    size_t size, more;
    bool held, read, fails;
};

static enum rc grow_some(struct store_txn *txn, void *with)
{
    struct growth *growth = with;

    if (growth->held)
        audit_tree_hold(&growth->tree, txn);
    for (size_t size = growth->size; size < growth->size + growth->more; size++) {
        struct proof_hash leaf = growth->ground->leaves[size], root;
        if (growth->fails)
            leaf.at[0] ^= 1;
        TRY(audit_tree_append(&growth->tree, txn, size, &leaf));
        if (growth->read && !growth->fails) {
            struct proof_hash want = naive(growth->ground, 0, size + 1);
            TRY(audit_tree_root(&growth->tree, txn, size + 1, &root));
            assert_true(same(&want, &root));
        }
    }
    TRY(growth->held ? audit_tree_release(&growth->tree, txn) : RC_OK);
    return growth->fails ? fault(RC_DENIED, "it comes to nothing") : RC_OK;
}

static void grows_through_a_tail_as_without_one(void **state)
{
    AUTO_OF(audit_hasher) *hasher = NULL;
    struct audit_tree_tail tail = { 0 };
    struct ground g;

    assert_int_equal(audit_hasher_new(&hasher), RC_OK);
    ground_make(&g, state, hasher);
    struct growth growth = { .ground = &g, .tree = g.tree };
    uint64_t dice = 7;
    growth.tree.tail = &tail;
    for (unsigned i = 0; growth.size < SIZES; i++) {
        growth.held = i % 2 == 0;
        growth.read = i % 5 == 0;
        growth.fails = i % 3 == 1;
        growth.more = logs_dice(&dice) % 40;
        if (growth.more > SIZES - growth.size)
            growth.more = SIZES - growth.size;
        assert_int_equal(store_write(g.logs->store, grow_some, &growth),
                         growth.fails ? RC_DENIED : RC_OK);
        growth.size += growth.fails ? 0 : growth.more;
    }
    assert_int_equal(store_read(g.logs->store, compare_roots, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, prove_pairs, &g), RC_OK);
}

static void is_known(const struct rfc6962_proof *known, const struct proof_hash *nodes,
                     size_t count)
{
    size_t wanted = 0;

    for (; wanted < 4 && known->nodes[wanted] != NULL; wanted++) {
        AUTO_BUF(node, PROOF_HASH);
        assert_int_equal(text_read_hex(bytes_of_text(known->nodes[wanted]), &node), RC_OK);
        assert_true(wanted < count);
        assert_true(bytes_equal(buf_bytes(&node), BYTES_OF(nodes[wanted].at)));
    }
    assert_int_equal(count, wanted);
}

static enum rc prove_the_known(struct store_txn *txn, void *with)
{
    struct ground *g = with;
    struct proof_hash nodes[PROOF_NODES_MAX];
    size_t count;

    for (size_t i = 0; i < sizeof RFC6962_INCLUSION / sizeof *RFC6962_INCLUSION; i++) {
        const struct rfc6962_proof *known = &RFC6962_INCLUSION[i];
        struct proof_hash root = naive(g, 0, known->size);
        TRY(audit_tree_prove_inclusion(&g->tree, txn, known->first, known->size, nodes,
                                       &count));
        is_known(known, nodes, count);
        TRY(journal_proof_check_inclusion(known->first, known->size, &g->leaves[known->first],
                                          nodes, count, &root));
    }
    for (size_t i = 0; i < sizeof RFC6962_CONSISTENCY / sizeof *RFC6962_CONSISTENCY; i++) {
        const struct rfc6962_proof *known = &RFC6962_CONSISTENCY[i];
        struct proof_hash older = naive(g, 0, known->first), root = naive(g, 0, known->size);
        TRY(audit_tree_prove_consistency(&g->tree, txn, known->first, known->size, nodes,
                                         &count));
        is_known(known, nodes, count);
        TRY(journal_proof_check_consistency(known->first, &older, known->size, &root, nodes,
                                            count));
    }
    return RC_OK;
}

/* The leaves, roots and proofs that certificate-transparency's tests made well known (RFC
 * 6962). */
static void has_the_roots_and_proofs_of_rfc_6962(void **state)
{
    AUTO_OF(audit_hasher) *hasher = NULL;
    struct ground g;

    assert_int_equal(audit_hasher_new(&hasher), RC_OK);
    ground_make(&g, state, hasher);
    for (g.count = 0; g.count < sizeof RFC6962_KNOWN / sizeof *RFC6962_KNOWN; g.count++) {
        AUTO_BUF(leaf, 16);
        assert_int_equal(text_read_hex(bytes_of_text(RFC6962_KNOWN[g.count].leaf), &leaf),
                         RC_OK);
        g.leaves[g.count] = journal_proof_leaf(g.tree.digest, buf_bytes(&leaf));
    }
    for (size_t i = 0; i < g.count; i++) {
        AUTO_BUF(root, PROOF_HASH);
        struct proof_hash computed = naive(&g, 0, i + 1);
        assert_int_equal(text_read_hex(bytes_of_text(RFC6962_KNOWN[i].root), &root), RC_OK);
        assert_true(bytes_equal(buf_bytes(&root), BYTES_OF(computed.at)));
    }
    assert_int_equal(store_write(g.logs->store, grow, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, compare_roots, &g), RC_OK);
    assert_int_equal(store_read(g.logs->store, prove_the_known, &g), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equals_the_naive_tree_at_every_size, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(grows_through_a_tail_as_without_one, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(has_the_roots_and_proofs_of_rfc_6962, logs_set_up,
                                        logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
