#include "broker/mqtt_disconnect.h"

/* Section 3.15.2.1: AUTH may be empty only to say success. */
enum rc broker_mqtt_disconnect_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                    struct mqtt_disconnect *disconnect, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_disconnect got = { .reason = MQTT_SUCCESS };

    if (version == MQTT_5 && r.left.len > 0) {
        uint8_t code = reader_u8(&r);
        if (!broker_mqtt_reason_fits(code, frame->type))
            return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                               "[MQTT-3.14.2-1] reason code 0x%02x in %s", code,
                               broker_mqtt_type_name(frame->type));
        got.reason = (enum mqtt_reason)code;
    }
    if (version == MQTT_5 && r.left.len > 0)
        TRY(broker_mqtt_properties_read(&r, frame->type, &got.properties, why));
    TRY(broker_mqtt_packet_end(&r, frame->type, why));
    *disconnect = got;
    return RC_OK;
}

void broker_mqtt_disconnect_write(enum mqtt_type type, const struct mqtt_disconnect *disconnect,
                                  enum mqtt_version version, struct buf *out)
{
    bool properties = version == MQTT_5 && disconnect->properties.block.len > 0;
    bool reason = version == MQTT_5 && (properties || disconnect->reason != MQTT_SUCCESS);
    size_t size = (reason ? 1U : 0U) +
                  (properties ? broker_mqtt_properties_size(&disconnect->properties) : 0);

    broker_mqtt_packet_head(out, type, 0, size);
    if (reason)
        buf_add_u8(out, (uint8_t)disconnect->reason);
    if (properties)
        broker_mqtt_properties_write(&disconnect->properties, out);
}

enum rc broker_mqtt_ping_read(const struct mqtt_frame *frame, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);

    return broker_mqtt_packet_end(&r, frame->type, why);
}

void broker_mqtt_ping_write(enum mqtt_type type, struct buf *out)
{
    broker_mqtt_packet_head(out, type, 0, 0);
}
