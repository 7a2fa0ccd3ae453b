/* Texts of policies: short ones in their rows, others in parts under their hash. */
#include "tests/unit/registry/world.h"

enum { THREE_PARTS = 2 * REGISTRY_TEXT_PART + 1 };

static uint8_t octets[REGISTRY_POLICY_MAX + 1];

static struct registry_text named(uint8_t hash, size_t len)
{
    return (struct registry_text){ { octets, len }, { (uint32_t)len, { hash } } };
}

struct text_act {
    struct act act; /* first */
    struct registry_text text;
    struct buf whole;
    uint64_t rows, version;
};

static enum rc do_put(struct store_txn *txn, struct act *act)
{
    struct text_act *a = (void *)act;

    const struct registry_policy_new new = {
        .author = BYTES("root"), .text = a->text, .why = BYTES("to see"), .replaces = act->count
    };
    TRY(registry_policy_put(txn, &new, act->now_ms, &a->version));
    return store_txn_count(txn, REGISTRY_TEXTS, &a->rows);
}

static enum rc put(struct world *w, uint64_t replaces, struct registry_text text,
                   uint64_t *rows)
{
    struct text_act a = { .act = { .run = do_put, .count = replaces }, .text = text };
    enum rc rc = world_do(w, &a.act);

    *rows = a.rows;
    return rc;
}

static enum rc do_show(struct store_txn *txn, struct act *act)
{
    struct text_act *a = (void *)act;
    struct registry_policy_row row;

    TRY(registry_policy_get(txn, act->version, &row));
    a->text = row.text;
    TRY(registry_text_get(txn, &row.text, &a->whole));
    return row.text.name.len == 0
               ? RC_OK
               : registry_text_get_part(txn, &row.text.name, (uint32_t)act->count,
                                        &(struct bytes){ 0 });
}

static void is_kept(struct world *w, uint64_t version, size_t len, uint32_t last)
{
    struct text_act a = { .act = { .run = do_show, .version = version, .count = last },
                          .whole = BUF_MAX(REGISTRY_POLICY_MAX) };

    assert_int_equal(world_do(w, &a.act), RC_OK);
    assert_true(bytes_equal(buf_bytes(&a.whole), (struct bytes){ octets, len }));
    if (a.text.name.len > 0) {
        a.act.count++;
        assert_int_equal(world_do(w, &a.act), RC_NOT_FOUND);
    }
    buf_clear(&a.whole);
}

static void a_long_text_comes_back_as_it_was_and_is_kept_once(void **state)
{
    struct world *w = *state;
    uint64_t rows = 0;

    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(i * 7 + i / 251);
    struct registry_text shortest = { .octets = { octets, REGISTRY_TEXT_PART } };
    assert_int_equal(put(w, 0, shortest, &rows), RC_OK);
    assert_int_equal(rows, 0);
    is_kept(w, 1, REGISTRY_TEXT_PART, 0);
    assert_int_equal(put(w, 1, named(1, REGISTRY_TEXT_PART + 1), &rows), RC_OK);
    assert_int_equal(rows, 2);
    is_kept(w, 2, REGISTRY_TEXT_PART + 1, 1);
    assert_int_equal(put(w, 2, named(2, THREE_PARTS), &rows), RC_OK);
    assert_int_equal(rows, 5);
    is_kept(w, 3, THREE_PARTS, 2);
    assert_int_equal(put(w, 3, named(1, REGISTRY_TEXT_PART + 1), &rows), RC_OK);
    assert_int_equal(rows, 5);
    assert_int_equal(put(w, 4, named(3, REGISTRY_POLICY_MAX), &rows), RC_OK);
    assert_int_equal(rows, 5 + 171);
    is_kept(w, 5, REGISTRY_POLICY_MAX, 170);
    is_kept(w, 2, REGISTRY_TEXT_PART + 1, 1);
}

static void only_a_name_is_enough_for_what_is_kept(void **state)
{
    struct world *w = *state;
    struct registry_text name = named(1, THREE_PARTS);
    uint64_t rows = 0;

    name.octets.len = 0;
    assert_int_equal(put(w, 0, name, &rows), RC_NOT_FOUND);
    assert_int_equal(put(w, 0, named(1, THREE_PARTS), &rows), RC_OK);
    assert_int_equal(put(w, 1, name, &rows), RC_OK);
    is_kept(w, 2, THREE_PARTS, 2);
}

static void what_is_no_text_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct registry_text bad[] = { named(1, REGISTRY_TEXT_PART),
                                   named(1, THREE_PARTS),
                                   named(1, REGISTRY_POLICY_MAX + 1),
                                   named(1, 0),
                                   { .octets = { octets, REGISTRY_TEXT_PART + 1 } } };
    uint64_t rows = 0;

    bad[1].octets.len--;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(put(w, 0, bad[i], &rows), RC_MALFORMED);
    assert_int_equal(put(w, 9, named(1, THREE_PARTS), &rows), RC_EXISTS);
    assert_int_equal(put(w, 0, (struct registry_text){ .octets = BYTES("x") }, &rows), RC_OK);
    assert_int_equal(rows, 0);
}

static void parts_cover_the_text(void **state)
{
    const struct registry_name name = named(1, THREE_PARTS).name;

    (void)state;
    assert_int_equal(registry_text_parts(&name), 3);
    assert_int_equal(registry_text_part_len(&name, 1), REGISTRY_TEXT_PART);
    assert_int_equal(registry_text_part_len(&name, 2), 1);
    assert_int_equal(registry_text_part_len(&name, 3), 0);
    assert_int_equal(registry_text_part_len(&name, UINT32_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_text_comes_back_as_it_was_and_is_kept_once,
                                        world_prepare, world_clean),
        cmocka_unit_test_setup_teardown(only_a_name_is_enough_for_what_is_kept, world_prepare,
                                        world_clean),
        cmocka_unit_test_setup_teardown(what_is_no_text_leaves_nothing, world_prepare,
                                        world_clean),
        cmocka_unit_test(parts_cover_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
