/* What compiling a text has cost so far, so that none can cost without a bound; inside policy/
 * only. */
#pragma once

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/rc.h"

/*
 * Counted in steps of some ten nanoseconds: a place of a table looked at, a test tried, so many
 * octets read or compared. What is linear in the text, once and at little cost for each octet,
 * is not counted. The count is of the text alone: what one process compiles, all do.
 */
struct policy_effort {
    uint64_t spent, most;
    const atomic_bool *stop; /* nobody wants it any more; NULL: somebody will */
};

enum { POLICY_OCTETS_OF_STEP = 8 };

/* RC_LIMIT: too much in all. RC_CLOSED: told to stop. */
enum rc policy_effort_spend(struct policy_effort *effort, uint64_t steps);
static inline uint64_t policy_effort_of(uint64_t octets)
{
    return 1 + octets / POLICY_OCTETS_OF_STEP;
}
