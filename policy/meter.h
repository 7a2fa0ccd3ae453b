/* What limits count together, of policies that are compared; inside policy/ only. */
#pragma once

#include "policy/describe.h"

/*
 * A door counts a device's acts under one rule's limit together, and under another one's apart.
 * So a limit is not the same only because it has the same rate: it counts the same if its rule
 * has the same actions, resources and condition, as they are written, in whatever order. Who
 * else the rule is for does not matter, since each is counted by himself.
 *
 * Of alike limits that meet in a topic the first counts. Rules that stand in the same order in
 * both policies have the same numbers in it.
 *
 * What a subscription with wildcards obliges to is asked of the rules that allow all of it. If
 * any rule for subscriptions has obligations, meters of all of these have their filters.
 */
enum { POLICY_METERED = 2 };
struct policy_meters {
    struct policy_meter *of[POLICY_METERED]; /* by place of the rule */
    bool subscriptions;                      /* filters are there */
    bool turns; /* some end in +/#, so rules for single levels may complete them */
    bool moved; /* some rule stands elsewhere in the order */
};
/* Of one policy or two; in the study's arena. RC_NOMEM. */
enum rc policy_meters_make(struct policy_study *study, const struct policy_rules *const *rules,
                           size_t count, struct policy_meters *meters);
