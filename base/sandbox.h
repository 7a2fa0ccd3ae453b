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
 * probe with are answered with an errno instead, by name, in sandbox_calls.c.
 *
 * Enter with one thread: Landlock binds the calling thread and those it starts later.
 * Map everything executable before (dlopen): the jail maps nothing executable.
 *
 * What the jail does not do: stat(2) of any path is possible where calls allow stat at all,
 * and descriptors that are already open keep what they can do.
 */
enum sandbox_access {
    SANDBOX_READ = 1,
    SANDBOX_WRITE = 2,  /* to files that exist, truncation included */
    SANDBOX_MAKE = 4,   /* create, remove, rename files and folders */
    SANDBOX_EXECUTE = 8 /* execve; needs SANDBOX_CALLS_CHILDREN */
};

/* A file or folder (all below it) that stays reachable. Symbolic links are followed once, on
 * entry. */
struct sandbox_path {
    const char *path;
    unsigned access;
    bool optional; /* may be missing */
};

/* Groups of system calls beyond the common ones (memory, time, futex, read and write on open
 * descriptors, epoll, signals to oneself, exit). */
enum sandbox_calls {
    SANDBOX_CALLS_FILES = 1,   /* open, stat, rename, unlink, sync, lock: Landlock says where */
    SANDBOX_CALLS_MAP = 2,     /* mappings of files (LMDB) */
    SANDBOX_CALLS_THREADS = 4, /* clone for threads only */
    SANDBOX_CALLS_ACCEPT =
        8, /* accept4, shutdown, get and setsockopt, getpeername on inherited listeners */
    SANDBOX_CALLS_CONNECT =
        16, /* socket and connect: Unix, IPv4, IPv6; stream (TCP) only; SIOCOUTQ */
    SANDBOX_CALLS_PASS =
        32, /* sendmsg and recvmsg with descriptors; shutdown; socketpair; memfd */
    /*
     * fork, execve, wait, kill: the supervisor's own, nobody else's. What it grants and denies
     * is inherited through execve by every child, so this jail is another kind: of calls it
     * names the forbidden ones (kernel modules, bpf, io_uring, mounts, namespaces, ptrace,
     * keyrings ...) and of files it limits execve alone. Each child adds its own jail.
     */
    SANDBOX_CALLS_CHILDREN = 64
};

/* Lock what is touched from now on, so that secrets never reach a swap device. */
enum sandbox_lock {
    SANDBOX_LOCK_NOT,
    SANDBOX_LOCK,           /* a refusal is a fault naming RLIMIT_MEMLOCK */
    SANDBOX_LOCK_IF_ALLOWED /* a refusal is told in the report */
};

struct sandbox {
    const char *name;
    unsigned calls; /* set of enum sandbox_calls */
    const struct sandbox_path *paths;
    size_t path_count;
    const uint16_t *connect_ports; /* TCP ports that may be connected to; with Landlock ABI 4 */
    size_t connect_port_count;
    uint64_t file_bytes_max; /* RLIMIT_FSIZE, also of a log that is a file; 0: not limited */
    uint64_t files_max;      /* RLIMIT_NOFILE; 0: as inherited */
    uint64_t memory_max;     /* RLIMIT_AS; 0: not limited; no effect in sanitizer builds */
    enum sandbox_lock lock_memory;
    int landlock_abi_most; /* 0: what the kernel has; tests cap it at 2 */
};

/* What the kernel gave, for the log: "landlock abi 7, seccomp, ..." and what is missing and why
 * it matters. */
struct sandbox_report {
    int landlock_abi; /* 0: none */
    bool memory_locked;
    char text[256];
};

enum { SANDBOX_LANDLOCK_ABI_LEAST = 2 };

/*
 * RC_IO if the kernel refuses something demanded, RC_NOT_FOUND for a path that is missing and
 * not optional. Without Landlock, or below ABI 2: RC_DENIED with a text that says what the
 * kernel lacks and how to go on (setting sandbox.landlock = optional sets landlock_optional).
 * RC_DENIED with more than one thread. After a failure the process is jailed in part: it can
 * only exit.
 */
enum rc sandbox_enter(const struct sandbox *jail, bool landlock_optional,
                      struct sandbox_report *report);

/* Become uid and gid with no supplementary groups, for good; verified by trying to return.
 * RC_DENIED for uid or gid 0. */
enum rc sandbox_become(uint32_t uid, uint32_t gid);
/* Keep of root's powers only these (numbers of capabilities(7), each below 64), for this
 * process and whatever it executes; no effect without root. */
enum rc sandbox_keep_capabilities(const unsigned *kept, size_t count);
/* The parts that need no jail yet and come first in main(): no dumps, umask 077, descriptors 0
 * to 2 open (at least on /dev/null), so that no later file lands there. */
enum rc sandbox_begin(void);
