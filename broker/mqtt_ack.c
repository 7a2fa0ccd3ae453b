#include "broker/mqtt_ack.h"

enum rc broker_mqtt_ack_read(const struct mqtt_frame *frame, enum mqtt_version version,
                             struct mqtt_ack *ack, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_ack got = { .reason = MQTT_SUCCESS };

    TRY(broker_mqtt_packet_id(&r, frame->type, &got.packet_id, why));
    if (version == MQTT_5 && r.left.len > 0) {
        uint8_t code = reader_u8(&r);
        if (!broker_mqtt_reason_fits(code, frame->type))
            return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                               "[MQTT-3.4.2-1] (-3.5.2-1, -3.6.2-1, -3.7.2-1) reason code "
                               "0x%02x in %s",
                               code, broker_mqtt_type_name(frame->type));
        got.reason = (enum mqtt_reason)code;
    }
    if (version == MQTT_5 && r.left.len > 0)
        TRY(broker_mqtt_properties_read(&r, frame->type, &got.properties, why));
    TRY(broker_mqtt_packet_end(&r, frame->type, why));
    *ack = got;
    return RC_OK;
}

void broker_mqtt_ack_write(enum mqtt_type type, const struct mqtt_ack *ack,
                           enum mqtt_version version, struct buf *out)
{
    bool properties = version == MQTT_5 && ack->properties.block.len > 0;
    bool reason = version == MQTT_5 && (properties || ack->reason != MQTT_SUCCESS);
    size_t size = 2U + (reason ? 1U : 0U) +
                  (properties ? broker_mqtt_properties_size(&ack->properties) : 0);

    broker_mqtt_packet_head(out, type, type == MQTT_PUBREL ? 2 : 0, size);
    buf_add_u16(out, ack->packet_id);
    if (reason)
        buf_add_u8(out, (uint8_t)ack->reason);
    if (properties)
        broker_mqtt_properties_write(&ack->properties, out);
}
