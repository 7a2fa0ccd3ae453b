#include "policy/effort.h"

#include <inttypes.h>

enum rc policy_effort_spend(struct policy_effort *effort, uint64_t steps)
{
    effort->spent += steps;
    if (effort->stop != NULL && atomic_load_explicit(effort->stop, memory_order_relaxed))
        return fault(RC_CLOSED, "this policy is not wanted any more");
    if (effort->spent > effort->most)
        return fault(RC_LIMIT,
                     "up to here it takes more than %" PRIu64
                     " steps to compile: fewer expectations, shorter lists",
                     effort->most);
    return RC_OK;
}
