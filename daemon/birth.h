/* What a child of a plan is born with: its descriptors in the table's order, their names, its
 * user. */
#pragma once

#include "daemon/channels.h"
#include "daemon/supervisor.h"

/* Where the channels' other ends are: does this process live, and hand it a fresh end. */
struct daemon_birth {
    const struct daemon_plan *plan;
    struct daemon_channels *channels;
    bool (*lives)(void *with, const char *process);
    enum rc (*tell)(void *with, const char *to, const char *from, int fd); /* fd is borrowed */
    void *with;
};

/* RC_MALFORMED as daemon_supervisor_open(). */
enum rc daemon_birth_open(const struct daemon_plan *plan,
                          bool (*lives)(void *with, const char *process),
                          enum rc (*tell)(void *with, const char *to, const char *from, int fd),
                          void *with, struct daemon_birth *birth);
void daemon_birth_close(struct daemon_birth *birth);

/* Start the process at this place of the table; failures as daemon_spawn_start(). *control is
 * our end of its control link, the caller's. former: how its former life failed, or "". */
enum rc daemon_birth_give(struct daemon_birth *birth, size_t place, const char *former,
                          pid_t *pid, int *control);
void daemon_birth_forget(struct daemon_birth *birth, const char *process);
