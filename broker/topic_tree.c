#include "broker/topic_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_NODES = 64, FIRST_SLOTS = 128, TEXT_OVERHEAD = 16 };

struct node {
    uint8_t *text;
    uint64_t hash;
    uint32_t parent, first, next,
        previous;        /* children are a list; next also links free nodes */
    uint32_t plus, rest; /* children of these names */
    uint32_t holds, value;
    uint32_t len;
};

struct topic_tree {
    struct node *nodes;
    uint32_t *slots; /* open addressing, linear probing; TOPIC_NONE is empty */
    size_t node_room, node_used, slot_room;
    uint32_t free;
    size_t count, text_bytes;
    struct topic_tree_limits limits;
    struct topic_hash_key key;
};

size_t broker_topic_tree_count(const struct topic_tree *tree)
{
    return tree->count;
}

size_t broker_topic_tree_bytes(const struct topic_tree *tree)
{
    return tree->node_room * sizeof *tree->nodes + tree->slot_room * sizeof *tree->slots +
           tree->text_bytes;
}

static size_t slot_of(const struct topic_tree *tree, uint32_t parent, uint64_t hash)
{
    uint64_t mixed = (hash + parent) * 0x9e3779b97f4a7c15;

    return (size_t)(mixed >> 32) & (tree->slot_room - 1);
}

static void fill_slot(struct topic_tree *tree, uint32_t number)
{
    const struct node *node = &tree->nodes[number];
    size_t slot = slot_of(tree, node->parent, node->hash);

    while (tree->slots[slot] != TOPIC_NONE)
        slot = (slot + 1) & (tree->slot_room - 1);
    tree->slots[slot] = number;
}

/* Close the gap, so that a probe never has to step over what is gone. */
static void empty_slot(struct topic_tree *tree, uint32_t number)
{
    size_t mask = tree->slot_room - 1;
    size_t gap = slot_of(tree, tree->nodes[number].parent, tree->nodes[number].hash);

    while (tree->slots[gap] != number)
        gap = (gap + 1) & mask;
    for (size_t at = (gap + 1) & mask; tree->slots[at] != TOPIC_NONE; at = (at + 1) & mask) {
        const struct node *node = &tree->nodes[tree->slots[at]];
        size_t home = slot_of(tree, node->parent, node->hash);
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        tree->slots[gap] = tree->slots[at];
        gap = at;
    }
    tree->slots[gap] = TOPIC_NONE;
}

static enum rc grow_slots(struct topic_tree *tree, size_t room)
{
    uint32_t *slots = malloc(room * sizeof *slots);

    if (slots == NULL)
        return fault(RC_NOMEM, "topic tree");
    memset(slots, 0xff, room * sizeof *slots);
    free(tree->slots);
    tree->slots = slots;
    tree->slot_room = room;
    for (uint32_t i = 1; i < tree->node_used; i++)
        if (tree->nodes[i].parent != TOPIC_NONE)
            fill_slot(tree, i);
    return RC_OK;
}

static enum rc grow_nodes(struct topic_tree *tree, size_t room)
{
    struct node *nodes = realloc(tree->nodes, room * sizeof *nodes);

    if (nodes == NULL)
        return fault(RC_NOMEM, "topic tree");
    tree->nodes = nodes;
    tree->node_room = room;
    return RC_OK;
}

static void start_node(struct node *node, uint32_t parent)
{
    *node = (struct node){
        .parent = parent,
        .first = TOPIC_NONE,
        .next = TOPIC_NONE,
        .previous = TOPIC_NONE,
        .plus = TOPIC_NONE,
        .rest = TOPIC_NONE,
    };
}

enum rc broker_topic_tree_new(const struct topic_tree_limits *limits,
                              const struct topic_hash_key *key, struct topic_tree **tree)
{
    AUTO_OF(topic_tree) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "topic tree");
    made->limits = *limits;
    made->key = *key;
    made->free = TOPIC_NONE;
    TRY(grow_nodes(made, FIRST_NODES));
    TRY(grow_slots(made, FIRST_SLOTS));
    start_node(&made->nodes[TOPIC_ROOT], TOPIC_NONE);
    made->node_used = 1;
    *tree = TAKE(made);
    return RC_OK;
}

