#include "tests/support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"

struct folder {
    char path[32];
    int dir;
};

static int set_up(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    memcpy(f->path, "/tmp/test_file.XXXXXX", 22);
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(file_open_dir(AT_FDCWD, f->path, &f->dir), RC_OK);
    *state = f;
    return 0;
}

static void remove_all(int dir)
{
    DIR *all = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

    for (struct dirent *entry; (entry = readdir(all)) != NULL;)
        if (unlinkat(dir, entry->d_name, 0) != 0)
            unlinkat(dir, entry->d_name, AT_REMOVEDIR);
    closedir(all);
}

static int tear_down(void **state)
{
    struct folder *f = *state;

    remove_all(f->dir);
    close(f->dir);
    rmdir(f->path);
    free(f);
    return 0;
}

static bool is_there(int dir, const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void holds(int dir, const char *name, const char *expected)
{
    AUTO_BUF(got, 1000);

    assert_int_equal(file_read(dir, name, &got), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&got), expected));
}

static void what_was_written_is_read_with_its_mode(void **state)
{
    struct folder *f = *state;
    struct stat st;

    umask(077);
    assert_int_equal(file_write(f->dir, "a", BYTES("one"), 0644), RC_OK);
    holds(f->dir, "a", "one");
    assert_int_equal(fstatat(f->dir, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(file_write(f->dir, "a", BYTES(""), 0600), RC_OK);
    holds(f->dir, "a", "");
    assert_int_equal(fstatat(f->dir, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(is_there(f->dir, "a.new"));
}

static void creating_replaces_nothing(void **state)
{
    struct folder *f = *state;

    assert_int_equal(file_create(f->dir, "a", BYTES("one"), 0600), RC_OK);
    assert_int_equal(file_create(f->dir, "a", BYTES("two"), 0600), RC_EXISTS);
    holds(f->dir, "a", "one");
    assert_false(is_there(f->dir, "a.new"));
    assert_int_equal(symlinkat("nowhere", f->dir, "b"), 0);
    assert_int_equal(file_create(f->dir, "b", BYTES("two"), 0600), RC_EXISTS);
}

/* A disk that is full in the middle of the file, played by a limit on the size of files. */
static void a_failed_write_leaves_the_old_file_and_no_debris(void **state)
{
    struct folder *f = *state;
    static const uint8_t zeros[4096];
    struct rlimit before, small;

    assert_int_equal(file_write(f->dir, "a", BYTES("old"), 0600), RC_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){ 1000, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum rc written = file_write(f->dir, "a", BYTES_OF(zeros), 0600);
    enum rc created = file_create(f->dir, "b", BYTES_OF(zeros), 0600);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(written, RC_IO);
    assert_int_equal(created, RC_IO);
    holds(f->dir, "a", "old");
    assert_false(is_there(f->dir, "a.new"));
    assert_false(is_there(f->dir, "b"));
    assert_false(is_there(f->dir, "b.new"));
}

static void a_failed_rename_leaves_no_debris(void **state)
{
    struct folder *f = *state;
    AUTO_FD inner = -1;

    assert_int_equal(file_make_dir(f->dir, "a", 0700, &inner), RC_OK);
    assert_int_equal(file_write(f->dir, "a", BYTES("x"), 0600), RC_IO);
    assert_false(is_there(f->dir, "a.new"));
}

static void debris_of_a_crash_does_not_get_in_the_way(void **state)
{
    struct folder *f = *state;

    assert_int_equal(file_write(f->dir, "victim", BYTES("mine"), 0600), RC_OK);
    assert_int_equal(symlinkat("victim", f->dir, "a.new"), 0);
    assert_int_equal(file_write(f->dir, "a", BYTES("new"), 0600), RC_OK);
    holds(f->dir, "a", "new");
    holds(f->dir, "victim", "mine");
    assert_false(is_there(f->dir, "a.new"));
}

static void a_symbolic_link_is_refused_and_replaced_but_never_followed(void **state)
{
    struct folder *f = *state;
    AUTO_BUF(got, 100);

    assert_int_equal(file_write(f->dir, "target", BYTES("theirs"), 0600), RC_OK);
    assert_int_equal(symlinkat("target", f->dir, "a"), 0);
    assert_int_equal(file_read(f->dir, "a", &got), RC_DENIED);
    assert_int_equal(got.len, 0);
    assert_int_equal(file_write(f->dir, "a", BYTES("ours"), 0600), RC_OK);
    holds(f->dir, "a", "ours");
    holds(f->dir, "target", "theirs");
}

static void a_file_is_read_up_to_its_limit_and_not_beyond(void **state)
{
    struct folder *f = *state;
    static const uint8_t zeros[40000];

    assert_int_equal(file_write(f->dir, "a", BYTES_OF(zeros), 0600), RC_OK);
    for (size_t most = sizeof zeros - 1; most <= sizeof zeros + 1; most++) {
        struct buf got = BUF_MAX(most + 4);
        bool fits = most >= sizeof zeros;
        buf_add(&got, BYTES("kept"));
        assert_int_equal(file_read(f->dir, "a", &got), fits ? RC_OK : RC_LIMIT);
        assert_int_equal(buf_bytes(&got).len, fits ? sizeof zeros + 4 : 4);
        assert_memory_equal(got.at, "kept", 4);
        buf_clear(&got);
    }
    struct buf none = BUF_MAX(0);
    assert_int_equal(file_read(f->dir, "a", &none), RC_LIMIT);
    assert_int_equal(file_write(f->dir, "a", BYTES(""), 0600), RC_OK);
    assert_int_equal(file_read(f->dir, "a", &none), RC_OK);
    buf_clear(&none);
}

static void what_is_no_file_is_an_error_and_no_wait(void **state)
{
    struct folder *f = *state;
    AUTO_BUF(got, 100);
    AUTO_FD inner = -1;

    assert_int_equal(file_read(f->dir, "missing", &got), RC_NOT_FOUND);
    assert_int_equal(file_make_dir(f->dir, "folder", 0700, &inner), RC_OK);
    assert_int_equal(file_read(f->dir, "folder", &got), RC_IO);
    assert_int_equal(mkfifoat(f->dir, "pipe", 0600), 0);
    assert_int_equal(file_read(f->dir, "pipe", &got), RC_IO);
    assert_int_equal(got.len, 0);
}

static void folders_are_made_once(void **state)
{
    struct folder *f = *state;
    AUTO_FD inner = -1;
    int other = -1;

    assert_int_equal(file_open_dir(f->dir, "d", &other), RC_NOT_FOUND);
    assert_int_equal(file_make_dir(f->dir, "d", 0700, &inner), RC_OK);
    assert_int_equal(file_make_dir(f->dir, "d", 0700, &other), RC_EXISTS);
    assert_int_equal(other, -1);
    assert_int_equal(file_write(inner, "a", BYTES("x"), 0600), RC_OK);
    holds(f->dir, "d/a", "x");
    assert_int_equal(unlinkat(inner, "a", 0), 0);
}

int main(void)
{
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FILE_TEST(what_was_written_is_read_with_its_mode),
        FILE_TEST(creating_replaces_nothing),
        FILE_TEST(a_failed_write_leaves_the_old_file_and_no_debris),
        FILE_TEST(a_failed_rename_leaves_no_debris),
        FILE_TEST(debris_of_a_crash_does_not_get_in_the_way),
        FILE_TEST(a_symbolic_link_is_refused_and_replaced_but_never_followed),
        FILE_TEST(a_file_is_read_up_to_its_limit_and_not_beyond),
        FILE_TEST(what_is_no_file_is_an_error_and_no_wait),
        FILE_TEST(folders_are_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
