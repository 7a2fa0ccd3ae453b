#include "broker/mqtt_session.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/mqtt_ack.h"
#include "broker/mqtt_window.h"

enum state { AWAITING_CONNECT, AWAITING_DECISION, CONNECTED, OVER, STATES };

struct mqtt_session {
    const struct mqtt_session_limits *limits;
    const struct mqtt_session_events *events;
    struct message_pool *pool;
    struct buf *out;
    enum state state;
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

enum rc broker_mqtt_session_new(const struct mqtt_session_limits *limits,
                                const struct mqtt_session_events *events,
                                struct message_pool *pool, struct buf *out, int64_t now_ms,
                                struct mqtt_session **session)
{
    struct mqtt_session *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "MQTT session");
    made->limits = limits;
    made->events = events;
    made->pool = pool;
    made->out = out;
    made->started_ms = now_ms;
    made->last_heard_ms = now_ms;
    *session = made;
    return RC_OK;
}

static void forget_aliases(struct mqtt_session *session)
{
    for (size_t i = 0; session->aliases != NULL && i < session->limits->topic_alias_maximum;
         i++)
        buf_clear(&session->aliases[i]);
    free(session->aliases);
    session->aliases = NULL;
}

void broker_mqtt_session_free(struct mqtt_session *session)
{
    if (session == NULL)
        return;
    broker_message_release(session->will);
    broker_mqtt_window_clear(&session->outbound);
    broker_mqtt_window_forget(&session->inbound);
    forget_aliases(session);
    free(session);
}

enum mqtt_version broker_mqtt_session_version(const struct mqtt_session *session)
{
    return session->version;
}

size_t broker_mqtt_session_packet_max(const struct mqtt_session *session)
{
    return session->state == AWAITING_CONNECT ? session->limits->first_packet_max
                                              : session->limits->packet_max;
}

bool broker_mqtt_session_wants_input(const struct mqtt_session *session)
{
    if (session->state != CONNECTED)
        return session->state == AWAITING_CONNECT;
    if (session->version == MQTT_3_1_1 &&
        session->inbound.count >= session->limits->receive_maximum)
        return false;
    return session->out->len <= session->out->max / 2;
}

bool broker_mqtt_session_is_over(const struct mqtt_session *session)
{
    return session->state == OVER;
}

enum mqtt_reason broker_mqtt_session_reason(const struct mqtt_session *session)
{
    return session->reason;
}

uint64_t broker_mqtt_session_dropped(const struct mqtt_session *session)
{
    return session->dropped;
}

static void finish(struct mqtt_session *session, enum mqtt_reason reason)
{
    session->state = OVER;
    session->reason = reason;
}

void broker_mqtt_session_lost(struct mqtt_session *session)
{
    if (session->state != OVER)
        finish(session, MQTT_SUCCESS);
}

/* [MQTT-3.1.2-24]: what the client did not want to be sent is taken back. True if it stays. */
static bool fits_client(struct mqtt_session *session, size_t before)
{
    if (session->out->broken || session->out->len - before <= session->client_packet_max)
        return true;
    buf_cut(session->out, before);
    return false;
}

static void write_farewell(struct mqtt_session *session, enum mqtt_reason reason)
{
    size_t before = session->out->len;

    if (session->state == CONNECTED && session->version == MQTT_5 &&
        broker_mqtt_reason_fits(reason, MQTT_DISCONNECT))
        broker_mqtt_disconnect_write(MQTT_DISCONNECT,
                                     &(struct mqtt_disconnect){ .reason = reason }, MQTT_5,
                                     session->out);
    if (session->state != CONNECTED && session->version != MQTT_VERSION_UNKNOWN &&
        broker_mqtt_reason_fits(reason, MQTT_CONNACK))
        broker_mqtt_connack_write(&(struct mqtt_connack){ .reason = reason }, session->version,
                                  session->out);
    (void)fits_client(session, before);
}

