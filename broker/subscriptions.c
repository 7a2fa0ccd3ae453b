#include "broker/subscriptions.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"

enum { FIRST_ENTRIES = 64, NO_ENTRY = 0 };

/* In two lists at once: of its node in the tree, and of its subscriber. Entry 0 is nobody's. */
struct entry {
    struct subscriber *subscriber;
    struct subscription subscription;
    uint32_t node;
    uint32_t node_next, node_previous; /* node_next also links free entries */
    uint32_t own_next, own_previous;
};

struct subscriptions {
    struct topic_tree *tree; /* a node's value is its first entry */
    struct entry *entries;
    size_t room, used, count;
    uint32_t free;
    struct subscriptions_limits limits;
};

enum rc broker_subscriptions_new(const struct subscriptions_limits *limits,
                                 const struct topic_hash_key *key, struct subscriptions **index)
{
    AUTO_OF(subscriptions) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "subscription index");
    made->limits = *limits;
    TRY(broker_topic_tree_new(&limits->tree, key, &made->tree));
    made->entries = calloc(FIRST_ENTRIES, sizeof *made->entries);
    if (made->entries == NULL)
        return fault(RC_NOMEM, "subscription index");
    made->room = FIRST_ENTRIES;
    made->used = 1;
    *index = TAKE(made);
    return RC_OK;
}

void broker_subscriptions_free(struct subscriptions *index)
{
    if (index == NULL)
        return;
    broker_topic_tree_free(index->tree);
    free(index->entries);
    free(index);
}

size_t broker_subscriptions_count(const struct subscriptions *index)
{
    return index->count;
}

size_t broker_subscriptions_bytes(const struct subscriptions *index)
{
    return broker_topic_tree_bytes(index->tree) + index->room * sizeof *index->entries;
}

/* Walks the node's entries and the subscriber's in step: the shorter list decides the cost. */
static uint32_t find_entry(const struct subscriptions *index,
                           const struct subscriber *subscriber, uint32_t node)
{
    uint32_t there = broker_topic_tree_value(index->tree, node);
    uint32_t own = subscriber->first;

    while (there != NO_ENTRY && own != NO_ENTRY) {
        if (index->entries[there].subscriber == subscriber)
            return there;
        if (index->entries[own].node == node)
            return own;
        there = index->entries[there].node_next;
        own = index->entries[own].own_next;
    }
    return NO_ENTRY;
}

static enum rc make_room(struct subscriptions *index)
{
    if (index->free != NO_ENTRY || index->used < index->room)
        return RC_OK;
    struct entry *entries = realloc(index->entries, index->room * 2 * sizeof *entries);
    if (entries == NULL)
        return fault(RC_NOMEM, "subscription index");
    index->entries = entries;
    index->room *= 2;
    return RC_OK;
}

static void link_entry(struct subscriptions *index, struct subscriber *subscriber, uint32_t at)
{
    struct entry *entry = &index->entries[at];

    entry->node_next = broker_topic_tree_value(index->tree, entry->node);
    entry->own_next = subscriber->first;
    if (entry->node_next != NO_ENTRY)
        index->entries[entry->node_next].node_previous = at;
    if (entry->own_next != NO_ENTRY)
        index->entries[entry->own_next].own_previous = at;
    broker_topic_tree_set_value(index->tree, entry->node, at);
    subscriber->first = at;
    subscriber->count++;
    index->count++;
}

static void remove_entry(struct subscriptions *index, uint32_t at)
{
    struct entry gone = index->entries[at];

    assert(gone.subscriber != NULL);
    if (gone.node_previous != NO_ENTRY)
        index->entries[gone.node_previous].node_next = gone.node_next;
    else
        broker_topic_tree_set_value(index->tree, gone.node, gone.node_next);
    if (gone.node_next != NO_ENTRY)
        index->entries[gone.node_next].node_previous = gone.node_previous;
    if (gone.own_previous != NO_ENTRY)
        index->entries[gone.own_previous].own_next = gone.own_next;
    else
        gone.subscriber->first = gone.own_next;
    if (gone.own_next != NO_ENTRY)
        index->entries[gone.own_next].own_previous = gone.own_previous;
    gone.subscriber->count--;
    index->count--;
    index->entries[at] = (struct entry){ .node_next = index->free };
    index->free = at;
    broker_topic_tree_release(index->tree, gone.node);
}

/* The new entry takes over the hold on its node. */
static enum rc add_entry(struct subscriptions *index, struct subscriber *subscriber,
                         uint32_t node, const struct subscription *subscription)
{
    if (index->count >= index->limits.entries)
        return fault(RC_LIMIT, "%zu subscriptions in all", index->count);
    if (subscriber->count >= index->limits.per_subscriber)
        return fault(RC_LIMIT, "%u subscriptions of one client", subscriber->count);
    TRY(make_room(index));
    uint32_t at = index->free;
    if (at != NO_ENTRY)
        index->free = index->entries[at].node_next;
    else
        at = (uint32_t)index->used++;
    index->entries[at] = (struct entry){
        .subscriber = subscriber,
        .subscription = *subscription,
        .node = node,
    };
    link_entry(index, subscriber, at);
    return RC_OK;
}

