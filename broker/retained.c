#include "broker/retained.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

/* One for each node number; NULL where a node has no message. */
struct place {
    struct message *message;
};

struct retained {
    struct topic_tree *tree;
    struct place *at;
    size_t room, count, bytes;
    struct retained_limits limits;
};

enum rc broker_retained_new(const struct retained_limits *limits,
                            const struct topic_hash_key *key, struct retained **retained)
{
    AUTO_OF(retained) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "retained messages");
    made->limits = *limits;
    TRY(broker_topic_tree_new(&limits->tree, key, &made->tree));
    made->at = calloc(FIRST_ROOM, sizeof *made->at);
    if (made->at == NULL)
        return fault(RC_NOMEM, "retained messages");
    made->room = FIRST_ROOM;
    *retained = TAKE(made);
    return RC_OK;
}

void broker_retained_free(struct retained *retained)
{
    if (retained == NULL)
        return;
    for (size_t i = 0; i < retained->room; i++)
        broker_message_release(retained->at[i].message);
    broker_topic_tree_free(retained->tree);
    free(retained->at);
    free(retained);
}

size_t broker_retained_count(const struct retained *retained)
{
    return retained->count;
}

size_t broker_retained_bytes(const struct retained *retained)
{
    return retained->bytes;
}

static struct message *message_at(const struct retained *retained, uint32_t node)
{
    return node < retained->room ? retained->at[node].message : NULL;
}

static enum rc make_room(struct retained *retained, uint32_t node)
{
    size_t room = retained->room;

    while (room <= node)
        room *= 2;
    if (room == retained->room)
        return RC_OK;
    struct place *at = realloc(retained->at, room * sizeof *at);
    if (at == NULL)
        return fault(RC_NOMEM, "retained messages");
    memset(at + retained->room, 0, (room - retained->room) * sizeof *at);
    retained->at = at;
    retained->room = room;
    return RC_OK;
}

static void clear_node(struct retained *retained, uint32_t node)
{
    retained->bytes -= broker_message_bytes(retained->at[node].message);
    retained->count--;
    broker_message_release(retained->at[node].message);
    retained->at[node].message = NULL;
    broker_topic_tree_release(retained->tree, node);
}

/* The message that is replaced makes room for the new one. */
static enum rc check_limits(const struct retained *retained, const struct message *old,
                            const struct message *new)
{
    size_t bytes = retained->bytes - (old == NULL ? 0 : broker_message_bytes(old));

    if (old == NULL && retained->count >= retained->limits.messages)
        return fault(RC_LIMIT, "%zu retained messages", retained->count);
    if (bytes + broker_message_bytes(new) > retained->limits.bytes)
        return fault(RC_LIMIT, "retained messages of more than %zu bytes",
                     retained->limits.bytes);
    return RC_OK;
}

/* The node is held for the message that comes. */
static enum rc set_node(struct retained *retained, uint32_t node, struct message *message)
{
    TRY(make_room(retained, node));
    TRY(check_limits(retained, retained->at[node].message, message));
    broker_message_hold(message);
    if (retained->at[node].message != NULL)
        clear_node(retained, node);
    retained->at[node].message = message;
    retained->bytes += broker_message_bytes(message);
    retained->count++;
    return RC_OK;
}

enum rc broker_retained_set(struct retained *retained, struct message *message)
{
    uint32_t node;

    if (broker_message_payload(message).len == 0) {
        broker_retained_clear(retained, broker_message_topic(message));
        return RC_OK;
    }
    TRY(broker_topic_tree_hold(retained->tree, broker_message_topic(message), &node));
    enum rc rc = set_node(retained, node, message);
    if (rc != RC_OK)
        broker_topic_tree_release(retained->tree, node);
    return rc;
}

struct message *broker_retained_get(const struct retained *retained, struct bytes topic)
{
    uint32_t node = broker_topic_tree_find(retained->tree, topic);

    return node == TOPIC_NONE ? NULL : message_at(retained, node);
}

bool broker_retained_clear(struct retained *retained, struct bytes topic)
{
    if (broker_retained_get(retained, topic) == NULL)
        return false;
    clear_node(retained, broker_topic_tree_find(retained->tree, topic));
    return true;
}

struct search {
    const struct retained *retained;
    const struct retained_finder *finder;
    int64_t now_ms;
    size_t *steps;
};

static bool report(const struct search *search, uint32_t node)
{
    struct message *message = message_at(search->retained, node);

    if (*search->steps == 0)
        return false;
    --*search->steps;
    return message == NULL || broker_message_has_expired(message, search->now_ms) ||
           search->finder->found(search->finder->with, message);
}

static bool report_all_below(const struct search *search, uint32_t top)
{
    const struct topic_tree *tree = search->retained->tree;
    uint32_t at = top;

    while (report(search, at)) {
        if (broker_topic_tree_first(tree, at) != TOPIC_NONE) {
            at = broker_topic_tree_first(tree, at);
            continue;
        }
        while (at != top && broker_topic_tree_next(tree, at) == TOPIC_NONE)
            at = broker_topic_tree_parent(tree, at);
        if (at == top)
            return true;
        at = broker_topic_tree_next(tree, at);
    }
    return false;
}