void broker_mqtt_session_end(struct mqtt_session *session, enum mqtt_reason reason)
{
    assert(reason != MQTT_SUCCESS);
    if (session->state == OVER)
        return;
    write_farewell(session, reason);
    finish(session, reason);
}

struct message *broker_mqtt_session_take_will(struct mqtt_session *session, uint32_t *delay_s)
{
    uint32_t expiry = session->expiry_s;

    *delay_s = session->will_delay_s < expiry ? session->will_delay_s : expiry;
    return TAKE(session->will);
}

static enum rc keep_will(struct mqtt_session *session, const struct mqtt_will *will,
                         enum mqtt_reason *why)
{
    struct mqtt_publish publish = {
        .topic = will->topic,
        .payload = will->payload,
        .properties = will->properties,
        .qos = will->qos,
        .retain = will->retain,
    };

    if (will->qos > 1)
        return MQTT_REFUSE(why, MQTT_QOS_NOT_SUPPORTED,
                           "[MQTT-3.2.2-12] will of QoS %u, the highest is 1", will->qos);
    if (will->topic.len > session->limits->topic_max)
        return MQTT_REFUSE(why, MQTT_TOPIC_NAME_INVALID,
                           "will topic of %zu bytes, the limit is %u", will->topic.len,
                           session->limits->topic_max);
    *why = MQTT_QUOTA_EXCEEDED;
    TRY(broker_message_new(session->pool, &publish, session->last_heard_ms, &session->will));
    session->will_delay_s =
        broker_mqtt_properties_number(&will->properties, MQTT_WILL_DELAY, 0);
    return RC_OK;
}

static void keep_wishes(struct mqtt_session *session, const struct mqtt_connect *connect)
{
    const struct mqtt_properties *asked = &connect->properties;
    uint32_t most = session->limits->session_expiry_max_s;
    uint16_t longest = session->limits->keep_alive_max_s;
    uint32_t expiry = broker_mqtt_properties_number(asked, MQTT_SESSION_EXPIRY, 0);

    /* 3.1.1 has no expiry: a session that is not clean lasts as long as we keep any. */
    if (connect->version == MQTT_3_1_1 && !connect->clean_start)
        expiry = UINT32_MAX;
    session->asked_expiry_s = expiry;
    session->expiry_s = expiry < most ? expiry : most;
    session->client_receive_maximum =
        (uint16_t)broker_mqtt_properties_number(asked, MQTT_RECEIVE_MAXIMUM, UINT16_MAX);
    session->client_packet_max =
        broker_mqtt_properties_number(asked, MQTT_MAXIMUM_PACKET_SIZE, UINT32_MAX);
    session->unnamed = connect->client_id.len == 0;
    session->keep_alive_s = connect->keep_alive_s;
    session->wants_more_life = connect->version == MQTT_5 && longest != 0 &&
                               (connect->keep_alive_s == 0 || connect->keep_alive_s > longest);
    if (session->wants_more_life)
        session->keep_alive_s = longest;
}

static enum rc take_connect(struct mqtt_session *session, const struct mqtt_frame *frame,
                            enum mqtt_reason *why)
{
    struct mqtt_connect connect;

    session->version = broker_mqtt_connect_version(frame);
    session->client_packet_max = UINT32_MAX;
    TRY(broker_mqtt_connect_read(frame, &connect, why));
    keep_wishes(session, &connect);
    if (connect.has_will)
        TRY(keep_will(session, &connect.will, why));
    session->state = AWAITING_DECISION;
    session->events->connect(session->events->with, &connect);
    return RC_OK;
}

static void add_offer(const struct mqtt_session *session, struct bytes assigned_id,
                      struct buf *block)
{
    const struct mqtt_session_limits *limits = session->limits;

