#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/secret.h"
#include "daemon/pin.h"

static char folder[2048];

static const char *path_of(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    AUTO_FD fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void a_pin_arrives_sealed_and_unchanged(void **state)
{
    AUTO_FD fd = -1;
    AUTO_SECRET(pin);

    (void)state;
    put("pin", "1234\n", 0600);
    assert_int_equal(daemon_pin_open(path_of("pin"), &fd), RC_OK);
    assert_int_equal(secret_read_fd(&pin, fd), RC_OK);
    assert_true(secret_equals(&pin, BYTES("1234")));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void a_pin_comes_from_a_credential(void **state)
{
    AUTO_FD fd = -1;

    (void)state;
    put("pin", "1234", 0400);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(daemon_pin_open("credential:pin", &fd), RC_OK);
    assert_int_equal(daemon_pin_open("credential:none", &fd), RC_NOT_FOUND);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(daemon_pin_open("credential:pin", &fd), RC_NOT_FOUND);
    assert_non_null(strstr(fault_text(), "LoadCredential=pin:FILE"));
}

static void refuses_a_file_that_others_read(void **state)
{
    static const mode_t open_modes[] = { 0640, 0604, 0660, 0620, 0610 };
    int fd = -7;

    (void)state;
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        put("pin", "1234", open_modes[i]);
        assert_int_equal(daemon_pin_open(path_of("pin"), &fd), RC_DENIED);
    }
    put("pin", "1234", 0600);
    if (geteuid() == 0) {
        assert_int_equal(chown("pin", 65534, 65534), 0);
        assert_int_equal(daemon_pin_open(path_of("pin"), &fd), RC_DENIED);
        assert_int_equal(chown("pin", 0, 0), 0);
    }
    assert_int_equal(fd, -7);
}

static void refuses_what_is_no_file_with_a_pin(void **state)
{
    char longest[SECRET_MAX + 2] = "";
    int fd = -7;

    (void)state;
    assert_int_equal(daemon_pin_open("pin", &fd), RC_MALFORMED);
    assert_int_equal(daemon_pin_open("1234", &fd), RC_MALFORMED);
    assert_int_equal(daemon_pin_open("credential:", &fd), RC_MALFORMED);
    assert_int_equal(daemon_pin_open("credential:../pin", &fd), RC_MALFORMED);
    assert_int_equal(daemon_pin_open(folder, &fd), RC_DENIED);
    assert_int_equal(daemon_pin_open(path_of("absent"), &fd), RC_NOT_FOUND);
    put("empty", "", 0600);
    assert_int_equal(daemon_pin_open(path_of("empty"), &fd), RC_MALFORMED);
    memset(longest, '1', SECRET_MAX + 1);
    put("long", longest, 0600);
    assert_int_equal(daemon_pin_open(path_of("long"), &fd), RC_LIMIT);
    unlink("link");
    assert_int_equal(symlink("pin", "link"), 0);
    assert_int_equal(daemon_pin_open(path_of("link"), &fd), RC_IO);
    assert_int_equal(fd, -7);
}

static int set_up(void **state)
{
    (void)state;
    return getcwd(folder, sizeof folder) == NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_arrives_sealed_and_unchanged),
        cmocka_unit_test(a_pin_comes_from_a_credential),
        cmocka_unit_test(refuses_a_file_that_others_read),
        cmocka_unit_test(refuses_what_is_no_file_with_a_pin),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
