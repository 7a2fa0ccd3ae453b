/*
 * The two windows of QoS 1 (MQTT 5.0 sections 4.3.2, 4.4, 4.6, 4.9): what the client has not
 * yet acknowledged to us, and what we have not yet acknowledged to the client. Rings that are
 * made when first needed and given back when empty, for most connections are idle.
 */
#pragma once

#include "broker/message.h"

/*
 * To the client. Packet identifiers are given in the order of sending, and the oldest message
 * leaves first, so those in flight are one run of numbers and an acknowledgement is found by
 * subtraction; with at most 32768 messages in the ring no number is used twice at a time
 * ([MQTT-2.2.1-4]).
 */
struct outbound {
    struct outbound_item *at;
    uint32_t head, count, room; /* room is a power of two */
    uint32_t sent;              /* of count, from the head on: written to the client */
    uint32_t unacknowledged;    /* of sent */
    uint16_t first_id;          /* of the one at the head; 0 before the first */
    size_t bytes;               /* of all in it, as broker_message_bytes() counts */
};

struct outbound_most {
    uint32_t messages;
    size_t bytes;
};

struct outbound_item {
    struct message *message;
    uint32_t *many; /* subscription identifiers if there is more than one, owned */
    uint32_t one, identifier_count;
    bool retain, acknowledged;
};

/* Holds the message and keeps what of how will be needed to send it. RC_LIMIT beyond most. */
enum rc broker_mqtt_window_queue(struct outbound *window, const struct outbound_most *most,
                                 struct message *message, const struct message_delivery *how);
/* The next to send, NULL if there is none; mark it sent by the second call, which gives the id.
 */
const struct outbound_item *broker_mqtt_window_next(const struct outbound *window);
uint16_t broker_mqtt_window_next_id(const struct outbound *window);
void broker_mqtt_window_sent(struct outbound *window);
/* The next will never be sent (expired, too large): it leaves as if it had been acknowledged.
 */
void broker_mqtt_window_skip(struct outbound *window);
/* Of those that were not sent, only what keep() says stays, in its order; returns how many do
 * not. */
size_t broker_mqtt_window_withdraw(struct outbound *window,
                                   bool (*keep)(void *with, const struct message *message),
                                   void *with);
/* NULL if nothing with this id waits; otherwise the message, borrowed until
 * broker_mqtt_window_trim(). */
const struct message *broker_mqtt_window_acknowledge(struct outbound *window, uint16_t id);
/* Let go of what is acknowledged at the head. */
void broker_mqtt_window_trim(struct outbound *window);
void broker_mqtt_window_clear(struct outbound *window); /* gives all back; reusable */

/* From the client: identifiers in the order of arrival, since PUBACKs leave in that order, as
 * [MQTT-4.6.0-2] asks of clients. */
struct inbound {
    struct inbound_item *at;
    uint32_t head, count, room;
};

struct inbound_item {
    uint16_t id;
    uint8_t reason;
    bool answered;
};

enum rc broker_mqtt_window_arrive(struct inbound *window, uint16_t id);
/* The oldest unanswered one with this id. RC_NOT_FOUND. */
enum rc broker_mqtt_window_answer(struct inbound *window, uint16_t id, enum mqtt_reason reason);
/* Take the next one that may be told; false if the oldest is not answered. */
bool broker_mqtt_window_tell(struct inbound *window, struct inbound_item *item);
void broker_mqtt_window_forget(struct inbound *window);
