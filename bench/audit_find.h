/* How long an answer takes: searches by each index and by mixes of them, and proofs. */
#pragma once

#include "bench/audit_ours.h"

/* A question, asked about another thing each time. */
struct audit_find {
    const char *name;
    void (*ask)(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                struct audit_fleet_record *room);
};
extern const struct audit_find AUDIT_FINDS[];
extern const size_t AUDIT_FIND_COUNT;

enum { AUDIT_FIND_HITS = 100, AUDIT_FIND_TIMES_MAX = 200 };
struct audit_found {
    double ms[AUDIT_FIND_TIMES_MAX];       /* ascending */
    double again_ms[AUDIT_FIND_TIMES_MAX]; /* the same at once again: its pages are in memory */
    double cpu_ms_most; /* of the processor, by one of the first: no waiting for it */
    size_t times, pages_most;
    uint64_t hits;
};
/* Page by page until there are 100 hits, or nothing is left to look at; `times` times. Each hit
 * is held against the question. */
enum rc audit_find_measure(struct audit_ours *ours, const struct audit_find *find, size_t times,
                           struct audit_found *found);

/* Of records at random, and from sizes at random to now: mean of so many, in microseconds. */
struct audit_proof_cost {
    double inclusion_us, consistency_us, verify_us;
    double nodes; /* of an inclusion proof */
};
enum rc audit_find_prove(struct audit_ours *ours, size_t times, struct audit_proof_cost *cost);
