/*
 * Topic names and topic filters (MQTT 5.0 section 4.7, shared subscriptions 4.8.2).
 *
 * Syntax, match and levels. Whether a filter lies within another one is asked of policy/.
 */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

enum { MQTT_LEVELS_MAX = 128, MQTT_TOPIC_MAX = 65535 };

/* A topic name: UTF-8 without U+0000, 1 to 65535 bytes, no wildcard. RC_LIMIT above 128 levels.
 */
enum rc broker_mqtt_topic_check_name(struct bytes name);
/*
 * A topic filter. RC_DENIED for the form of a shared subscription ($share/NAME/FILTER), which
 * is not supported: the reason code is MQTT_NO_SHARED_SUBSCRIPTIONS.
 */
enum rc broker_mqtt_topic_check_filter(struct bytes filter);
bool broker_mqtt_topic_is_shared(struct bytes filter);

/* Both must have been checked. A wildcard at the first level does not match $-topics
 * ([MQTT-4.7.2-1]). */
bool broker_mqtt_topic_matches(struct bytes filter, struct bytes name);

/* Levels, which may be empty: "/a" has two. Start with { .left = topic }. */
struct mqtt_levels {
    struct bytes left;
    bool ended;
};
bool broker_mqtt_topic_next_level(struct mqtt_levels *levels, struct bytes *level);
