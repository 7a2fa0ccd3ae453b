#include "tests/support/check.h"

#include "tests/support/journals.h"

static void fill(struct journal *journal, unsigned groups, unsigned each)
{
    for (unsigned i = 0; i < groups; i++) {
        append_numbered(journal, each);
        assert_int_equal(journal_commit(journal), RC_OK);
    }
}

static void starts_at_any_entry_of_any_segment(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 400, NULL);

    fill(journal, 20, 3);
    for (unsigned from = 1; from <= 61; from++)
        assert_int_equal(read_numbered(journal, from), 61 - from);
}

static void starts_nowhere_before_the_first(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 400, NULL);
    struct journal_cursor *cursor = NULL;

    assert_int_equal(journal_cursor_open(journal, 0, &cursor), RC_NOT_FOUND);
    fill(journal, 20, 3);
    assert_int_equal(journal_trim(journal, 40), RC_OK);
    uint64_t first = journal_first_sequence(journal);
    assert_int_equal(journal_cursor_open(journal, first - 1, &cursor), RC_NOT_FOUND);
    assert_null(cursor);
    assert_int_equal(read_numbered(journal, first), 61 - first);
}

static void follows_commits_as_they_come(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 300, NULL);
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry = { 0 };
    uint64_t want = 1;

    assert_int_equal(journal_cursor_open(journal, 1, &cursor), RC_OK);
    for (unsigned round = 0; round < 30; round++) {
        assert_int_equal(journal_cursor_next(cursor, &entry), RC_NOT_FOUND);
        append_numbered(journal, 1 + round % 4);
        assert_int_equal(journal_cursor_next(cursor, &entry), RC_NOT_FOUND);
        assert_int_equal(journal_commit(journal), RC_OK);
        for (unsigned i = 0; i <= round % 4; i++) {
            assert_int_equal(journal_cursor_next(cursor, &entry), RC_OK);
            assert_int_equal(entry.sequence, want++);
        }
    }
}

static void waits_for_an_entry_that_is_yet_to_come(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 300, NULL);
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry = { 0 };

    assert_int_equal(journal_cursor_open(journal, 50, &cursor), RC_OK);
    fill(journal, 24, 2);
    assert_int_equal(journal_cursor_next(cursor, &entry), RC_NOT_FOUND);
    assert_int_equal(entry.sequence, 0);
    fill(journal, 1, 2);
    assert_int_equal(journal_cursor_next(cursor, &entry), RC_OK);
    assert_int_equal(entry.sequence, 50);
}

static void reads_its_segment_to_the_end_when_that_is_trimmed(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 300, NULL);
    AUTO_OF(journal_cursor) *near = NULL, *far = NULL;
    struct journal_entry entry = { 0 };

    fill(journal, 40, 1);
    assert_int_equal(journal_cursor_open(journal, 1, &near), RC_OK);
    assert_int_equal(journal_cursor_open(journal, 1, &far), RC_OK);
    assert_int_equal(journal_trim(journal, 20), RC_OK);
    uint64_t first = journal_first_sequence(journal), given = 0;
    assert_in_range(first, 10, 20);
    enum rc rc;
    while ((rc = journal_cursor_next(near, &entry)) == RC_OK)
        assert_int_equal(entry.sequence, ++given);
    assert_int_equal(rc, RC_CLOSED);
    assert_in_range(given, 1, first - 2);
}

static void goes_on_past_a_trim_that_stops_right_behind_it(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 300, NULL);
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry = { 0 };

    fill(journal, 40, 1);
    assert_int_equal(journal_cursor_open(journal, 1, &cursor), RC_OK);
    for (uint64_t want = 1; want <= 40; want++) {
        assert_int_equal(journal_cursor_next(cursor, &entry), RC_OK);
        assert_int_equal(entry.sequence, want);
        assert_int_equal(journal_trim(journal, want + 1), RC_OK);
    }
    assert_int_equal(journal_cursor_next(cursor, &entry), RC_NOT_FOUND);
}

static void hands_out_nothing_of_a_damaged_group(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 100000, NULL);
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry = { 0 };
    struct copies copies;

    fill(journal, 2, 3);
    copies_take(scratch_dir(state), &copies);
    struct buf *bytes = &copies.at[0].bytes;
    bytes->at[bytes->len - 40] ^= 1; /* in the last entry of the second group */
    segment_overwrite(scratch_dir(state), copies.at[0].name, buf_bytes(bytes));
    copies_clear(&copies);
    assert_int_equal(journal_cursor_open(journal, 2, &cursor), RC_OK);
    assert_int_equal(journal_cursor_next(cursor, &entry), RC_OK);
    assert_int_equal(journal_cursor_next(cursor, &entry), RC_OK);
    for (int again = 0; again < 2; again++)
        assert_int_equal(journal_cursor_next(cursor, &entry), RC_CORRUPT);
    assert_int_equal(entry.sequence, 3);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(starts_at_any_entry_of_any_segment),
        IN_SCRATCH(starts_nowhere_before_the_first),
        IN_SCRATCH(follows_commits_as_they_come),
        IN_SCRATCH(waits_for_an_entry_that_is_yet_to_come),
        IN_SCRATCH(reads_its_segment_to_the_end_when_that_is_trimmed),
        IN_SCRATCH(goes_on_past_a_trim_that_stops_right_behind_it),
        IN_SCRATCH(hands_out_nothing_of_a_damaged_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
