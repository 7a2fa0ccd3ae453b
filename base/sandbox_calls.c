#include "base/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#if defined __SANITIZE_ADDRESS__
#define SANITIZED
#endif

enum { ALWAYS = 0, CHECKS_MAX = 3 };

/* glibc's pthread_create() asks for exactly this (sysdeps/unix/sysv/linux/createthread.c). */
#define THREAD_FLAGS                                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define SET_ID_BITS (S_ISUID | S_ISGID)
#define EMPTYING    (O_TRUNC | O_ACCMODE)
/* Without fastopen: it would connect without connect(2), past Landlock. */
#define SEND_FLAGS MSG_FASTOPEN

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* linux/prctl.h of Linux 5.17 */
#endif

#define IS(arg, value)                                                                         \
    {                                                                                          \
        arg, SCMP_CMP_EQ, value, 0                                                             \
    }
#define NONE_OF(arg, bits)                                                                     \
    {                                                                                          \
        arg, SCMP_CMP_MASKED_EQ, bits, 0                                                       \
    }
#define ALL_OF(arg, bits)                                                                      \
    {                                                                                          \
        arg, SCMP_CMP_MASKED_EQ, bits, bits                                                    \
    }
#define MASKED(arg, bits, value)                                                               \
    {                                                                                          \
        arg, SCMP_CMP_MASKED_EQ, bits, value                                                   \
    }

/* A call that groups (any of them) allow, when all its checks hold. */
struct call {
    unsigned groups;
    int number;
    unsigned check_count;
    struct scmp_arg_cmp checks[CHECKS_MAX];
};

#define CALL(groups, name)                                                                     \
    {                                                                                          \
        groups, SCMP_SYS(name), 0,                                                             \
        {                                                                                      \
            {                                                                                  \
                0                                                                              \
            }                                                                                  \
        }                                                                                      \
    }
#define CALL_1(groups, name, first)                                                            \
    {                                                                                          \
        groups, SCMP_SYS(name), 1,                                                             \
        {                                                                                      \
            first                                                                              \
        }                                                                                      \
    }
#define CALL_2(groups, name, first, second)                                                    \
    {                                                                                          \
        groups, SCMP_SYS(name), 2,                                                             \
        {                                                                                      \
            first, second                                                                      \
        }                                                                                      \
    }
#define CALL_3(groups, name, first, second, third)                                             \
    {                                                                                          \
        groups, SCMP_SYS(name), 3,                                                             \
        {                                                                                      \
            first, second, third                                                               \
        }                                                                                      \
    }

#define FILES   SANDBOX_CALLS_FILES
#define MAP     SANDBOX_CALLS_MAP
#define THREADS SANDBOX_CALLS_THREADS
#define ACCEPT  SANDBOX_CALLS_ACCEPT
#define CONNECT SANDBOX_CALLS_CONNECT
#define PASS    SANDBOX_CALLS_PASS

