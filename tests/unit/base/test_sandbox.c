#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/support/jailed.h"

static int fork_one(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return jailed_result(child);
}
static int new_namespace(void)
{
    return jailed_result(unshare(CLONE_NEWUSER));
}
static int be_traced(void)
{
    return jailed_result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int load_bpf(void)
{
    return jailed_result(syscall(SYS_bpf, 0, NULL, 0));
}
static int open_outside(void)
{
    return jailed_result(open("/etc/passwd", O_RDONLY));
}
/* ---- The jail of the supervisor ---- */

static const struct sandbox_path LOADER[] = { { "/bin", SANDBOX_EXECUTE, false },
                                              { "/usr/bin", SANDBOX_EXECUTE, false },
                                              { "/lib", SANDBOX_EXECUTE, true },
                                              { "/lib64", SANDBOX_EXECUTE, true },
                                              { "/usr/lib", SANDBOX_EXECUTE, true } };

static int run(const char *program)
{
    char *const argv[] = { (char[]){ "program" }, NULL };
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        execv(program, argv);
        _exit(errno);
    }
    if (waitpid(child, &status, 0) != child)
        return errno;
    return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
}
static int run_granted(void)
{
    return run("/bin/true");
}
static int run_other(void)
{
    return run("jail/make/program");
}
static int child_makes_namespace(void)
{
    return fork_one() != 0 ? 1 : new_namespace();
}
static int write_and_link(void)
{
    AUTO_FD fd = open("jail/make/here", O_WRONLY | O_CREAT, 0600);

    return jailed_result(fd < 0 ? -1 : rename("jail/make/here", "jail/write/there"));
}

static void the_supervisor_runs_granted_programs_only(void **state)
{
    struct sandbox jail = { .name = "supervisor",
                            .calls = SANDBOX_CALLS_CHILDREN,
                            .paths = LOADER,
                            .path_count = sizeof LOADER / sizeof *LOADER };

    (void)state;
    for (int most = 0; most <= 2; most += 2) {
        jail.landlock_abi_most = most;
        assert_int_equal(jailed_outcome(&jail, run_granted), 0);
        assert_int_equal(jailed_outcome(&jail, run_other), EACCES);
        assert_int_equal(jailed_outcome(&jail, write_and_link), 0);
        assert_int_equal(jailed_outcome(&jail, child_makes_namespace), JAILED_KILLED);
        assert_int_equal(jailed_outcome(&jail, be_traced), JAILED_KILLED);
        assert_int_equal(jailed_outcome(&jail, load_bpf), JAILED_KILLED);
    }
}

/* ---- Entering ---- */

static void *wait_for_ever(void *unused)
{
    pause();
    return unused;
}

static int second_thread(void)
{
    struct sandbox jail = jailed_in(0);
    struct sandbox_report report;
    pthread_t thread;

    JAILED_HOLDS(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_DENIED);
    JAILED_HOLDS(strstr(fault_text(), "threads run already") != NULL);
    return 0;
}

static int missing_path(void)
{
    static const struct sandbox_path gone = { "jail/gone", SANDBOX_READ, false };
    struct sandbox jail = { .name = "test", .paths = &gone, .path_count = 1 };
    struct sandbox_report report;

    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_NOT_FOUND);
    JAILED_HOLDS(strstr(fault_text(), "jail test: jail/gone: ") != NULL);
    return 0;
}

static int old_kernel(void)
{
    struct sandbox jail = jailed_in(SANDBOX_CALLS_FILES);
    struct sandbox_report report = { .landlock_abi = 99 };

    jail.landlock_abi_most = 1;
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_DENIED);
    JAILED_HOLDS(strstr(fault_text(), "sandbox.landlock = optional") != NULL);
    JAILED_HOLDS(report.landlock_abi == 99);
    JAILED_HOLDS(sandbox_enter(&jail, true, &report) == RC_OK);
    JAILED_HOLDS(report.landlock_abi == 0);
    JAILED_HOLDS(strstr(report.text, "NO LANDLOCK") != NULL);
    return open_outside();
}

static int report_says(void)
{
    struct sandbox jail = jailed_in(0);
    struct sandbox_report report;

    jail.landlock_abi_most = 2;
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_OK);
    JAILED_HOLDS(report.landlock_abi == 2);
    JAILED_HOLDS(strstr(report.text, "landlock abi 2, seccomp") == report.text);
    JAILED_HOLDS(strstr(report.text, "TCP ports are not limited") != NULL);
    return 0;
}

