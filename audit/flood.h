/* Refusals that the authority itself makes: the first few of a window one by one, the rest in
 * aggregate, and none lost. */
#pragma once

#include "audit/log.h"

/*
 * Acts that agree in action, decision, kind of fault, rule and actor (of nobody: peer, without
 * its port) are one flood. The first of a window go into the log as they are. Those that follow
 * are counted in a row of AUDIT_FLOODS, in the transaction that refuses them, so that what was
 * counted outlives whatever happens, as a record would. When the window is over the count
 * becomes one record, in all else as the last one that was told one by one.
 *
 * Each target, the device that it is about and what else the record names as its target, is
 * counted for itself, behind a record of its own: so each is found under its name. What comes
 * on top of AUDIT_FLOOD_APART targets of a window is counted together, in a record that names
 * none of them.
 *
 * A row names that record by its index and holds nothing of its body, and its key is hashed
 * under octets drawn at audit_flood_new(), so it tells nothing that an erasure would have to
 * find. Rows of an earlier life are told by the first flush.
 *
 * Told one by one, always: what was allowed, actions without an aggregate field, and records
 * that name a certificate's serial (something was signed).
 */
enum { AUDIT_FLOOD_APART = 32 };
struct audit_flood_limits {
    int64_t window_ms;
    uint32_t one_by_one; /* of a window; at least 1 */
};

struct audit_flood;
/* log is borrowed; first_table is its own. RC_NOMEM, RC_IO (random octets). */
enum rc audit_flood_new(struct audit_log *log, unsigned first_table,
                        const struct audit_flood_limits *limits, struct audit_flood **flood);
void audit_flood_free(struct audit_flood *flood);
AUTO_STRUCT(audit_flood, audit_flood_free)

/* One act, told or counted. fault: the kind of what was wrong; reasons differ in words. */
enum rc audit_flood_add(struct audit_flood *flood, struct store_txn *txn,
                        const struct audit_record *record, unsigned fault);
/* Tell of the windows that are over by now (wall clock), or of all; some at a time: *more says
 * whether to come again. */
enum rc audit_flood_flush(struct audit_flood *flood, struct store_txn *txn, int64_t now_ms,
                          bool all, bool *more);
/* Is there something to flush, now or later? Of an earlier life, once it was looked for. */
bool audit_flood_is_open(const struct audit_flood *flood);
enum rc audit_flood_look(struct audit_flood *flood, struct store_txn *txn);
