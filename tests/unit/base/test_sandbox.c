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
#include "base/sandbox.h"

/*
 * Each probe runs in a child of its own that has entered a jail, tries one thing and ends with
 * errno (0: it worked). KILLED is what the jail does to a call outside its list.
 */
enum { KILLED = 1000, NOT_ENTERED = 250 };

static const struct sandbox_path PATHS[] = {
    { "jail/read", SANDBOX_READ, false },
    { "jail/write", SANDBOX_READ | SANDBOX_WRITE, false },
    { "jail/make", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE, false },
    { "jail/missing", SANDBOX_READ, true },
};

static uint16_t allowed_port;

static struct sandbox jail_of(unsigned calls)
{
    return (struct sandbox){ .name = "test",
                             .calls = calls,
                             .paths = PATHS,
                             .path_count = sizeof PATHS / sizeof *PATHS,
                             .connect_ports = &allowed_port,
                             .connect_port_count = 1 };
}

static int result(long returned)
{
    return returned < 0 ? errno : 0;
}

static int outcome(const struct sandbox *jail, int (*probe)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct sandbox_report report;
        if (sandbox_begin() != RC_OK || sandbox_enter(jail, false, &report) != RC_OK)
            _exit(NOT_ENTERED);
        _exit(probe());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : 2000 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

/* ---- What must go on working ---- */

static void nothing_to_do(int signal)
{
    (void)signal;
}

static int live_normally(void)
{
    char *grown = malloc(1 << 20);
    uint8_t random[8];

    if (grown == NULL || getentropy(random, sizeof random) != 0)
        return errno;
    memset(grown, 1, 1 << 20);
    grown = realloc(grown, 8 << 20);
    free(grown);
    signal(SIGUSR1, nothing_to_do);
    if (raise(SIGUSR1) != 0 || kill(getpid(), SIGUSR1) != 0 || isatty(2) != 0)
        return errno;
    return usleep(1000) != 0;
}

static void *touch(void *at)
{
    *(int *)at = 1;
    return NULL;
}

static int run_thread(void)
{
    pthread_t thread;
    int touched = 0;
    int error = pthread_create(&thread, NULL, touch, &touched);

    if (error != 0)
        return error;
    error = pthread_join(thread, NULL);
    return error != 0 ? error : !touched;
}

static int read_inside(void)
{
    AUTO_FD fd = open("jail/read/file", O_RDONLY);
    char byte;
    struct stat is;

    if (fd < 0 || read(fd, &byte, 1) != 1 || fstat(fd, &is) != 0)
        return errno;
    return 0;
}

static int write_inside(void)
{
    AUTO_FD fd = open("jail/write/file", O_WRONLY | O_TRUNC);

    return result(fd < 0 ? -1 : ftruncate(fd, 3));
}

static int make_inside(void)
{
    AUTO_FD fd = open("jail/make/new", O_WRONLY | O_CREAT, 0600);

    if (fd < 0 || fsync(fd) != 0 || rename("jail/make/new", "jail/make/old") != 0)
        return errno;
    return result(unlink("jail/make/old"));
}

static int make_pair(void)
{
    int pair[2];

    return result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
}

/* ---- What must not ---- */

static int open_outside(void)
{
    return result(open("/etc/passwd", O_RDONLY));
}
static int open_dotdot(void)
{
    return result(open("jail/read/../secret", O_RDONLY));
}
static int list_outside(void)
{
    return result(open("/", O_RDONLY | O_DIRECTORY));
}
static int open_own_memory(void)
{
    return result(open("/proc/self/mem", O_RDWR));
}
static int write_where_reading(void)
{
    return result(open("jail/read/file", O_WRONLY));
}
static int empty_where_reading(void)
{
    return result(open("jail/read/file", O_RDONLY | O_TRUNC));
}
static int truncate_by_path(void)
{
    return result(truncate("jail/read/file", 0));
}
static int make_where_writing(void)
{
    return result(open("jail/write/new", O_WRONLY | O_CREAT, 0600));
}
static int unlink_where_writing(void)
{
    return result(unlink("jail/write/file"));
}
static int rename_out(void)
{
    return result(rename("jail/write/file", "jail/make/stolen"));
}
static int link_in(void)
{
    return result(link("jail/secret", "jail/make/linked"));
}
static int make_symlink(void)
{
    return result(symlink("/etc/passwd", "jail/make/linked"));
}
static int make_device(void)
{
    return result(mknod("jail/make/device", S_IFCHR | 0600, 0));
}
static int make_set_uid(void)
{
    return result(open("jail/make/suid", O_WRONLY | O_CREAT, 04700));
}
static int change_mode(void)
{
    return result(chmod("jail/write/file", 0777));
}
static int execute(void)
{
    char *const argv[] = { (char[]){ "true" }, NULL };

    return result(execv("/bin/true", argv));
}
static int fork_one(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return result(child);
}
static int new_namespace(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int trace_parent(void)
{
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int be_traced(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int read_parent(void)
{
    char byte;
    struct iovec here = { &byte, 1 }, there = { &byte, 1 };

    return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}
static int kill_parent(void)
{
    return result(kill(getppid(), 0));
}
static int kill_all(void)
{
    return result(kill(-1, 0));
}
static int kill_thread_of_parent(void)
{
    return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static int own_signals_of_parent(void)
{
    return result(fcntl(0, F_SETOWN, getppid()));
}
static int map_executable(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? errno : 0;
}
static int turn_executable(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}
static int map_file(void)
{
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 0, 0);

    return at == MAP_FAILED ? errno : 0;
}
static int open_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}
static int open_datagram(void)
{
    return result(socket(AF_INET, SOCK_DGRAM, 0));
}
static int open_netlink(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int open_multipath(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 262));
}
static int listen_somewhere(void)
{
    struct sockaddr_in any = { .sin_family = AF_INET };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(bind(fd, (const struct sockaddr *)&any, sizeof any));
}
static int attach_filter(void)
{
    return result(setsockopt(0, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0));
}
static int set_up_ring(void)
{
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}
static int load_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}
static int read_keyring(void)
{
    return result(syscall(SYS_keyctl, 0, -3, 0));
}
static int dump_again(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1));
}
static int core_again(void)
{
    return result(setrlimit(RLIMIT_CORE, &(struct rlimit){ 4096, 4096 }));
}
static int become_root(void)
{
    return result(setresuid(0, 0, 0));
}
static int type_into_terminal(void)
{
    return result(ioctl(0, TIOCSTI, "x"));
}
static int enter_new_filter(void)
{
    return result(prctl(PR_SET_SECCOMP, 1, 0, 0, 0));
}
static int call_clone3(void)
{
    return result(syscall(SYS_clone3, NULL, 0));
}
static int call_openat2(void)
{
    return result(syscall(SYS_openat2, AT_FDCWD, "jail/secret", NULL, 0));
}
static int call_x32(void)
{
    return result(syscall(0x40000000 + SYS_getpid));
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(connect(fd, (const struct sockaddr *)&to, sizeof to));
}
static int connect_allowed(void)
{
    return connect_to(allowed_port);
}
static int connect_forbidden(void)
{
    return connect_to((uint16_t)(allowed_port == 9 ? 10 : 9));
}
static int connect_by_sending(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&to, sizeof to));
}
static int connect_by_message(void)
{
    struct msghdr message = { 0 };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(sendmsg(fd, &message, MSG_FASTOPEN));
}
static int connect_abstract(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0touchmark-jail-test" };
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return result(
        connect(fd, (const struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + 20));
}

static const struct probe {
    const char *claim;
    unsigned calls;
    int (*probe)(void);
    int expected;
} PROBES[] = {
    { "memory, signals to oneself and sleep work", 0, live_normally, 0 },
    { "threads work where granted", SANDBOX_CALLS_THREADS, run_thread, 0 },
    { "a file below a readable folder opens", SANDBOX_CALLS_FILES, read_inside, 0 },
    { "a file below a writable folder is rewritten", SANDBOX_CALLS_FILES, write_inside, 0 },
    { "files are made where granted", SANDBOX_CALLS_FILES, make_inside, 0 },
    { "a pair of sockets is made where granted", SANDBOX_CALLS_PASS, make_pair, 0 },
    { "an allowed port is reached", SANDBOX_CALLS_CONNECT, connect_allowed, 0 },

    { "no file opens without the group", 0, read_inside, EACCES },
    { "nothing outside opens", SANDBOX_CALLS_FILES, open_outside, EACCES },
    { "dot-dot does not lead out", SANDBOX_CALLS_FILES, open_dotdot, EACCES },
    { "no folder outside is listed", SANDBOX_CALLS_FILES, list_outside, EACCES },
    { "one's own memory file stays shut", SANDBOX_CALLS_FILES, open_own_memory, EACCES },
    { "read-only is not written", SANDBOX_CALLS_FILES, write_where_reading, EACCES },
    { "read-only is not emptied", SANDBOX_CALLS_FILES, empty_where_reading, KILLED },
    { "no truncate by path", SANDBOX_CALLS_FILES, truncate_by_path, KILLED },
    { "writing is not making", SANDBOX_CALLS_FILES, make_where_writing, EACCES },
    { "writing is not removing", SANDBOX_CALLS_FILES, unlink_where_writing, EACCES },
    { "nothing moves between grants", SANDBOX_CALLS_FILES, rename_out, EACCES },
    { "no hard links", SANDBOX_CALLS_FILES, link_in, KILLED },
    { "no symbolic links", SANDBOX_CALLS_FILES, make_symlink, KILLED },
    { "no device nodes", SANDBOX_CALLS_FILES, make_device, KILLED },
    { "no set-uid files", SANDBOX_CALLS_FILES, make_set_uid, KILLED },
    { "no modes by path", SANDBOX_CALLS_FILES, change_mode, KILLED },

    { "no execve", SANDBOX_CALLS_FILES, execute, KILLED },
    { "no fork", 0, fork_one, KILLED },
    { "no fork where threads are allowed", SANDBOX_CALLS_THREADS, fork_one, KILLED },
    { "no thread without the group", 0, run_thread, KILLED },
    { "no namespaces", 0, new_namespace, KILLED },
    { "no tracing", 0, trace_parent, KILLED },
    { "no being traced", 0, be_traced, KILLED },
    { "no reading of another's memory", 0, read_parent, KILLED },
    { "no signal to the parent", 0, kill_parent, KILLED },
    { "no signal to all", 0, kill_all, KILLED },
    { "no signal to another's thread", 0, kill_thread_of_parent, KILLED },
    { "no signals by descriptor owner", 0, own_signals_of_parent, KILLED },
    { "nothing executable is mapped", SANDBOX_CALLS_MAP, map_executable, KILLED },
    { "nothing turns executable", 0, turn_executable, KILLED },
    { "no file is mapped without the group", 0, map_file, KILLED },
    { "no io_uring", 0, set_up_ring, KILLED },
    { "no bpf", 0, load_bpf, KILLED },
    { "no keyrings", 0, read_keyring, KILLED },
    { "dumps stay off", 0, dump_again, KILLED },
    { "core files stay off", 0, core_again, KILLED },
    { "the user stays", 0, become_root, KILLED },
    { "no typing into a terminal", 0, type_into_terminal, KILLED },
    { "no other seccomp mode", 0, enter_new_filter, KILLED },
    { "clone3 is answered, for glibc falls back", 0, call_clone3, ENOSYS },
    { "openat2 is answered", SANDBOX_CALLS_FILES, call_openat2, ENOSYS },

    { "no socket", SANDBOX_CALLS_ACCEPT, open_socket, KILLED },
    { "no datagrams", SANDBOX_CALLS_CONNECT, open_datagram, KILLED },
    { "no netlink", SANDBOX_CALLS_CONNECT, open_netlink, KILLED },
    { "no multipath TCP, whose ports Landlock misses", SANDBOX_CALLS_CONNECT, open_multipath,
      KILLED },
    { "no listening", SANDBOX_CALLS_CONNECT, listen_somewhere, KILLED },
    { "no socket filters", SANDBOX_CALLS_ACCEPT, attach_filter, KILLED },
    { "no connecting by sendto", SANDBOX_CALLS_CONNECT, connect_by_sending, KILLED },
    { "no connecting by sendmsg", SANDBOX_CALLS_CONNECT | SANDBOX_CALLS_PASS,
      connect_by_message, KILLED },
};

static void check_probes(int abi_most)
{
    size_t wrong = 0;

    for (size_t i = 0; i < sizeof PROBES / sizeof *PROBES; i++) {
        struct sandbox jail = jail_of(PROBES[i].calls);
        jail.landlock_abi_most = abi_most;
        int got = outcome(&jail, PROBES[i].probe);
        if (got != PROBES[i].expected) {
            print_error("%s: got %d, expected %d\n", PROBES[i].claim, got, PROBES[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void each_probe_ends_as_told(void **state)
{
    (void)state;
    check_probes(0);
}

static void each_probe_ends_as_told_at_landlock_abi_2(void **state)
{
    (void)state;
    check_probes(2);
}

static int offered_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static void a_forbidden_port_is_refused_from_abi_4(void **state)
{
    struct sandbox jail = jail_of(SANDBOX_CALLS_CONNECT);

    (void)state;
    if (offered_abi() < 4)
        skip();
    assert_int_equal(outcome(&jail, connect_forbidden), EACCES);
    jail.landlock_abi_most = 3;
    assert_int_equal(outcome(&jail, connect_forbidden), ECONNREFUSED);
}

static void an_abstract_socket_outside_is_refused_from_abi_6(void **state)
{
    struct sandbox jail = jail_of(SANDBOX_CALLS_CONNECT);
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0touchmark-jail-test" };
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    if (offered_abi() < 6)
        skip();
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&at, offsetof(struct sockaddr_un, sun_path) + 20), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(outcome(&jail, connect_abstract), EPERM);
}

static void the_x32_calls_are_no_way_round(void **state)
{
    struct sandbox jail = jail_of(0);

    (void)state;
#ifndef __x86_64__
    skip();
#endif
    assert_int_equal(outcome(&jail, call_x32), KILLED);
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

    return result(fd < 0 ? -1 : rename("jail/make/here", "jail/write/there"));
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
        assert_int_equal(outcome(&jail, run_granted), 0);
        assert_int_equal(outcome(&jail, run_other), EACCES);
        assert_int_equal(outcome(&jail, write_and_link), 0);
        assert_int_equal(outcome(&jail, child_makes_namespace), KILLED);
        assert_int_equal(outcome(&jail, be_traced), KILLED);
        assert_int_equal(outcome(&jail, load_bpf), KILLED);
    }
}

/* ---- Entering ---- */

static void *wait_for_ever(void *unused)
{
    pause();
    return unused;
}

/* Runs check in a child; it ends with 0 if all held, else with the line. */
#define HOLDS(condition)                                                                       \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return __LINE__ % 200 + 1;                                                         \
    } while (0)

static void check_in_child(int (*check)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        _exit(check());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int second_thread(void)
{
    struct sandbox jail = jail_of(0);
    struct sandbox_report report;
    pthread_t thread;

    HOLDS(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    HOLDS(sandbox_enter(&jail, false, &report) == RC_DENIED);
    HOLDS(strstr(fault_text(), "threads run already") != NULL);
    return 0;
}

static int missing_path(void)
{
    static const struct sandbox_path gone = { "jail/gone", SANDBOX_READ, false };
    struct sandbox jail = { .name = "test", .paths = &gone, .path_count = 1 };
    struct sandbox_report report;

    HOLDS(sandbox_enter(&jail, false, &report) == RC_NOT_FOUND);
    HOLDS(strstr(fault_text(), "jail test: jail/gone: ") != NULL);
    return 0;
}

static int old_kernel(void)
{
    struct sandbox jail = jail_of(SANDBOX_CALLS_FILES);
    struct sandbox_report report = { .landlock_abi = 99 };

    jail.landlock_abi_most = 1;
    HOLDS(sandbox_enter(&jail, false, &report) == RC_DENIED);
    HOLDS(strstr(fault_text(), "sandbox.landlock = optional") != NULL);
    HOLDS(report.landlock_abi == 99);
    HOLDS(sandbox_enter(&jail, true, &report) == RC_OK);
    HOLDS(report.landlock_abi == 0);
    HOLDS(strstr(report.text, "NO LANDLOCK") != NULL);
    return open_outside();
}

static int report_says(void)
{
    struct sandbox jail = jail_of(0);
    struct sandbox_report report;

    jail.landlock_abi_most = 2;
    HOLDS(sandbox_enter(&jail, false, &report) == RC_OK);
    HOLDS(report.landlock_abi == 2);
    HOLDS(strstr(report.text, "landlock abi 2, seccomp") == report.text);
    HOLDS(strstr(report.text, "TCP ports are not limited") != NULL);
    return 0;
}

static int limits_hold(void)
{
    struct sandbox jail = jail_of(SANDBOX_CALLS_FILES);
    struct sandbox_report report;

    jail.files_max = 20;
    jail.file_bytes_max = 100;
    HOLDS(sandbox_enter(&jail, false, &report) == RC_OK);
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("jail/write/file", O_WRONLY);
    HOLDS(fd >= 0);
    HOLDS(pwrite(fd, "x", 1, 99) == 1);
    HOLDS(pwrite(fd, "x", 1, 100) == -1 && errno == EFBIG);
    for (int i = 0; i < 20; i++)
        fd = open("jail/read/file", O_RDONLY);
    HOLDS(fd == -1 && errno == EMFILE);
    return 0;
}

static int begin_holds(void)
{
    struct rlimit core;

    close(1);
    close(2);
    HOLDS(sandbox_begin() == RC_OK);
    HOLDS(fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0);
    HOLDS(prctl(PR_GET_DUMPABLE) == 0);
    HOLDS(umask(0) == 077);
    HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    return 0;
}

static void refuses_a_second_thread(void **state)
{
    (void)state;
    check_in_child(second_thread);
}
static void names_a_path_that_is_missing(void **state)
{
    (void)state;
    check_in_child(missing_path);
}
static void says_what_an_old_kernel_lacks(void **state)
{
    (void)state;
    check_in_child(old_kernel);
}
static void reports_what_the_kernel_gave(void **state)
{
    (void)state;
    check_in_child(report_says);
}
static void limits_files_and_their_size(void **state)
{
    (void)state;
    check_in_child(limits_hold);
}
static void begins_without_dumps_and_with_three_descriptors(void **state)
{
    (void)state;
    check_in_child(begin_holds);
}

/* ---- Users ---- */

static int become_another(void)
{
    HOLDS(sandbox_become(0, 65534) == RC_DENIED);
    HOLDS(sandbox_become(65534, 0) == RC_DENIED);
    HOLDS(getuid() == 0);
    HOLDS(sandbox_become(65534, 65533) == RC_OK);
    HOLDS(getuid() == 65534 && getegid() == 65533 && getgroups(0, NULL) == 0);
    HOLDS(setuid(0) == -1 && setgid(0) == -1);
    HOLDS(sandbox_become(65532, 65532) == RC_IO);
    return 0;
}

static int keep_few(void)
{
    static const unsigned kept[] = { 6, 7 }; /* CAP_SETGID, CAP_SETUID */

    HOLDS(sandbox_keep_capabilities(kept, 2) == RC_OK);
    HOLDS(chown("jail/secret", 1, 1) == -1 && errno == EPERM);
    HOLDS(prctl(PR_CAPBSET_READ, 0) == 0 && prctl(PR_CAPBSET_READ, 7) == 1);
    HOLDS(sandbox_become(65534, 65534) == RC_OK);
    return 0;
}

static void becomes_another_user_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    check_in_child(become_another);
}
static void keeps_only_the_capabilities_named(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    check_in_child(keep_few);
}

static void fill_file(const char *name, mode_t mode)
{
    AUTO_FD fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

    assert_int_equal(write(fd, "0123456789", 10), 10);
}

static int set_up(void **state)
{
    static int listener;
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    *state = &listener;
    assert_int_equal(system("rm -rf jail && mkdir -p jail/read jail/write jail/make"), 0);
    fill_file("jail/secret", 0600);
    fill_file("jail/read/file", 0600);
    fill_file("jail/write/file", 0600);
    fill_file("jail/make/program", 0700);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    allowed_port = ntohs(at.sin_port);
    return 0;
}

static int tear_down(void **state)
{
    close(*(int *)*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_probe_ends_as_told),
        cmocka_unit_test(each_probe_ends_as_told_at_landlock_abi_2),
        cmocka_unit_test(a_forbidden_port_is_refused_from_abi_4),
        cmocka_unit_test(an_abstract_socket_outside_is_refused_from_abi_6),
        cmocka_unit_test(the_x32_calls_are_no_way_round),
        cmocka_unit_test(the_supervisor_runs_granted_programs_only),
        cmocka_unit_test(refuses_a_second_thread),
        cmocka_unit_test(names_a_path_that_is_missing),
        cmocka_unit_test(says_what_an_old_kernel_lacks),
        cmocka_unit_test(reports_what_the_kernel_gave),
        cmocka_unit_test(limits_files_and_their_size),
        cmocka_unit_test(begins_without_dumps_and_with_three_descriptors),
        cmocka_unit_test(becomes_another_user_for_good),
        cmocka_unit_test(keeps_only_the_capabilities_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
