/* Target: audit_pattern_widen, audit_pattern_text */
#include <stdlib.h>
#include <string.h>

#include "audit/pattern.h"
#include "audit/topic.h"
#include "policy/topic.h"

enum { NUMBER = 8, TOPICS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static struct bytes line_of(struct bytes *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct bytes line = { rest->at, end == NULL ? rest->len : (size_t)(end - rest->at) };
    size_t used = line.len + (end != NULL);

    *rest = (struct bytes){ rest->at + used, rest->len - used };
    return line;
}

static size_t read_topics(struct bytes rest, struct bytes *topics)
{
    size_t count = 0;

    while (rest.len > 0 && count < TOPICS_MAX) {
        struct bytes line = line_of(&rest);
        if (line.len <= AUDIT_TARGET_MAX && policy_topic_check_filter(line) == RC_OK)
            topics[count++] = line;
    }
    return count;
}

/* What is searched for, of a shared subscription what it is subscribed to; a shared
 * subscription to nothing is for nobody to find by a topic. */
static bool is_found(struct bytes topic, const struct audit_record *record)
{
    const struct audit_record alone = { .action = AUDIT_SUBSCRIBE, .target = topic };
    const struct bytes searched = audit_topic_of(&alone);

    return bytes_start_with(searched, BYTES("$share")) ||
           audit_topic_meets_record(searched, record);
}

/* A filter that a record can have, and in which each of the topics is found. */
static void look(uint64_t pattern, const struct bytes *topics, size_t count)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    const struct audit_record record = {
        .action = AUDIT_SUBSCRIBE,
        .decision = AUDIT_ALLOWED,
        .target = audit_pattern_text(pattern, topics[0], &room),
        .aggregate = { .count = TOPICS_MAX, .targets = TOPICS_MAX },
    };

    if (room.broken || record.target.len > AUDIT_TARGET_MAX ||
        policy_topic_check_filter(record.target) != RC_OK)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!is_found(topics[i], &record))
            abort();
}

/* Eight octets that a kill or a fault may leave as a pattern; then a topic or filter a line. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes topics[TOPICS_MAX];
    uint64_t any = 0, pattern = 0;

    if (len < NUMBER)
        return 0;
    for (size_t i = 0; i < NUMBER; i++)
        any = any << 8 | at[i];
    size_t count = read_topics((struct bytes){ at + NUMBER, len - NUMBER }, topics);
    for (size_t i = 1; i < count; i++) {
        pattern = audit_pattern_widen(pattern, topics[0], topics[i]);
        if (audit_pattern_widen(pattern, topics[0], topics[i]) != pattern)
            abort();
        look(pattern, topics, i + 1);
        look(audit_pattern_widen(any, topics[0], topics[i]), topics, 0);
    }
    return 0;
}