void broker_topic_tree_free(struct topic_tree *tree)
{
    if (tree == NULL)
        return;
    for (size_t i = 0; i < tree->node_used; i++)
        free(tree->nodes[i].text);
    free(tree->nodes);
    free(tree->slots);
    free(tree);
}

/* Room for one more node with a level of this length. */
static enum rc make_room(struct topic_tree *tree, size_t len)
{
    size_t more = len + TEXT_OVERHEAD;
    bool full = tree->free == TOPIC_NONE && tree->node_used == tree->node_room;
    bool crowded = (tree->count + 1) * 2 > tree->slot_room;

    more += full ? tree->node_room * sizeof *tree->nodes : 0;
    more += crowded ? tree->slot_room * sizeof *tree->slots : 0;
    if (tree->count >= tree->limits.nodes)
        return fault(RC_LIMIT, "topic tree of %zu levels", tree->count);
    if (broker_topic_tree_bytes(tree) + more > tree->limits.bytes)
        return fault(RC_LIMIT, "topic tree of more than %zu bytes", tree->limits.bytes);
    if (full)
        TRY(grow_nodes(tree, tree->node_room * 2));
    if (crowded)
        TRY(grow_slots(tree, tree->slot_room * 2));
    return RC_OK;
}

static void link_child(struct topic_tree *tree, uint32_t parent, uint32_t number)
{
    struct node *node = &tree->nodes[number];
    struct node *above = &tree->nodes[parent];
    struct bytes text = { node->text, node->len };

    node->next = above->first;
    if (above->first != TOPIC_NONE)
        tree->nodes[above->first].previous = number;
    above->first = number;
    if (bytes_equal_text(text, "+"))
        above->plus = number;
    if (bytes_equal_text(text, "#"))
        above->rest = number;
    fill_slot(tree, number);
}

static enum rc make_child(struct topic_tree *tree, uint32_t parent,
                          const struct topic_level *level, uint32_t *number)
{
    TRY(make_room(tree, level->text.len));
    uint8_t *text = malloc(level->text.len + 1);
    if (text == NULL)
        return fault(RC_NOMEM, "topic level");
    if (level->text.len > 0)
        memcpy(text, level->text.at, level->text.len);

    uint32_t taken = tree->free;
    if (taken != TOPIC_NONE)
        tree->free = tree->nodes[taken].next;
    else
        taken = (uint32_t)tree->node_used++;
    start_node(&tree->nodes[taken], parent);
    tree->nodes[taken].text = text;
    tree->nodes[taken].len = (uint32_t)level->text.len;
    tree->nodes[taken].hash = level->hash;
    link_child(tree, parent, taken);
    tree->count++;
    tree->text_bytes += level->text.len + TEXT_OVERHEAD;
    *number = taken;
    return RC_OK;
}

static void remove_node(struct topic_tree *tree, uint32_t number)
{
    struct node *node = &tree->nodes[number];
    struct node *above = &tree->nodes[node->parent];

    empty_slot(tree, number);
    if (node->previous != TOPIC_NONE)
        tree->nodes[node->previous].next = node->next;
    else
        above->first = node->next;
    if (node->next != TOPIC_NONE)
        tree->nodes[node->next].previous = node->previous;
    above->plus = above->plus == number ? TOPIC_NONE : above->plus;
    above->rest = above->rest == number ? TOPIC_NONE : above->rest;
    tree->count--;
    tree->text_bytes -= node->len + TEXT_OVERHEAD;
    free(node->text);
    start_node(node, TOPIC_NONE);
    node->next = tree->free;
    tree->free = number;
}

