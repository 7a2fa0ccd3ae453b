/*
 * Topics as a tree of levels, each node a number: what subscriptions and retained messages hang
 * on.
 *
 * Nodes lie in one array and are found by (parent, level) in one hash table, so a step down
 * costs one look-up whatever the number of siblings. A node lives while it is held or has
 * children. Wildcards are levels like any other here; what they mean their users know.
 */
#pragma once

#include "base/own.h"
#include "base/rc.h"
#include "broker/mqtt_topic.h"
#include "broker/topic_hash.h"

struct topic_tree;

enum { TOPIC_ROOT = 0, TOPIC_NONE = UINT32_MAX };

struct topic_tree_limits {
    size_t nodes; /* at most UINT32_MAX - 1 */
    size_t bytes; /* memory of it all */
};

enum rc broker_topic_tree_new(const struct topic_tree_limits *limits,
                              const struct topic_hash_key *key, struct topic_tree **tree);
void broker_topic_tree_free(struct topic_tree *tree);
AUTO_STRUCT(topic_tree, broker_topic_tree_free)

/* The node of this checked topic or filter, made where missing and held once more. RC_LIMIT. */
enum rc broker_topic_tree_hold(struct topic_tree *tree, struct bytes topic, uint32_t *node);
/* Give one hold back; what nothing needs any more is gone, and its number may be used again. */
void broker_topic_tree_release(struct topic_tree *tree, uint32_t node);

/* TOPIC_NONE if it is not there. */
uint32_t broker_topic_tree_find(const struct topic_tree *tree, struct bytes topic);

/* A level with its hash, so that a topic is hashed once however often it is looked up. */
struct topic_level {
    struct bytes text;
    uint64_t hash;
};
/* The levels of a checked topic; returns how many. */
size_t broker_topic_tree_split(const struct topic_tree *tree, struct bytes topic,
                               struct topic_level levels[MQTT_LEVELS_MAX]);
uint32_t broker_topic_tree_child(const struct topic_tree *tree, uint32_t parent,
                                 const struct topic_level *level);
/* The children named "+" and "#". */
uint32_t broker_topic_tree_plus(const struct topic_tree *tree, uint32_t parent);
uint32_t broker_topic_tree_rest(const struct topic_tree *tree, uint32_t parent);

/* Walk the children: first, then next until TOPIC_NONE. */
uint32_t broker_topic_tree_first(const struct topic_tree *tree, uint32_t parent);
uint32_t broker_topic_tree_next(const struct topic_tree *tree, uint32_t node);
uint32_t broker_topic_tree_parent(const struct topic_tree *tree, uint32_t node);
struct bytes broker_topic_tree_level(const struct topic_tree *tree, uint32_t node);

/* A number per node for the user of the tree; 0 in a new one. */
uint32_t broker_topic_tree_value(const struct topic_tree *tree, uint32_t node);
void broker_topic_tree_set_value(struct topic_tree *tree, uint32_t node, uint32_t value);

size_t broker_topic_tree_count(const struct topic_tree *tree); /* nodes, without the root */
size_t broker_topic_tree_bytes(const struct topic_tree *tree); /* memory in use */
