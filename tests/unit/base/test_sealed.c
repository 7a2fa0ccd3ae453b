#include "tests/support/check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sealed.h"

enum { ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static void what_is_sealed_is_read_and_never_changed(void **state)
{
    AUTO_BUF(got, 64);
    AUTO_FD fd = -1;

    (void)state;
    assert_int_equal(sealed_make("test", BYTES("0123456789"), &fd), RC_OK);
    assert_int_equal(sealed_check(fd, 10), RC_OK);
    assert_int_equal(sealed_read(fd, 0, 4, &got), RC_OK);
    assert_int_equal(sealed_read(fd, 7, 3, &got), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&got), "0123789"));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 4), -1);
    assert_int_equal(ftruncate(fd, 11), -1);
    assert_ptr_equal(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10), -1);
}

static void more_than_there_is_is_not_read(void **state)
{
    AUTO_BUF(got, 8);
    AUTO_FD fd = -1;

    (void)state;
    assert_int_equal(sealed_make("test", BYTES("0123456789"), &fd), RC_OK);
    assert_int_equal(sealed_read(fd, 8, 3, &got), RC_IO);
    assert_int_equal(got.len, 0);
    assert_int_equal(sealed_read(fd, 0, 9, &got), RC_LIMIT);
}

/* Each of the three seals is needed: what a peer can still change could be read twice, and
 * differ. */
static void what_can_still_change_is_refused(void **state)
{
    static const struct {
        int seals;
        enum rc rc;
    } ROWS[] = {
        { 0, RC_MALFORMED },
        { F_SEAL_SEAL, RC_MALFORMED },
        { ALL & ~F_SEAL_WRITE, RC_MALFORMED },
        { ALL & ~F_SEAL_SHRINK, RC_MALFORMED },
        { ALL & ~F_SEAL_GROW, RC_MALFORMED },
        { ALL & ~F_SEAL_SEAL, RC_OK },
        { ALL, RC_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_FD fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(file_write_all(fd, BYTES("0123456789")), RC_OK);
        assert_int_equal(ROWS[i].seals == 0 ? 0 : fcntl(fd, F_ADD_SEALS, ROWS[i].seals), 0);
        assert_int_equal(sealed_check(fd, 10), ROWS[i].rc);
    }
}

static void another_length_is_refused(void **state)
{
    AUTO_FD fd = -1;

    (void)state;
    assert_int_equal(sealed_make("test", BYTES("0123456789"), &fd), RC_OK);
    assert_int_equal(sealed_check(fd, 9), RC_MALFORMED);
    assert_int_equal(sealed_check(fd, 11), RC_MALFORMED);
    assert_int_equal(sealed_check(fd, 0), RC_MALFORMED);
}

static void what_is_no_memory_is_refused(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    AUTO_FD one = ends[0], other = ends[1], folder = open("/tmp", O_RDONLY | O_CLOEXEC),
            file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(sealed_check(one, 0), RC_MALFORMED);
    assert_int_equal(sealed_check(other, 0), RC_MALFORMED);
    assert_int_equal(sealed_check(folder, 0), RC_MALFORMED);
    assert_int_equal(sealed_check(file, 0), RC_MALFORMED);
    assert_int_equal(sealed_check(-1, 0), RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_read_and_never_changed),
        cmocka_unit_test(more_than_there_is_is_not_read),
        cmocka_unit_test(what_can_still_change_is_refused),
        cmocka_unit_test(another_length_is_refused),
        cmocka_unit_test(what_is_no_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
