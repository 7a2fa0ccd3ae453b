/* How often a client may do what a policy limits. For the door's own files. */
#pragma once

#include "base/own.h"
#include "policy/policy.h"

/*
 * One clock for each rule with a limit: it runs ahead by an interval with each act, and an act
 * that would make it more than a burst ahead is one too many. A few clocks are enough: rules
 * that share one wait for each other, which is stricter, never laxer.
 */
enum { BROKER_LIMIT_CLOCKS = 32 };

/* The clocks of a device: whatever connections it has share them, and who comes back finds them
 * as far ahead as they were. */
struct broker_limit;

/* Take one act; false: one too many, and nothing is taken. What has no limit is always true.
 * now_ms is of a clock that all callers share. Safe on any thread. */
bool broker_limit_take(struct broker_limit *limit, const struct policy_decision *decided,
                       int64_t now_ms);

/*
 * Those of all devices of a door, by id. One is kept as long as somebody holds it or a clock of
 * it is ahead, and then a little. Ids are registered devices', so there are no more than these.
 * Safe on any thread; a lock is held for one look-up, and not for taking.
 */
struct broker_limits;
enum rc broker_limits_new(struct broker_limits **limits); /* RC_NOMEM */
void broker_limits_free(struct broker_limits *limits);    /* nobody holds one */
AUTO_STRUCT(broker_limits, broker_limits_free)
/* RC_NOMEM. Release it. */
enum rc broker_limits_hold(struct broker_limits *limits, struct bytes id, int64_t now_ms,
                           struct broker_limit **limit);
void broker_limits_release(struct broker_limits *limits, struct broker_limit *limit);
size_t broker_limits_count(struct broker_limits *limits);
