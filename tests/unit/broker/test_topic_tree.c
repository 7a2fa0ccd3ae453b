#include "tests/support/check.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/buf.h"
#include "broker/topic_tree.h"

static const struct topic_hash_key KEY = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static const struct topic_tree_limits LIMITS = { 1000, 1 << 20 };

/* libcrypto's SipHash with the same rounds. */
static uint64_t judge(struct bytes bytes)
{
    static const uint8_t key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    unsigned c_rounds = 1, d_rounds = 3;
    size_t size = 8, len = 0;
    uint8_t out[8];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *with = EVP_MAC_CTX_new(mac);
    uint64_t value = 0;

    assert_int_equal(EVP_MAC_init(with, key, sizeof key, params), 1);
    assert_int_equal(EVP_MAC_update(with, bytes.at, bytes.len), 1);
    assert_int_equal(EVP_MAC_final(with, out, &len, sizeof out), 1);
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)out[i] << 8 * i;
    EVP_MAC_CTX_free(with);
    EVP_MAC_free(mac);
    return value;
}

static void hash_is_siphash_1_3(void **state)
{
    uint8_t text[64];

    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        text[len] = (uint8_t)(len * 7 + 200);
        struct bytes bytes = { text, len };
        assert_true(broker_topic_hash(&KEY, bytes) == judge(bytes));
    }
}

static struct topic_tree *new_tree(const struct topic_tree_limits *limits)
{
    struct topic_tree *tree;

    assert_int_equal(broker_topic_tree_new(limits, &KEY, &tree), RC_OK);
    return tree;
}

static void shares_levels_and_prunes_what_is_not_held(void **state)
{
    AUTO_OF(topic_tree) *tree = new_tree(&LIMITS);
    size_t empty = broker_topic_tree_bytes(tree);
    uint32_t abc, abd, ab;

    (void)state;
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b/c"), &abc), RC_OK);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b/d"), &abd), RC_OK);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b"), &ab), RC_OK);
    assert_int_equal(broker_topic_tree_count(tree), 4);
    assert_int_equal(broker_topic_tree_find(tree, BYTES("a/b/c")), abc);
    assert_int_equal(broker_topic_tree_parent(tree, abd), ab);
    assert_int_equal(broker_topic_tree_find(tree, BYTES("a/b/")), TOPIC_NONE);
    broker_topic_tree_release(tree, abc);
    assert_int_equal(broker_topic_tree_find(tree, BYTES("a/b/c")), TOPIC_NONE);
    broker_topic_tree_release(tree, ab);
    assert_int_equal(broker_topic_tree_count(tree), 3);
    broker_topic_tree_release(tree, abd);
    assert_int_equal(broker_topic_tree_count(tree), 0);
    assert_int_equal(broker_topic_tree_bytes(tree), empty);
}

static void knows_its_wildcards_while_they_live(void **state)
{
    AUTO_OF(topic_tree) *tree = new_tree(&LIMITS);
    uint32_t plus, rest;

    (void)state;
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("+"), &plus), RC_OK);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("#"), &rest), RC_OK);
    assert_int_equal(broker_topic_tree_plus(tree, TOPIC_ROOT), plus);
    assert_int_equal(broker_topic_tree_rest(tree, TOPIC_ROOT), rest);
    broker_topic_tree_release(tree, plus);
    assert_int_equal(broker_topic_tree_plus(tree, TOPIC_ROOT), TOPIC_NONE);
    assert_int_equal(broker_topic_tree_rest(tree, TOPIC_ROOT), rest);
}

static void a_limit_leaves_no_half_path(void **state)
{
    AUTO_OF(topic_tree) *tree = new_tree(&(struct topic_tree_limits){ 3, 1 << 20 });
    uint32_t node = 77;

    (void)state;
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b/c/d"), &node), RC_LIMIT);
    assert_int_equal(node, 77);
    assert_int_equal(broker_topic_tree_count(tree), 0);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b/c"), &node), RC_OK);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("a/b/d"), &node), RC_LIMIT);
    assert_int_equal(broker_topic_tree_count(tree), 3);
}

static void memory_is_a_limit_too(void **state)
{
    AUTO_OF(topic_tree) *probe = new_tree(&LIMITS);
    struct topic_tree_limits limits = { 1000, broker_topic_tree_bytes(probe) + 16 + 3 };
    AUTO_OF(topic_tree) *tree = new_tree(&limits);
    uint32_t node;

    (void)state;
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("abcd"), &node), RC_LIMIT);
    assert_int_equal(broker_topic_tree_hold(tree, BYTES("abc"), &node), RC_OK);
}

/* Deleting from an open-addressing table is where such tables lose things. */
static void finds_all_that_is_left_after_many_changes(void **state)
{
    enum { NAMES = 600 };
    AUTO_OF(topic_tree) *tree = new_tree(&(struct topic_tree_limits){ 10000, 1 << 22 });
    uint32_t nodes[NAMES];
    bool there[NAMES] = { 0 };
    uint64_t random = 1;

    (void)state;
    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        size_t i = (random >> 33) % NAMES;
        AUTO_BUF(name, 64);
        buf_addf(&name, "l%zu/m%zu/n%zu", i % 7, i % 41, i);
        if (there[i])
            broker_topic_tree_release(tree, nodes[i]);
        else
            assert_int_equal(broker_topic_tree_hold(tree, buf_bytes(&name), &nodes[i]), RC_OK);
        there[i] = !there[i];
        size_t j = (random >> 13) % NAMES;
        buf_reset(&name);
        buf_addf(&name, "l%zu/m%zu/n%zu", j % 7, j % 41, j);
        assert_int_equal(broker_topic_tree_find(tree, buf_bytes(&name)),
                         there[j] ? nodes[j] : TOPIC_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_is_siphash_1_3),
        cmocka_unit_test(shares_levels_and_prunes_what_is_not_held),
        cmocka_unit_test(knows_its_wildcards_while_they_live),
        cmocka_unit_test(a_limit_leaves_no_half_path),
        cmocka_unit_test(memory_is_a_limit_too),
        cmocka_unit_test(finds_all_that_is_left_after_many_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
