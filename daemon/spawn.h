/* One child: fork and execve with exactly the descriptors, the environment and the user that it
 * was given. */
#pragma once

#include "daemon/table.h"

#include <stdint.h>
#include <sys/types.h>

struct daemon_user {
    bool given; /* else the child runs as its parent does */
    uint32_t uid, gid;
};

struct daemon_spawn {
    const char *path;               /* of the program, absolute */
    const char *name;               /* its argv[0]; there are no arguments */
    const char *const *environment; /* all of it, NULL at the end */
    const int *fds;                 /* fds[n] becomes descriptor n of the child; nothing else
                                       stays open */
    size_t fd_count;                /* <= DAEMON_FD_FIRST + DAEMON_DESCRIPTORS_MAX */
    struct daemon_user user;
};

/*
 * The child leads a session and process group of its own, has an empty signal mask and default
 * dispositions, umask 077, works in "/", and is killed when the thread that called this ends:
 * no orphan stays. Returns when execve succeeded or failed: RC_NOT_FOUND (no such program),
 * RC_DENIED (it may not be executed), RC_IO (anything else, worth another try); the text names
 * the step that failed.
 */
enum rc daemon_spawn_start(const struct daemon_spawn *what, pid_t *pid);
