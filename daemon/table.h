/* The table of processes: what each is called, what it executes, and which descriptors it is
 * born with. */
#pragma once

#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A process is born with 0 and 1 on /dev/null, 2 the log, 3 its settings, 4 its control link,
 * and from 5 on what its row lists, in that order; nothing else is open. The names of these are
 * told in its environment (daemon/child.h), so that a process asks for a name, not a number.
 */
enum {
    DAEMON_FD_LOG = 2,
    DAEMON_FD_SETTINGS = 3,
    DAEMON_FD_CONTROL = 4,
    DAEMON_FD_FIRST = 5,
    DAEMON_DESCRIPTORS_MAX = 32, /* of a row, sockets of listeners counted one by one */
    DAEMON_NAME_MAX = 32,        /* bytes of a process's or descriptor's name */
    DAEMON_PROCESSES_MAX = 16,
    DAEMON_CHANNELS_MAX = 32
};

enum daemon_kind {
    DAEMON_CHANNEL,  /* its end of the channel to the process of that name */
    DAEMON_SUPPLIED, /* opened once by touchmarkd under that name and kept across restarts: a
                        listener (one descriptor a socket), a PIN */
};

struct daemon_descriptor {
    enum daemon_kind kind;
    const char *name;
};

struct daemon_process {
    const char *name;    /* in logs, its argv[0], and its section of the settings */
    const char *program; /* a file beside the others, without a folder */
    const struct daemon_descriptor *descriptors;
    size_t descriptor_count;
};

/* Calls go one way (DESIGN.md D6): who asks, who answers. At most one between two processes. */
struct daemon_channel {
    const char *asking, *answering;
};

/* Processes start in this order and stop in the opposite one: who answers stands first. */
struct daemon_table {
    const struct daemon_process *processes;
    size_t process_count;
    const struct daemon_channel *channels;
    size_t channel_count;
};

/* What touchmarkd runs. */
const struct daemon_table *daemon_table_shipped(void);

/* RC_MALFORMED names what contradicts itself: a name twice, a channel that one end does not
 * list, an answering end that starts after the asking one, a program with a folder, a name that
 * is too long or holds a comma. */
enum rc daemon_table_check(const struct daemon_table *table);
/* The place of a process, or process_count. */
size_t daemon_table_find(const struct daemon_table *table, const char *name);
