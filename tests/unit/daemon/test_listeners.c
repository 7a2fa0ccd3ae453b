#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "daemon/listeners.h"

static uint16_t port_of(int fd)
{
    struct sockaddr_in at = { 0 };
    socklen_t len = sizeof at;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

static int reach(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (const struct sockaddr *)&to, sizeof to);
}

static void workers_share_one_port(void **state)
{
    int fds[3] = { -1, -1, -1 };

    (void)state;
    assert_int_equal(daemon_listeners_open("127.0.0.1:0", 3, fds), RC_OK);
    assert_int_equal(port_of(fds[0]), port_of(fds[1]));
    assert_int_equal(port_of(fds[0]), port_of(fds[2]));
    assert_int_equal(reach(port_of(fds[0])), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        close(fds[i]);
    }
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* The door sets none itself: what it accepts must have them from here. */
static void what_is_accepted_outlives_no_dead_peer(void **state)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = -1;
    AUTO_FD client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(daemon_listeners_open("127.0.0.1:0", 1, &listener), RC_OK);
    to.sin_port = htons(port_of(listener));
    assert_int_equal(connect(client, (const struct sockaddr *)&to, sizeof to), 0);
    AUTO_FD accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    int silent = option_of(accepted, IPPROTO_TCP, TCP_KEEPIDLE);
    int probing = option_of(accepted, IPPROTO_TCP, TCP_KEEPINTVL) *
                  option_of(accepted, IPPROTO_TCP, TCP_KEEPCNT);
    assert_int_equal(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(silent + probing, 60, 900);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT),
                     (silent + probing) * 1000);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    close(listener);
}

static void a_taken_port_is_a_fault_that_names_it(void **state)
{
    AUTO_BUF(text, 64);
    const char *address = "";
    int first = -1, fds[2] = { -7, -7 };

    (void)state;
    assert_int_equal(daemon_listeners_open("127.0.0.1:0", 1, &first), RC_OK);
    buf_addf(&text, "127.0.0.1:%u", port_of(first));
    assert_int_equal(buf_text(&text, &address), RC_OK);
    assert_int_equal(daemon_listeners_open(address, 2, fds), RC_IO);
    assert_non_null(strstr(fault_text(), address));
    assert_int_equal(fds[0], -7);
    close(first);
}

static void refuses_what_is_no_address(void **state)
{
    static const char *const wrong[] = {
        "",     "127.0.0.1",     "127.0.0.1:", ":8883",       "127.0.0.1:65536", "127.0.0.1:-1",
        "[]:1", "[127.0.0.1]:1", "::1:1",      "localhost:1", "127.0.0.1:1x",    "127.0.0.256:1"
    };
    int fd = -7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (daemon_listeners_open(wrong[i], 1, &fd) != RC_MALFORMED)
            print_error("%s was taken\n", wrong[i]);
        assert_int_equal(fd, -7);
        assert_int_equal(daemon_listeners_open(wrong[i], 1, &fd), RC_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_share_one_port),
        cmocka_unit_test(what_is_accepted_outlives_no_dead_peer),
        cmocka_unit_test(a_taken_port_is_a_fault_that_names_it),
        cmocka_unit_test(refuses_what_is_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
