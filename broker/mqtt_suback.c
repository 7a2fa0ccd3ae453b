#include "broker/mqtt_suback.h"

/* MQTT 3.1.1 section 3.9.3: granted QoS 0 to 2, or failure. */
static bool fits(uint8_t code, enum mqtt_type type, enum mqtt_version version)
{
    return version == MQTT_5 ? broker_mqtt_reason_fits(code, type) : code <= 2 || code == 0x80;
}

static size_t codes_size(const struct mqtt_suback *suback, enum mqtt_version version)
{
    return version == MQTT_3_1_1 && suback->type == MQTT_UNSUBACK ? 0 : suback->codes.len;
}

void broker_mqtt_suback_write(const struct mqtt_suback *suback, enum mqtt_version version,
                              struct buf *out)
{
    size_t codes = codes_size(suback, version);
    size_t size = 2 + codes;

    if (version == MQTT_5)
        size += broker_mqtt_properties_size(&suback->properties);
    broker_mqtt_packet_head(out, suback->type, 0, size);
    buf_add_u16(out, suback->packet_id);
    if (version == MQTT_5)
        broker_mqtt_properties_write(&suback->properties, out);
    for (size_t i = 0; i < codes; i++) {
        uint8_t code = suback->codes.at[i];
        buf_add_u8(out, version == MQTT_3_1_1 && code >= 0x80 ? 0x80 : code);
    }
}

enum rc broker_mqtt_suback_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                struct mqtt_suback *suback, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_suback got = { .type = frame->type };
    bool has_codes = version == MQTT_5 || frame->type == MQTT_SUBACK;

    TRY(broker_mqtt_packet_id(&r, frame->type, &got.packet_id, why));
    if (version == MQTT_5)
        TRY(broker_mqtt_properties_read(&r, frame->type, &got.properties, why));
    got.codes = reader_take(&r, has_codes ? r.left.len : 0);
    TRY(broker_mqtt_packet_end(&r, frame->type, why));
    if (has_codes && got.codes.len == 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 3.9.3: %s without reason code",
                           broker_mqtt_type_name(frame->type));
    for (size_t i = 0; i < got.codes.len; i++)
        if (!fits(got.codes.at[i], frame->type, version))
            return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                               "[MQTT-3.9.3-2] [MQTT-3.11.3-2] reason code 0x%02x in %s",
                               got.codes.at[i], broker_mqtt_type_name(frame->type));
    *suback = got;
    return RC_OK;
}
