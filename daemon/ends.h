/* The ends of processes that are to stand in the audit log, until they do: touchmarkd keeps
 * them while the authority is away or has no room. */
#pragma once

#include "base/loop.h"
#include "daemon/control.h"

enum { DAEMON_ENDS_MAX = 64 };

/* Told in their order, one at a time. Of more than there is room for the last one stands for
 * all that had none, and says how many. Zeroed but for the first four, it is empty. */
struct daemon_ends {
    struct loop_timer again; /* first member */
    struct loop *loop;
    /* Over which link they are told now; NULL: nobody listens. */
    struct link *(*listener)(void *with);
    /* Nothing is on its way any more: it was told, or refused. */
    void (*rests)(void *with);
    void *with;
    struct daemon_end at[DAEMON_ENDS_MAX];
    size_t count;
    bool on_its_way; /* the first */
};

void daemon_ends_add(struct daemon_ends *ends, const struct daemon_end *end);
/* Go on, if somebody listens: after each end, and when the listener begins to serve. */
void daemon_ends_tell(struct daemon_ends *ends);
void daemon_ends_stop(struct daemon_ends *ends);
