#include "broker/mqtt_publish.h"

#include "broker/mqtt_topic.h"

enum { FLAG_RETAIN = 1, FLAG_DUP = 8 };

static enum rc refuse_topic(const char *what, enum mqtt_reason *why)
{
    *why = MQTT_TOPIC_NAME_INVALID;
    return fault_while(RC_MALFORMED, "%s of PUBLISH", what);
}

static enum rc check_topic(const struct mqtt_publish *publish, enum mqtt_reason *why)
{
    bool aliased = broker_mqtt_properties_has(&publish->properties, MQTT_TOPIC_ALIAS);

    if (publish->topic.len == 0 && aliased)
        return RC_OK;
    if (publish->topic.len == 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "MQTT 3.3.2.1: [MQTT-4.7.3-1] PUBLISH without topic and alias");
    if (broker_mqtt_topic_check_name(publish->topic) != RC_OK)
        return refuse_topic("topic", why);
    return RC_OK;
}

static enum rc check_properties(const struct mqtt_properties *properties, enum mqtt_reason *why)
{
    struct bytes response = broker_mqtt_properties_data(properties, MQTT_RESPONSE_TOPIC);

    if (broker_mqtt_properties_has(properties, MQTT_TOPIC_ALIAS) &&
        broker_mqtt_properties_number(properties, MQTT_TOPIC_ALIAS, 0) == 0)
        return MQTT_REFUSE(why, MQTT_TOPIC_ALIAS_INVALID, "[MQTT-3.3.2-8] topic alias 0");
    if (broker_mqtt_properties_has(properties, MQTT_RESPONSE_TOPIC) &&
        broker_mqtt_topic_check_name(response) != RC_OK)
        return refuse_topic("[MQTT-3.3.2-14] response topic", why);
    return RC_OK;
}

enum rc broker_mqtt_publish_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                 struct mqtt_publish *publish, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_publish got = {
        .qos = frame->flags >> 1 & 3,
        .retain = (frame->flags & FLAG_RETAIN) != 0,
        .dup = (frame->flags & FLAG_DUP) != 0,
    };

    TRY(broker_mqtt_packet_string(&r, "topic of PUBLISH", &got.topic, why));
    if (got.qos > 0)
        TRY(broker_mqtt_packet_id(&r, MQTT_PUBLISH, &got.packet_id, why));
    if (version == MQTT_5) {
        TRY(broker_mqtt_properties_read(&r, MQTT_PUBLISH, &got.properties, why));
        if (got.properties.present != 0)
            TRY(check_properties(&got.properties, why));
    }
    TRY(check_topic(&got, why));
    got.payload = r.left;
    *publish = got;
    return RC_OK;
}

void broker_mqtt_publish_write(const struct mqtt_publish *publish, enum mqtt_version version,
                               struct buf *out)
{
    unsigned flags = (publish->dup ? FLAG_DUP : 0U) | (unsigned)publish->qos << 1 |
                     (publish->retain ? FLAG_RETAIN : 0U);
    size_t size = 2 + publish->topic.len + (publish->qos > 0 ? 2 : 0) + publish->payload.len;

    if (version == MQTT_5)
        size += broker_mqtt_properties_size(&publish->properties);
    broker_mqtt_packet_head(out, MQTT_PUBLISH, (uint8_t)flags, size);
    buf_add_sized16(out, publish->topic);
    if (publish->qos > 0)
        buf_add_u16(out, publish->packet_id);
    if (version == MQTT_5)
        broker_mqtt_properties_write(&publish->properties, out);
    buf_add(out, publish->payload);
}
