/* What one session did that was allowed, counted until its window ends. */
#pragma once

#include "audit/record.h"
#include "base/own.h"

/*
 * The audit log tells allowed traffic in aggregate, and every message counts: this is the count
 * on the hot path, a few comparisons a message and no hash, for audit/aggregate.h's window over
 * one session. Zeros are an empty one; memory comes with the first act.
 */
enum { TALLY_ROWS = 8, TALLY_TARGETS = 16 };

struct tally_row {
    enum audit_action action;
    uint32_t rule;
    uint64_t policy_version;
    uint64_t count;
    int64_t first_ms, last_ms, monotonic_ms;
    uint64_t targets[TALLY_TARGETS]; /* their hashes */
    size_t known;
    bool capped;
    struct buf target; /* the first one */
};

struct tally {
    struct tally_row *rows;
    size_t used;
};

struct tally_act {
    enum audit_action action;
    uint32_t rule;
    uint64_t policy_version;
    struct bytes target; /* clean text of at most AUDIT_TARGET_MAX, or empty */
    int64_t wall_ms, monotonic_ms;
};

/* RC_LIMIT: all rows are in use; take them first. RC_NOMEM. */
enum rc broker_tally_add(struct tally *tally, const struct tally_act *act);
/* Fill in what the tally knows of a row's record. */
void broker_tally_fill(const struct tally_row *row, struct audit_record *record);
void broker_tally_clear(struct tally *tally);
