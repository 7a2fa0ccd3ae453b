#include "tests/support/check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/journals.h"

static void is_empty_at_first(void **state)
{
    struct journal_recovery found = { 9, 9 };
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 1000, &found);
    const uint8_t zeros[JOURNAL_HASH] = { 0 };
    struct journal_head head = journal_head(journal);

    assert_int_equal(found.torn_bytes, 0);
    assert_int_equal(found.segments, 0);
    assert_int_equal(head.sequence, 0);
    assert_memory_equal(head.hash, zeros, sizeof zeros);
    assert_int_equal(journal_first_sequence(journal), 1);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(journal_head(journal).sequence, 0);
}

static void keeps_what_was_committed_and_only_that(void **state)
{
    struct journal *journal = open_or_fail(scratch_dir(state), 1000, NULL);

    append_numbered(journal, 3);
    assert_int_equal(journal_head(journal).sequence, 0);
    assert_int_equal(journal_pending_head(journal).sequence, 3);
    assert_int_equal(journal_commit(journal), RC_OK);
    struct journal_head head = journal_head(journal);
    append_numbered(journal, 2);
    journal_close(journal);

    journal = open_or_fail(scratch_dir(state), 1000, NULL);
    assert_int_equal(journal_head(journal).sequence, 3);
    assert_memory_equal(journal_head(journal).hash, head.hash, JOURNAL_HASH);
    assert_int_equal(read_numbered(journal, 1), 3);
    journal_close(journal);
}

static void goes_on_across_segments_and_openings(void **state)
{
    for (unsigned round = 0; round < 40; round++) {
        struct journal_recovery found;
        AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 400, &found);
        assert_int_equal(found.torn_bytes, 0);
        assert_int_equal(read_numbered(journal, 1), round * 3);
        append_numbered(journal, 3);
        assert_int_equal(journal_commit(journal), RC_OK);
    }
    struct journal_head head = { 0 };
    struct journal_recovery found = { 0 };
    assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, &head, &found), RC_OK);
    assert_int_equal(head.sequence, 120);
    assert_true(found.segments > 5);
}

static void refuses_a_second_opener(void **state)
{
    struct journal *journal = open_or_fail(scratch_dir(state), 1000, NULL);
    const struct journal_limits limits = { 1000, 1000 };
    const struct clock clock = clock_standing();
    struct journal *second = NULL;

    assert_int_equal(journal_open(scratch_dir(state), &limits, &clock, NULL, &second), RC_BUSY);
    assert_null(second);
    pid_t child = fork();
    if (child == 0) {
        struct scratch *scratch = *state;
        int dir = open(scratch->path, O_RDONLY | O_DIRECTORY);
        _exit(journal_open(dir, &limits, &clock, NULL, &second) == RC_BUSY ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    journal_close(journal);
    assert_int_equal(journal_open(scratch_dir(state), &limits, &clock, NULL, &second), RC_OK);
    journal_close(second);
}

static void bounds_the_body(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 64 * 1024 * 1024, NULL);
    uint8_t *body = calloc(1, JOURNAL_BODY_MAX + 1);
    uint64_t sequence = 77;

    assert_non_null(body);
    assert_int_equal(
        journal_append(journal, 1, (struct bytes){ body, JOURNAL_BODY_MAX + 1 }, &sequence),
        RC_LIMIT);
    assert_int_equal(sequence, 77);
    assert_int_equal(
        journal_append(journal, 1, (struct bytes){ body, JOURNAL_BODY_MAX }, &sequence), RC_OK);
    assert_int_equal(journal_append(journal, 2, (struct bytes){ 0 }, &sequence), RC_OK);
    assert_int_equal(sequence, 2);
    assert_int_equal(journal_commit(journal), RC_OK);
    free(body);
}

static void bounds_the_group(void **state)
{
    AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 64 * 1024 * 1024, NULL);
    /* 8 entries of this size with their headers of 22 bytes are 8 MiB. */
    const size_t eighth = 1024 * 1024 - 22;
    uint8_t *body = calloc(1, eighth);
    uint64_t sequence = 0;

    assert_non_null(body);
    for (int i = 0; i < 7; i++)
        assert_int_equal(journal_append(journal, 1, (struct bytes){ body, eighth }, &sequence),
                         RC_OK);
    assert_int_equal(journal_append(journal, 1, (struct bytes){ body, eighth + 1 }, &sequence),
                     RC_LIMIT);
    assert_int_equal(journal_append(journal, 1, (struct bytes){ body, eighth }, &sequence),
                     RC_OK);
    assert_int_equal(journal_append(journal, 1, (struct bytes){ 0 }, &sequence), RC_LIMIT);
    assert_int_equal(sequence, 8);
    assert_int_equal(journal_commit(journal), RC_OK);
    free(body);
    assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, NULL, NULL), RC_OK);
}