    if (session->expiry_s != session->asked_expiry_s)
        broker_mqtt_properties_add_number(block, MQTT_SESSION_EXPIRY, session->expiry_s);
    if (limits->receive_maximum != UINT16_MAX)
        broker_mqtt_properties_add_number(block, MQTT_RECEIVE_MAXIMUM, limits->receive_maximum);
    broker_mqtt_properties_add_number(block, MQTT_MAXIMUM_QOS, 1);
    broker_mqtt_properties_add_number(block, MQTT_MAXIMUM_PACKET_SIZE, limits->packet_max);
    if (session->unnamed)
        broker_mqtt_properties_add_data(block, MQTT_ASSIGNED_CLIENT_ID, assigned_id);
    if (limits->topic_alias_maximum != 0)
        broker_mqtt_properties_add_number(block, MQTT_TOPIC_ALIAS_MAXIMUM,
                                          limits->topic_alias_maximum);
    if (session->wants_more_life)
        broker_mqtt_properties_add_number(block, MQTT_SERVER_KEEP_ALIVE, session->keep_alive_s);
    broker_mqtt_properties_add_number(block, MQTT_SHARED_AVAILABLE, 0);
}

/* An answer that found no room: the client does not read what it asked for. */
static void settle(struct mqtt_session *session)
{
    if (session->out->broken && session->state != OVER)
        finish(session, MQTT_QUOTA_EXCEEDED);
}

void broker_mqtt_session_accept(struct mqtt_session *session, bool session_present,
                                struct bytes assigned_id, int64_t now_ms)
{
    AUTO_BUF(block, 256);
    size_t before = session->out->len;
    struct mqtt_connack connack = { .session_present = session_present };

    if (session->state == OVER)
        return;
    assert(session->state == AWAITING_DECISION);
    if (session->version == MQTT_5) {
        add_offer(session, assigned_id, &block);
        connack.properties = broker_mqtt_properties_of(&block, MQTT_CONNACK);
    }
    broker_mqtt_connack_write(&connack, session->version, session->out);
    session->last_heard_ms = now_ms;
    session->state = CONNECTED;
    if (!fits_client(session, before))
        finish(session, MQTT_PACKET_TOO_LARGE);
    settle(session);
}

static enum rc resolve_alias(struct mqtt_session *session, struct mqtt_publish *publish,
                             enum mqtt_reason *why)
{
    uint32_t most = session->limits->topic_alias_maximum;
    uint32_t alias = broker_mqtt_properties_number(&publish->properties, MQTT_TOPIC_ALIAS, 0);

    if (alias > most)
        return MQTT_REFUSE(why, MQTT_TOPIC_ALIAS_INVALID,
                           "[MQTT-3.3.2-9] topic alias %u, the highest is %u", alias, most);
    if (session->aliases == NULL) {
        *why = MQTT_SERVER_BUSY;
        session->aliases = calloc(most, sizeof *session->aliases);
        if (session->aliases == NULL)
            return fault(RC_NOMEM, "topic aliases");
        for (uint32_t i = 0; i < most; i++)
            session->aliases[i] = BUF_MAX(session->limits->topic_max);
    }
    struct buf *topic = &session->aliases[alias - 1];

    if (publish->topic.len > 0) {
        buf_reset(topic);
        buf_add(topic, publish->topic);
        *why = MQTT_QUOTA_EXCEEDED;
        return buf_done(topic, &publish->topic);
    }
    if (topic->len == 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 3.3.2.3.4: topic alias %u is new",
                           alias);
    publish->topic = buf_bytes(topic);
    return RC_OK;
}

static enum rc check_publish(struct mqtt_session *session, struct mqtt_publish *publish,
                             enum mqtt_reason *why)
{
    const struct mqtt_session_limits *limits = session->limits;

