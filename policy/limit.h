/* Which limit is the same in all versions of a policy; inside policy/ only. */
#pragma once

#include "policy/rules.h"

/*
 * Gives each rule with a limit its key: a hash of what it counts and how often that may be, and
 * so of actions, resources (a set), condition (with what its sets hold, until included), rate
 * and burst. It survives whatever changes elsewhere: the rule's number, line, file, other
 * obligations, names of sets. Who else the rule is for is left out: each device is counted by
 * itself, and of two rules alike in all of this that concern a device, each applies to what the
 * other does.
 *
 * Conditions are hashed once each, filters once a written rule. RC_NOMEM.
 */
enum rc policy_limit_keys(struct policy_rules *rules);
