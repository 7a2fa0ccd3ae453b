/* Counts what happens too often to be told one by one, without losing a count. */
#pragma once

#include "audit/pending.h"

/*
 * Acts that agree in decision, action, actor (or, of nobody, peer), device, correlation if
 * allowed, rule and reason are counted together for a window, which begins with the first of
 * them; handshakes that are allowed are so by certificate and address instead of correlation.
 * Of those not allowed the first few of a window go out one by one; after these the first four
 * topics are counted each by itself, then those of four parents (all levels but the last), then
 * those of four first levels, and what is left together: so the pattern of many does not hide
 * where another one went. Allowed traffic (audit_action_row) is always counted; anything else
 * that is allowed, and every action without an aggregate field, always goes out as it is. What
 * is counted stands in a slot of pending.h, so that no kill loses a count. One thread's.
 */
struct audit_aggregate;

struct audit_aggregate_limits {
    int64_t window_ms;
    uint64_t one_by_one; /* denials of a window that go out by themselves */
    size_t keys;         /* counted at a time; one more ends the window of the oldest */
    size_t targets;      /* told apart in a window, at most AUDIT_PENDING_TARGETS; beyond that
                          * the record says "or more" */
};

/* Where records go, and slots whose window is over, which the callee ends and owns from then on
 * (audit_pending_end()). What is returned other than RC_OK is returned, and what was to go out
 * is counted on. */
struct audit_aggregate_out {
    enum rc (*emit)(void *with, const struct audit_record *record);
    enum rc (*ended)(void *with, struct audit_slot *slot);
    void *with;
    struct audit_pending *pending;
};

enum rc audit_aggregate_new(const struct audit_aggregate_limits *limits,
                            const struct audit_aggregate_out *out,
                            struct audit_aggregate **aggregate);
/* What is still counted is for the next life: flush first. */
void audit_aggregate_free(struct audit_aggregate *aggregate);
AUTO_STRUCT(audit_aggregate, audit_aggregate_free)

/* One act; record->monotonic_ms is now. After an error it was neither sent nor counted. */
enum rc audit_aggregate_add(struct audit_aggregate *aggregate,
                            const struct audit_record *record);
/* Send out the windows that ended by now (monotonic); INT64_MAX for all. */
enum rc audit_aggregate_flush(struct audit_aggregate *aggregate, int64_t now_ms);