static uint64_t bytes_of_folder(int dir)
{
    struct copies copies;
    uint64_t sum = 0;

    copies_take(dir, &copies);
    for (size_t i = 0; i < copies.count; i++)
        sum += copies.at[i].bytes.len;
    copies_clear(&copies);
    return sum;
}

static void bounds_all_segments_together(void **state)
{
    const struct clock clock = clock_standing();

    for (uint64_t most = 200; most < 900; most++) {
        const struct journal_limits limits = { 300, most };
        AUTO_OF(journal) *journal = NULL;
        assert_int_equal(journal_open(scratch_dir(state), &limits, &clock, NULL, &journal),
                         RC_OK);
        uint64_t before = bytes_of_folder(scratch_dir(state));
        /* 36 + 22 + 1 + 36, and 100 for the header of a new segment. */
        while (journal_append(journal, 1, BYTES("x"), NULL) == RC_OK)
            assert_int_equal(journal_commit(journal), RC_OK);
        uint64_t after = bytes_of_folder(scratch_dir(state));
        assert_true(after <= most);
        assert_true(most - after < 95 + 100);
        assert_true(after == before || after == before + 95 || after == before + 195);
    }
}

static void trims_whole_segments_only_and_still_verifies(void **state)
{
    struct journal_head head = { 0 };
    struct journal *journal = open_or_fail(scratch_dir(state), 400, NULL);

    for (int i = 0; i < 30; i++) {
        append_numbered(journal, 2);
        assert_int_equal(journal_commit(journal), RC_OK);
    }
    assert_int_equal(journal_trim(journal, 1), RC_OK);
    assert_int_equal(journal_first_sequence(journal), 1);
    for (uint64_t before = 2; before < 70; before++) {
        assert_int_equal(journal_trim(journal, before), RC_OK);
        uint64_t first = journal_first_sequence(journal);
        assert_true(first <= before);
        assert_int_equal(read_numbered(journal, first), 61 - first);
        assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, &head, NULL), RC_OK);
        assert_int_equal(head.sequence, 60);
    }
    assert_true(journal_first_sequence(journal) > 50);
    struct journal_cursor *cursor = NULL;
    assert_int_equal(journal_cursor_open(journal, 1, &cursor), RC_NOT_FOUND);
    journal_close(journal);

    journal = open_or_fail(scratch_dir(state), 400, NULL);
    assert_int_equal(journal_head(journal).sequence, 60);
    append_numbered(journal, 1);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(read_numbered(journal, 61), 1);
    journal_close(journal);
}

static void a_new_segment_lets_the_last_one_be_trimmed(void **state)
{
    struct journal_head head = { 0 };
    struct journal *journal = open_or_fail(scratch_dir(state), 1 << 20, NULL);

    assert_int_equal(journal_rotate(journal), RC_OK); /* empty: there is nothing to part from */
    for (uint64_t n = 1; n <= 5; n++) {
        append_numbered(journal, 1);
        assert_int_equal(journal_commit(journal), RC_OK);
        assert_int_equal(journal_rotate(journal), RC_OK);
        assert_int_equal(journal_rotate(journal), RC_OK);
        assert_int_equal(read_numbered(journal, n), 1);
        assert_int_equal(journal_trim(journal, n + 1), RC_OK);
        assert_int_equal(journal_first_sequence(journal), n + 1);
        assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, &head, NULL), RC_OK);
        assert_int_equal(head.sequence, n);
    }
    append_numbered(journal, 1); /* also over what is not committed yet */
    assert_int_equal(journal_rotate(journal), RC_OK);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(read_numbered(journal, 6), 1);
    journal_close(journal);
    journal = open_or_fail(scratch_dir(state), 1 << 20, NULL);
    assert_int_equal(journal_head(journal).sequence, 6);
    journal_close(journal);
}

