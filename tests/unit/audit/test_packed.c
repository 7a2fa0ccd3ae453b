/* The index's rows, against a plain array of what was put where. */
#include "tests/unit/audit/logs.h"

#include <string.h>

#include "audit/log_state.h"

/* So many facets, of which many are alike in all but the last octets. */
enum { KINDS = 4, HASHES = 300, FACETS = KINDS * HASHES, BLOCKS = 3, CHANGES = 300 };

struct rows {
    struct logs *logs;
    struct audit_places places[BLOCKS][FACETS];
    struct {
        unsigned block, i;
    } changed[CHANGES]; /* where, since the last write */
    uint64_t dice;
    unsigned changes, block;
    size_t room;
};

static struct audit_facet facet_at(unsigned i)
{
    static const uint32_t BASES[] = { 0, 0xfffffe00, 0x12345678, 0x7fffff80 };

    return (struct audit_facet){ BASES[i / HASHES] + i % HASHES, (uint8_t)(1 + i / HASHES) };
}

/* None, some, or more than are written one by one. */
static struct audit_places places_at_random(uint64_t *dice)
{
    const uint64_t which = logs_dice(dice) % 16;
    const uint64_t most = which < 5 ? 1 : which < 15 ? 8 : 60, count = logs_dice(dice) % most;
    struct audit_places places = { 0 };

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = logs_dice(dice) % AUDIT_SPAN;
        places.bits[at / 64] |= (uint64_t)1 << at % 64;
    }
    return places;
}

static enum rc put_changes(struct store_txn *txn, void *with)
{
    struct rows *rows = with;

    for (unsigned n = 0; n < rows->changes; n++) {
        const unsigned block = rows->changed[n].block, i = rows->changed[n].i;
        TRY(audit_index_put(rows->logs->log, txn, AUDIT_INDEX_BLOCK, 7 + block, facet_at(i),
                            &rows->places[block][i]));
    }
    return RC_OK;
}

static void change(struct rows *rows)
{
    for (unsigned n = 0; n < rows->changes; n++) {
        unsigned block = (unsigned)(logs_dice(&rows->dice) % BLOCKS);
        unsigned i = (unsigned)(logs_dice(&rows->dice) % FACETS);
        rows->places[block][i] = places_at_random(&rows->dice);
        rows->changed[n].block = block;
        rows->changed[n].i = i;
    }
    assert_int_equal(store_write(rows->logs->store, put_changes, rows), RC_OK);
}

static bool alike(const struct audit_places *a, const struct audit_places *b)
{
    return bytes_equal(BYTES_OF(a->bits), BYTES_OF(b->bits));
}

/* Page by page, as merging reads. */
static enum rc compare_items(struct store_txn *txn, struct rows *rows, unsigned block)
{
    struct audit_index_item items[97];
    struct audit_facet from = { 0 };
    unsigned i = 0;
    size_t count = 0;

    do {
        TRY(audit_index_read_items(rows->logs->log, txn, AUDIT_INDEX_BLOCK, 7 + block, from,
                                   items, rows->room, &count));
        for (size_t k = 0; k < count; k++, i++) {
            while (i < FACETS && audit_places_is_empty(&rows->places[block][i]))
                i++;
            assert_true(i < FACETS);
            assert_int_equal(items[k].kind, facet_at(i).kind);
            assert_int_equal(items[k].hash, facet_at(i).hash);
        }
        if (count > 0)
            from = audit_facet_behind(
                (struct audit_facet){ items[count - 1].hash, items[count - 1].kind });
    } while (count == rows->room);
    for (; i < FACETS; i++)
        assert_true(audit_places_is_empty(&rows->places[block][i]));
    return RC_OK;
}

static enum rc compare(struct store_txn *txn, void *with)
{
    struct rows *rows = with;
    struct audit_places got;

