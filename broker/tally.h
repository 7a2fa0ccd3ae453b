/* What one session did that was allowed, or would have been, counted until its window ends. */
#pragma once

#include "audit/pending.h"
#include "base/own.h"
#include "broker/topic_hash.h"

/*
 * The audit log tells allowed traffic in aggregate, and every message counts: this finds the
 * slot that counts it (audit/pending.h), one hash of its topic and a few comparisons a message.
 * The first topics of an action have a window each; what comes on top of those is counted by
 * rule, and its window tells the pattern of its topics. When there is no row for another rule
 * all windows end, and nothing is lost. Zeros are an empty one; memory comes with the first
 * act.
 */
enum {
    TALLY_ROWS = 16,
    TALLY_TOPICS = 4,      /* of one action that have a window each, */
    TALLY_TOPICS_ALL = 8,  /* and of all actions: so half of the rows are for rules */
    TALLY_TOPIC_MAX = 256, /* octets of such a topic: so their windows have small slots */
    TALLY_TARGETS = 14     /* told apart in a window of a rule */
};

struct tally_row {
    enum audit_action action;
    enum audit_decision decision;
    uint32_t rule;
    uint64_t policy_version;
    uint64_t topic; /* hash; 0: of all that have no window of their own */
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

/* Never 0 but of no topic. Under a random key, so that no topic passes for another one. */
uint64_t broker_tally_hash(const struct topic_hash_key *key, struct bytes topic);
/* Of acts that agree in action, decision, rule, policy and *topic; or, where *topic has no
 * window of its own and gets none, it becomes 0. NULL: none yet. */
struct audit_slot *broker_tally_find(const struct tally *tally, const struct audit_record *act,
                                     uint64_t *topic);
/* There is room. RC_NOMEM: the slot is still the caller's. */
enum rc broker_tally_begin(struct tally *tally, const struct audit_record *act, uint64_t topic,
                           struct audit_slot *slot);
/* Its slots went elsewhere. */
void broker_tally_clear(struct tally *tally);
