/* The lives of processes that write no records of their own: that they serve, as the authority
 * sees it, and how they end, as touchmarkd tells. Private to daemon/authority*.c. */
#pragma once

#include "audit/record.h"
#include "base/loop.h"
#include "registry/rights.h"

struct daemon_authority;

enum { DAEMON_AUTHORITY_STARTS = 8 };

/* That a process serves, or is not used. */
struct daemon_authority_start {
    const char *process; /* static */
    enum rc rc;
    int64_t wall_ms;
    char reason[AUDIT_REASON_MAX + 1];
};

/* Those that found no room in the store so far, in their order. */
struct daemon_authority_starts {
    struct loop_timer again;
    struct daemon_authority_start at[DAEMON_AUTHORITY_STARTS];
    size_t count;
    uint64_t lost;  /* for want of a place here, since one was told */
    bool waits_for; /* an end that found no room: it stands before them, and will be told again
                     */
};

/* process.start of a process that writes no records; rc says why it is not used. Kept while
 * there is no room for it. */
void daemon_authority_tell_start(struct daemon_authority *authority, const char *process,
                                 enum rc rc, const char *reason);
void daemon_authority_ends_stop(struct daemon_authority *authority);
