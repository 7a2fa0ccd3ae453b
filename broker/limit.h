/* How often a client may do what a policy limits. For the door's own files. */
#pragma once

#include "policy/policy.h"

/*
 * One clock for each rule with a limit: it runs ahead by an interval with each act, and an act
 * that would make it more than a burst ahead is one too many. A few clocks are enough: rules
 * that share one wait for each other, which is stricter, never laxer. Plain data, zero to begin
 * with.
 */
enum { BROKER_LIMIT_CLOCKS = 8 };
struct broker_limit {
    int64_t ahead_us[BROKER_LIMIT_CLOCKS];
};

/* Take one act; false: one too many, and nothing is taken. What has no limit is always true. */
bool broker_limit_take(struct broker_limit *limit, const struct policy_decision *decided,
                       int64_t now_ms);
