#include "broker/mqtt_connack.h"

struct return_code {
    enum mqtt_reason reason;
    uint8_t code;
};

/* MQTT 3.1.1 section 3.2.2.3. The first row of a code is what it is read as; a reason that is
 * not here is written as 5, not authorized. */
static const struct return_code RETURN_CODES[] = {
    { MQTT_SUCCESS, 0 },
    { MQTT_UNSUPPORTED_VERSION, 1 },
    { MQTT_CLIENT_ID_NOT_VALID, 2 },
    { MQTT_SERVER_UNAVAILABLE, 3 },
    { MQTT_BAD_USER_NAME, 4 },
    { MQTT_NOT_AUTHORIZED, 5 },
    { MQTT_SERVER_BUSY, 3 },
    { MQTT_SERVER_SHUTTING_DOWN, 3 },
    { MQTT_QUOTA_EXCEEDED, 3 },
    { MQTT_RATE_OF_CONNECTIONS, 3 },
};

enum { RETURN_CODE_COUNT = sizeof RETURN_CODES / sizeof *RETURN_CODES, NOT_AUTHORIZED = 5 };

static uint8_t code_of(enum mqtt_reason reason)
{
    for (size_t i = 0; i < RETURN_CODE_COUNT; i++)
        if (RETURN_CODES[i].reason == reason)
            return RETURN_CODES[i].code;
    return NOT_AUTHORIZED;
}

static enum rc read_code(uint8_t code, enum mqtt_version version, enum mqtt_reason *reason,
                         enum mqtt_reason *why)
{
    if (version == MQTT_5 && broker_mqtt_reason_fits(code, MQTT_CONNACK)) {
        *reason = (enum mqtt_reason)code;
        return RC_OK;
    }
    for (size_t i = 0; version == MQTT_3_1_1 && i < RETURN_CODE_COUNT; i++)
        if (RETURN_CODES[i].code == code) {
            *reason = RETURN_CODES[i].reason;
            return RC_OK;
        }
    return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "[MQTT-3.2.2-8] CONNACK with code 0x%02x",
                       code);
}

void broker_mqtt_connack_write(const struct mqtt_connack *connack, enum mqtt_version version,
                               struct buf *out)
{
    bool five = version == MQTT_5;
    size_t size = 2 + (five ? broker_mqtt_properties_size(&connack->properties) : 0);

    broker_mqtt_packet_head(out, MQTT_CONNACK, 0, size);
    buf_add_u8(out, connack->session_present);
    buf_add_u8(out, five ? (uint8_t)connack->reason : code_of(connack->reason));
    if (five)
        broker_mqtt_properties_write(&connack->properties, out);
}

enum rc broker_mqtt_connack_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                 struct mqtt_connack *connack, enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_connack got = { 0 };
    uint8_t flags = reader_u8(&r);
    uint8_t code = reader_u8(&r);

    if (r.broken || flags > 1)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.2.2-1] CONNACK cut short, or with reserved flags");
    got.session_present = flags == 1;
    TRY(read_code(code, version, &got.reason, why));
    if (version == MQTT_5)
        TRY(broker_mqtt_properties_read(&r, MQTT_CONNACK, &got.properties, why));
    TRY(broker_mqtt_packet_end(&r, MQTT_CONNACK, why));
    if (got.session_present && got.reason != MQTT_SUCCESS)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-3.2.2-6] refusing CONNACK with a session");
    *connack = got;
    return RC_OK;
}