    if (broker_mqtt_properties_has(&publish->properties, MQTT_SUBSCRIPTION_ID))
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-3.3.4-6] subscription identifier from a client");
    if (publish->topic.len > limits->topic_max)
        return MQTT_REFUSE(why, MQTT_TOPIC_NAME_INVALID, "topic of %zu bytes, the limit is %u",
                           publish->topic.len, limits->topic_max);
    if (publish->qos > 0 && session->inbound.count >= limits->receive_maximum)
        return MQTT_REFUSE(why, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
                           "[MQTT-3.3.4-7] more than %u messages without PUBACK",
                           limits->receive_maximum);
    if (broker_mqtt_properties_has(&publish->properties, MQTT_TOPIC_ALIAS))
        TRY(resolve_alias(session, publish, why));
    return RC_OK;
}

static enum rc take_publish(struct mqtt_session *session, const struct mqtt_frame *frame,
                            enum mqtt_reason *why)
{
    struct mqtt_publish publish;

    if ((frame->flags >> 1 & 3) == 2)
        return MQTT_REFUSE(why, MQTT_QOS_NOT_SUPPORTED,
                           "[MQTT-3.2.2-11] PUBLISH of QoS 2, the highest is 1");
    TRY(broker_mqtt_publish_read(frame, session->version, &publish, why));
    TRY(check_publish(session, &publish, why));
    if (publish.qos > 0) {
        *why = MQTT_SERVER_BUSY;
        TRY(broker_mqtt_window_arrive(&session->inbound, publish.packet_id));
    }
    session->events->publish(session->events->with, &publish);
    return RC_OK;
}

enum rc broker_mqtt_session_acknowledge(struct mqtt_session *session, uint16_t packet_id,
                                        enum mqtt_reason reason)
{
    struct inbound_item item;

    if (session->state != CONNECTED)
        return RC_OK;
    TRY(broker_mqtt_window_answer(&session->inbound, packet_id, reason));
    while (broker_mqtt_window_tell(&session->inbound, &item)) {
        size_t before = session->out->len;
        struct mqtt_ack ack = { .packet_id = item.id, .reason = (enum mqtt_reason)item.reason };
        broker_mqtt_ack_write(MQTT_PUBACK, &ack, session->version, session->out);
        (void)fits_client(session, before);
    }
    settle(session);
    return RC_OK;
}

/* Messages use three quarters of out; the rest is for answers. */
static size_t room_for_messages(const struct mqtt_session *session)
{
    return session->out->max - session->out->max / 4;
}

static bool has_room(const struct mqtt_session *session, size_t size)
{
    size_t most = room_for_messages(session);

    return !session->out->broken && session->out->len <= most &&
           size <= most - session->out->len;
}

static uint32_t most_inflight(const struct mqtt_session *session)
{
    return session->client_receive_maximum < session->limits->inflight_max
               ? session->client_receive_maximum
               : session->limits->inflight_max;
}

/* [MQTT-3.1.2-25]: what the client would refuse is discarded as if it had been sent; so is what
 * would never find room. */
static bool is_deliverable(const struct mqtt_session *session, const struct message *message,
                           const struct message_delivery *how)
{
    size_t size = broker_message_size(message, how);

    return !broker_message_has_expired(message, how->now_ms) &&
           size <= session->client_packet_max && size <= room_for_messages(session);
}

static void send_waiting(struct mqtt_session *session, int64_t now_ms)
{
    const struct outbound_item *item;

    while ((item = broker_mqtt_window_next(&session->outbound)) != NULL &&
           session->outbound.unacknowledged < most_inflight(session)) {
        struct message_delivery how = {
            .version = session->version,
            .qos = 1,
            .retain = item->retain,
            .packet_id = broker_mqtt_window_next_id(&session->outbound),
            .identifiers = item->many != NULL ? item->many : &item->one,
            .identifier_count = item->identifier_count,
            .now_ms = now_ms,
        };
        if (!is_deliverable(session, item->message, &how)) {
            session->dropped++;
            broker_mqtt_window_skip(&session->outbound);
            continue;
        }
        if (!has_room(session, broker_message_size(item->message, &how)))
            return;
        broker_message_write(item->message, &how, session->out);
        broker_mqtt_window_sent(&session->outbound);
    }
}