/* clang-format off */
static const struct call ALLOWED[] = {
    /* Open descriptors. */
    CALL(ALWAYS, read), CALL(ALWAYS, readv), CALL(ALWAYS, pread64), CALL(ALWAYS, write),
    CALL(ALWAYS, writev), CALL(ALWAYS, pwrite64), CALL(ALWAYS, pwritev), CALL(ALWAYS, lseek),
    CALL(ALWAYS, close), CALL(ALWAYS, fstat), CALL(ALWAYS, fstat64),
    CALL_1(ALWAYS, newfstatat, IS(3, AT_EMPTY_PATH)), /* what fstat() is in glibc 2.33 and later */
    CALL_1(ALWAYS, fcntl, IS(1, F_GETFD)), CALL_1(ALWAYS, fcntl, IS(1, F_SETFD)),
    CALL_1(ALWAYS, fcntl, IS(1, F_GETFL)), CALL_1(ALWAYS, fcntl, IS(1, F_SETFL)),
    CALL_1(ALWAYS, fcntl, IS(1, F_DUPFD_CLOEXEC)),
    CALL_1(ALWAYS, ioctl, IS(1, FIONREAD)),
    CALL_2(ALWAYS, sendto, IS(4, 0), NONE_OF(3, SEND_FLAGS)), CALL(ALWAYS, recvfrom),
    /* Waiting. */
    CALL(ALWAYS, poll), CALL(ALWAYS, ppoll), CALL(ALWAYS, epoll_create1), CALL(ALWAYS, epoll_ctl),
    CALL(ALWAYS, epoll_wait), CALL(ALWAYS, epoll_pwait), CALL(ALWAYS, epoll_pwait2),
    CALL(ALWAYS, eventfd2), CALL(ALWAYS, signalfd4), CALL(ALWAYS, timerfd_create),
    CALL(ALWAYS, timerfd_settime), CALL(ALWAYS, timerfd_gettime), CALL(ALWAYS, futex),
    CALL(ALWAYS, nanosleep), CALL(ALWAYS, clock_nanosleep), CALL(ALWAYS, restart_syscall),
    CALL(ALWAYS, sched_yield),
    /* Memory, nothing executable. */
    CALL(ALWAYS, brk), CALL(ALWAYS, munmap), CALL(ALWAYS, mremap), CALL(ALWAYS, madvise),
    CALL_2(ALWAYS, mmap, NONE_OF(2, PROT_EXEC), ALL_OF(3, MAP_ANONYMOUS)),
    CALL_1(ALWAYS, mprotect, NONE_OF(2, PROT_EXEC)),
    CALL(ALWAYS, mlock), CALL(ALWAYS, munlock),
    CALL_1(MAP, mmap, NONE_OF(2, PROT_EXEC)), CALL(MAP, msync),
    /* Signals and the process itself; kill and tgkill to oneself are added at run time. */
    CALL(ALWAYS, rt_sigaction), CALL(ALWAYS, rt_sigprocmask), CALL(ALWAYS, rt_sigreturn),
    CALL(ALWAYS, rt_sigtimedwait), CALL(ALWAYS, sigaltstack),
    CALL(ALWAYS, getpid), CALL(ALWAYS, gettid), CALL(ALWAYS, getppid), CALL(ALWAYS, getuid),
    CALL(ALWAYS, geteuid), CALL(ALWAYS, getgid), CALL(ALWAYS, getegid), CALL(ALWAYS, getrusage),
    CALL(ALWAYS, times), CALL(ALWAYS, uname), CALL(ALWAYS, sysinfo), CALL(ALWAYS, getrandom),
    CALL(ALWAYS, sched_getaffinity), CALL(ALWAYS, getcpu),
    CALL(ALWAYS, clock_gettime), CALL(ALWAYS, clock_getres), CALL(ALWAYS, gettimeofday),
    CALL(ALWAYS, time),
    CALL_2(ALWAYS, prlimit64, IS(0, 0), IS(2, 0)), CALL(ALWAYS, getrlimit),
    CALL_1(ALWAYS, prctl, IS(0, PR_SET_NAME)),
    CALL(ALWAYS, exit), CALL(ALWAYS, exit_group),
    /* Threads. */
    CALL_1(THREADS, clone, IS(0, THREAD_FLAGS)), CALL(THREADS, set_robust_list),
    CALL(THREADS, rseq), CALL(THREADS, membarrier),
    /* Files. No truncate(2), and O_TRUNC with writing only: below ABI 3 Landlock lets both empty
     * a file that is granted for reading. No mode with set-id bits. */
    CALL_2(FILES, openat, NONE_OF(2, O_TRUNC), NONE_OF(3, SET_ID_BITS)),
    CALL_2(FILES, openat, MASKED(2, EMPTYING, O_TRUNC | O_WRONLY), NONE_OF(3, SET_ID_BITS)),
    CALL_2(FILES, openat, MASKED(2, EMPTYING, O_TRUNC | O_RDWR), NONE_OF(3, SET_ID_BITS)),
    CALL(FILES, newfstatat), CALL(FILES, stat), CALL(FILES, lstat), CALL(FILES, statx),
    CALL(FILES, fstatfs), CALL(FILES, access), CALL(FILES, faccessat), CALL(FILES, faccessat2),
    CALL(FILES, readlink), CALL(FILES, readlinkat), CALL(FILES, getcwd),
    CALL(FILES, getdents64), CALL(FILES, unlink), CALL(FILES, unlinkat), CALL(FILES, rename),
    CALL(FILES, renameat), CALL(FILES, renameat2), CALL(FILES, mkdir), CALL(FILES, mkdirat),
    CALL(FILES, rmdir), CALL(FILES, ftruncate), CALL(FILES, fallocate), CALL(FILES, fsync),
    CALL(FILES, fdatasync), CALL(FILES, sync_file_range), CALL(FILES, fadvise64),
    CALL(FILES, flock), CALL(FILES, umask),
    CALL_1(FILES, fchmod, NONE_OF(1, SET_ID_BITS)),
    CALL_1(FILES, fcntl, IS(1, F_GETLK)), CALL_1(FILES, fcntl, IS(1, F_SETLK)),
    CALL_1(FILES, fcntl, IS(1, F_SETLKW)), CALL_1(FILES, fcntl, IS(1, F_OFD_GETLK)),
    CALL_1(FILES, fcntl, IS(1, F_OFD_SETLK)), CALL_1(FILES, fcntl, IS(1, F_OFD_SETLKW)),
    /* Sockets. Protocol 0 or TCP: Landlock does not know the ports of MPTCP and SMC. */
    CALL(ACCEPT, accept4), CALL(ACCEPT | CONNECT, getsockopt),
    CALL(ACCEPT | CONNECT, getpeername), CALL(ACCEPT | CONNECT, getsockname),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, SOL_SOCKET), IS(2, SO_LINGER)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, SOL_SOCKET), IS(2, SO_SNDBUF)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, SOL_SOCKET), IS(2, SO_RCVBUF)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_CORK)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_QUICKACK)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_USER_TIMEOUT)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)),
    CALL_2(ACCEPT | CONNECT, setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT)),
    CALL_3(CONNECT, socket, IS(0, AF_UNIX), MASKED(1, 0xf, SOCK_STREAM), IS(2, 0)),
    CALL_3(CONNECT, socket, IS(0, AF_INET), MASKED(1, 0xf, SOCK_STREAM), IS(2, 0)),
    CALL_3(CONNECT, socket, IS(0, AF_INET), MASKED(1, 0xf, SOCK_STREAM), IS(2, IPPROTO_TCP)),
    CALL_3(CONNECT, socket, IS(0, AF_INET6), MASKED(1, 0xf, SOCK_STREAM), IS(2, 0)),
    CALL_3(CONNECT, socket, IS(0, AF_INET6), MASKED(1, 0xf, SOCK_STREAM), IS(2, IPPROTO_TCP)),
    CALL(CONNECT, connect),
    CALL_1(CONNECT, ioctl, IS(1, SIOCOUTQ)), /* what the other side has not acknowledged */
    /* Descriptors between our processes. */
    CALL_1(PASS, sendmsg, NONE_OF(2, SEND_FLAGS)), CALL(PASS, recvmsg),
    CALL(ACCEPT | CONNECT | PASS, shutdown), /* a link that cannot go on */
    CALL_1(PASS, socketpair, IS(0, AF_UNIX)), CALL(PASS, memfd_create), CALL(PASS, ftruncate),
    CALL_1(PASS, fcntl, IS(1, F_ADD_SEALS)), CALL_1(PASS, fcntl, IS(1, F_GET_SEALS)),
};

