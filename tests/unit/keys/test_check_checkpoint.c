#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "journal/proof.h"
#include "keys/check.h"
#include "tests/support/checkpoint_rows.h"
#include "tests/support/tbs.h"

enum { TEXT_MAX = 1024 };
#define ORIGIN  "acme.example/touchmark\n"
#define HASH    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define JOURNAL "journal 12 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"

static int prepare(void **state)
{
    *state = tbs_example_rules();
    return 0;
}

static int clear(void **state)
{
    free(*state);
    return 0;
}

static enum rc check(const struct keys_rules *rules, struct bytes text,
                     const struct keys_memory *memory, const struct proof_hash *proof,
                     size_t count, struct keys_finding *finding)
{
    struct keys_question question = { KEYS_CHECKPOINT, text, proof, count };

    return keys_check(rules, keys_rules_find(rules, BYTES("checkpoints")), &question, memory,
                      TBS_NOW_S, finding);
}

static void finds_what_is_in_a_good_one(void **state)
{
    static const struct keys_memory nothing;
    struct keys_finding f = { 0 };
    uint8_t journal_hash[32];
    struct proof_hash root = { 0 };

    memset(journal_hash, 1, sizeof journal_hash);
    if (check(*state, BYTES(ORIGIN "3\n" HASH JOURNAL), &nothing, NULL, 0, &f) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(f.kind, KEYS_CHECKPOINT);
    assert_int_equal(f.memory.tree_size, 3);
    assert_memory_equal(&f.memory.tree_root, &root, sizeof root);
    assert_int_equal(f.journal_sequence, 12);
    assert_memory_equal(f.journal_hash, journal_hash, sizeof journal_hash);
}

static void refuses_each_hostile_text_by_its_reason(void **state)
{
    static const struct keys_memory nothing;
    size_t good = 0, count = CHECKPOINT_COUNT;

    for (size_t i = 0; i < count; i++) {
        struct keys_finding f = { 0 };
        enum rc rc =
            check(*state, bytes_of_text(CHECKPOINT_ROWS[i].text), &nothing, NULL, 0, &f);

        if (rc == CHECKPOINT_ROWS[i].rc &&
            (rc == RC_OK || strstr(fault_text(), CHECKPOINT_ROWS[i].expected) != NULL))
            good++;
        else
            print_error("%s: %s \"%s\", expected %s \"%s\"\n", CHECKPOINT_ROWS[i].claim,
                        rc_name(rc), rc == RC_OK ? "" : fault_text(),
                        rc_name(CHECKPOINT_ROWS[i].rc), CHECKPOINT_ROWS[i].expected);
    }
    assert_int_equal(good, count);
}

static void refuses_every_truncation(void **state)
{
    static const struct keys_memory nothing;
    struct bytes text = BYTES(ORIGIN "3\n" HASH JOURNAL);
    struct keys_finding f = { 0 };

    for (size_t len = 0; len < text.len; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, text.at, len);
        assert_int_equal(check(*state, (struct bytes){ exact, len }, &nothing, NULL, 0, &f),
                         RC_MALFORMED);
        free(exact);
    }
}

/* The trees of one to three leaves, by hand: RFC 9162 2.1.1. */
struct trees {
    struct proof_hash root[4], leaf[3];
};

static struct trees grow(void)
{
    struct journal_digest *digest = NULL;
    struct trees t = { 0 };

    assert_int_equal(journal_digest_new(&digest), RC_OK);
    t.root[0] = journal_proof_empty();
    for (uint8_t i = 0; i < 3; i++)
        t.leaf[i] = journal_proof_leaf(digest, (struct bytes){ &i, 1 });
    t.root[1] = t.leaf[0];
    t.root[2] = journal_proof_node(digest, &t.leaf[0], &t.leaf[1]);
    t.root[3] = journal_proof_node(digest, &t.root[2], &t.leaf[2]);
    journal_digest_free(digest);
    return t;
}

static enum rc check_growth(const struct keys_rules *rules, const struct trees *t,
                            uint64_t from, uint64_t to, const struct proof_hash *proof,
                            size_t count)
{
    struct keys_memory memory = { .tree_size = from,
                                  .tree_root = t->root[from],
                                  .crl_number = 8 };
    struct keys_finding f = { 0 }, untouched = { 0 };
    AUTO_BUF(text, TEXT_MAX);
    enum rc rc;

    buf_addf(&text, ORIGIN "%llu\n", (unsigned long long)to);
    text_add_base64(&text, BYTES_OF(t->root[to].at));
    buf_addf(&text, "\n" JOURNAL);
    rc = check(rules, buf_bytes(&text), &memory, proof, count, &f);
    if (rc == RC_OK) {
        assert_int_equal(f.memory.tree_size, to);
        assert_int_equal(f.memory.crl_number, 8);
        assert_memory_equal(&f.memory.tree_root, &t->root[to], sizeof t->root[to]);
    } else
        assert_memory_equal(&f, &untouched, sizeof f);
    return rc;
}

static void a_tree_only_grows_and_proves_it(void **state)
{
    struct trees t = grow();

    assert_int_equal(check_growth(*state, &t, 0, 0, NULL, 0), RC_OK);
    assert_int_equal(check_growth(*state, &t, 0, 3, NULL, 0), RC_OK);
    assert_int_equal(check_growth(*state, &t, 2, 3, &t.leaf[2], 1), RC_OK);
    assert_int_equal(check_growth(*state, &t, 3, 3, NULL, 0), RC_OK);
    assert_int_equal(check_growth(*state, &t, 1, 2, &t.leaf[1], 1), RC_OK);

    assert_int_equal(check_growth(*state, &t, 3, 2, NULL, 0), RC_DENIED);
    assert_non_null(strstr(fault_text(), "tree size 2, expected 3 or more"));
    assert_int_equal(check_growth(*state, &t, 3, 0, NULL, 0), RC_DENIED);
    assert_int_equal(check_growth(*state, &t, 2, 3, NULL, 0), RC_DENIED);
    assert_int_equal(check_growth(*state, &t, 2, 3, &t.leaf[1], 1), RC_DENIED);
    assert_int_equal(check_growth(*state, &t, 3, 3, &t.leaf[2], 1), RC_DENIED);
    t.root[3].at[31] ^= 1;
    assert_int_equal(check_growth(*state, &t, 2, 3, &t.leaf[2], 1), RC_DENIED);
}

static void another_tree_of_the_same_size_is_a_fork(void **state)
{
    struct trees t = grow();
    struct keys_memory memory = { .tree_size = 3, .tree_root = t.root[2] };
    struct keys_finding f = { 0 };

    assert_int_equal(check(*state, BYTES(ORIGIN "3\n" HASH JOURNAL), &memory, NULL, 0, &f),
                     RC_DENIED);
}

static void a_proof_has_a_bound(void **state)
{
    static const struct proof_hash nodes[PROOF_NODES_MAX + 1];
    struct trees t = grow();

    assert_int_equal(check_growth(*state, &t, 2, 3, nodes, PROOF_NODES_MAX + 1), RC_DENIED);
    assert_non_null(strstr(fault_text(), "129 nodes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_in_a_good_one),
        cmocka_unit_test(refuses_each_hostile_text_by_its_reason),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(a_tree_only_grows_and_proves_it),
        cmocka_unit_test(another_tree_of_the_same_size_is_a_fork),
        cmocka_unit_test(a_proof_has_a_bound),
    };
    return cmocka_run_group_tests(tests, prepare, clear);
}