void broker_mqtt_session_resume(struct mqtt_session *session, int64_t now_ms)
{
    if (session->state == CONNECTED)
        send_waiting(session, now_ms);
}

static enum mqtt_delivered drop(struct mqtt_session *session)
{
    session->dropped++;
    return MQTT_DROPPED;
}

enum mqtt_delivered broker_mqtt_session_deliver(struct mqtt_session *session,
                                                struct message *message,
                                                const struct message_delivery *how)
{
    struct message_delivery ours = *how;
    uint8_t qos = broker_message_qos(message);

    ours.version = session->version;
    ours.qos = how->qos < qos ? how->qos : qos;
    ours.qos = ours.qos > 1 ? 1 : ours.qos;
    ours.dup = false;
    if (session->state != CONNECTED || !is_deliverable(session, message, &ours))
        return drop(session);
    if (ours.qos == 0) {
        if (!has_room(session, broker_message_size(message, &ours)))
            return drop(session);
        broker_message_write(message, &ours, session->out);
        return MQTT_SENT;
    }
    if (broker_mqtt_window_queue(&session->outbound, session->limits->queue_max, message,
                                 &ours) != RC_OK)
        return drop(session);
    send_waiting(session, how->now_ms);
    return session->outbound.count == session->outbound.sent ? MQTT_SENT : MQTT_QUEUED;
}

static enum rc take_puback(struct mqtt_session *session, const struct mqtt_frame *frame,
                           enum mqtt_reason *why)
{
    struct mqtt_ack ack;

    TRY(broker_mqtt_ack_read(frame, session->version, &ack, why));
    const struct message *message =
        broker_mqtt_window_acknowledge(&session->outbound, ack.packet_id);
    /* Nothing in section 4 makes an unknown identifier an error; there is nothing to do. */
    if (message == NULL)
        return RC_OK;
    session->events->delivered(session->events->with, message, ack.reason);
    broker_mqtt_window_trim(&session->outbound);
    broker_mqtt_session_resume(session, session->last_heard_ms);
    return RC_OK;
}

static enum rc take_subscribe(struct mqtt_session *session, const struct mqtt_frame *frame,
                              enum mqtt_reason *why)
{
    struct mqtt_subscribe subscribe;

    TRY(broker_mqtt_subscribe_read(frame, session->version, session->limits->filters_max,
                                   &subscribe, why));
    session->events->subscribe(session->events->with, &subscribe);
    return RC_OK;
}

void broker_mqtt_session_answer(struct mqtt_session *session, enum mqtt_type asked,
                                uint16_t packet_id, struct bytes codes)
{
    size_t before = session->out->len;
    struct mqtt_suback suback = {
        .type = asked == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK,
        .packet_id = packet_id,
        .codes = codes,
    };

    if (session->state != CONNECTED)
        return;
    broker_mqtt_suback_write(&suback, session->version, session->out);
    if (!fits_client(session, before))
        broker_mqtt_session_end(session, MQTT_PACKET_TOO_LARGE);
    settle(session);
}

static enum rc take_pingreq(struct mqtt_session *session, const struct mqtt_frame *frame,
                            enum mqtt_reason *why)
{
    TRY(broker_mqtt_ping_read(frame, why));
    broker_mqtt_ping_write(MQTT_PINGRESP, session->out);
    return RC_OK;
}

static enum rc take_disconnect(struct mqtt_session *session, const struct mqtt_frame *frame,
                               enum mqtt_reason *why)
{
    struct mqtt_disconnect disconnect;

    TRY(broker_mqtt_disconnect_read(frame, session->version, &disconnect, why));
    uint32_t expiry = broker_mqtt_properties_number(&disconnect.properties, MQTT_SESSION_EXPIRY,
                                                    session->asked_expiry_s);
    if (session->asked_expiry_s == 0 && expiry != 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "MQTT 3.14.2.2.2: session expiry in DISCONNECT, none in CONNECT");
    session->expiry_s = expiry < session->limits->session_expiry_max_s
                            ? expiry
                            : session->limits->session_expiry_max_s;
    if (disconnect.reason == MQTT_SUCCESS) {
        broker_message_release(session->will);
        session->will = NULL;
    }
    finish(session, MQTT_SUCCESS);
    return RC_OK;
}

