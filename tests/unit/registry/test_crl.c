/* CRLs in the registry: one of each key, in parts, replaced whole. */
#include "tests/unit/registry/world.h"

enum { THREE_PARTS = 2 * REGISTRY_CRL_PART + 1 };

static enum rc do_put(struct store_txn *txn, struct act *act)
{
    return registry_crl_put(txn, bytes_of_text(act->id), act->version, act->text);
}

/* count: the part. What was read is copied to text's octets. */
static enum rc do_get_part(struct store_txn *txn, struct act *act)
{
    struct bytes octets;

    TRY(registry_crl_get_part(txn, bytes_of_text(act->id), act->version, (uint32_t)act->count,
                              &octets));
    memcpy((uint8_t *)(uintptr_t)act->text.at, octets.at, octets.len);
    act->text.len = octets.len;
    return RC_OK;
}

static enum rc do_count_parts(struct store_txn *txn, struct act *act)
{
    return store_txn_count(txn, REGISTRY_CRLS, &act->count);
}

static uint8_t octet(uint64_t number, size_t at)
{
    return (uint8_t)(at * 7 + at / 251 + number);
}

static enum rc put(struct world *w, const char *key, uint64_t number, size_t len)
{
    uint8_t *der = malloc(len + 1);
    struct act act = { .run = do_put, .id = key, .version = number, .text = { der, len } };

    assert_non_null(der);
    for (size_t i = 0; i < len; i++)
        der[i] = octet(number, i);
    enum rc rc = world_do(w, &act);
    free(der);
    return rc;
}

static enum rc get_part(struct world *w, const char *key, uint64_t number, uint32_t part,
                        uint8_t *to, size_t *len)
{
    struct act act = {
        .run = do_get_part, .id = key, .version = number, .count = part, .text = { to, 0 }
    };
    enum rc rc = world_do(w, &act);

    *len = act.text.len;
    return rc;
}

/* Part by part it is what was put, and no more. */
static void is_whole(struct world *w, const char *key, uint64_t number, size_t len)
{
    uint8_t part[REGISTRY_CRL_PART];
    size_t at = 0, got = 0;

    for (uint32_t i = 0; at < len; i++, at += got) {
        assert_int_equal(get_part(w, key, number, i, part, &got), RC_OK);
        assert_true(got > 0 && got <= len - at);
        for (size_t j = 0; j < got; j++)
            assert_int_equal(part[j], octet(number, at + j));
    }
    assert_int_equal(at, len);
    assert_int_equal(
        get_part(w, key, number, (uint32_t)((len + sizeof part - 1) / sizeof part), part, &got),
        RC_NOT_FOUND);
}

static uint64_t parts(struct world *w)
{
    struct act act = { .run = do_count_parts };

    assert_int_equal(world_do(w, &act), RC_OK);
    return act.count;
}

static void a_list_comes_back_in_parts_at_each_bound(void **state)
{
    static const size_t LENGTHS[] = {
        1,           REGISTRY_CRL_PART - 1, REGISTRY_CRL_PART, REGISTRY_CRL_PART + 1,
        THREE_PARTS, REGISTRY_CRL_MAX
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        assert_int_equal(put(w, "devices", i + 1, LENGTHS[i]), RC_OK);
        is_whole(w, "devices", i + 1, LENGTHS[i]);
    }
    assert_int_equal(put(w, "devices", 100, REGISTRY_CRL_MAX + 1), RC_LIMIT);
    assert_int_equal(put(w, "devices", 100, 0), RC_LIMIT);
    is_whole(w, "devices", sizeof LENGTHS / sizeof *LENGTHS, REGISTRY_CRL_MAX);
}

static void a_shorter_one_leaves_nothing_of_a_longer_one(void **state)
{
    struct world *w = *state;

    assert_int_equal(put(w, "doors", 1, THREE_PARTS), RC_OK);
    assert_int_equal(put(w, "devices", 1, THREE_PARTS), RC_OK);
    assert_int_equal(parts(w), 6);
    assert_int_equal(put(w, "devices", 2, 10), RC_OK);
    assert_int_equal(parts(w), 4);
    is_whole(w, "devices", 2, 10);
    is_whole(w, "doors", 1, THREE_PARTS);
}

/* Nobody puts one together from parts of two. */
static void a_part_of_one_that_was_replaced_is_not_there(void **state)
{
    struct world *w = *state;
    uint8_t part[REGISTRY_CRL_PART];
    size_t len = 0;

    assert_int_equal(put(w, "devices", 1, THREE_PARTS), RC_OK);
    assert_int_equal(get_part(w, "devices", 1, 0, part, &len), RC_OK);
    assert_int_equal(put(w, "devices", 2, THREE_PARTS), RC_OK);
    assert_int_equal(get_part(w, "devices", 1, 1, part, &len), RC_NOT_FOUND);
    assert_int_equal(get_part(w, "devices", 3, 1, part, &len), RC_NOT_FOUND);
    assert_int_equal(get_part(w, "doors", 2, 0, part, &len), RC_NOT_FOUND);
    assert_int_equal(get_part(w, "devices", 2, UINT32_MAX, part, &len), RC_NOT_FOUND);
}

