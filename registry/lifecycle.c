#include "registry/subject.h"

/* [from][to]: may it? A row or column that is not here is refused. */
static const bool MAY[REGISTRY_REVOKED + 1][REGISTRY_REVOKED + 1] = {
    [REGISTRY_REGISTERED] = { [REGISTRY_ACTIVE] = true, [REGISTRY_REVOKED] = true },
    [REGISTRY_ACTIVE] = { [REGISTRY_SUSPENDED] = true, [REGISTRY_REVOKED] = true },
    [REGISTRY_SUSPENDED] = { [REGISTRY_ACTIVE] = true, [REGISTRY_REVOKED] = true },
};

static const char *const STATES[] = {
    [REGISTRY_REGISTERED] = "registered",
    [REGISTRY_ACTIVE] = "active",
    [REGISTRY_SUSPENDED] = "suspended",
    [REGISTRY_REVOKED] = "revoked",
};

static bool is_state(enum registry_state state)
{
    return state >= REGISTRY_REGISTERED && state <= REGISTRY_REVOKED;
}

const char *registry_state_name(enum registry_state state)
{
    return is_state(state) ? STATES[state] : "unknown";
}

enum rc registry_state_read(struct bytes text, enum registry_state *state)
{
    for (unsigned i = REGISTRY_REGISTERED; i <= REGISTRY_REVOKED; i++) {
        if (bytes_equal_text(text, STATES[i])) {
            *state = (enum registry_state)i;
            return RC_OK;
        }
    }
    return fault(RC_MALFORMED,
                 "a state is one of registered, active, suspended and revoked, not this text");
}

enum rc registry_lifecycle_check(enum registry_state from, enum registry_state to)
{
    if (!is_state(from) || !is_state(to))
        return fault(RC_MALFORMED, "%d or %d is no state", (int)from, (int)to);
    if (from == to)
        return fault(RC_EXISTS, "it is %s already", STATES[to]);
    if (from == REGISTRY_REVOKED)
        return fault(RC_DENIED, "revoked is for good: cannot become %s", STATES[to]);
    if (!MAY[from][to])
        return fault(RC_DENIED, "%s cannot become %s", STATES[from], STATES[to]);
    return RC_OK;
}
