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
    free(grown);
    free(malloc(8 << 20));
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

static int make_pair(void)
{
    int pair[2];

    return jailed_result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
}
/* As a link does that cannot send. */
static int end_pair(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
        return jailed_result(-1);
    return jailed_result(shutdown(pair[0], SHUT_RDWR));
}

static int execute(void)
{
    char *const argv[] = { (char[]){ "true" }, NULL };

    return jailed_result(execv("/bin/true", argv));
}
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
static int trace_parent(void)
{
    return jailed_result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int be_traced(void)
{
    return jailed_result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int read_parent(void)
{
    char byte;
    struct iovec here = { &byte, 1 }, there = { &byte, 1 };

    return jailed_result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}
static int kill_parent(void)
{
    return jailed_result(kill(getppid(), 0));
}
static int kill_all(void)
{
    return jailed_result(kill(-1, 0));
}
static int kill_thread_of_parent(void)
{
    return jailed_result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static int own_signals_of_parent(void)
{
    return jailed_result(fcntl(0, F_SETOWN, getppid()));
}
static int map_executable(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? errno : 0;
}
static int turn_executable(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return jailed_result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}
static int map_file(void)
{
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 0, 0);

    return at == MAP_FAILED ? errno : 0;
}
static int open_socket(void)
{
    return jailed_result(socket(AF_INET, SOCK_STREAM, 0));
}
static int open_datagram(void)
{
    return jailed_result(socket(AF_INET, SOCK_DGRAM, 0));
}
static int open_netlink(void)
{
    return jailed_result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int open_multipath(void)
{
    return jailed_result(socket(AF_INET, SOCK_STREAM, 262));
}
static int listen_somewhere(void)
{
    struct sockaddr_in any = { .sin_family = AF_INET };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return jailed_result(bind(fd, (const struct sockaddr *)&any, sizeof any));
}
static int attach_filter(void)
{
    return jailed_result(setsockopt(0, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0));
}
static int set_up_ring(void)
{
    return jailed_result(syscall(SYS_io_uring_setup, 1, NULL));
}
static int load_bpf(void)
{
    return jailed_result(syscall(SYS_bpf, 0, NULL, 0));
}
static int read_keyring(void)
{
    return jailed_result(syscall(SYS_keyctl, 0, -3, 0));
}
static int dump_again(void)
{
    return jailed_result(prctl(PR_SET_DUMPABLE, 1));
}
static int core_again(void)
{
    return jailed_result(setrlimit(RLIMIT_CORE, &(struct rlimit){ 4096, 4096 }));
}
static int become_root(void)
{
    return jailed_result(setresuid(0, 0, 0));
}
static int type_into_terminal(void)
{
    return jailed_result(ioctl(0, TIOCSTI, "x"));
}
static int enter_new_filter(void)
{
    return jailed_result(prctl(PR_SET_SECCOMP, 1, 0, 0, 0));
}
static int call_clone3(void)
{
    return jailed_result(syscall(SYS_clone3, NULL, 0));
}
static int call_openat2(void)
{
    return jailed_result(syscall(SYS_openat2, AT_FDCWD, "jail/secret", NULL, 0));
}
static int call_x32(void)
{
    return jailed_result(syscall(0x40000000 + SYS_getpid));
}

static int connect_by_sending(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return jailed_result(
        sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&to, sizeof to));
}
static int connect_by_message(void)
{
    struct msghdr message = { 0 };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return jailed_result(sendmsg(fd, &message, MSG_FASTOPEN));
}
static const struct jailed_probe PROBES[] = {
    { "memory, signals to oneself and sleep work", 0, live_normally, 0 },
    { "threads work where granted", SANDBOX_CALLS_THREADS, run_thread, 0 },
    { "a pair of sockets is made where granted", SANDBOX_CALLS_PASS, make_pair, 0 },
    { "a socket is ended where granted", SANDBOX_CALLS_PASS, end_pair, 0 },
    { "no execve", SANDBOX_CALLS_FILES, execute, JAILED_KILLED },
    { "no fork", 0, fork_one, JAILED_KILLED },
    { "no fork where threads are allowed", SANDBOX_CALLS_THREADS, fork_one, JAILED_KILLED },
    { "no thread without the group", 0, run_thread, JAILED_KILLED },
    { "no namespaces", 0, new_namespace, JAILED_KILLED },
    { "no tracing", 0, trace_parent, JAILED_KILLED },
    { "no being traced", 0, be_traced, JAILED_KILLED },
    { "no reading of another's memory", 0, read_parent, JAILED_KILLED },
    { "no signal to the parent", 0, kill_parent, JAILED_KILLED },
    { "no signal to all", 0, kill_all, JAILED_KILLED },
    { "no signal to another's thread", 0, kill_thread_of_parent, JAILED_KILLED },
    { "no signals by descriptor owner", 0, own_signals_of_parent, JAILED_KILLED },
    { "nothing executable is mapped", SANDBOX_CALLS_MAP, map_executable, JAILED_KILLED },
    { "nothing turns executable", 0, turn_executable, JAILED_KILLED },
    { "no file is mapped without the group", 0, map_file, JAILED_KILLED },
    { "no io_uring", 0, set_up_ring, JAILED_KILLED },
    { "no bpf", 0, load_bpf, JAILED_KILLED },
    { "no keyrings", 0, read_keyring, JAILED_KILLED },
    { "dumps stay off", 0, dump_again, JAILED_KILLED },
    { "core files stay off", 0, core_again, JAILED_KILLED },
    { "the user stays", 0, become_root, JAILED_KILLED },
    { "no typing into a terminal", 0, type_into_terminal, JAILED_KILLED },
    { "no other seccomp mode", 0, enter_new_filter, JAILED_KILLED },
    { "clone3 is answered, for glibc falls back", 0, call_clone3, ENOSYS },
    { "openat2 is answered", SANDBOX_CALLS_FILES, call_openat2, ENOSYS },
    { "no socket", SANDBOX_CALLS_ACCEPT, open_socket, JAILED_KILLED },
    { "no datagrams", SANDBOX_CALLS_CONNECT, open_datagram, JAILED_KILLED },
    { "no netlink", SANDBOX_CALLS_CONNECT, open_netlink, JAILED_KILLED },
    { "no multipath TCP, whose ports Landlock misses", SANDBOX_CALLS_CONNECT, open_multipath,
      JAILED_KILLED },
    { "no listening", SANDBOX_CALLS_CONNECT, listen_somewhere, JAILED_KILLED },
    { "no socket filters", SANDBOX_CALLS_ACCEPT, attach_filter, JAILED_KILLED },
    { "no connecting by sendto", SANDBOX_CALLS_CONNECT, connect_by_sending, JAILED_KILLED },
    { "no connecting by sendmsg", SANDBOX_CALLS_CONNECT | SANDBOX_CALLS_PASS,
      connect_by_message, JAILED_KILLED },
};

static void each_probe_ends_as_told(void **state)
{
    (void)state;
    assert_int_equal(jailed_count_wrong(PROBES, sizeof PROBES / sizeof *PROBES, 0), 0);
}

static void each_probe_ends_as_told_at_landlock_abi_2(void **state)
{
    (void)state;
    assert_int_equal(jailed_count_wrong(PROBES, sizeof PROBES / sizeof *PROBES, 2), 0);
}

static void the_x32_calls_are_no_way_round(void **state)
{
    struct sandbox jail = jailed_in(0);

    (void)state;
#ifndef __x86_64__
    skip();
#endif
    assert_int_equal(jailed_outcome(&jail, call_x32), JAILED_KILLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_probe_ends_as_told),
        cmocka_unit_test(each_probe_ends_as_told_at_landlock_abi_2),
        cmocka_unit_test(the_x32_calls_are_no_way_round),
    };
    return cmocka_run_group_tests(tests, jailed_set_up, jailed_tear_down);
}