static void a_segment_that_was_ended_can_be_trimmed_to_the_last_entry(void **state)
{
    struct journal *journal = open_or_fail(scratch_dir(state), 100000, NULL);
    struct journal_head head = { 0 };

    assert_int_equal(journal_rotate(journal), RC_OK); /* of nothing: nothing */
    for (uint64_t round = 1; round <= 3; round++) {
        append_numbered(journal, 2);
        assert_int_equal(journal_commit(journal), RC_OK);
        assert_int_equal(journal_trim(journal, 2 * round + 1), RC_OK);
        assert_int_equal(journal_first_sequence(journal), 2 * round - 1);
        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(journal_rotate(journal), RC_OK);
        assert_int_equal(journal_trim(journal, 2 * round + 1), RC_OK);
        assert_int_equal(journal_first_sequence(journal), 2 * round + 1);
        assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, &head, NULL), RC_OK);
        assert_int_equal(head.sequence, 2 * round);
        journal_close(journal);
        journal = open_or_fail(scratch_dir(state), 100000, NULL);
        assert_int_equal(journal_head(journal).sequence, 2 * round);
    }
    journal_close(journal);
}

static void misses_no_segment_that_is_gone_from_the_middle(void **state)
{
    struct journal *journal = open_or_fail(scratch_dir(state), 200, NULL);
    const struct journal_limits limits = { 200, 100000 };
    const struct clock clock = clock_standing();
    struct copies copies;

    for (int i = 0; i < 8; i++) {
        append_numbered(journal, 2);
        assert_int_equal(journal_commit(journal), RC_OK);
    }
    journal_close(journal);
    copies_take(scratch_dir(state), &copies);
    assert_true(copies.count > 3);
    for (size_t gone = 1; gone + 1 < copies.count; gone++) {
        copies_put(scratch_dir(state), &copies, copies.count);
        assert_int_equal(unlinkat(scratch_dir(state), copies.at[gone].name, 0), 0);
        assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, NULL, NULL),
                         RC_CORRUPT);
        assert_int_equal(journal_open(scratch_dir(state), &limits, &clock, NULL, &journal),
                         RC_CORRUPT);
    }
    copies_clear(&copies);
}

static void pause_us(long us)
{
    const struct timespec time = { 0, us * 1000 };

    nanosleep(&time, NULL);
}

static _Noreturn void write_until_killed(int dir, int acks)
{
    struct journal *journal = open_or_fail(dir, 4000, NULL);

    for (unsigned size = 1;; size = size % 17 + 1) {
        append_numbered(journal, size);
        if (journal_commit(journal) != RC_OK)
            _exit(1);
        uint64_t acked = journal_head(journal).sequence;
        if (write(acks, &acked, sizeof acked) != sizeof acked)
            _exit(1);
    }
}

static void loses_nothing_acknowledged_when_its_writer_is_killed(void **state)
{
    uint64_t acked = 0;

    for (unsigned round = 0; round < 50; round++) {
        int acks[2], status = 0;
        assert_int_equal(pipe2(acks, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0)
            write_until_killed(scratch_dir(state), acks[1]);
        close(acks[1]);
        /* Some commits in, however slow the machine is, and then anywhere. */
        for (long ack = random() % 20; ack > 0; ack--)
            assert_int_equal(read(acks[0], &acked, sizeof acked), sizeof acked);
        pause_us(random() % 3000);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        for (uint64_t next; read(acks[0], &next, sizeof next) == sizeof next;)
            acked = next;
        close(acks[0]);
        AUTO_OF(journal) *journal = open_or_fail(scratch_dir(state), 4000, NULL);
        assert_true(journal_head(journal).sequence >= acked);
        if (acked > 3000)
            assert_int_equal(journal_trim(journal, acked - 1000), RC_OK);
        read_numbered(journal, journal_first_sequence(journal));
    }
    assert_true(acked > 0);
}

/* Commit while no file may grow past `bytes`. */
static enum rc commit_limited(struct journal *journal, uint64_t bytes)
{
    struct rlimit whole, cut;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    cut = whole;
    cut.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &cut), 0);
    enum rc rc = journal_commit(journal);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    return rc;
}