enum rc broker_subscriptions_add(struct subscriptions *index, struct subscriber *subscriber,
                                 struct bytes filter, const struct subscription *subscription,
                                 bool *replaced)
{
    uint32_t node;

    TRY(broker_topic_tree_hold(index->tree, filter, &node));
    uint32_t old = find_entry(index, subscriber, node);
    enum rc rc = RC_OK;

    if (old != NO_ENTRY)
        index->entries[old].subscription = *subscription;
    else
        rc = add_entry(index, subscriber, node, subscription);
    if (old != NO_ENTRY || rc != RC_OK)
        broker_topic_tree_release(index->tree, node);
    if (rc == RC_OK)
        *replaced = old != NO_ENTRY;
    return rc;
}

bool broker_subscriptions_remove(struct subscriptions *index, struct subscriber *subscriber,
                                 struct bytes filter)
{
    uint32_t node = broker_topic_tree_find(index->tree, filter);
    uint32_t at = node == TOPIC_NONE ? NO_ENTRY : find_entry(index, subscriber, node);

    if (at == NO_ENTRY)
        return false;
    remove_entry(index, at);
    return true;
}

void broker_subscriptions_remove_all(struct subscriptions *index, struct subscriber *subscriber)
{
    while (subscriber->first != NO_ENTRY)
        remove_entry(index, subscriber->first);
}

static void report(const struct subscriptions *index, uint32_t node,
                   const struct subscriptions_finder *finder)
{
    if (node == TOPIC_NONE)
        return;
    for (uint32_t at = broker_topic_tree_value(index->tree, node); at != NO_ENTRY;
         at = index->entries[at].node_next)
        finder->found(finder->with, index->entries[at].subscriber,
                      &index->entries[at].subscription);
}

/* Nodes still to visit. Of each depth at most one waits while the other is followed down. */
struct pending {
    struct {
        uint32_t node;
        uint32_t depth;
    } at[MQTT_LEVELS_MAX + 2];
    size_t count;
};

static void push(struct pending *pending, uint32_t node, uint32_t depth)
{
    if (node == TOPIC_NONE)
        return;
    assert(pending->count < MQTT_LEVELS_MAX + 2);
    pending->at[pending->count].node = node;
    pending->at[pending->count].depth = depth;
    pending->count++;
}

void broker_subscriptions_match(const struct subscriptions *index, struct bytes name,
                                const struct subscriptions_finder *finder)
{
    struct topic_level levels[MQTT_LEVELS_MAX];
    size_t count = broker_topic_tree_split(index->tree, name, levels);
    struct pending pending;
    bool reserved = name.len > 0 && name.at[0] == '$'; /* [MQTT-4.7.2-1] */

    pending.count = 0;
    push(&pending, TOPIC_ROOT, 0);
    while (pending.count > 0) {
        uint32_t node = pending.at[--pending.count].node;
        uint32_t depth = pending.at[pending.count].depth;
        bool wild = depth > 0 || !reserved;

        if (wild)
            report(index, broker_topic_tree_rest(index->tree, node), finder);
        if (depth == count) {
            report(index, node, finder);
            continue;
        }
        if (wild)
            push(&pending, broker_topic_tree_plus(index->tree, node), depth + 1);
        push(&pending, broker_topic_tree_child(index->tree, node, &levels[depth]), depth + 1);
    }
}

/* The filter of a node, from its levels up to the root. */
static void add_filter(const struct subscriptions *index, uint32_t node, struct buf *filter)
{
    uint32_t path[MQTT_LEVELS_MAX];
    size_t depth = 0;

    for (; node != TOPIC_ROOT; node = broker_topic_tree_parent(index->tree, node))
        path[depth++] = node;
    while (depth > 0) {
        buf_add(filter, broker_topic_tree_level(index->tree, path[--depth]));
        if (depth > 0)
            buf_add_u8(filter, '/');
    }
}

void broker_subscriptions_review(struct subscriptions *index, struct subscriber *subscriber,
                                 const struct subscriptions_judge *judge)
{
    AUTO_BUF(filter, MQTT_TOPIC_MAX);
    uint32_t next;

    for (uint32_t at = subscriber->first; at != NO_ENTRY; at = next) {
        struct entry *entry = &index->entries[at];
        next = entry->own_next;
        buf_reset(&filter);
        add_filter(index, entry->node, &filter);
        /* A filter that cannot be shown to the judge cannot be allowed. */
        if (filter.broken ||
            !judge->keep(judge->with, buf_bytes(&filter), &entry->subscription))
            remove_entry(index, at);
    }
}
