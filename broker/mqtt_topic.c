#include "broker/mqtt_topic.h"

#include <string.h>

#include "base/text.h"

bool broker_mqtt_topic_next_level(struct mqtt_levels *levels, struct bytes *level)
{
    struct bytes left = levels->left;

    if (levels->ended)
        return false;
    const uint8_t *slash = left.len == 0 ? NULL : memchr(left.at, '/', left.len);
    size_t len = slash == NULL ? left.len : (size_t)(slash - left.at);

    *level = (struct bytes){ left.at, len };
    levels->ended = slash == NULL;
    if (slash != NULL)
        levels->left = (struct bytes){ slash + 1, left.len - len - 1 };
    return true;
}

static bool holds(struct bytes level, char c)
{
    return level.len > 0 && memchr(level.at, c, level.len) != NULL;
}

static enum rc check_text(struct bytes topic, const char *what)
{
    size_t levels = 1;

    if (topic.len == 0)
        return fault(RC_MALFORMED, "[MQTT-4.7.3-1] %s is empty", what);
    if (topic.len > MQTT_TOPIC_MAX)
        return fault(RC_LIMIT, "[MQTT-4.7.3-3] %s of %zu bytes, the limit is %d", what,
                     topic.len, MQTT_TOPIC_MAX);
    if (!text_is_utf8(topic))
        return fault(RC_MALFORMED,
                     "[MQTT-1.5.4-1] [MQTT-4.7.3-2] %s is not UTF-8 without U+0000", what);
    for (size_t i = 0; i < topic.len; i++)
        levels += topic.at[i] == '/';
    if (levels > MQTT_LEVELS_MAX)
        return fault(RC_LIMIT, "%s of %zu levels, the limit is %d", what, levels,
                     MQTT_LEVELS_MAX);
    return RC_OK;
}

enum rc broker_mqtt_topic_check_name(struct bytes name)
{
    TRY(check_text(name, "topic name"));
    if (holds(name, '+') || holds(name, '#'))
        return fault(RC_MALFORMED, "[MQTT-4.7.0-1] [MQTT-3.3.2-2] topic name with a wildcard");
    return RC_OK;
}

static enum rc check_level(struct bytes level, bool last)
{
    if (holds(level, '#') && (level.len > 1 || !last))
        return fault(RC_MALFORMED, "[MQTT-4.7.1-1] [3.1.1: MQTT-4.7.1-2] # is not alone in the "
                                   "last level of the topic filter");
    if (holds(level, '+') && level.len > 1)
        return fault(RC_MALFORMED, "[MQTT-4.7.1-2] [3.1.1: MQTT-4.7.1-3] + is not alone in its "
                                   "level of the topic filter");
    return RC_OK;
}

bool broker_mqtt_topic_is_shared(struct bytes filter)
{
    return bytes_equal_text(filter, "$share") || bytes_start_with(filter, BYTES("$share/"));
}

enum rc broker_mqtt_topic_check_filter(struct bytes filter)
{
    struct mqtt_levels levels = { .left = filter };
    struct bytes level;

    TRY(check_text(filter, "topic filter"));
    if (broker_mqtt_topic_is_shared(filter))
        return fault(RC_DENIED, "MQTT 4.8.2: shared subscriptions are not supported");
    while (broker_mqtt_topic_next_level(&levels, &level))
        TRY(check_level(level, levels.ended));
    return RC_OK;
}

bool broker_mqtt_topic_matches(struct bytes filter, struct bytes name)
{
    struct mqtt_levels wanted = { .left = filter };
    struct mqtt_levels given = { .left = name };
    struct bytes want, give;

    if (name.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#'))
        return false;
    while (broker_mqtt_topic_next_level(&wanted, &want)) {
        if (bytes_equal_text(want, "#"))
            return true;
        if (!broker_mqtt_topic_next_level(&given, &give))
            return false;
        if (!bytes_equal_text(want, "+") && !bytes_equal(want, give))
            return false;
    }
    return given.ended;
}
