/* How often a client may do what a policy limits. For the door's own files. */
#pragma once

#include "base/own.h"
#include "policy/policy.h"

/*
 * The clocks of a device, one for each limit: it runs ahead by an interval with each act, and
 * an act that would make it more than a burst ahead is one too many. Whatever connections the
 * device has share them, and who comes back finds them as far ahead as they were.
 *
 * A clock is its limit's by the decision's limit_key, whatever number the rule has in whatever
 * version; a limit with another rate or burst is another one and starts at now. Only clocks
 * that are ahead are kept, so those of versions before go when they are over. Of more than
 * BROKER_LIMIT_CLOCKS, the one that would be over soonest gives way: its limit starts at now
 * again, which is laxer, and no other limit is ever held by it.
 */
enum { BROKER_LIMIT_CLOCKS = 1024 };
struct broker_limit;

/* Take one act; false: one too many, and nothing is taken, or there is no memory for a clock.
 * What has no limit is always true. now_ms is of a clock that all callers share. Safe on any
 * thread. */
bool broker_limit_take(struct broker_limit *limit, const struct policy_decision *decided,
                       int64_t now_ms);

/*
 * Those of all devices of a door, by id. One is kept as long as somebody holds it or a clock of
 * it is ahead, and then a little. Ids are registered devices', so there are no more than these.
 * Safe on any thread; a lock is held for one look-up. Taking locks the device's own clocks.
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
