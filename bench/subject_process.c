#include "bench/subject_internal.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { WAIT_MS = 20000, NAP_MS = 5 };

enum rc subject_path(char *path, const char *folder, const char *name)
{
    AUTO_BUF(text, SUBJECT_PATH_MAX - 1);
    const char *made;

    buf_addf(&text, "%s/%s", folder, name);
    TRY(buf_text(&text, &made));
    memcpy(path, made, text.len + 1);
    return RC_OK;
}

/* In the child. execvp() takes its words as not const, and does not change them. */
[[gnu::noreturn]] static void become(const char *const *argv, int out, const char *error_path,
                                     int signal)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int errors = open(error_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    union {
        const char *const *shown;
        char *const *taken;
    } words = { argv };

    prctl(PR_SET_PDEATHSIG, signal);
    if (in < 0 || errors < 0 || dup2(in, 0) < 0 || dup2(out >= 0 ? out : errors, 1) < 0 ||
        dup2(errors, 2) < 0)
        _exit(126);
    execvp(argv[0], words.taken);
    _exit(127);
}

enum rc subject_spawn(const char *const *argv, int out, const char *error_path, int signal,
                      pid_t *pid)
{
    pid_t child = fork();

    if (child < 0)
        return fault_errno("fork");
    if (child == 0)
        become(argv, out, error_path, signal);
    *pid = child;
    return RC_OK;
}

enum rc subject_free_port(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return fault_errno("free port");
    *port = ntohs(at.sin_port);
    return RC_OK;
}

static bool listens(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
}

enum rc subject_wait_port(uint16_t port, pid_t pid)
{
    const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
    siginfo_t ended = { 0 };

    for (int waited = 0; waited < WAIT_MS; waited += NAP_MS) {
        if (listens(port))
            return RC_OK;
        if (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            ended.si_pid == pid)
            return fault(RC_CLOSED, "it ended instead of listening");
        nanosleep(&nap, NULL);
    }
    return fault(RC_BUSY, "it does not listen");
}

enum rc subject_read_line(int fd, struct buf *line)
{
    uint8_t byte;
    ssize_t got;

    while ((got = read(fd, &byte, 1)) == 1 && byte != '\n' && !line->broken)
        buf_add_u8(line, byte);
    return got == 1 && !line->broken ? RC_OK : fault(RC_CLOSED, "it ended without a word");
}
