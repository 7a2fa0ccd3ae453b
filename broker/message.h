/*
 * An application message, counted and shared: made once from a PUBLISH, written to any number
 * of subscribers.
 *
 * It is kept as the bytes of the wire: topic, properties to forward, payload, one behind the
 * other. A PUBLISH of MQTT 5.0 is a fixed header and these bytes; one of 3.1.1 leaves the
 * properties out. So it is encoded once for both versions, and writing it is two or three
 * copies. A message never changes after it was made.
 */
#pragma once

#include "broker/mqtt_publish.h"

struct message;

/*
 * Memory for messages: freed ones are kept by size and given out again, so that a steady flow
 * allocates nothing. A pool belongs to the thread that made it or adopted it last: new
 * messages are its alone. Holding, reading and releasing are safe on any thread: what another
 * one releases last comes back to the owner over a list without locks.
 */
struct message_pool;
struct message_pool_limits {
    size_t bytes;      /* of messages alive; beyond it RC_LIMIT */
    size_t kept_bytes; /* of freed ones that are kept */
};
enum rc broker_message_pool_new(const struct message_pool_limits *limits,
                                struct message_pool **pool);
/* From now on the calling thread's; the former owner no longer uses it. */
void broker_message_pool_adopt(struct message_pool *pool);
/* By its owner. Every message must have been released (assert). */
void broker_message_pool_free(struct message_pool *pool);
AUTO_STRUCT(message_pool, broker_message_pool_free)
size_t broker_message_pool_bytes(const struct message_pool *pool); /* of messages alive */

/*
 * Copies. What is for the sender's own connection stays behind: packet id, dup, topic alias,
 * subscription identifiers. now_ms (monotonic) starts the message expiry, if it has one.
 * The topic must not be empty: an alias is resolved before.
 */
enum rc broker_message_new(struct message_pool *pool, const struct mqtt_publish *publish,
                           int64_t now_ms, struct message **message);
struct message *broker_message_hold(struct message *message);
void broker_message_release(struct message *message);
AUTO_STRUCT(message, broker_message_release)

struct bytes broker_message_topic(const struct message *message);
struct bytes broker_message_payload(const struct message *message);
struct mqtt_properties broker_message_properties(const struct message *message);
uint8_t broker_message_qos(const struct message *message);
bool broker_message_is_retained(const struct message *message); /* sent with the retain flag */
/* A will's expiry starts when it is published (3.1.3.2.4). Only while nobody else holds it
 * (assert). */
void broker_message_restart_expiry(struct message *message, int64_t now_ms);
/* [MQTT-3.3.2-5]: what has expired must not be sent. */
bool broker_message_has_expired(const struct message *message, int64_t now_ms);
size_t
broker_message_bytes(const struct message *message); /* what it counts against its pool */

/* How one subscriber gets it. */
struct message_delivery {
    enum mqtt_version version;
    uint8_t qos;
    bool retain, dup;
    uint16_t packet_id;          /* not 0 if qos is not 0 */
    const uint32_t *identifiers; /* subscription identifiers; MQTT 5 only */
    size_t identifier_count;
    int64_t now_ms; /* the message expiry that is left is what is sent ([MQTT-3.3.2-6]) */
};
/* The size of the PUBLISH, for the subscriber's maximum packet size and the room in its queue.
 */
size_t broker_message_size(const struct message *message, const struct message_delivery *how);
void broker_message_write(const struct message *message, const struct message_delivery *how,
                          struct buf *out);
