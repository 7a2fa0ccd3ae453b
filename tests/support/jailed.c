#include "tests/support/jailed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

static const struct sandbox_path PATHS[] = {
    { "jail/read", SANDBOX_READ, false },
    { "jail/write", SANDBOX_READ | SANDBOX_WRITE, false },
    { "jail/make", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE, false },
    { "jail/missing", SANDBOX_READ, true },
};

static uint16_t port;
static int listener = -1;

uint16_t jailed_port(void)
{
    return port;
}

struct sandbox jailed_in(unsigned calls)
{
    return (struct sandbox){ .name = "test",
                             .calls = calls,
                             .paths = PATHS,
                             .path_count = sizeof PATHS / sizeof *PATHS,
                             .connect_ports = &port,
                             .connect_port_count = 1 };
}

int jailed_result(long returned)
{
    return returned < 0 ? errno : 0;
}

static int end_of(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child)
        return -1;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? JAILED_KILLED : 2000 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

int jailed_outcome(const struct sandbox *jail, int (*probe)(void))
{
    pid_t child = fork();

    if (child == 0) {
        struct sandbox_report report;
        if (sandbox_begin() != RC_OK || sandbox_enter(jail, false, &report) != RC_OK)
            _exit(JAILED_NOT_ENTERED);
        _exit(probe());
    }
    return end_of(child);
}

int jailed_check(int (*check)(void))
{
    pid_t child = fork();

    if (child == 0)
        _exit(check());
    return end_of(child);
}

size_t jailed_count_wrong(const struct jailed_probe *probes, size_t count, int abi_most)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        struct sandbox jail = jailed_in(probes[i].calls);
        jail.landlock_abi_most = abi_most;
        int got = jailed_outcome(&jail, probes[i].probe);
        if (got == probes[i].expected)
            continue;
        fprintf(stderr, "%s: got %d, expected %d\n", probes[i].claim, got, probes[i].expected);
        wrong++;
    }
    return wrong;
}

static bool fill_file(const char *name, mode_t mode)
{
    AUTO_FD fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

    return write(fd, "0123456789", 10) == 10;
}

int jailed_set_up(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    (void)state;
    if (system(/* NOLINT(cert-env33-c): fixed words, before any jail */
               "rm -rf jail && mkdir -p jail/read jail/write jail/make") != 0 ||
        !fill_file("jail/secret", 0600) || !fill_file("jail/read/file", 0600) ||
        !fill_file("jail/write/file", 0600) || !fill_file("jail/make/program", 0700))
        return 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&at, &len) != 0)
        return 1;
    port = ntohs(at.sin_port);
    return 0;
}

int jailed_tear_down(void **state)
{
    (void)state;
    return close(listener);
}
