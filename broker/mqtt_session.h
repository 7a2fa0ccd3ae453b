/*
 * One client's MQTT conversation, as a machine: frames and times go in, packets and events come
 * out. MQTT 5.0 and 3.1.1 (OASIS), sections 3.1.2.10, 3.3.4, 4.3, 4.4, 4.6, 4.9, 4.13.
 *
 * What is allowed when is a table [state][packet]; an empty cell ends the session. There is no
 * socket, no clock and no decision in here: the owner reads, writes, tells the time, and
 * decides what a client may do. QoS 1 is the highest that is served: MQTT 5 is told so in
 * CONNACK and a QoS 2 PUBLISH is answered by DISCONNECT 0x9B, in 3.1.1 it ends the connection.
 *
 * Order of use: frames by broker_mqtt_packet_next() while broker_mqtt_session_wants_input(),
 * each to broker_mqtt_session_take(); then write out what was appended; when over, close.
 */
#pragma once

#include "broker/message.h"
#include "broker/mqtt_connack.h"
#include "broker/mqtt_connect.h"
#include "broker/mqtt_disconnect.h"
#include "broker/mqtt_suback.h"
#include "broker/mqtt_subscribe.h"

struct mqtt_session;

struct mqtt_session_limits {
    uint32_t packet_max;         /* bytes of a packet from the client; told in CONNACK */
    uint32_t first_packet_max;   /* bytes of CONNECT */
    uint32_t connect_timeout_ms; /* from the start to a decided CONNECT */
    uint32_t session_expiry_max_s;
    /* A will waits for its delay this long, within what the client asked its session to last,
     * though the session itself does not last: [MQTT-3.1.3-9] is kept by the owner. */
    uint32_t will_outlives_s;
    uint32_t filters_max;         /* in one SUBSCRIBE or UNSUBSCRIBE */
    uint16_t topic_max;           /* bytes of a topic name */
    uint16_t topic_alias_maximum; /* that the client may use */
    uint16_t receive_maximum;  /* QoS 1 messages from the client that wait for PUBACK; not 0 */
    uint16_t inflight_max;     /* QoS 1 messages to the client that wait for PUBACK; not 0 */
    uint16_t queue_max;        /* those and the ones that wait to be sent; at most 32768 */
    size_t queue_bytes;        /* memory of those; what is over it is dropped as they are */
    uint16_t keep_alive_max_s; /* MQTT 5: a longer one, or none, becomes this; 0: any */
};

/*
 * What the client wants. All pointers are borrowed for the call. The owner answers at once or
 * later, by the functions below; until CONNECT is answered nothing else comes.
 */
struct mqtt_session_events {
    void (*connect)(void *with, const struct mqtt_connect *connect);
    /* The topic alias is resolved, QoS is 0 or 1. QoS 1 wants
     * broker_mqtt_session_acknowledge(). */
    void (*publish)(void *with, const struct mqtt_publish *publish);
    /* Either wants broker_mqtt_session_answer(). */
    void (*subscribe)(void *with, const struct mqtt_subscribe *subscribe);
    /* The client has the QoS 1 message. */
    void (*delivered)(void *with, const struct message *message, enum mqtt_reason reason);
    void *with;
};

/*
 * Packets to the client are appended to out, whose ceiling bounds what a slow reader can make
 * us keep: a quarter is left for answers, QoS 0 messages beyond the rest are dropped, QoS 1
 * messages wait. All pointers are borrowed for the session's life; the pool holds the will.
 */
enum rc broker_mqtt_session_new(const struct mqtt_session_limits *limits,
                                const struct mqtt_session_events *events,
                                struct message_pool *pool, struct buf *out, int64_t now_ms,
                                struct mqtt_session **session);
void broker_mqtt_session_free(struct mqtt_session *session);
AUTO_STRUCT(mqtt_session, broker_mqtt_session_free)

/* What framing needs to know. */
enum mqtt_version broker_mqtt_session_version(const struct mqtt_session *session);
size_t broker_mqtt_session_packet_max(const struct mqtt_session *session);
/* False while the owner owes an answer that must come first, while too much waits to be
 * written, and when over. */
bool broker_mqtt_session_wants_input(const struct mqtt_session *session);

/*
 * One whole frame. A failure has ended the session: the farewell is in out, the reason in the
 * fault. An orderly DISCONNECT ends it with RC_OK.
 */