static void a_number_only_rises(void **state)
{
    struct world *w = *state;

    assert_int_equal(put(w, "devices", 2, 10), RC_OK);
    assert_int_equal(put(w, "devices", 2, 10), RC_EXISTS);
    assert_int_equal(put(w, "devices", 1, 10), RC_EXISTS);
    is_whole(w, "devices", 2, 10);
    assert_int_equal(put(w, "devices", 3, 10), RC_OK);
    assert_int_equal(put(w, "a-name-of-more-than-32-characters", 3, 10), RC_LIMIT);
}

static enum rc put_and_fail(struct store_txn *txn, struct act *act)
{
    TRY(do_put(txn, act));
    return fault(RC_DENIED, "what comes after it in the transaction");
}

static void one_that_is_undone_leaves_the_old_one_whole(void **state)
{
    struct world *w = *state;
    struct act act = { .run = put_and_fail, .id = "devices", .version = 2, .text = BYTES("x") };

    assert_int_equal(put(w, "devices", 1, THREE_PARTS), RC_OK);
    assert_int_equal(world_do(w, &act), RC_DENIED);
    is_whole(w, "devices", 1, THREE_PARTS);
    assert_int_equal(parts(w), 3);
}

/* ---- What doors hear ---- */

static enum rc take_snapshot(struct store_txn *txn, void *with)
{
    struct registry_projection *projection = with;
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    AUTO_BUF(next, REGISTRY_CURSOR_MAX);
    struct registry_position position;
    struct registry_change change;
    uint64_t sequence = 0;

    TRY(registry_change_snapshot(txn, BYTES(""), &list, &next, &position));
    assert_int_equal(next.len, 0);
    struct reader r = READER(buf_bytes(&list));
    while (registry_answer_next_change(&r, &sequence, &change) == RC_OK)
        TRY(registry_projection_apply(projection, &change));
    return RC_OK;
}

static enum rc take_news(struct store_txn *txn, void *with)
{
    struct registry_projection *projection = with;
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_position position = { 0 };
    struct store_position start = store_feed_position(txn);
    struct registry_change change;
    uint64_t sequence = 0;

    memcpy(position.lineage, start.lineage, sizeof position.lineage);
    TRY(registry_change_watch(txn, &position, &list));
    struct reader r = READER(buf_bytes(&list));
    while (registry_answer_next_change(&r, &sequence, &change) == RC_OK)
        TRY(registry_projection_apply(projection, &change));
    return RC_OK;
}

static void a_door_hears_which_one_there_is_however_long(void **state)
{
    struct world *w = *state;
    AUTO_OF(registry_projection) *filled = NULL;
    AUTO_OF(registry_projection) *followed = NULL;
    struct registry_crl one, other;

    assert_int_equal(registry_projection_new(NULL, &filled), RC_OK);
    assert_int_equal(registry_projection_new(NULL, &followed), RC_OK);
    for (uint64_t number = 1; number <= 20; number++)
        assert_int_equal(put(w, "devices", number, 1000000 + number), RC_OK);
    assert_int_equal(store_read(w->store, take_snapshot, filled), RC_OK);
    assert_int_equal(store_read(w->store, take_news, followed), RC_OK);
    assert_int_equal(registry_projection_crl(filled, BYTES("devices"), &one), RC_OK);
    assert_int_equal(registry_projection_crl(followed, BYTES("devices"), &other), RC_OK);
    assert_int_equal(one.number, 20);
    assert_int_equal(one.len, 1000020);
    assert_memory_equal(&one, &other, sizeof one);
}

/* ---- A registry of an older build ---- */

static enum rc do_put_old_row(struct store_txn *txn, struct act *act)
{
    (void)act;
    return store_txn_put(txn, REGISTRY_FACTS, BYTES("crl/devices"),
                         BYTES("\0\7devices\0\0\0\0\0\0\0\5the list itself"));
}

static void of_a_row_that_held_the_list_itself_the_number_counts(void **state)
{
    struct world *w = *state;
    struct act old = { .run = do_put_old_row };
    AUTO_OF(registry_projection) *projection = NULL;
    struct registry_crl crl;
    uint8_t part[REGISTRY_CRL_PART];
    size_t len = 0;

    assert_int_equal(world_do(w, &old), RC_OK);
    assert_int_equal(registry_projection_new(NULL, &projection), RC_OK);
    assert_int_equal(store_read(w->store, take_snapshot, projection), RC_OK);
    assert_int_equal(registry_projection_crl(projection, BYTES("devices"), &crl), RC_NOT_FOUND);
    assert_int_equal(get_part(w, "devices", 5, 0, part, &len), RC_NOT_FOUND);
    assert_int_equal(put(w, "devices", 5, 10), RC_EXISTS);
    assert_int_equal(put(w, "devices", 6, 10), RC_OK);
    is_whole(w, "devices", 6, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_list_comes_back_in_parts_at_each_bound),
        WORLD_TEST(a_shorter_one_leaves_nothing_of_a_longer_one),
        WORLD_TEST(a_part_of_one_that_was_replaced_is_not_there),
        WORLD_TEST(a_number_only_rises),
        WORLD_TEST(one_that_is_undone_leaves_the_old_one_whole),
        WORLD_TEST(a_door_hears_which_one_there_is_however_long),
        WORLD_TEST(of_a_row_that_held_the_list_itself_the_number_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
