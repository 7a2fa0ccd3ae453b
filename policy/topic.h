/* MQTT topic names and filters, level by level: MQTT 5.0 section 4.7. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

enum { POLICY_LEVELS_MAX = 128, POLICY_TOPIC_MAX = 65535 };

/* Walks the levels between the slashes; an empty level is a level, too. */
struct policy_levels {
    struct bytes left;
    bool more; /* false once the last level was taken */
};

struct policy_levels policy_topic_levels(struct bytes topic);
/* The next level; call while more. */
struct bytes policy_topic_next(struct policy_levels *levels);

bool policy_topic_is_plus(struct bytes level);
bool policy_topic_is_hash(struct bytes level);

/*
 * RC_MALFORMED names the rule of MQTT 5.0 that is broken: well-formed UTF-8 without U+0000, 1
 * to 65,535 bytes, at most 128 levels; in a name no wildcard; in a filter + and # alone in
 * their level and # only as the last.
 */
enum rc policy_topic_check_name(struct bytes name);
enum rc policy_topic_check_filter(struct bytes filter);

/* Does a filter that passed its check match a name that passed its own? [MQTT-4.7.2-1]
 * included. */
bool policy_topic_match(struct bytes filter, struct bytes name);
