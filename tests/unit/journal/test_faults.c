/* wraps: pwrite fdatasync fsync ftruncate malloc calloc realloc reallocarray */
#include "tests/support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/journals.h"

/* Which call from now on fails: the one that brings this to zero, or also all after it. */
static struct {
    bool armed, all_after;
    unsigned left;
} faults;

static void arm(unsigned nth, bool all_after)
{
    faults.left = nth;
    faults.all_after = all_after;
    faults.armed = true;
}

static bool fails_now(void)
{
    if (!faults.armed)
        return false;
    if (faults.left > 0)
        faults.left--;
    if (faults.left > 0)
        return false;
    faults.armed = faults.all_after;
    return true;
}

static bool io_fails(void)
{
    if (!fails_now())
        return false;
    errno = EIO;
    return true;
}

static bool memory_fails(void)
{
    if (!fails_now())
        return false;
    errno = ENOMEM;
    return true;
}

ssize_t __real_pwrite(int fd, const void *at, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__real_realloc(void *at, size_t n);
void *__wrap_realloc(void *at, size_t n);
void *__real_reallocarray(void *at, size_t count, size_t n);
void *__wrap_reallocarray(void *at, size_t count, size_t n);

/* Half of it reaches the file, as on a real disk. */
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset)
{
    if (!io_fails())
        return __real_pwrite(fd, at, n, offset);
    (void)!__real_pwrite(fd, at, n / 2, offset);
    errno = EIO;
    return -1;
}

int __wrap_fdatasync(int fd)
{
    return io_fails() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return io_fails() ? -1 : __real_fsync(fd);
}

int __wrap_ftruncate(int fd, off_t length)
{
    return io_fails() ? -1 : __real_ftruncate(fd, length);
}

void *__wrap_malloc(size_t n)
{
    return memory_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return memory_fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *at, size_t n)
{
    return memory_fails() ? NULL : __real_realloc(at, n);
}

void *__wrap_reallocarray(void *at, size_t count, size_t n)
{
    return memory_fails() ? NULL : __real_reallocarray(at, count, n);
}

/* What a life of open, append, commit, rotate, trim was told is safe, and by which error it
 * ended. */
struct life {
    uint64_t acked;
    enum rc end;
};

static enum rc live(int dir, struct life *life)
{
    const struct journal_limits limits = { 250, 1000 * 1000 };
    const struct clock clock = clock_standing();
    AUTO_OF(journal) *journal = NULL;

    TRY(journal_open(dir, &limits, &clock, NULL, &journal));
    life->acked = journal_head(journal).sequence;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned n = 0; n < 2; n++)
            TRY(journal_append(journal, 1, BYTES("a body"), NULL));
        TRY(journal_commit(journal));
        life->acked = journal_head(journal).sequence;
    }
    TRY(journal_trim(journal, life->acked));
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry;
    TRY(journal_cursor_open(journal, life->acked, &cursor));
    return journal_cursor_next(cursor, &entry);
}

static void walk_faults(bool all_after)
{
    for (unsigned nth = 1;; nth++) {
        struct scratch scratch;
        struct life life = { 0 };
        scratch_open(&scratch);
        arm(nth, all_after);
        life.end = live(scratch.dir, &life);
        bool failed = !faults.armed || (all_after && faults.left == 0);
        faults.armed = false;
        if (failed) {
            /* RC_LIMIT is what a buffer without memory says. */
            assert_true(life.end == RC_IO || life.end == RC_NOMEM || life.end == RC_LIMIT);
            AUTO_OF(journal) *journal = open_or_fail(scratch.dir, 250, NULL);
            struct journal_head head = journal_head(journal);
            assert_true(head.sequence >= life.acked);
            /* Only where cutting back failed too can there be more than was promised. */
            assert_true(head.sequence == life.acked || all_after || life.acked == 0);
            assert_int_equal(journal_verify(scratch.dir, NULL, NULL, NULL, NULL), RC_OK);
            append_numbered(journal, 1);
            assert_int_equal(journal_commit(journal), RC_OK);
        }
        scratch_close(&scratch);
        if (!failed) {
            assert_int_equal(life.end, RC_OK);
            assert_true(nth > 30);
            return;
        }
    }
}

static void promises_hold_whichever_call_fails(void **state)
{
    (void)state;
    walk_faults(false);
}

static void promises_hold_when_all_fails_from_some_call_on(void **state)
{
    (void)state;
    walk_faults(true);
}

static void stops_after_a_failed_sync_until_opened_again(void **state)
{
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    struct journal *journal = open_or_fail(scratch.dir, 10000, NULL);
    append_numbered(journal, 2);
    assert_int_equal(journal_commit(journal), RC_OK);
    append_numbered(journal, 3);
    arm(2, false); /* past the write */
    assert_int_equal(journal_commit(journal), RC_IO);
    faults.armed = false;
    assert_int_equal(journal_append(journal, 1, BYTES("x"), NULL), RC_IO);
    assert_int_equal(journal_commit(journal), RC_IO);
    assert_int_equal(read_numbered(journal, 1), 2);
    journal_close(journal);
    journal = open_or_fail(scratch.dir, 10000, NULL);
    assert_int_equal(read_numbered(journal, 1), 2);
    journal_close(journal);
    scratch_close(&scratch);
}

static void goes_on_after_a_failed_write(void **state)
{
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    AUTO_OF(journal) *journal = open_or_fail(scratch.dir, 10000, NULL);
    append_numbered(journal, 2);
    arm(1, false);
    assert_int_equal(journal_commit(journal), RC_LIMIT);
    append_numbered(journal, 3);
    assert_int_equal(journal_commit(journal), RC_OK);
    assert_int_equal(read_numbered(journal, 1), 3);
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_hold_whichever_call_fails),
        cmocka_unit_test(promises_hold_when_all_fails_from_some_call_on),
        cmocka_unit_test(stops_after_a_failed_sync_until_opened_again),
        cmocka_unit_test(goes_on_after_a_failed_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
