/*
 * Retained messages (MQTT 5.0 section 3.3.1.3), in memory: at most one a topic, bounded by
 * count and bytes. Making them durable is the broker's, who journals before it sets.
 */
#pragma once

#include "broker/message.h"
#include "broker/topic_tree.h"

struct retained;

struct retained_limits {
    size_t messages;
    size_t bytes; /* of the messages, as broker_message_bytes() counts */
    struct topic_tree_limits tree;
};

enum rc broker_retained_new(const struct retained_limits *limits,
                            const struct topic_hash_key *key, struct retained **retained);
void broker_retained_free(struct retained *retained);
AUTO_STRUCT(retained, broker_retained_free)

/* Replaces what the topic had; an empty payload clears it ([MQTT-3.3.1-6], [MQTT-3.3.1-7]).
 * Holds the message. RC_LIMIT changes nothing. */
enum rc broker_retained_set(struct retained *retained, struct message *message);
/* False if there was none. */
bool broker_retained_clear(struct retained *retained, struct bytes topic);
/* Borrowed until the next change; NULL if none. */
struct message *broker_retained_get(const struct retained *retained, struct bytes topic);

/* found() must not change the store; false: no more now, and this one was not taken. */
struct retained_finder {
    bool (*found)(void *with, struct message *message);
    void *with;
};
/*
 * Every message whose topic the checked filter matches, expired ones left out; steps is how
 * many nodes of the tree may be looked at, and is counted down. False: there is more than that,
 * or found() had enough; what it was given is then no part of anything: walk instead.
 */
bool broker_retained_match(const struct retained *retained, struct bytes filter, int64_t now_ms,
                           size_t *steps, const struct retained_finder *finder);
/*
 * The same for any number of messages, a piece at a time, and the store may change between the
 * pieces: what stays throughout is found once. Begin with *place 0; false: call again. A step
 * is a place of the store, whatever the filter.
 */
bool broker_retained_walk(const struct retained *retained, struct bytes filter, int64_t now_ms,
                          size_t *steps, uint32_t *place, const struct retained_finder *finder);
/* Every message, expired or not, in no order, until found() has enough. */
void broker_retained_each(const struct retained *retained,
                          const struct retained_finder *finder);
/* Clear what has expired; returns how many. Looks at every message. */
size_t broker_retained_expire(struct retained *retained, int64_t now_ms);

size_t broker_retained_count(const struct retained *retained);
size_t broker_retained_bytes(const struct retained *retained);
