#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/journals.h"

enum { HEADER = 100, ROUNDS_MAX = 32 };

/* Where a commit ended: which segment, at which byte, with which head. */
struct mark {
    size_t segment;
    size_t end;
    struct journal_head head;
};

/* A small journal of several segments, its files, and the marks of its commits. */
struct sample {
    struct scratch scratch;
    struct copies copies;
    struct mark marks[ROUNDS_MAX];
    size_t count;
};

static void mark_commit(struct sample *sample, const struct journal *journal)
{
    copies_clear(&sample->copies);
    copies_take(sample->scratch.dir, &sample->copies);
    size_t last = sample->copies.count - 1;
    sample->marks[sample->count++] =
        (struct mark){ last, sample->copies.at[last].bytes.len, journal_head(journal) };
}

static int make_sample(void **state)
{
    struct sample *sample = calloc(1, sizeof *sample);

    assert_non_null(sample);
    scratch_open(&sample->scratch);
    AUTO_OF(journal) *journal = open_or_fail(sample->scratch.dir, 300, NULL);
    for (unsigned i = 0; i < 6; i++) {
        append_numbered(journal, 1 + i % 3);
        assert_int_equal(journal_commit(journal), RC_OK);
        mark_commit(sample, journal);
    }
    assert_true(sample->copies.count >= 3);
    /* The last segment has a group before its last one. */
    assert_int_equal(sample->marks[sample->count - 2].segment, sample->copies.count - 1);
    *state = sample;
    return 0;
}

static int remove_sample(void **state)
{
    struct sample *sample = *state;

    copies_clear(&sample->copies);
    scratch_close(&sample->scratch);
    free(sample);
    return 0;
}

static enum rc open_again(int dir, struct journal_recovery *found, struct journal **journal)
{
    const struct journal_limits limits = { 300, 1000 * 1000 };
    const struct clock clock = clock_standing();

    return journal_open(dir, &limits, &clock, found, journal);
}

static struct journal_head head_at(const struct sample *sample, size_t segment, size_t cut,
                                   size_t *end)
{
    struct journal_head head = { 0 };

    *end = HEADER;
    for (size_t i = 0; i < sample->count; i++) {
        const struct mark *mark = &sample->marks[i];
        if (mark->segment > segment || (mark->segment == segment && mark->end > cut))
            break;
        head = mark->head;
        if (mark->segment == segment)
            *end = mark->end;
    }
    return head;
}

static void recovers_cut(const struct sample *sample, size_t segment, size_t cut)
{
    int dir = sample->scratch.dir;
    size_t end = 0;
    struct journal_head want = head_at(sample, segment, cut, &end), got = { 0 };
    struct journal_recovery found = { 0 };
    struct journal *journal = NULL;

    assert_int_equal(journal_verify(dir, NULL, NULL, &got, &found), RC_OK);
    assert_int_equal(got.sequence, want.sequence);
    assert_int_equal(found.torn_bytes, cut - end);
    for (int opening = 0; opening < 2; opening++) {
        assert_int_equal(open_again(dir, &found, &journal), RC_OK);
        assert_int_equal(found.torn_bytes, opening == 0 ? cut - end : 0);
        got = journal_head(journal);
        assert_int_equal(got.sequence, want.sequence);
        assert_memory_equal(got.hash, want.hash, JOURNAL_HASH);
        read_numbered(journal, 1);
        journal_close(journal);
    }
    journal = open_or_fail(dir, 300, NULL);
    append_numbered(journal, 2);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(read_numbered(journal, 1), want.sequence + 2);
    journal_close(journal);
}

static void recovers_to_the_last_whole_group_from_every_truncation(void **state)
{
    struct sample *sample = *state;
    struct journal *journal = NULL;

    for (size_t segment = 0; segment < sample->copies.count; segment++) {
        struct copy *copy = &sample->copies.at[segment];
        for (size_t cut = 0; cut <= copy->bytes.len; cut++) {
            copies_put(sample->scratch.dir, &sample->copies, segment);
            segment_overwrite(sample->scratch.dir, copy->name,
                              (struct bytes){ copy->bytes.at, cut });
            /* A segment gets its name only when its header is on disk. */
            if (cut < HEADER)
                assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_CORRUPT);
            else
                recovers_cut(sample, segment, cut);
        }
    }
}

