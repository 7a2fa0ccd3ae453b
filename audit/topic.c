#include "audit/topic.h"

#include <string.h>

#include "policy/topic.h"

static const char SHARED[] = "$share/";

static bool has_several(const struct audit_record *record)
{
    return record->aggregate.targets > 1 || record->aggregate.targets_capped;
}

struct bytes audit_topic_of(const struct audit_record *record)
{
    const struct audit_action_row *row = audit_action_get(record->action);
    struct bytes topic = record->target;

    if (row == NULL || (row->fields & AUDIT_TOPIC_FIELD) == 0)
        return BYTES("");
    if (record->action != AUDIT_SUBSCRIBE || !bytes_start_with(topic, bytes_of_text(SHARED)))
        return topic;
    const uint8_t *name = topic.at + sizeof SHARED - 1;
    size_t left = topic.len - (sizeof SHARED - 1);
    const uint8_t *slash = left > 0 ? memchr(name, '/', left) : NULL;
    /* "$share/#" is the pattern of "$share" and "$share/NAME/topic", so # is what it is of. */
    if (has_several(record) && left == 1 && *name == '#')
        return (struct bytes){ name, left };
    if (slash == NULL || slash + 1 == topic.at + topic.len)
        return topic;
    return (struct bytes){ slash + 1, (size_t)(topic.at + topic.len - (slash + 1)) };
}

static bool is_wild(struct bytes level)
{
    return policy_topic_is_plus(level) || policy_topic_is_hash(level);
}

/* [MQTT-4.7.2-1] A wildcard in the first level matches no topic that begins with $. */
static bool is_barred(struct bytes first, struct bytes other)
{
    return is_wild(first) && other.len > 0 && other.at[0] == '$';
}

/* # is what is left of any topic, and nothing at all: "sport/#" matches "sport". */
static bool is_rest(struct policy_levels levels)
{
    return levels.more && policy_topic_is_hash(policy_topic_next(&levels));
}

static bool meets(struct bytes filter, struct bytes other, bool pattern)
{
    struct policy_levels f = policy_topic_levels(filter), o = policy_topic_levels(other);

    for (bool first = true; f.more && o.more; first = false) {
        struct bytes one = policy_topic_next(&f), two = policy_topic_next(&o);
        if (first && (is_barred(one, two) || (!pattern && is_barred(two, one))))
            return false;
        if (policy_topic_is_hash(one) || policy_topic_is_hash(two))
            return true;
        if (!is_wild(one) && !is_wild(two) && !bytes_equal(one, two))
            return false;
    }
    return f.more == o.more || is_rest(f) || is_rest(o);
}

bool audit_topic_meets(struct bytes filter, struct bytes other)
{
    return meets(filter, other, false);
}

bool audit_topic_meets_record(struct bytes filter, const struct audit_record *record)
{
    const struct bytes topic = audit_topic_of(record);

    return topic.len > 0 && meets(filter, topic, has_several(record));
}
