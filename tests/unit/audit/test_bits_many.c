/* release */
/*
 * The files of a log of 10,000 records: changed bits, and all other damage. Here one bit at
 * random of every octet; of the 78 files that are full bundles and full tiles of level 0, but
 * for the first of each, of one octet in eight. TOUCHMARK_BITS=all: each bit of each octet.
 */
#include "tests/unit/audit/damage.h"

#include <time.h>

enum { RECORDS = 10000, LESSER = 9990 };

static int set_up(void **state)
{
    return bits_set_up(state, RECORDS, LESSER);
}

static uint64_t seed(void)
{
    const char *given = getenv("TOUCHMARK_SEED");

    return given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
}

/* There are many like it. */
static bool is_one_of_many(const struct bits_file *file)
{
    return file->kind == BITS_TILE && file->tile.level == 0 && file->tile.index > 0 &&
           file->tile.width == AUDIT_TILE_WIDTH;
}

static void sees_a_changed_bit_in_every_file(void **state)
{
    enum { WHOLE = 10007 };
    struct bits *b = *state;
    struct bits_count count = { 0 };
    uint64_t dice = seed();
    bool all = bits_all();

    print_message("TOUCHMARK_SEED=%llu\n", (unsigned long long)dice);
    bits_must_verify(b);
    for (size_t i = 0; i < b->file_count; i++) {
        const struct bits_file *file = &b->files[i];
        bits_open_file(b, file);
        for (size_t at = 0; at < b->content.len; at++) {
            unsigned first = all ? 0 : (unsigned)logs_dice(&dice) % 8;
            if (!all && is_one_of_many(file) && logs_dice(&dice) % 8 != 0)
                continue;
            for (unsigned bit = first; bit < (all ? 8 : first + 1); bit++)
                bits_must_see(b, file, at, bit, (at * 8 + bit) % WHOLE == 0, &count);
        }
        bits_close_file(b);
    }
    bits_must_verify(b);
    bits_tell(b, &count);
}

static void sees_what_is_cut_added_removed_or_exchanged(void **state)
{
    struct damage_count count = { 0 };
    struct bits *b = *state;

    damage_all(b, &count);
    print_message("%zu files of %d records: %zu other lengths, %zu removed, %zu exchanged\n",
                  b->file_count, RECORDS, count.lengths, count.removed, count.exchanged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_a_changed_bit_in_every_file, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(sees_what_is_cut_added_removed_or_exchanged, set_up,
                                        bits_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