static void takes_back_a_commit_at_every_byte_where_the_disk_ends(void **state)
{
    struct journal *journal = open_or_fail(scratch_dir(state), 100000, NULL);
    uint64_t bytes = bytes_of_folder(scratch_dir(state));
    unsigned failures = 0;

    signal(SIGXFSZ, SIG_IGN);
    for (uint64_t most = bytes;; most++) {
        append_numbered(journal, 3);
        enum rc rc = commit_limited(journal, most);
        if (rc == RC_OK)
            break;
        failures++;
        assert_int_equal(rc, RC_LIMIT);
        assert_int_equal(journal_head(journal).sequence, 0);
        assert_int_equal(journal_pending_head(journal).sequence, 0);
        assert_int_equal(bytes_of_folder(scratch_dir(state)), bytes);
    }
    assert_int_equal(failures, 36 + 3 * (22 + 7) + 36);
    append_numbered(journal, 2);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(read_numbered(journal, 1), 5);
    journal_close(journal);
    assert_int_equal(journal_verify(scratch_dir(state), NULL, NULL, NULL, NULL), RC_OK);
}

/* In a mount namespace of our own, so that nothing of it outlives the test. */
static void goes_on_when_a_full_disk_has_room_again(void **state)
{
    const struct scratch *scratch = *state;

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", scratch->path, "tmpfs", 0, "size=64k") != 0)
        skip();
    int dir = open(scratch->path, O_RDONLY | O_DIRECTORY);
    struct journal *journal = open_or_fail(dir, 8192, NULL);
    uint64_t acked = 0;
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < 2000 && rc == RC_OK; i++) {
        acked = journal_head(journal).sequence;
        append_numbered(journal, 10);
        rc = journal_commit(journal);
    }
    assert_int_equal(rc, RC_LIMIT);
    assert_int_equal(journal_head(journal).sequence, acked);
    read_numbered(journal, 1);
    assert_int_equal(journal_trim(journal, acked), RC_OK);
    append_numbered(journal, 10);
    assert_int_equal(journal_commit(journal), RC_OK);
    read_numbered(journal, journal_first_sequence(journal));
    journal_close(journal);
    assert_int_equal(journal_verify(dir, NULL, NULL, NULL, NULL), RC_OK);
    close(dir);
    assert_int_equal(umount2(scratch->path, MNT_DETACH), 0);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(is_empty_at_first),
        IN_SCRATCH(keeps_what_was_committed_and_only_that),
        IN_SCRATCH(goes_on_across_segments_and_openings),
        IN_SCRATCH(refuses_a_second_opener),
        IN_SCRATCH(bounds_the_body),
        IN_SCRATCH(bounds_the_group),
        IN_SCRATCH(bounds_all_segments_together),
        IN_SCRATCH(trims_whole_segments_only_and_still_verifies),
        IN_SCRATCH(a_new_segment_lets_the_last_one_be_trimmed),
        IN_SCRATCH(a_segment_that_was_ended_can_be_trimmed_to_the_last_entry),
        IN_SCRATCH(misses_no_segment_that_is_gone_from_the_middle),
        IN_SCRATCH(loses_nothing_acknowledged_when_its_writer_is_killed),
        IN_SCRATCH(takes_back_a_commit_at_every_byte_where_the_disk_ends),
        IN_SCRATCH(goes_on_when_a_full_disk_has_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
