/* Starts the processes of a table, in order; restarts what dies; stops them all. */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "daemon/notify.h"
#include "daemon/spawn.h"

/*
 * A process is started when the one before it serves (it answered `begin`). One that dies is
 * started again, alone, after a wait that doubles with each restart and begins anew after a
 * calm while; its living peers get fresh ends of their channels. Never restarted: one that ends
 * with EX_CONFIG (78, wrong settings) or EX_NOPERM (77, wrong PIN), or whose program is not
 * there: then everything stops, the log says why in its last lines, and that code is ours.
 *
 * SIGTERM and SIGINT stop everything: each control link is closed, the last started first, one
 * after another; SIGTERM to the rest at 60 % of stop_within, SIGKILL at 90 %. SIGHUP is
 * reserved: logged, without effect. A child's process group is killed when the child is gone.
 */
struct daemon_supervisor;

/* A descriptor that rows of the table name as DAEMON_SUPPLIED; several of one name are handed
 * over one after another (the sockets of a listener). */
struct daemon_supply {
    const char *name;
    int fd;              /* borrowed; -1: the settings want none */
    const char *process; /* whose; NULL: of whoever lists it */
};

/* Everything is borrowed for the life of the supervisor. */
struct daemon_plan {
    const struct daemon_table *table;
    const char *folder;              /* of the programs, absolute */
    const struct daemon_user *users; /* one a process, in the table's order */
    const struct daemon_supply *supplies;
    size_t supply_count;
    int settings_fd; /* sealed (base/sealed.h) */
    int log_fd;      /* what the children write to */
    struct daemon_notify notify;
    int64_t stop_within_ms, ready_within_ms;
    int64_t restart_least_ms, restart_most_ms, calm_ms;
};

/* RC_MALFORMED for a table that contradicts itself, or names what the plan does not supply. */
enum rc daemon_supervisor_open(struct loop *loop, struct log *log,
                               const struct daemon_plan *plan,
                               struct daemon_supervisor **supervisor);
void daemon_supervisor_free(struct daemon_supervisor *supervisor);
AUTO_STRUCT(daemon_supervisor, daemon_supervisor_free)

/* From the first start until the last process is gone: 0 after a signal, 77 or 78 as above, or
 * 70 (EX_SOFTWARE) when the loop itself failed. Blocks SIGCHLD, SIGTERM, SIGINT, SIGHUP. */
int daemon_supervisor_run(struct daemon_supervisor *supervisor);
