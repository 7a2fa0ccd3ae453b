#include "tests/support/check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/copy.h"
#include "cli/manifest.h"

/* backup/place with two files, and its manifest. */
static int make_backup(void **state)
{
    CLI_MANIFEST(manifest);
    AUTO_FD backup = -1;
    AUTO_FD place = -1;
    AUTO_FD folder = -1;
    struct stat like;

    (void)state;
    (void)cli_copy_remove("backup");
    assert_int_equal(file_make_dir(AT_FDCWD, "backup", 0700, &backup), RC_OK);
    assert_int_equal(file_make_dir(backup, "place", 0700, &place), RC_OK);
    assert_int_equal(file_make_dir(place, "keys", 0700, &folder), RC_OK);
    assert_int_equal(file_write(place, "keys/rules", BYTES("some rules"), 0600), RC_OK);
    assert_int_equal(file_write(place, "empty", BYTES(""), 0600), RC_OK);
    assert_int_equal(fstat(place, &like), 0);
    assert_int_equal(cli_manifest_new(BYTES("/srv/x"), 1000, &manifest), RC_OK);
    assert_int_equal(cli_manifest_add_folder(&manifest, "keys", &like), RC_OK);
    assert_int_equal(cli_manifest_add_file(&manifest, place, "keys/rules", &like), RC_OK);
    assert_int_equal(cli_manifest_add_file(&manifest, place, "empty", &like), RC_OK);
    assert_int_equal(
        cli_manifest_set_head(&manifest, "log", "size", 7, "root", BYTES("\x01\x02")), RC_OK);
    assert_int_equal(cli_manifest_write(&manifest, backup), RC_OK);
    return 0;
}

static enum rc check_now(void)
{
    CLI_MANIFEST(manifest);
    AUTO_FD backup = -1;
    AUTO_FD place = -1;

    TRY(file_open_dir(AT_FDCWD, "backup", &backup));
    TRY(file_open_dir(backup, "place", &place));
    TRY(cli_manifest_read(backup, &manifest));
    return cli_manifest_check(&manifest, place);
}

static void a_whole_backup_is_accepted_and_its_owners_alone(void **state)
{
    struct stat found;

    (void)state;
    assert_int_equal(check_now(), RC_OK);
    assert_int_equal(stat("backup/manifest.json", &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void what_was_altered_or_is_missing_is_named(void **state)
{
    (void)state;
    assert_int_equal(file_write(AT_FDCWD, "backup/place/keys/rules", BYTES("some rulez"), 0600),
                     RC_OK);
    assert_int_equal(check_now(), RC_CORRUPT);
    assert_non_null(strstr(fault_text(), "keys/rules"));
    make_backup(NULL);
    assert_int_equal(file_write(AT_FDCWD, "backup/place/empty", BYTES("x"), 0600), RC_OK);
    assert_int_equal(check_now(), RC_CORRUPT);
    make_backup(NULL);
    unlink("backup/place/keys/rules");
    assert_int_equal(check_now(), RC_CORRUPT);
    assert_non_null(strstr(fault_text(), "lacks keys/rules"));
}

static void an_unfinished_backup_is_none(void **state)
{
    (void)state;
    unlink("backup/manifest.json");
    assert_int_equal(check_now(), RC_NOT_FOUND);
    assert_int_equal(file_write(AT_FDCWD, "backup/manifest.json", BYTES("{}"), 0600), RC_OK);
    assert_int_equal(check_now(), RC_CORRUPT);
    assert_int_equal(file_write(AT_FDCWD, "backup/manifest.json", BYTES("{\"format\":"), 0600),
                     RC_OK);
    assert_int_equal(check_now(), RC_CORRUPT);
}

static void a_row_names_nothing_outside_of_the_place(void **state)
{
    static const char *const BAD[] = { "../x", "/etc/x", "a/../../x", "",  "a//b",
                                       ".",    "a/./b",  "a/",        ".." };
    struct cli_manifest_row read;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        AUTO(json_value) *row =
            json_pack("{s:s, s:i, s:i, s:i}", "path", BAD[i], "mode", 0600, "uid", 0, "gid", 0);
        assert_int_equal(cli_manifest_row(row, &read), RC_CORRUPT);
    }
    AUTO(json_value) *setuid =
        json_pack("{s:s, s:i, s:i, s:i}", "path", "a..b/.c", "mode", 04755, "uid", 0, "gid", 0);
    assert_int_equal(cli_manifest_row(setuid, &read), RC_CORRUPT);
    assert_int_equal(json_object_set_new(setuid, "mode", json_integer(0640)), 0);
    assert_int_equal(cli_manifest_row(setuid, &read), RC_OK);
}

static void heads_are_compared_whole(void **state)
{
    CLI_MANIFEST(manifest);
    AUTO_FD backup = -1;

    (void)state;
    assert_int_equal(file_open_dir(AT_FDCWD, "backup", &backup), RC_OK);
    assert_int_equal(cli_manifest_read(backup, &manifest), RC_OK);
    assert_true(cli_manifest_head_is(&manifest, "log", "size", 7, "root", BYTES("\x01\x02")));
    assert_false(cli_manifest_head_is(&manifest, "log", "size", 8, "root", BYTES("\x01\x02")));
    assert_false(cli_manifest_head_is(&manifest, "log", "size", 7, "root", BYTES("\x01\x03")));
    assert_false(cli_manifest_head_is(&manifest, "no", "size", 7, "root", BYTES("\x01\x02")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_whole_backup_is_accepted_and_its_owners_alone, make_backup),
        cmocka_unit_test_setup(what_was_altered_or_is_missing_is_named, make_backup),
        cmocka_unit_test_setup(an_unfinished_backup_is_none, make_backup),
        cmocka_unit_test(a_row_names_nothing_outside_of_the_place),
        cmocka_unit_test_setup(heads_are_compared_whole, make_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
