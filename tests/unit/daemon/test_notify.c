#include "tests/support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "daemon/notify.h"

static int manager_at(const struct sockaddr_un *at, size_t name_len)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len)),
                     0);
    return fd;
}

static void check_told(int manager)
{
    struct daemon_notify notify;
    char said[16] = "";

    assert_int_equal(daemon_notify_open(&notify), RC_OK);
    daemon_notify_tell(&notify, "READY=1");
    assert_int_equal(recv(manager, said, sizeof said, 0), 7);
    assert_string_equal(said, "READY=1");
    daemon_notify_close(&notify);
    close(manager);
}

static void tells_a_socket_in_a_folder_or_an_abstract_one(void **state)
{
    struct sockaddr_un in_folder = { .sun_family = AF_UNIX,
                                     .sun_path = "/tmp/touchmark-test-notify" };
    struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0tm-notify" };

    (void)state;
    unlink(in_folder.sun_path);
    setenv("NOTIFY_SOCKET", in_folder.sun_path, 1);
    check_told(manager_at(&in_folder, strlen(in_folder.sun_path)));
    unlink(in_folder.sun_path);
    setenv("NOTIFY_SOCKET", "@tm-notify", 1);
    check_told(manager_at(&abstract, strlen("@tm-notify")));
}

static void nobody_asked_means_nothing_told(void **state)
{
    struct daemon_notify notify;

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(daemon_notify_open(&notify), RC_OK);
    assert_int_equal(notify.fd, -1);
    daemon_notify_tell(&notify, "READY=1");
    daemon_notify_close(&notify);
}

static void refuses_another_kind_of_socket(void **state)
{
    struct daemon_notify notify;
    char longest[200];

    (void)state;
    setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    assert_int_equal(daemon_notify_open(&notify), RC_MALFORMED);
    setenv("NOTIFY_SOCKET", "/", 1);
    assert_int_equal(daemon_notify_open(&notify), RC_MALFORMED);
    memset(longest, '/', sizeof longest);
    longest[108] = '\0'; /* one more than a Unix name holds */
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(daemon_notify_open(&notify), RC_MALFORMED);
    unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_ours_or_nobodys(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0tm-watchdog" };
    [[maybe_unused]] AUTO_FD manager = manager_at(&at, strlen("@tm-watchdog"));
    struct daemon_notify notify;
    AUTO_BUF(text, 16);
    const char *pid = "";

    (void)state;
    buf_addf(&text, "%d", getpid());
    assert_int_equal(buf_text(&text, &pid), RC_OK);
    setenv("NOTIFY_SOCKET", "@tm-watchdog", 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(daemon_notify_open(&notify), RC_OK);
    assert_int_equal(notify.watchdog_ms, 1500);
    daemon_notify_close(&notify);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(daemon_notify_open(&notify), RC_OK);
    assert_int_equal(notify.watchdog_ms, 0);
    daemon_notify_close(&notify);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_socket_in_a_folder_or_an_abstract_one),
        cmocka_unit_test(nobody_asked_means_nothing_told),
        cmocka_unit_test(refuses_another_kind_of_socket),
        cmocka_unit_test(the_watchdog_is_ours_or_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
