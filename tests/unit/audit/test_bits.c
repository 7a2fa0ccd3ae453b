/* release */
/* Every bit of every file of a small log is changed: its export, and its tiles. */
#include "tests/unit/audit/bits.h"

/* A full tile of level 0 and one that is not, one of level 1, and files of an older checkpoint.
 */
enum { RECORDS = 258, LESSER = 257 };

static int set_up(void **state)
{
    return bits_set_up(state, RECORDS, LESSER);
}

/* Each bit by the part that depends on it, and one in so many by the whole; in the long form
 * each by the whole. */
static void sees_every_bit_of_every_file(void **state)
{
    struct bits *b = *state;
    const size_t whole = bits_all() ? 1 : 97;
    struct bits_count count = { 0 };

    bits_must_verify(b);
    for (size_t i = 0; i < b->file_count; i++) {
        const struct bits_file *file = &b->files[i];
        bits_open_file(b, file);
        for (size_t at = 0; at < b->content.len; at++)
            for (unsigned bit = 0; bit < 8; bit++)
                bits_must_see(b, file, at, bit, (at * 8 + bit) % whole == 0, &count);
        bits_close_file(b);
    }
    bits_must_verify(b);
    bits_tell(b, &count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_every_bit_of_every_file, set_up, bits_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
