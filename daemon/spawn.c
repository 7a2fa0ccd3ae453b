#include "daemon/spawn.h"

#include "base/own.h"
#include "base/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { FDS_MAX = DAEMON_FD_FIRST + DAEMON_DESCRIPTORS_MAX };

/* What the child tells the parent through a pipe when it cannot become the program. */
enum step { STEP_DESCRIPTORS, STEP_SESSION, STEP_USER, STEP_PARENT, STEP_EXECUTE };

static const char *const STEPS[] = {
    [STEP_DESCRIPTORS] = "arrange descriptors",
    [STEP_SESSION] = "leave the session",
    [STEP_USER] = "become its user",
    [STEP_PARENT] = "bind it to its parent",
    [STEP_EXECUTE] = "execute",
};

struct failure {
    enum step step;
    int cause;
};

/* First all copies above the numbers to be filled, then each to its place: sources and places
 * may overlap. The pipe comes right behind and leaves with execve. */
static int arrange(const struct daemon_spawn *what, int pipe)
{
    int copies[FDS_MAX];
    int count = (int)what->fd_count;
    int moved = fcntl(pipe, F_DUPFD_CLOEXEC, FDS_MAX + 1);

    if (moved < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if ((copies[i] = fcntl(what->fds[i], F_DUPFD_CLOEXEC, FDS_MAX + 1)) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if (dup2(copies[i], i) < 0)
            return -1;
    if (dup3(moved, count, O_CLOEXEC) < 0 || close_range((unsigned)count + 1, ~0U, 0) != 0)
        return -1;
    return count;
}

static void reset_signals(void)
{
    sigset_t none;

    /* SIGKILL, SIGSTOP and two that belong to glibc refuse, and need no reset. */
    for (int each = 1; each < _NSIG; each++)
        signal(each, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static enum step become(const struct daemon_spawn *what, pid_t parent)
{
    char *argv[] = { (char *)(uintptr_t)what->name, NULL };

    reset_signals();
    umask(077);
    if (setsid() < 0 || chdir("/") != 0)
        return STEP_SESSION;
    if (what->user.given && sandbox_become(what->user.uid, what->user.gid) != RC_OK)
        return STEP_USER;
    /* After the change of user, which clears it; and the parent may have died before. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return STEP_PARENT;
    execve(what->path, argv, (char *const *)(uintptr_t)what->environment);
    return STEP_EXECUTE;
}

[[gnu::noreturn]] static void run_child(const struct daemon_spawn *what, int pipe, pid_t parent)
{
    struct failure failure = { .step = STEP_DESCRIPTORS };
    int moved = arrange(what, pipe);

    if (moved >= 0) {
        pipe = moved;
        failure.step = become(what, parent);
    }
    failure.cause = errno;
    _exit(write(pipe, &failure, sizeof failure) == sizeof failure ? 71 : 72);
}

static enum rc fault_of(const struct daemon_spawn *what, const struct failure *failure)
{
    enum rc rc;

    errno = failure->cause;
    rc = fault_errno("%s: %s", what->path, STEPS[failure->step]);
    if (failure->step != STEP_EXECUTE)
        return rc;
    if (failure->cause == ENOENT)
        return RC_NOT_FOUND;
    return failure->cause == EACCES || failure->cause == ENOEXEC ? RC_DENIED : rc;
}

enum rc daemon_spawn_start(const struct daemon_spawn *what, pid_t *pid)
{
    AUTO_FD reading = -1;
    AUTO_FD writing = -1;
    int ends[2];
    struct failure failure;
    pid_t parent = getpid(), child;
    ssize_t n;

    assert(what->fd_count <= FDS_MAX);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_errno("pipe to a child");
    reading = ends[0];
    writing = ends[1];
    if ((child = fork()) == 0)
        run_child(what, writing, parent);
    if (child < 0)
        return fault_errno("fork for %s", what->name);

    close(TAKE_FD(writing));
    do
        n = read(reading, &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n == 0) {
        *pid = child;
        return RC_OK;
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    if (n != sizeof failure)
        return fault(RC_IO, "%s: child ended without a word", what->path);
    return fault_of(what, &failure);
}
