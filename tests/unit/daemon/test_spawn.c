#include "tests/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/file.h"
#include "daemon/spawn.h"

extern char **environ;

/* The test binary plays the child, too: it then describes how it was born on descriptor 2. */
static int describe_birth(const char *name)
{
    DIR *open_ones = opendir("/proc/self/fd");
    sigset_t blocked;
    struct sigaction on_pipe;
    char folder[64];

    if (open_ones == NULL || getcwd(folder, sizeof folder) == NULL)
        return 1;
    dprintf(2, "name %s\nfolder %s\nuser %u %u\n", name, folder, getuid(), getgid());
    for (struct dirent *each; (each = readdir(open_ones)) != NULL;)
        if (*each->d_name != '.' && strtol(each->d_name, NULL, 10) != dirfd(open_ones))
            dprintf(2, "fd %s\n", each->d_name);
    closedir(open_ones);
    for (char **each = environ; *each != NULL; each++)
        dprintf(2, "env %s\n", *each);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    sigaction(SIGPIPE, NULL, &on_pipe);
    dprintf(2, "blocked %d default %d umask %o leads %d\n", sigismember(&blocked, SIGUSR1),
            on_pipe.sa_handler == SIG_DFL, umask(0), getsid(0) == getpid());
    return 7;
}

static int wait_for_the_parent_to_die(void)
{
    dprintf(2, "child %d\n", getpid());
    pause();
    return 1;
}

static const char *start_and_read(struct daemon_spawn *what, int expected_status)
{
    static char said[8192];
    int log = open("said", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Sources overlap with places, and come in the opposite order. */
    const int fds[] = { nothing, nothing, log, 1, 0, log, nothing };
    pid_t pid = 0;
    int status = 0;

    what->fds = fds;
    what->fd_count = 7;
    assert_int_equal(daemon_spawn_start(what, &pid), RC_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected_status);
    ssize_t len = pread(log, said, sizeof said - 1, 0);
    assert_in_range(len, 1, sizeof said - 1);
    said[len] = '\0';
    what->fds = NULL;
    what->fd_count = 0;
    close(log);
    close(nothing);
    return said;
}

static void a_child_is_born_with_what_it_was_given_and_nothing_else(void **state)
{
    static const char *const environment[] = { "ONLY=this", NULL };
    struct daemon_spawn what = { .path = "/proc/self/exe",
                                 .name = "patient-birth",
                                 .environment = environment };
    int stray = open("/dev/null", O_RDONLY); /* not even close-on-exec */
    sigset_t blocked, before;

    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    setenv("SECRET", "leak", 1);
    umask(0);
    const char *said = start_and_read(&what, 7);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(stray);

    assert_non_null(strstr(said, "name patient-birth\nfolder /\n"));
    assert_non_null(strstr(said, "fd 6\n"));
    assert_null(strstr(said, "fd 7\n"));
    assert_null(strstr(said, "fd 8\n"));
    assert_null(strstr(said, "fd 9\n"));
    assert_non_null(strstr(said, "env ONLY=this\n"));
    assert_null(strstr(said, "SECRET"));
    assert_non_null(strstr(said, "blocked 0 default 1 umask 77 leads 1"));
}

static void a_child_becomes_its_user(void **state)
{
    static const char *const environment[] = { NULL };
    struct daemon_spawn what = { .path = "/proc/self/exe",
                                 .name = "patient-birth",
                                 .environment = environment,
                                 .user = { true, 65534, 65533 } };

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(strstr(start_and_read(&what, 7), "user 65534 65533\n"));
}

static void says_which_step_failed(void **state)
{
    static const char *const environment[] = { NULL };
    const int none[] = { 0 };
    const int closed[] = { 999 };
    struct daemon_spawn what = { .path = "/nowhere/program",
                                 .name = "program",
                                 .environment = environment,
                                 .fds = none,
                                 .fd_count = 1 };
    pid_t pid = -5;

    (void)state;
    assert_int_equal(daemon_spawn_start(&what, &pid), RC_NOT_FOUND);
    assert_non_null(strstr(fault_text(), "/nowhere/program: execute: No such file"));
    what.path = "/etc/passwd";
    assert_int_equal(daemon_spawn_start(&what, &pid), RC_DENIED);
    what.fds = closed;
    assert_int_equal(daemon_spawn_start(&what, &pid), RC_IO);
    assert_non_null(strstr(fault_text(), "arrange descriptors: Bad file descriptor"));
    what.fds = none;
    what.user = (struct daemon_user){ true, 0, 0 };
    assert_int_equal(daemon_spawn_start(&what, &pid), RC_IO);
    assert_non_null(strstr(fault_text(), "become its user"));
    assert_int_equal(pid, -5);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void no_orphan_stays(void **state)
{
    static const char *const environment[] = { NULL };
    int said[2], status = 0;
    char text[64] = "";

    (void)state;
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t parent = fork();
    if (parent == 0) {
        const int fds[] = { 0, 1, said[1] };
        struct daemon_spawn what = { .path = "/proc/self/exe",
                                     .name = "patient-orphan",
                                     .environment = environment,
                                     .fds = fds,
                                     .fd_count = 3 };
        pid_t pid;
        if (daemon_spawn_start(&what, &pid) != RC_OK)
            _exit(1);
        pause();
    }
    assert_in_range(read(said[0], text, sizeof text - 1), 7, sizeof text - 1);
    pid_t orphan = (pid_t)strtol(text + strlen("child "), NULL, 10);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(waitpid(orphan, &status, 0), orphan);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(said[0]);
    close(said[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_born_with_what_it_was_given_and_nothing_else),
        cmocka_unit_test(a_child_becomes_its_user),
        cmocka_unit_test(says_which_step_failed),
        cmocka_unit_test(no_orphan_stays),
    };

    (void)argc;
    if (strcmp(argv[0], "patient-birth") == 0)
        return describe_birth(argv[0]);
    if (strcmp(argv[0], "patient-orphan") == 0)
        return wait_for_the_parent_to_die();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
