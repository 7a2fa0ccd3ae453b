#include "tests/support/check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/identity.h"

static const struct bytes PEM = { (const uint8_t *)"certificate", 11 };

static bool exists(const char *name)
{
    struct stat found;

    return stat(name, &found) == 0;
}

static int start_empty(void **state)
{
    (void)state;
    unlink("d1.key");
    unlink("d1.pem");
    unlink("d1.key.new");
    return 0;
}

static void what_fails_leaves_nothing(void **state)
{
    struct cli_identity identity;

    (void)state;
    assert_int_equal(cli_identity_make(AT_FDCWD, "d1", false, &identity), RC_OK);
    assert_true(exists("d1.key.new"));
    cli_identity_close(&identity);
    assert_false(exists("d1.key.new") || exists("d1.key") || exists("d1.pem"));
}

static void a_key_is_its_owners_alone_and_not_overwritten(void **state)
{
    struct cli_identity identity;
    struct stat found;
    AUTO_BUF(before, 4096);
    AUTO_BUF(after, 4096);

    (void)state;
    assert_int_equal(cli_identity_make(AT_FDCWD, "d1", false, &identity), RC_OK);
    assert_int_equal(cli_identity_finish(&identity, PEM), RC_OK);
    cli_identity_close(&identity);
    assert_int_equal(stat("d1.key", &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(file_read(AT_FDCWD, "d1.key", &before), RC_OK);

    assert_int_equal(cli_identity_make(AT_FDCWD, "d1", false, &identity), RC_EXISTS);
    cli_identity_close(&identity);
    assert_int_equal(cli_identity_make(AT_FDCWD, "d1", true, &identity), RC_OK);
    cli_identity_close(&identity); /* replaced only when a certificate came */
    assert_int_equal(file_read(AT_FDCWD, "d1.key", &after), RC_OK);
    assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
}

static void a_name_is_never_a_path(void **state)
{
    static const char *const BAD[] = { "", "../d1", "a/b", ".d1", "-d1" };
    struct cli_identity identity;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(cli_identity_make(AT_FDCWD, BAD[i], false, &identity), RC_MALFORMED);
        cli_identity_close(&identity);
        assert_int_equal(cli_identity_open(AT_FDCWD, BAD[i], &identity), RC_MALFORMED);
        cli_identity_close(&identity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_fails_leaves_nothing, start_empty),
        cmocka_unit_test_setup(a_key_is_its_owners_alone_and_not_overwritten, start_empty),
        cmocka_unit_test(a_name_is_never_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
