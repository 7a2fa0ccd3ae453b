#include "broker/mqtt_session.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/mqtt_ack.h"
#include "broker/mqtt_session_internal.h"

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

void broker_mqtt_session_lost(struct mqtt_session *session)
{
    if (session->state != OVER)
        broker_mqtt_session_finish(session, MQTT_SUCCESS);
}

void broker_mqtt_session_finish(struct mqtt_session *session, enum mqtt_reason reason)
{
    session->state = OVER;
    session->reason = reason;
}

bool broker_mqtt_session_fits_client(struct mqtt_session *session, size_t before)
{
    if (session->out->broken || session->out->len - before <= session->client_packet_max)
        return true;
    buf_cut(session->out, before);
    return false;
}

void broker_mqtt_session_settle(struct mqtt_session *session)
{
    if (session->out->broken && session->state != OVER)
        broker_mqtt_session_finish(session, MQTT_QUOTA_EXCEEDED);
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
    (void)broker_mqtt_session_fits_client(session, before);
}

void broker_mqtt_session_end(struct mqtt_session *session, enum mqtt_reason reason)
{
    assert(reason != MQTT_SUCCESS);
    if (session->state == OVER)
        return;
    write_farewell(session, reason);
    broker_mqtt_session_finish(session, reason);
}

struct message *broker_mqtt_session_take_will(struct mqtt_session *session, uint32_t *delay_s)
{
    uint32_t expiry = session->expiry_s, outlives = session->limits->will_outlives_s;

    if (outlives > session->asked_expiry_s)
        outlives = session->asked_expiry_s;
    if (expiry < outlives)
        expiry = outlives;
    *delay_s = session->will_delay_s < expiry ? session->will_delay_s : expiry;
    return TAKE(session->will);
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
        (void)broker_mqtt_session_fits_client(session, before);
    }
    broker_mqtt_session_settle(session);
    return RC_OK;
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
    if (!broker_mqtt_session_fits_client(session, before))
        broker_mqtt_session_end(session, MQTT_PACKET_TOO_LARGE);
    broker_mqtt_session_settle(session);
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
    broker_mqtt_session_finish(session, MQTT_SUCCESS);
    return RC_OK;
}

struct step {
    enum rc (*act)(struct mqtt_session *session, const struct mqtt_frame *frame,
                   enum mqtt_reason *why);
};

/* What a client may send when. QoS 2 is not served, so its packets have no place. */
static const struct step STEPS[STATES][MQTT_TYPES] = {
    [AWAITING_CONNECT] = { [MQTT_CONNECT] = { broker_mqtt_session_take_connect } },
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
    broker_mqtt_session_settle(session);
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