enum rc broker_mqtt_session_take(struct mqtt_session *session, const struct mqtt_frame *frame,
                                 int64_t now_ms);
/*
 * Answer CONNECT; nothing happens if the session is over. assigned_id is sent if the client
 * left its id empty (MQTT 5). In the accepted CONNACK: maximum QoS 1, no shared subscriptions,
 * receive maximum, packet size, topic alias maximum, keep alive and session expiry where they
 * differ from what was asked.
 */
void broker_mqtt_session_accept(struct mqtt_session *session, bool session_present,
                                struct bytes assigned_id, int64_t now_ms);
/*
 * Say farewell and be over: a negative CONNACK before the session is accepted, DISCONNECT after
 * (MQTT 5 only), nothing where no packet may carry the reason. For the owner's decisions, and
 * for a framing that failed. MQTT_SUCCESS is not a reason (assert).
 */
void broker_mqtt_session_end(struct mqtt_session *session, enum mqtt_reason reason);

/*
 * PUBACK; they leave in the order of their PUBLISHes, as [MQTT-4.6.0-2] asks of clients,
 * however they are answered. In 3.1.1 a failure is not told: the message is acknowledged.
 * RC_NOT_FOUND if nothing with this id waits.
 */
enum rc broker_mqtt_session_acknowledge(struct mqtt_session *session, uint16_t packet_id,
                                        enum mqtt_reason reason);
/* SUBACK or UNSUBACK, as the type of the packet that asked wants it: a code for each filter. */
void broker_mqtt_session_answer(struct mqtt_session *session, enum mqtt_type asked,
                                uint16_t packet_id, struct bytes codes);

enum mqtt_delivered { MQTT_SENT, MQTT_QUEUED, MQTT_DROPPED };
/*
 * Hand a message to the client, at the lower of how->qos and the message's. Version, packet id
 * and dup of how are the session's own. Dropped if it expired, exceeds the client's maximum
 * packet size, or the queue (QoS 1) or out (QoS 0) is full.
 */
enum mqtt_delivered broker_mqtt_session_deliver(struct mqtt_session *session,
                                                struct message *message,
                                                const struct message_delivery *how);
/* Judge again what waits to be sent: what keep() does not say is dropped; returns how many. */
size_t broker_mqtt_session_review(struct mqtt_session *session,
                                  bool (*keep)(void *with, const struct message *message),
                                  void *with);
/* What deliver() would take now without dropping. None while QoS 1 messages wait to be sent, or
 * more than half the queue waits for PUBACK. */
struct mqtt_room {
    size_t bytes, messages;
    bool whole; /* nothing waits to be written: there will not be more soon */
};
struct mqtt_room broker_mqtt_session_room(const struct mqtt_session *session);
/* out was written: send what waits for room. */
void broker_mqtt_session_resume(struct mqtt_session *session, int64_t now_ms);

/* When to call tick(), on the clock of now_ms; INT64_MAX for never. */
int64_t broker_mqtt_session_deadline(const struct mqtt_session *session);
/* Ends the session if its keep alive (one and a half times, [MQTT-3.1.2-22]) or its time to
 * connect has passed. */
void broker_mqtt_session_tick(struct mqtt_session *session, int64_t now_ms);

/* The connection is gone without a word. */
void broker_mqtt_session_lost(struct mqtt_session *session);

bool broker_mqtt_session_is_over(const struct mqtt_session *session);
/* Why it is over; MQTT_SUCCESS after an orderly DISCONNECT and for a connection that just
 * ended. */
enum mqtt_reason broker_mqtt_session_reason(const struct mqtt_session *session);
/*
 * The will, to be owned by the caller, and after how many seconds to publish it, at most the
 * session expiry (but see will_outlives_s); NULL if there is none, or the client withdrew it by
 * its DISCONNECT
 * ([MQTT-3.14.4-3]). Whether it may be published the owner decides;
 * when it is, its expiry starts (broker_message_restart_expiry).
 */
struct message *broker_mqtt_session_take_will(struct mqtt_session *session, uint32_t *delay_s);
/* Messages that were dropped, for the owner's counters. */
uint64_t broker_mqtt_session_dropped(const struct mqtt_session *session);

/* The table of states, for the documents and their test: the packets a client may send. */
bool broker_mqtt_session_allows(unsigned state, enum mqtt_type type);
const char *broker_mqtt_session_state_name(unsigned state); /* NULL past the last */
