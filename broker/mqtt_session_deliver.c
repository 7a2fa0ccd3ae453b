#include "broker/mqtt_session_internal.h"

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

struct mqtt_room broker_mqtt_session_room(const struct mqtt_session *session)
{
    const struct outbound *queue = &session->outbound;
    size_t written = session->out->len, most = room_for_messages(session);
    size_t memory = session->limits->queue_bytes;

    if (session->state != CONNECTED || written > most || queue->sent < queue->count ||
        queue->count > session->limits->queue_max / 2 || queue->bytes > memory / 2)
        return (struct mqtt_room){ 0 };
    return (struct mqtt_room){ .bytes = most - written < memory - queue->bytes
                                            ? most - written
                                            : memory - queue->bytes,
                               .messages = session->limits->queue_max - queue->count,
                               .whole = written == 0 };
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
    const struct outbound_most most = { session->limits->queue_max,
                                        session->limits->queue_bytes };
    if (broker_mqtt_window_queue(&session->outbound, &most, message, &ours) != RC_OK)
        return drop(session);
    send_waiting(session, how->now_ms);
    return session->outbound.count == session->outbound.sent ? MQTT_SENT : MQTT_QUEUED;
}

size_t broker_mqtt_session_review(struct mqtt_session *session,
                                  bool (*keep)(void *with, const struct message *message),
                                  void *with)
{
    size_t withdrawn = broker_mqtt_window_withdraw(&session->outbound, keep, with);

    session->dropped += withdrawn;
    return withdrawn;
}
