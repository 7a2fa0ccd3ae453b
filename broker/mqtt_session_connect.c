#include <assert.h>

#include "broker/mqtt_session_internal.h"

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

enum rc broker_mqtt_session_take_connect(struct mqtt_session *session,
                                         const struct mqtt_frame *frame, enum mqtt_reason *why)
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
    if (!broker_mqtt_session_fits_client(session, before))
        broker_mqtt_session_finish(session, MQTT_PACKET_TOO_LARGE);
    broker_mqtt_session_settle(session);
}