static void refuses_every_truncation_before_the_last_segment(void **state)
{
    struct sample *sample = *state;
    struct journal *journal = NULL;

    for (size_t segment = 0; segment + 1 < sample->copies.count; segment++) {
        struct copy *copy = &sample->copies.at[segment];
        copies_put(sample->scratch.dir, &sample->copies, sample->copies.count);
        for (size_t cut = 0; cut < copy->bytes.len; cut++) {
            segment_overwrite(sample->scratch.dir, copy->name,
                              (struct bytes){ copy->bytes.at, cut });
            assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_CORRUPT);
            assert_int_equal(journal_verify(sample->scratch.dir, NULL, NULL, NULL, NULL),
                             RC_CORRUPT);
        }
    }
}

static void refuses_every_flipped_bit(void **state)
{
    struct sample *sample = *state;
    int dir = sample->scratch.dir;
    struct journal *journal = NULL;

    for (size_t segment = 0; segment < sample->copies.count; segment++) {
        struct copy *copy = &sample->copies.at[segment];
        struct bytes bytes = buf_bytes(&copy->bytes);
        copies_put(dir, &sample->copies, sample->copies.count);
        for (size_t bit = 0; bit < bytes.len * 8; bit++) {
            copy->bytes.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            segment_overwrite(dir, copy->name, bytes);
            assert_int_equal(journal_verify(dir, NULL, NULL, NULL, NULL), RC_CORRUPT);
            assert_int_equal(open_again(dir, NULL, &journal), RC_CORRUPT);
            copy->bytes.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        segment_overwrite(dir, copy->name, bytes);
    }
    assert_int_equal(journal_verify(dir, NULL, NULL, NULL, NULL), RC_OK);
}

/* One group more, whose body holds whole sectors of zeros; its offset in the last segment. */
static size_t add_group_of_zeros(struct sample *sample)
{
    static const uint8_t zeros[2048];
    AUTO_OF(journal) *journal = open_or_fail(sample->scratch.dir, 100000, NULL);
    size_t start = sample->marks[sample->count - 1].end;

    assert_int_equal(journal_append(journal, 1, BYTES_OF(zeros), NULL), RC_OK);
    assert_int_equal(journal_commit(journal), RC_OK);
    mark_commit(sample, journal);
    return start;
}

/* The exception to the test above: it looks like a sector that was never written. */
static void takes_a_flip_beside_whole_sectors_of_zeros_at_the_end_for_a_torn_tail(void **state)
{
    struct sample *sample = *state;
    size_t start = add_group_of_zeros(sample);
    struct copy *last = &sample->copies.at[sample->copies.count - 1];

    for (size_t at = start; at < last->bytes.len; at += 13) {
        struct journal_recovery found = { 0 };
        struct journal_head head = { 0 };
        last->bytes.at[at] ^= 4;
        segment_overwrite(sample->scratch.dir, last->name, buf_bytes(&last->bytes));
        last->bytes.at[at] ^= 4;
        assert_int_equal(journal_verify(sample->scratch.dir, NULL, NULL, &head, &found), RC_OK);
        assert_int_equal(found.torn_bytes, last->bytes.len - start);
        assert_int_equal(head.sequence, sample->marks[sample->count - 2].head.sequence);
    }
}

static void refuses_zeroed_sectors_with_a_later_group_behind(void **state)
{
    struct sample *sample = *state;
    size_t start = add_group_of_zeros(sample);
    struct journal *journal = open_or_fail(sample->scratch.dir, 100000, NULL);

    append_numbered(journal, 1);
    assert_int_equal(journal_commit(journal), RC_OK);
    journal_close(journal);
    copies_clear(&sample->copies);
    copies_take(sample->scratch.dir, &sample->copies);
    struct copy *last = &sample->copies.at[sample->copies.count - 1];
    memset(last->bytes.at + start, 0, 1024);
    segment_overwrite(sample->scratch.dir, last->name, buf_bytes(&last->bytes));
    assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_CORRUPT);
    assert_int_equal(journal_verify(sample->scratch.dir, NULL, NULL, NULL, NULL), RC_CORRUPT);
}