/* Calls that libraries only probe with, and the answer that makes them go on without. */
struct probe {
    unsigned unless; /* groups that allow the call for real */
    int error;
    struct call call;
};

static const struct probe PROBES[] = {
    /* pthread_create() falls back to clone(), whose flags a filter can see. */
    { ALWAYS, ENOSYS, CALL(ALWAYS, clone3) },
    /* A filter cannot see its flags either; callers fall back to openat(). */
    { ALWAYS, ENOSYS, CALL(ALWAYS, openat2) },
    /* malloc() looks at /proc/sys/vm/overcommit_memory when a thread's heap shrinks. */
    { FILES, EACCES, CALL(ALWAYS, openat) },
    /* stdio asks whether a descriptor is a terminal. */
    { ALWAYS, ENOTTY, CALL_1(ALWAYS, ioctl, IS(1, TCGETS)) },
    /* Later glibc names its mappings. */
    { ALWAYS, EINVAL, CALL_1(ALWAYS, prctl, IS(0, PR_SET_VMA)) },
};

/*
 * The supervisor's jail is inherited by programs that have yet to load and jail themselves, so it
 * can only name what none of them ever needs: other people's processes, kernel code and
 * configuration, namespaces, keyrings, and interfaces with a record of kernel holes.
 */
static const int FORBIDDEN[] = {
    SCMP_SYS(acct), SCMP_SYS(add_key), SCMP_SYS(adjtimex), SCMP_SYS(bpf), SCMP_SYS(chroot),
    SCMP_SYS(clock_adjtime), SCMP_SYS(clock_settime), SCMP_SYS(delete_module),
    SCMP_SYS(fanotify_init), SCMP_SYS(finit_module), SCMP_SYS(fsconfig), SCMP_SYS(fsmount),
    SCMP_SYS(fsopen), SCMP_SYS(fspick), SCMP_SYS(init_module), SCMP_SYS(io_setup),
    SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(io_uring_setup),
    SCMP_SYS(ioperm), SCMP_SYS(iopl), SCMP_SYS(kcmp), SCMP_SYS(kexec_file_load),
    SCMP_SYS(kexec_load), SCMP_SYS(keyctl), SCMP_SYS(lookup_dcookie), SCMP_SYS(mount),
    SCMP_SYS(mount_setattr), SCMP_SYS(move_mount), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(nfsservctl), SCMP_SYS(open_by_handle_at), SCMP_SYS(open_tree),
    SCMP_SYS(perf_event_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pivot_root),
    SCMP_SYS(process_madvise), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(ptrace), SCMP_SYS(quotactl), SCMP_SYS(quotactl_fd), SCMP_SYS(reboot),
    SCMP_SYS(request_key), SCMP_SYS(setdomainname), SCMP_SYS(sethostname), SCMP_SYS(setns),
    SCMP_SYS(settimeofday), SCMP_SYS(swapoff), SCMP_SYS(swapon), SCMP_SYS(syslog),
    SCMP_SYS(umount), SCMP_SYS(umount2), SCMP_SYS(unshare), SCMP_SYS(userfaultfd),
    SCMP_SYS(uselib), SCMP_SYS(ustat), SCMP_SYS(vhangup),
};
/* clang-format on */

