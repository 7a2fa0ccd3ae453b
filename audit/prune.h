/* Retention: bodies older than a setting are erased to bare leaves, and never by a wrong clock.
 */
#pragma once

#include "audit/log.h"

/*
 * Pruning goes up from the oldest record and stops at the first that is not due. A clock of its
 * own says what is due: it is never ahead of the wall clock, and after a step of that it gains
 * at most AUDIT_PRUNE_PACE times what the monotonic clock tells. So a clock that is a year
 * ahead costs a day's records an hour, not a year's at once; one that is set right again is
 * followed at once. It begins at the newest record of the log when retention is first set, and
 * goes on in the store.
 *
 * A record that is dated ahead of the wall clock does not hold up the others for ever: from
 * when pruning stops at it, what is in the log then is due, whatever its date, once the
 * monotonic clock has told as many days as records stay; time in which nobody prunes does not
 * count. So it is never pruned younger than that, and goes at about twice that age at most.
 *
 * Records of erasing, holding and pruning stay, and so does what a hold covers. Once all
 * records of a window are pruned, the key of nobody's records in it is destroyed (sealing.h).
 */
enum { AUDIT_PRUNE_PACE = 24, AUDIT_PRUNE_DAYS_MAX = 36500 };

/* At the start of a life. *before is what it was; pruning is off at 0. */
enum rc audit_prune_set(struct audit_log *log, struct store_txn *txn, uint32_t days,
                        int64_t wall_ms, uint32_t *before);

/* Whether a step might find something to do, or has to tell of what was done. */
enum rc audit_prune_is_on(struct audit_log *log, struct store_txn *txn, bool *on);

struct audit_prune {
    int64_t wall_ms;
    int64_t
        elapsed_ms; /* by the monotonic clock, since the last step of this life; 0 at first */
    uint64_t below; /* not these nor later ones: not exported, under no checkpoint */
    unsigned most;  /* records to look at */
};

struct audit_pruned {
    bool run_begins;               /* tell of it: it is not over with this step; first is set */
    bool run_over;                 /* tell of it: nothing more is due, or it was much */
    uint64_t first, last, records; /* of the run: the lowest and highest index, how many */
    bool more;                     /* there is more to look at */
};
enum rc audit_prune_step(struct audit_log *log, struct store_txn *txn,
                         const struct audit_prune *prune, struct audit_pruned *pruned);

/* All records below it have been pruned, but for those that are never (whose place is this
 * store): the minimum index of C2SP tlog-tiles, "Pruning". A held one ends it. */
enum rc audit_prune_minimum(struct audit_log *log, struct store_txn *txn, uint64_t *index);