static void prune(struct topic_tree *tree, uint32_t number)
{
    while (number != TOPIC_ROOT && tree->nodes[number].holds == 0 &&
           tree->nodes[number].first == TOPIC_NONE) {
        uint32_t parent = tree->nodes[number].parent;
        remove_node(tree, number);
        number = parent;
    }
}

size_t broker_topic_tree_split(const struct topic_tree *tree, struct bytes topic,
                               struct topic_level levels[MQTT_LEVELS_MAX])
{
    struct mqtt_levels walk = { .left = topic };
    size_t count = 0;

    while (count < MQTT_LEVELS_MAX &&
           broker_mqtt_topic_next_level(&walk, &levels[count].text)) {
        levels[count].hash = broker_topic_hash(&tree->key, levels[count].text);
        count++;
    }
    assert(walk.ended);
    return count;
}

uint32_t broker_topic_tree_child(const struct topic_tree *tree, uint32_t parent,
                                 const struct topic_level *level)
{
    size_t mask = tree->slot_room - 1;
    size_t slot = slot_of(tree, parent, level->hash);

    for (; tree->slots[slot] != TOPIC_NONE; slot = (slot + 1) & mask) {
        const struct node *node = &tree->nodes[tree->slots[slot]];
        if (node->hash == level->hash && node->parent == parent &&
            bytes_equal((struct bytes){ node->text, node->len }, level->text))
            return tree->slots[slot];
    }
    return TOPIC_NONE;
}

enum rc broker_topic_tree_hold(struct topic_tree *tree, struct bytes topic, uint32_t *node)
{
    struct topic_level levels[MQTT_LEVELS_MAX];
    size_t count = broker_topic_tree_split(tree, topic, levels);
    uint32_t at = TOPIC_ROOT;

    for (size_t i = 0; i < count; i++) {
        uint32_t child = broker_topic_tree_child(tree, at, &levels[i]);
        enum rc rc = child != TOPIC_NONE ? RC_OK : make_child(tree, at, &levels[i], &child);
        if (rc != RC_OK) {
            prune(tree, at);
            return rc;
        }
        at = child;
    }
    tree->nodes[at].holds++;
    *node = at;
    return RC_OK;
}

void broker_topic_tree_release(struct topic_tree *tree, uint32_t node)
{
    assert(tree->nodes[node].holds > 0);
    tree->nodes[node].holds--;
    prune(tree, node);
}

uint32_t broker_topic_tree_find(const struct topic_tree *tree, struct bytes topic)
{
    struct topic_level levels[MQTT_LEVELS_MAX];
    size_t count = broker_topic_tree_split(tree, topic, levels);
    uint32_t at = TOPIC_ROOT;

    for (size_t i = 0; i < count && at != TOPIC_NONE; i++)
        at = broker_topic_tree_child(tree, at, &levels[i]);
    return at;
}

uint32_t broker_topic_tree_plus(const struct topic_tree *tree, uint32_t parent)
{
    return tree->nodes[parent].plus;
}

uint32_t broker_topic_tree_rest(const struct topic_tree *tree, uint32_t parent)
{
    return tree->nodes[parent].rest;
}

uint32_t broker_topic_tree_first(const struct topic_tree *tree, uint32_t parent)
{
    return tree->nodes[parent].first;
}

uint32_t broker_topic_tree_next(const struct topic_tree *tree, uint32_t node)
{
    return tree->nodes[node].next;
}

uint32_t broker_topic_tree_parent(const struct topic_tree *tree, uint32_t node)
{
    return tree->nodes[node].parent;
}

struct bytes broker_topic_tree_level(const struct topic_tree *tree, uint32_t node)
{
    return (struct bytes){ tree->nodes[node].text, tree->nodes[node].len };
}

uint32_t broker_topic_tree_value(const struct topic_tree *tree, uint32_t node)
{
    return tree->nodes[node].value;
}

void broker_topic_tree_set_value(struct topic_tree *tree, uint32_t node, uint32_t value)
{
    tree->nodes[node].value = value;
}