struct step {
    enum rc (*act)(struct mqtt_session *session, const struct mqtt_frame *frame,
                   enum mqtt_reason *why);
};

/* What a client may send when. QoS 2 is not served, so its packets have no place. */
static const struct step STEPS[STATES][MQTT_TYPES] = {
    [AWAITING_CONNECT] = { [MQTT_CONNECT] = { take_connect } },
    [CONNECTED] = {
        [MQTT_PUBLISH] = { take_publish },
        [MQTT_PUBACK] = { take_puback },
        [MQTT_SUBSCRIBE] = { take_subscribe },
        [MQTT_UNSUBSCRIBE] = { take_subscribe },
        [MQTT_PINGREQ] = { take_pingreq },
        [MQTT_DISCONNECT] = { take_disconnect },
    },
};

static const char *const STATE_NAMES[STATES] = {
    [AWAITING_CONNECT] = "awaiting CONNECT",
    [AWAITING_DECISION] = "awaiting the owner's decision",
    [CONNECTED] = "connected",
    [OVER] = "over",
};

bool broker_mqtt_session_allows(unsigned state, enum mqtt_type type)
{
    return state < STATES && STEPS[state][type].act != NULL;
}

const char *broker_mqtt_session_state_name(unsigned state)
{
    return state < STATES ? STATE_NAMES[state] : NULL;
}

static enum rc refuse_packet(const struct mqtt_session *session, enum mqtt_type type,
                             enum mqtt_reason *why)
{
    const char *name = broker_mqtt_type_name(type);

    if (session->state == AWAITING_CONNECT)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-3.1.0-1] the first packet is %s, not CONNECT", name);
    if (type == MQTT_CONNECT)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "[MQTT-3.1.0-2] a second CONNECT");
    return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 4.13: %s while %s", name,
                       STATE_NAMES[session->state]);
}

enum rc broker_mqtt_session_take(struct mqtt_session *session, const struct mqtt_frame *frame,
                                 int64_t now_ms)
{
    const struct step *step = &STEPS[session->state][frame->type];
    enum mqtt_reason why = MQTT_UNSPECIFIED_ERROR;

    assert(frame->whole);
    session->last_heard_ms = now_ms;
    enum rc rc = step->act == NULL ? refuse_packet(session, frame->type, &why)
                                   : step->act(session, frame, &why);
    if (rc != RC_OK) {
        broker_mqtt_session_end(session, why);
        return rc;
    }
    settle(session);
    return session->out->broken
               ? fault(RC_LIMIT, "the client does not read its answers: %zu bytes wait",
                       session->out->len)
               : RC_OK;
}

int64_t broker_mqtt_session_deadline(const struct mqtt_session *session)
{
    if (session->state == AWAITING_CONNECT || session->state == AWAITING_DECISION)
        return session->started_ms + session->limits->connect_timeout_ms;
    if (session->state == CONNECTED && session->keep_alive_s != 0)
        return session->last_heard_ms + session->keep_alive_s * 1500LL;
    return INT64_MAX;
}

void broker_mqtt_session_tick(struct mqtt_session *session, int64_t now_ms)
{
    if (session->outbound.count == 0)
        broker_mqtt_window_clear(&session->outbound);
    if (session->inbound.count == 0)
        broker_mqtt_window_forget(&session->inbound);
    if (now_ms < broker_mqtt_session_deadline(session))
        return;
    broker_mqtt_session_end(session, session->state == AWAITING_DECISION
                                         ? MQTT_SERVER_UNAVAILABLE
                                         : MQTT_KEEP_ALIVE_TIMEOUT);
}