    for (unsigned block = 0; block < BLOCKS; block++) {
        for (unsigned i = 0; i < FACETS; i++) {
            TRY(audit_index_get(rows->logs->log, txn, AUDIT_INDEX_BLOCK, 7 + block, facet_at(i),
                                &got));
            assert_true(alike(&got, &rows->places[block][i]));
            TRY(audit_index_get(rows->logs->log, txn, AUDIT_INDEX_FAR, 7 + block, facet_at(i),
                                &got));
            assert_true(audit_places_is_empty(&got));
        }
        TRY(compare_items(txn, rows, block));
    }
    return RC_OK;
}

static void a_facet_has_the_places_that_were_put_last(void **state)
{
    static struct rows rows;
    rows = (struct rows){ .logs = *state, .dice = 3, .changes = CHANGES };

    for (unsigned i = 0; i < 20; i++) {
        rows.room = 1 + i * 5;
        change(&rows);
        assert_int_equal(store_read(rows.logs->store, compare, &rows), RC_OK);
    }
}

/* All of one block anew, as it is put when its last record comes. */
static enum rc put_all(struct store_txn *txn, void *with)
{
    struct rows *rows = with;
    struct audit_index_item *items = NULL;
    size_t count = 0;

    TRY(audit_index_clear(rows->logs->log, txn, AUDIT_INDEX_BLOCK, 7 + rows->block));
    TRY(audit_index_items(rows->logs->log, &items));
    for (unsigned at = 0; at < AUDIT_SPAN; at++)
        for (unsigned i = 0; i < FACETS; i++)
            if (audit_places_has(&rows->places[rows->block][i], at))
                items[count++] = (struct audit_index_item){ facet_at(i).hash, facet_at(i).kind,
                                                            (uint8_t)at };
    items = audit_index_sort(rows->logs->log, count);
    return audit_index_put_items(rows->logs->log, txn, AUDIT_INDEX_BLOCK, 7 + rows->block,
                                 items, count);
}

