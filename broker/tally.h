/* What one session did that was allowed, counted until its window ends. */
#pragma once

#include "audit/pending.h"
#include "base/own.h"

/*
 * The audit log tells allowed traffic in aggregate, and every message counts: this finds the
 * slot that counts it (audit/pending.h), a few comparisons a message and one hash of its topic.
 * Zeros are an empty one; memory comes with the first act.
 */
enum { TALLY_ROWS = 8, TALLY_TARGETS = 16 };

struct tally_row {
    enum audit_action action;
    uint32_t rule;
    uint64_t policy_version;
    struct audit_slot *slot;
};

struct tally {
    struct tally_row *rows;
    size_t used;
};

static inline bool broker_tally_is_full(const struct tally *tally)
{
    return tally->used == TALLY_ROWS;
}

/* Of acts that agree in action, rule and policy; NULL: none yet. */
struct audit_slot *broker_tally_find(const struct tally *tally, const struct audit_record *act);
/* There is room. RC_NOMEM: the slot is still the caller's. */
enum rc broker_tally_begin(struct tally *tally, const struct audit_record *act,
                           struct audit_slot *slot);
void broker_tally_count(struct audit_slot *slot, int64_t wall_ms, struct bytes target);
/* Its slots went elsewhere. */
void broker_tally_clear(struct tally *tally);
