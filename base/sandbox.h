/* The jail that a process puts itself in once everything it needs is open. */
#pragma once

#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Order in every process: open, jail, serve. sandbox_enter() closes the way back:
 * no new privileges, no dumps and no ptrace by equals (PR_SET_DUMPABLE 0), resource limits,
 * Landlock for files and TCP, then a seccomp allow-list. A call outside the list
 * kills the process: a jail that answers politely invites another try, and the
 * supervisor reports SIGSYS as what it is. A few calls that libraries only
 * probe with are answered EPERM or ENOSYS instead, by name, in sandbox_calls.c.
 */
enum sandbox_access {
    SANDBOX_READ = 1,
    SANDBOX_WRITE = 2,
    SANDBOX_MAKE = 4 /* create, remove, rename */
};

/* A file or folder (all below it) that stays reachable. */
struct sandbox_path {
    const char *path;
    unsigned access;
    bool optional; /* may be missing */
};

/* Groups of system calls beyond the common ones (memory, time, futex, read and write on open
 * descriptors, epoll, exit). */
enum sandbox_calls {
    SANDBOX_CALLS_FILES = 1,   /* open, stat, rename, unlink, sync, lock: Landlock says where */
    SANDBOX_CALLS_MAP = 2,     /* shared mappings of files (LMDB) */
    SANDBOX_CALLS_THREADS = 4, /* clone for threads only */
    SANDBOX_CALLS_ACCEPT =
        8, /* accept4, shutdown, get and setsockopt, getpeername on inherited listeners */
    SANDBOX_CALLS_CONNECT = 16, /* socket and connect, stream only */
    SANDBOX_CALLS_PASS = 32,    /* sendmsg and recvmsg with descriptors; socketpair */
    SANDBOX_CALLS_CHILDREN =
        64 /* fork, execve, wait, kill: the supervisor's own, nobody else's */
};

struct sandbox {
    const char *name;
    unsigned calls; /* set of enum sandbox_calls */
    const struct sandbox_path *paths;
    size_t path_count;
    const uint16_t *connect_ports; /* TCP ports that may be connected to; with Landlock ABI 4 */
    size_t connect_port_count;
    uint64_t file_bytes_max; /* RLIMIT_FSIZE; 0: no files grow */
    uint64_t files_max;      /* RLIMIT_NOFILE */
    uint64_t memory_max;     /* RLIMIT_AS; 0: not limited */
    bool lock_memory;        /* mlockall(MCL_CURRENT | MCL_FUTURE); a refusal is a fault naming
                                RLIMIT_MEMLOCK */
    int landlock_abi_most;   /* 0: what the kernel has; tests cap it at 2 */
};

/* What the kernel gave, for the log: "landlock abi 7, seccomp, ..." and what is missing and why
 * it matters. */
struct sandbox_report {
    int landlock_abi; /* 0: none */
    char text[256];
};

/*
 * RC_IO if the kernel refuses something demanded. Without Landlock, or below ABI 2: RC_DENIED
 * with a text that says what the kernel lacks and how to go on (setting sandbox.landlock =
 * optional sets landlock_optional).
 */
enum rc sandbox_enter(const struct sandbox *jail, bool landlock_optional,
                      struct sandbox_report *report);

/* Become uid and gid with no supplementary groups, for good; verified by trying to return. */
enum rc sandbox_become(uint32_t uid, uint32_t gid);
/* The parts that need no jail yet and should come first in main(): no dumps, umask 077. */
enum rc sandbox_begin(void);
