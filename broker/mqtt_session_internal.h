/* What the files of the session share: its state, and how it ends. For mqtt_session*.c only. */
#pragma once

#include "broker/mqtt_session.h"
#include "broker/mqtt_window.h"

enum mqtt_session_state { AWAITING_CONNECT, AWAITING_DECISION, CONNECTED, OVER, STATES };

struct mqtt_session {
    const struct mqtt_session_limits *limits;
    const struct mqtt_session_events *events;
    struct message_pool *pool;
    struct buf *out;
    enum mqtt_session_state state;
    enum mqtt_version version;
    enum mqtt_reason reason;
    uint16_t keep_alive_s;
    uint16_t client_receive_maximum;
    uint32_t client_packet_max;
    uint32_t asked_expiry_s, expiry_s, will_delay_s;
    bool unnamed;         /* the client left its identifier to us */
    bool wants_more_life; /* its keep alive is longer than we allow, or none */
    struct message *will;
    struct buf *aliases; /* topic_alias_maximum of them, made when the first is used */
    int64_t started_ms, last_heard_ms;
    struct outbound outbound;
    struct inbound inbound;
    uint64_t dropped;
};

void broker_mqtt_session_finish(struct mqtt_session *session, enum mqtt_reason reason);
/* [MQTT-3.1.2-24]: what the client did not want to be sent, since out was this long, is taken
 * back. True if it stays. */
bool broker_mqtt_session_fits_client(struct mqtt_session *session, size_t before);
/* An answer that found no room ends the session: the client does not read what it asked for. */
void broker_mqtt_session_settle(struct mqtt_session *session);
/* The action of CONNECT, mqtt_session_connect.c. */
enum rc broker_mqtt_session_take_connect(struct mqtt_session *session,
                                         const struct mqtt_frame *frame, enum mqtt_reason *why);
