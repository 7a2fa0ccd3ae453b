#include "policy/topic.h"

#include "base/text.h"

#include <string.h>

struct policy_levels policy_topic_levels(struct bytes topic)
{
    return (struct policy_levels){ topic, true };
}

struct bytes policy_topic_next(struct policy_levels *levels)
{
    struct bytes left = levels->left;
    const uint8_t *slash = left.len > 0 ? memchr(left.at, '/', left.len) : NULL;
    size_t len = slash == NULL ? left.len : (size_t)(slash - left.at);

    levels->more = slash != NULL;
    if (slash != NULL)
        levels->left = (struct bytes){ slash + 1, left.len - len - 1 };
    return (struct bytes){ left.at, len };
}

bool policy_topic_is_plus(struct bytes level)
{
    return level.len == 1 && level.at[0] == '+';
}

bool policy_topic_is_hash(struct bytes level)
{
    return level.len == 1 && level.at[0] == '#';
}

static bool has_wildcard(struct bytes level)
{
    return level.len > 0 && (memchr(level.at, '+', level.len) != NULL ||
                             memchr(level.at, '#', level.len) != NULL);
}

static enum rc check_text(struct bytes topic)
{
    if (topic.len == 0)
        return fault(RC_MALFORMED, "[MQTT-4.7.3-1] a topic has at least one character");
    if (topic.len > POLICY_TOPIC_MAX)
        return fault(RC_MALFORMED, "[MQTT-4.7.3-3] a topic of %zu bytes, at most %d", topic.len,
                     POLICY_TOPIC_MAX);
    if (!text_is_utf8(topic))
        return fault(RC_MALFORMED,
                     "[MQTT-1.5.4-1] [MQTT-4.7.3-2] a topic is well-formed UTF-8 without "
                     "U+0000");
    return RC_OK;
}

static enum rc check_wildcard(struct bytes level, bool last)
{
    if (memchr(level.at, '#', level.len) != NULL && (level.len > 1 || !last))
        return fault(RC_MALFORMED, "[MQTT-4.7.1-1] # stands alone in the last level");
    if (level.len > 1)
        return fault(RC_MALFORMED, "[MQTT-4.7.1-2] + stands alone in its level");
    return RC_OK;
}

static enum rc check(struct bytes topic, bool filter)
{
    struct policy_levels levels = policy_topic_levels(topic);
    size_t count = 0;

    TRY(check_text(topic));
    while (levels.more) {
        struct bytes level = policy_topic_next(&levels);
        if (++count > POLICY_LEVELS_MAX)
            return fault(RC_MALFORMED, "a topic of more than %d levels", POLICY_LEVELS_MAX);
        if (!has_wildcard(level))
            continue;
        if (!filter)
            return fault(RC_MALFORMED, "[MQTT-3.3.2-2] a topic name has no wildcard");
        TRY(check_wildcard(level, !levels.more));
    }
    return RC_OK;
}

enum rc policy_topic_check_name(struct bytes name)
{
    return check(name, false);
}

enum rc policy_topic_check_filter(struct bytes filter)
{
    return check(filter, true);
}

bool policy_topic_match(struct bytes filter, struct bytes name)
{
    struct policy_levels f = policy_topic_levels(filter), n = policy_topic_levels(name);
    bool system = name.len > 0 && name.at[0] == '$';

    for (bool first = true; f.more; first = false) {
        struct bytes wanted = policy_topic_next(&f);
        bool wild = policy_topic_is_plus(wanted) || policy_topic_is_hash(wanted);
        if (first && system && wild)
            return false;
        if (policy_topic_is_hash(wanted))
            return true; /* also when no level is left: 4.7.1.2, "sport/#" matches "sport" */
        if (!n.more)
            return false;
        struct bytes level = policy_topic_next(&n);
        if (!policy_topic_is_plus(wanted) && !bytes_equal(wanted, level))
            return false;
    }
    return !n.more;
}
