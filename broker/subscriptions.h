/*
 * Who wants which topic: the subscription index.
 *
 * A tree of levels with `+` and `#`. Matching allocates nothing, changes nothing (several
 * readers may match while nobody writes), and visits only nodes that can match. Removing a
 * subscriber costs in proportion to its own subscriptions.
 */
#pragma once

#include "broker/mqtt_subscribe.h"
#include "broker/topic_tree.h"

struct subscriptions;

struct subscriptions_limits {
    size_t entries; /* in all */
    size_t per_subscriber;
    struct topic_tree_limits tree;
};

/* Lives in the subscriber's own struct; zeros are one without subscriptions. Must not move
 * while it has some. */
struct subscriber {
    uint32_t first; /* the index's own */
    uint32_t count;
};

struct subscription {
    struct mqtt_subscription_options options;
    uint32_t identifier; /* 0: none (MQTT 5.0 section 3.8.2.1.2) */
};

enum rc broker_subscriptions_new(const struct subscriptions_limits *limits,
                                 const struct topic_hash_key *key,
                                 struct subscriptions **index);
void broker_subscriptions_free(struct subscriptions *index);
AUTO_STRUCT(subscriptions, broker_subscriptions_free)

/*
 * Add, or replace what the subscriber had under this very filter ([MQTT-3.8.4-3]); *replaced
 * tells which. The filter must have been checked. RC_LIMIT changes nothing.
 */
enum rc broker_subscriptions_add(struct subscriptions *index, struct subscriber *subscriber,
                                 struct bytes filter, const struct subscription *subscription,
                                 bool *replaced);
/* False if there was none. */
bool broker_subscriptions_remove(struct subscriptions *index, struct subscriber *subscriber,
                                 struct bytes filter);
void broker_subscriptions_remove_all(struct subscriptions *index,
                                     struct subscriber *subscriber);

/* A subscriber with overlapping filters is found once for each; joining them is the caller's.
 */
struct subscriptions_finder {
    void (*found)(void *with, struct subscriber *subscriber,
                  const struct subscription *subscription);
    void *with;
};
/* name: a checked topic name. found() must not change the index. */
void broker_subscriptions_match(const struct subscriptions *index, struct bytes name,
                                const struct subscriptions_finder *finder);

/* Each filter of a subscriber, newest first, for judging them again under a new policy; keep()
 * says whether it stays. */
struct subscriptions_judge {
    bool (*keep)(void *with, struct bytes filter, const struct subscription *subscription);
    void *with;
};
void broker_subscriptions_review(struct subscriptions *index, struct subscriber *subscriber,
                                 const struct subscriptions_judge *judge);

size_t broker_subscriptions_count(const struct subscriptions *index);
size_t broker_subscriptions_bytes(const struct subscriptions *index);
