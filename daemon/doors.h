/* What the doors keep over their restarts: listening sockets, and the memory that holds a
 * door's TLS key. */
#pragma once

#include "daemon/config.h"
#include "daemon/supervisor.h"

enum { DAEMON_DOORS_WORKERS_MAX = 24, DAEMON_DOORS_SUPPLIES = DAEMON_DOORS_WORKERS_MAX + 5 };

/* All -1 before it is opened: DAEMON_DOORS_NONE. */
struct daemon_doors {
    struct daemon_supply supplies[DAEMON_DOORS_SUPPLIES];
    size_t count;
};

/* Before the jail: ports below 1024 need root. On failure what is open is the caller's to
 * close. */
enum rc daemon_doors_open(const struct daemon_config *config, struct daemon_doors *doors);
void daemon_doors_close(struct daemon_doors *doors);