#ifdef SANITIZED
/*
 * Sanitizer builds only, never in release: what AddressSanitizer's own run time calls. Its leak
 * check would ptrace its own process, which no jail of ours allows, so it is off from
 * sandbox_begin() on.
 */
static const struct call SANITIZER_ALLOWED[] = {
    CALL(ALWAYS, readlink),
    CALL_1(ALWAYS, prctl, IS(0, PR_GET_DUMPABLE)),
    CALL(ALWAYS, set_robust_list),
};

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return prctl(PR_GET_DUMPABLE) == 0;
}
#endif

static enum rc add(scmp_filter_ctx filter, uint32_t action, const struct call *call)
{
    int error =
        seccomp_rule_add_array(filter, action, call->number, call->check_count, call->checks);

    if (error != 0) {
        errno = -error;
        return fault_errno("seccomp: rule for call %d", call->number);
    }
    return RC_OK;
}

static enum rc allow_all(scmp_filter_ctx filter, unsigned groups, const struct call *calls,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i].groups == ALWAYS || calls[i].groups & groups)
            TRY(add(filter, SCMP_ACT_ALLOW, &calls[i]));
    return RC_OK;
}

static enum rc answer_probes(scmp_filter_ctx filter, unsigned groups)
{
    for (size_t i = 0; i < sizeof PROBES / sizeof *PROBES; i++)
        if (!(PROBES[i].unless & groups))
            TRY(add(filter, SCMP_ACT_ERRNO((uint32_t)PROBES[i].error), &PROBES[i].call));
    return RC_OK;
}

/* abort() and raise() must work; nobody else's process is ever signalled. */
static enum rc allow_signals_to_oneself(scmp_filter_ctx filter)
{
    const scmp_datum_t self = (scmp_datum_t)getpid();
    const struct call calls[] = {
        CALL_1(ALWAYS, kill, IS(0, self)),
        CALL_1(ALWAYS, tgkill, IS(0, self)),
    };

    return allow_all(filter, ALWAYS, calls, sizeof calls / sizeof *calls);
}

static enum rc fill(scmp_filter_ctx filter, unsigned groups)
{
    TRY(allow_all(filter, groups, ALLOWED, sizeof ALLOWED / sizeof *ALLOWED));
#ifdef SANITIZED
    TRY(allow_all(filter, groups, SANITIZER_ALLOWED,
                  sizeof SANITIZER_ALLOWED / sizeof *SANITIZER_ALLOWED));
#endif
    TRY(answer_probes(filter, groups));
    return allow_signals_to_oneself(filter);
}

static enum rc fill_forbidden(scmp_filter_ctx filter)
{
    const struct call new_user_namespace = CALL_1(ALWAYS, clone, ALL_OF(0, CLONE_NEWUSER));

    for (size_t i = 0; i < sizeof FORBIDDEN / sizeof *FORBIDDEN; i++)
        TRY(add(filter, SCMP_ACT_KILL_PROCESS, &(struct call){ .number = FORBIDDEN[i] }));
    TRY(answer_probes(filter, SANDBOX_CALLS_FILES));
    return add(filter, SCMP_ACT_KILL_PROCESS, &new_user_namespace);
}

static void release(scmp_filter_ctx *filter)
{
    seccomp_release(*filter);
}

enum rc sandbox_calls_enter(unsigned groups)
{
    bool children = groups & SANDBOX_CALLS_CHILDREN;
    [[gnu::cleanup(release)]] scmp_filter_ctx filter =
        seccomp_init(children ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);

    if (filter == NULL)
        return fault(RC_NOMEM, "seccomp filter");
    /* Level 2 makes a binary search of the filter, so that a call costs the same everywhere. */
    if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0)
        return fault(RC_IO, "seccomp: libseccomp lacks an attribute");
    TRY(children ? fill_forbidden(filter) : fill(filter, groups));
    int error = seccomp_load(filter);
    if (error != 0) {
        errno = -error;
        return fault_errno("seccomp: load the filter");
    }
    return RC_OK;
}