static void takes_any_unwritten_sectors_of_the_last_group_for_a_torn_tail(void **state)
{
    struct sample *sample = *state;
    struct journal *journal = open_or_fail(sample->scratch.dir, 100000, NULL);
    size_t start = sample->marks[sample->count - 1].end;

    append_numbered(journal, 80);
    assert_int_equal(journal_commit(journal), RC_OK);
    mark_commit(sample, journal);
    journal_close(journal);
    struct copy *last = &sample->copies.at[sample->copies.count - 1];
    size_t first = start / 512, sectors = (last->bytes.len - 1) / 512 - first + 1;

    assert_in_range(sectors, 4, 8);
    for (unsigned lost = 1; lost < 1u << sectors; lost++) {
        AUTO_BUF(torn, 100000);
        buf_add(&torn, buf_bytes(&last->bytes));
        for (size_t i = start; i < torn.len; i++)
            if ((lost >> (i / 512 - first) & 1) != 0)
                torn.at[i] = 0;
        segment_overwrite(sample->scratch.dir, last->name, buf_bytes(&torn));
        assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_OK);
        struct journal_head head = journal_head(journal);
        assert_int_equal(head.sequence, sample->marks[sample->count - 2].head.sequence);
        journal_close(journal);
    }
}

/* A whole header of a later group, right but for the salt of the segment it is in. */
static void take_later_header(uint8_t header[36])
{
    struct scratch scratch;
    struct copies copies;

    scratch_open(&scratch);
    struct journal *journal = open_or_fail(scratch.dir, 300, NULL);
    for (int i = 0; i < 2; i++) {
        append_numbered(journal, 50);
        assert_int_equal(journal_commit(journal), RC_OK);
    }
    journal_close(journal);
    copies_take(scratch.dir, &copies);
    assert_int_equal(copies.count, 2);
    memcpy(header, copies.at[1].bytes.at + HEADER, 36);
    copies_clear(&copies);
    scratch_close(&scratch);
}

static void lets_no_body_pass_for_a_later_group(void **state)
{
    struct sample *sample = *state;
    struct journal *journal = open_or_fail(sample->scratch.dir, 100000, NULL);
    uint8_t forged[36];

    take_later_header(forged);
    assert_int_equal(journal_append(journal, 1, BYTES_OF(forged), NULL), RC_OK);
    assert_int_equal(journal_commit(journal), RC_OK);
    journal_close(journal);
    copies_clear(&sample->copies);
    copies_take(sample->scratch.dir, &sample->copies);
    struct copy *last = &sample->copies.at[sample->copies.count - 1];
    segment_overwrite(sample->scratch.dir, last->name,
                      (struct bytes){ last->bytes.at, last->bytes.len - 1 });
    assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_OK);
    assert_int_equal(journal_head(journal).sequence,
                     sample->marks[sample->count - 1].head.sequence);
    journal_close(journal);
}

static void refuses_more_behind_the_last_group_than_one_write_leaves(void **state)
{
    struct sample *sample = *state;
    struct copy *last = &sample->copies.at[sample->copies.count - 1];
    const off_t group_max = 36 + 8 * 1024 * 1024 + 36;
    struct journal *journal = NULL;
    AUTO_BUF(path, 256);
    const char *text = NULL;

    buf_addf(&path, "%s/%s", sample->scratch.path, last->name);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    assert_int_equal(truncate(text, (off_t)last->bytes.len + group_max + 1), 0);
    assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_CORRUPT);
    assert_int_equal(truncate(text, (off_t)last->bytes.len + group_max), 0);
    assert_int_equal(open_again(sample->scratch.dir, NULL, &journal), RC_OK);
    journal_close(journal);
}

#define OF_SAMPLE(test) cmocka_unit_test_setup_teardown(test, make_sample, remove_sample)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_SAMPLE(recovers_to_the_last_whole_group_from_every_truncation),
        OF_SAMPLE(refuses_every_truncation_before_the_last_segment),
        OF_SAMPLE(refuses_every_flipped_bit),
        OF_SAMPLE(takes_a_flip_beside_whole_sectors_of_zeros_at_the_end_for_a_torn_tail),
        OF_SAMPLE(refuses_zeroed_sectors_with_a_later_group_behind),
        OF_SAMPLE(takes_any_unwritten_sectors_of_the_last_group_for_a_torn_tail),
        OF_SAMPLE(lets_no_body_pass_for_a_later_group),
        OF_SAMPLE(refuses_more_behind_the_last_group_than_one_write_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