/* [MQTT-4.7.2-1]: from this child of the root on, the first that a wildcard may match. */
static uint32_t skip_reserved(const struct topic_tree *tree, uint32_t node)
{
    while (node != TOPIC_NONE &&
           bytes_start_with(broker_topic_tree_level(tree, node), BYTES("$")))
        node = broker_topic_tree_next(tree, node);
    return node;
}

static uint32_t next_sibling(const struct topic_tree *tree, uint32_t node, size_t depth)
{
    return depth == 1 ? skip_reserved(tree, node) : node;
}

struct topic_levels {
    struct topic_level at[MQTT_LEVELS_MAX];
    size_t count;
};

/* Of each depth at most one node waits: the next sibling of the one that is followed down. */
struct waiting {
    struct {
        uint32_t node;
        uint32_t depth;
        bool siblings;
    } at[MQTT_LEVELS_MAX + 2];
    size_t count;
};

static void push(struct waiting *waiting, uint32_t node, uint32_t depth, bool siblings)
{
    if (node == TOPIC_NONE)
        return;
    assert(waiting->count < MQTT_LEVELS_MAX + 2);
    waiting->at[waiting->count].node = node;
    waiting->at[waiting->count].depth = depth;
    waiting->at[waiting->count].siblings = siblings;
    waiting->count++;
}

static bool report_rest(const struct search *search, uint32_t node)
{
    const struct topic_tree *tree = search->retained->tree;

    if (node != TOPIC_ROOT)
        return report_all_below(search, node);
    for (uint32_t at = skip_reserved(tree, broker_topic_tree_first(tree, TOPIC_ROOT));
         at != TOPIC_NONE; at = skip_reserved(tree, broker_topic_tree_next(tree, at)))
        if (!report_all_below(search, at))
            return false;
    return true;
}

/* One node that waits: look at it, or let its children wait. */
static bool follow(const struct search *search, const struct topic_levels *levels,
                   struct waiting *waiting)
{
    const struct topic_tree *tree = search->retained->tree;
    uint32_t node = waiting->at[--waiting->count].node;
    uint32_t depth = waiting->at[waiting->count].depth;

    if (waiting->at[waiting->count].siblings)
        push(waiting, next_sibling(tree, broker_topic_tree_next(tree, node), depth), depth,
             true);
    if (depth == levels->count)
        return report(search, node);
    if (bytes_equal_text(levels->at[depth].text, "#"))
        return report_rest(search, node);
    if (*search->steps == 0)
        return false;
    --*search->steps;
    if (bytes_equal_text(levels->at[depth].text, "+"))
        push(waiting, next_sibling(tree, broker_topic_tree_first(tree, node), depth + 1),
             depth + 1, true);
    else
        push(waiting, broker_topic_tree_child(tree, node, &levels->at[depth]), depth + 1,
             false);
    return true;
}

bool broker_retained_match(const struct retained *retained, struct bytes filter, int64_t now_ms,
                           size_t *steps, const struct retained_finder *finder)
{
    const struct search search = { retained, finder, now_ms, steps };
    struct topic_levels levels;
    struct waiting waiting;

    levels.count = broker_topic_tree_split(retained->tree, filter, levels.at);
    waiting.count = 0;
    push(&waiting, TOPIC_ROOT, 0, false);
    while (waiting.count > 0)
        if (!follow(&search, &levels, &waiting))
            return false;
    return true;
}

/* By number: a topic's node keeps its own as long as the topic has a message. */
bool broker_retained_walk(const struct retained *retained, struct bytes filter, int64_t now_ms,
                          size_t *steps, uint32_t *place, const struct retained_finder *finder)
{
    for (; *place < retained->room; ++*place) {
        struct message *message = retained->at[*place].message;
        if (*steps == 0)
            return false;
        --*steps;
        if (message != NULL && !broker_message_has_expired(message, now_ms) &&
            broker_mqtt_topic_matches(filter, broker_message_topic(message)) &&
            !finder->found(finder->with, message))
            return false;
    }
    return true;
}

void broker_retained_each(const struct retained *retained, const struct retained_finder *finder)
{
    for (uint32_t node = 0; node < retained->room; node++)
        if (retained->at[node].message != NULL &&
            !finder->found(finder->with, retained->at[node].message))
            return;
}

size_t broker_retained_expire(struct retained *retained, int64_t now_ms)
{
    size_t expired = 0;

    for (uint32_t node = 0; node < retained->room; node++)
        if (retained->at[node].message != NULL &&
            broker_message_has_expired(retained->at[node].message, now_ms)) {
            clear_node(retained, node);
            expired++;
        }
    return expired;
}
