#include "tests/support/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/copy.h"

/* from/folder/file, and a way out of it: what a broken process could leave for root to copy. */
struct world {
    int from, to;
};

static int prepare(void **state)
{
    static struct world w;
    AUTO_FD folder = -1;
    AUTO_FD outside = -1;

    (void)cli_copy_remove("copying");
    assert_int_equal(mkdir("copying", 0700), 0);
    assert_int_equal(mkdir("copying/outside", 0700), 0);
    assert_int_equal(file_open_dir(AT_FDCWD, "copying/outside", &outside), RC_OK);
    assert_int_equal(file_write(outside, "file", BYTES("secret"), 0600), RC_OK);
    w = (struct world){ -1, -1 };
    assert_int_equal(mkdir("copying/from", 0700), 0);
    assert_int_equal(mkdir("copying/to", 0700), 0);
    assert_int_equal(file_open_dir(AT_FDCWD, "copying/from", &w.from), RC_OK);
    assert_int_equal(file_open_dir(AT_FDCWD, "copying/to", &w.to), RC_OK);
    assert_int_equal(file_make_dir(w.from, "folder", 0700, &folder), RC_OK);
    assert_int_equal(file_write(folder, "file", BYTES("ours"), 0600), RC_OK);
    *state = &w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    own_close(&w->from);
    own_close(&w->to);
    return cli_copy_remove("copying") == RC_OK ? 0 : 1;
}

static void a_file_is_copied_once(void **state)
{
    struct world *w = *state;
    AUTO_BUF(text, 64);

    assert_int_equal(cli_copy_file(w->from, "folder/file", w->to, "file", 0600), RC_OK);
    assert_int_equal(file_read(w->to, "file", &text), RC_OK);
    assert_true(bytes_equal(buf_bytes(&text), BYTES("ours")));
    assert_int_equal(cli_copy_file(w->from, "folder/file", w->to, "file", 0600), RC_EXISTS);
    assert_int_equal(cli_copy_file(w->from, "folder/none", w->to, "none", 0600), RC_NOT_FOUND);
}

static void nothing_behind_a_symbolic_link_is_copied(void **state)
{
    struct world *w = *state;
    AUTO_FD dir = -1;
    struct stat found;

    assert_int_equal(symlinkat("../outside", w->from, "door"), 0);
    assert_int_equal(symlinkat("../../outside/file", w->from, "folder/link"), 0);
    assert_int_equal(cli_copy_file(w->from, "door/file", w->to, "one", 0600), RC_DENIED);
    assert_int_equal(cli_copy_file(w->from, "folder/link", w->to, "two", 0600), RC_DENIED);
    assert_int_equal(cli_copy_file(w->from, "../outside/file", w->to, "three", 0600),
                     RC_DENIED);
    assert_int_equal(cli_copy_open_dir(w->from, "door", &dir), RC_DENIED);
    assert_int_equal(cli_copy_open_dir(w->from, "folder", &dir), RC_OK);
    assert_int_not_equal(fstatat(w->to, "one", &found, 0), 0);
    assert_int_not_equal(fstatat(w->to, "two", &found, 0), 0);
    assert_int_not_equal(fstatat(w->to, "three", &found, 0), 0);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(mkfifoat(w->from, "pipe", 0600), 0);
    assert_int_equal(cli_copy_file(w->from, "pipe", w->to, "pipe", 0600), RC_DENIED);
    assert_int_equal(cli_copy_file(w->from, "folder", w->to, "folder", 0600), RC_DENIED);
}

static void removing_a_tree_leaves_what_its_links_lead_to(void **state)
{
    struct world *w = *state;
    struct stat found;

    assert_int_equal(symlinkat("../outside", w->from, "door"), 0);
    assert_int_equal(cli_copy_remove("copying/from"), RC_OK);
    assert_int_not_equal(stat("copying/from", &found), 0);
    assert_int_equal(stat("copying/outside/file", &found), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_copied_once),
        TEST(nothing_behind_a_symbolic_link_is_copied),
        TEST(what_is_no_regular_file_is_refused),
        TEST(removing_a_tree_leaves_what_its_links_lead_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
