#include "policy/effort.h"

enum rc policy_effort_spend(struct policy_effort *effort, uint64_t steps)
{
    effort->spent += steps;
    if (effort->stop != NULL && atomic_load_explicit(effort->stop, memory_order_relaxed))
        return fault(RC_CLOSED, "this policy is not wanted any more");
    if (effort->spent > effort->most)
        return fault(RC_LIMIT, "compiling this policy takes more steps than its length allows");
    return RC_OK;
}