/* What nobody tells apart by its high bits, too, and what lies in order already. */
static void sorts_as_a_plain_sort_does(void **state)
{
    struct logs *w = *state;
    static struct audit_index_item want[AUDIT_INDEX_ITEMS];
    struct audit_index_item *items = NULL;
    uint64_t dice = 11;

    assert_int_equal(audit_index_items(w->log, &items), RC_OK);
    for (unsigned round = 0; round < 24; round++) {
        const size_t count = round == 0 ? AUDIT_INDEX_ITEMS : logs_dice(&dice) % 5000;
        const uint64_t hashes = round % 4 == 0 ? UINT32_MAX : 1u << (round % 4 * 7);
        for (size_t i = 0; i < count; i++)
            items[i] = want[i] =
                (struct audit_index_item){ (uint32_t)(logs_dice(&dice) % hashes),
                                           (uint8_t)(1 + logs_dice(&dice) % 40),
                                           (uint8_t)(i * AUDIT_SPAN / count) };
        qsort(want, count, sizeof *want, audit_index_compare);
        const struct audit_index_item *sorted = audit_index_sort(w->log, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(audit_index_compare(&sorted[i], &want[i]), 0);
    }
}

static void rows_put_at_once_are_changed_like_others(void **state)
{
    static struct rows rows;
    rows = (struct rows){ .logs = *state, .dice = 4, .changes = CHANGES, .room = 96 };

    for (unsigned i = 0; i < 6; i++) {
        change(&rows);
        rows.block = i % BLOCKS;
        assert_int_equal(store_write(rows.logs->store, put_all, &rows), RC_OK);
        assert_int_equal(store_read(rows.logs->store, compare, &rows), RC_OK);
    }
}

/* ---- Damage ---- */

struct damage {
    struct logs *logs;
    struct bytes row;
    struct audit_facet wanted;
    enum rc got, read;
};

static enum rc damage(struct store_txn *txn, void *with)
{
    struct damage *d = with;
    uint8_t key[AUDIT_INDEX_KEY];

    audit_index_key(AUDIT_INDEX_BLOCK, 1, (struct audit_facet){ 1, 1 }, key);
    return store_txn_put(txn, AUDIT_SEARCH, BYTES_OF(key), d->row);
}

static enum rc look(struct store_txn *txn, void *with)
{
    struct damage *d = with;
    struct audit_index_item items[8];
    struct audit_places places;
    size_t count = 0;

    d->got = audit_index_get(d->logs->log, txn, AUDIT_INDEX_BLOCK, 1, d->wanted, &places);
    d->read = audit_index_read_items(d->logs->log, txn, AUDIT_INDEX_BLOCK, 1,
                                     (struct audit_facet){ 0 }, items, 8, &count);
    return RC_OK;
}

static void a_damaged_row_is_told_and_not_read_over(void **state)
{
    static const uint8_t ROW[] = { 1, 0, 0, 0, 1, 2, 5, 9, 2, 0, 0, 0, 7, 1, 3 };
    struct damage d = { .logs = *state, .wanted = { 7, 2 } };

    for (size_t len = 1; len <= sizeof ROW; len++) {
        const bool whole = len == 8 || len == sizeof ROW;
        d.row = (struct bytes){ ROW, len };
        assert_int_equal(store_write(d.logs->store, damage, &d), RC_OK);
        assert_int_equal(store_read(d.logs->store, look, &d), RC_OK);
        assert_int_equal(d.got, whole ? RC_OK : RC_CORRUPT);
        assert_int_equal(d.read, whole ? RC_OK : RC_CORRUPT);
    }
    for (unsigned places = 0; places < 256; places++) {
        uint8_t row[sizeof ROW];
        memcpy(row, ROW, sizeof row);
        row[13] = (uint8_t)places;
        d.row = BYTES_OF(row);
        assert_int_equal(store_write(d.logs->store, damage, &d), RC_OK);
        assert_int_equal(store_read(d.logs->store, look, &d), RC_OK);
        assert_int_equal(d.got, places == 1 ? RC_OK : RC_CORRUPT);
        assert_int_equal(d.read, places == 1 ? RC_OK : RC_CORRUPT);
    }
}

static enum rc grow(struct store_txn *txn, void *with)
{
    struct damage *d = with;
    const struct audit_places all = { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

    return audit_index_put(d->logs->log, txn, AUDIT_INDEX_BLOCK, 1, d->wanted, &all);
}

/* Of many cells, one behind what is looked for, and then in front of it. */
static void a_full_row_with_a_damaged_cell_is_not_split(void **state)
{
    enum { CELL = 7, CELLS = AUDIT_INDEX_VALUE / CELL };
    uint8_t row[CELLS * CELL] = { 0 };
    struct damage d = { .logs = *state, .row = BYTES_OF(row) };

    for (unsigned i = 0; i < CELLS; i++) {
        row[CELL * i] = 1;
        row[CELL * i + 3] = (uint8_t)(i >> 8);
        row[CELL * i + 4] = (uint8_t)i;
        row[CELL * i + 5] = 1;
    }
    for (unsigned which = 0; which < 2; which++) {
        row[CELL * 2 + 5 - which] = 0; /* its number of octets; then its hash */
        d.wanted = (struct audit_facet){ which == 0 ? 1 : 9, 1 };
        assert_int_equal(store_write(d.logs->store, damage, &d), RC_OK);
        assert_int_equal(store_write(d.logs->store, grow, &d), RC_CORRUPT);
        row[CELL * 2 + 5] = 1;
    }
    assert_int_equal(store_read(d.logs->store, look, &d), RC_OK);
    assert_int_equal(d.got, RC_CORRUPT);
    assert_int_equal(d.read, RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_facet_has_the_places_that_were_put_last, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(sorts_as_a_plain_sort_does, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(rows_put_at_once_are_changed_like_others, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_told_and_not_read_over, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(a_full_row_with_a_damaged_cell_is_not_split,
                                        logs_set_up, logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