static int limits_hold(void)
{
    struct sandbox jail = jailed_in(SANDBOX_CALLS_FILES);
    struct sandbox_report report;

    jail.files_max = 20;
    jail.file_bytes_max = 100;
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_OK);
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("jail/write/file", O_WRONLY);
    JAILED_HOLDS(fd >= 0);
    JAILED_HOLDS(pwrite(fd, "x", 1, 99) == 1);
    JAILED_HOLDS(pwrite(fd, "x", 1, 100) == -1 && errno == EFBIG);
    for (int i = 0; i < 20; i++)
        fd = open("jail/read/file", O_RDONLY);
    JAILED_HOLDS(fd == -1 && errno == EMFILE);
    return 0;
}

/* AddressSanitizer makes mlockall() do nothing, and root may lock without a limit. */
static int locking_is_refused(void)
{
    struct sandbox jail = jailed_in(0);
    struct sandbox_report report;

    JAILED_HOLDS(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 4096, 4096 }) == 0);
    JAILED_HOLDS(geteuid() != 0 || sandbox_become(65534, 65534) == RC_OK);
    if (mlockall(MCL_CURRENT) == 0)
        return 0;
    jail.lock_memory = SANDBOX_LOCK;
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) != RC_OK);
    JAILED_HOLDS(strstr(fault_text(), "RLIMIT_MEMLOCK is too low") != NULL);
    jail.lock_memory = SANDBOX_LOCK_IF_ALLOWED;
    JAILED_HOLDS(sandbox_enter(&jail, false, &report) == RC_OK);
    JAILED_HOLDS(!report.memory_locked && strstr(report.text, "MEMORY NOT LOCKED") != NULL);
    return 0;
}

static int begin_holds(void)
{
    struct rlimit core;

    close(1);
    close(2);
    JAILED_HOLDS(sandbox_begin() == RC_OK);
    JAILED_HOLDS(fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0);
    JAILED_HOLDS(prctl(PR_GET_DUMPABLE) == 0);
    JAILED_HOLDS(umask(0) == 077);
    JAILED_HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    return 0;
}

static void refuses_a_second_thread(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(second_thread), 0);
}
static void names_a_path_that_is_missing(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(missing_path), 0);
}
static void says_what_an_old_kernel_lacks(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(old_kernel), 0);
}
static void reports_what_the_kernel_gave(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(report_says), 0);
}
static void limits_files_and_their_size(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(limits_hold), 0);
}
static void says_what_memory_locking_needs(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(locking_is_refused), 0);
}
static void begins_without_dumps_and_with_three_descriptors(void **state)
{
    (void)state;
    assert_int_equal(jailed_check(begin_holds), 0);
}

/* ---- Users ---- */

static int become_another(void)
{
    JAILED_HOLDS(sandbox_become(0, 65534) == RC_DENIED);
    JAILED_HOLDS(sandbox_become(65534, 0) == RC_DENIED);
    JAILED_HOLDS(getuid() == 0);
    JAILED_HOLDS(sandbox_become(65534, 65533) == RC_OK);
    JAILED_HOLDS(getuid() == 65534 && getegid() == 65533 && getgroups(0, NULL) == 0);
    JAILED_HOLDS(setuid(0) == -1 && setgid(0) == -1);
    JAILED_HOLDS(sandbox_become(65532, 65532) == RC_IO);
    return 0;
}

static int keep_few(void)
{
    static const unsigned kept[] = { 6, 7 }; /* CAP_SETGID, CAP_SETUID */

    JAILED_HOLDS(sandbox_keep_capabilities(kept, 2) == RC_OK);
    JAILED_HOLDS(chown("jail/secret", 1, 1) == -1 && errno == EPERM);
    JAILED_HOLDS(prctl(PR_CAPBSET_READ, 0) == 0 && prctl(PR_CAPBSET_READ, 7) == 1);
    JAILED_HOLDS(sandbox_become(65534, 65534) == RC_OK);
    return 0;
}

static void becomes_another_user_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(jailed_check(become_another), 0);
}
static void keeps_only_the_capabilities_named(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(jailed_check(keep_few), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_supervisor_runs_granted_programs_only),
        cmocka_unit_test(refuses_a_second_thread),
        cmocka_unit_test(names_a_path_that_is_missing),
        cmocka_unit_test(says_what_an_old_kernel_lacks),
        cmocka_unit_test(reports_what_the_kernel_gave),
        cmocka_unit_test(limits_files_and_their_size),
        cmocka_unit_test(says_what_memory_locking_needs),
        cmocka_unit_test(begins_without_dumps_and_with_three_descriptors),
        cmocka_unit_test(becomes_another_user_for_good),
        cmocka_unit_test(keeps_only_the_capabilities_named),
    };
    return cmocka_run_group_tests(tests, jailed_set_up, jailed_tear_down);
}
