#include "broker/mqtt_packet.h"

#include "base/text.h"

struct type_row {
    const char *name;
    uint8_t flags; /* as they must be; PUBLISH has its own meaning for them */
};

/* Sections 2.1.2 and 2.1.3. */
static const struct type_row TYPES[MQTT_TYPES] = {
    [0] = { "reserved", 0 },
    [MQTT_CONNECT] = { "CONNECT", 0 },
    [MQTT_CONNACK] = { "CONNACK", 0 },
    [MQTT_PUBLISH] = { "PUBLISH", 0 },
    [MQTT_PUBACK] = { "PUBACK", 0 },
    [MQTT_PUBREC] = { "PUBREC", 0 },
    [MQTT_PUBREL] = { "PUBREL", 2 },
    [MQTT_PUBCOMP] = { "PUBCOMP", 0 },
    [MQTT_SUBSCRIBE] = { "SUBSCRIBE", 2 },
    [MQTT_SUBACK] = { "SUBACK", 0 },
    [MQTT_UNSUBSCRIBE] = { "UNSUBSCRIBE", 2 },
    [MQTT_UNSUBACK] = { "UNSUBACK", 0 },
    [MQTT_PINGREQ] = { "PINGREQ", 0 },
    [MQTT_PINGRESP] = { "PINGRESP", 0 },
    [MQTT_DISCONNECT] = { "DISCONNECT", 0 },
    [MQTT_AUTH] = { "AUTH", 0 },
};

const char *broker_mqtt_type_name(unsigned type)
{
    return TYPES[type < MQTT_TYPES ? type : 0].name;
}

static enum rc check_publish_flags(unsigned flags, enum mqtt_reason *why)
{
    unsigned qos = flags >> 1 & 3;

    if (qos == 3)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.3.1-4] PUBLISH with both QoS bits set");
    if (qos == 0 && (flags & 8) != 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.3.1-2] PUBLISH of QoS 0 marked as sent before");
    return RC_OK;
}

static enum rc check_first_byte(unsigned first, enum mqtt_version version,
                                enum mqtt_reason *why)
{
    unsigned type = first >> 4;
    unsigned flags = first & 15;

    if (type == 0 || (type == MQTT_AUTH && version == MQTT_3_1_1))
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT 2.1.2: packet type %u is reserved",
                           type);
    if (type == MQTT_PUBLISH)
        return check_publish_flags(flags, why);
    if (flags != TYPES[type].flags)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-2.1.3-1] [3.1.1: MQTT-2.2.2-2] %s with flags %u, not %u",
                           TYPES[type].name, flags, TYPES[type].flags);
    return RC_OK;
}

/* The number of bytes that the integer takes; 0 while it is cut short, 5 if it is too long. */
static size_t measure_varint(struct bytes at, uint32_t *value)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < 4 && i < at.len; i++) {
        sum |= (uint32_t)(at.at[i] & 0x7f) << 7 * i;
        if (at.at[i] < 0x80) {
            *value = sum;
            return i + 1;
        }
    }
    return at.len < 4 ? 0 : 5;
}

size_t broker_mqtt_packet_varint_size(size_t value)
{
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

enum rc broker_mqtt_packet_next(struct bytes stream, enum mqtt_version version, size_t max,
                                struct mqtt_frame *frame, enum mqtt_reason *why)
{
    uint32_t remaining = 0;

    if (stream.len == 0) {
        *frame = (struct mqtt_frame){ .size = 2 };
        return RC_OK;
    }
    TRY(check_first_byte(stream.at[0], version, why));
    size_t width = measure_varint((struct bytes){ stream.at + 1, stream.len - 1 }, &remaining);
    struct mqtt_frame seen = {
        .type = (enum mqtt_type)(stream.at[0] >> 4),
        .flags = stream.at[0] & 15,
        .size = width == 0 ? stream.len + 1 : 1 + width + remaining,
    };

    if (width == 5)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "MQTT 2.1.4: %s with a remaining length of more than four bytes",
                           TYPES[seen.type].name);
    if (width != 0 && version == MQTT_5 && width != broker_mqtt_packet_varint_size(remaining))
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-1.5.5-1] remaining length %u in %zu bytes", remaining, width);
    if (seen.size > max) {
        *why = MQTT_PACKET_TOO_LARGE;
        return fault(RC_LIMIT, "[MQTT-3.2.2-15] %s of %zu bytes, the limit is %zu",
                     TYPES[seen.type].name, seen.size, max);
    }
    seen.whole = width != 0 && stream.len >= seen.size;
    if (seen.whole)
        seen.body = (struct bytes){ stream.at + 1 + width, remaining };
    *frame = seen;
    return RC_OK;
}

void broker_mqtt_packet_head(struct buf *out, enum mqtt_type type, uint8_t flags, size_t body)
{
    buf_add_u8(out, (uint8_t)(type << 4 | flags));
    broker_mqtt_packet_add_varint(out, body);
}

uint32_t broker_mqtt_packet_varint(struct reader *r)
{
    uint32_t value = 0;
    size_t width = r->broken ? 0 : measure_varint(r->left, &value);

    if (width == 0 || width == 5 || width != broker_mqtt_packet_varint_size(value)) {
        r->broken = true;
        return 0;
    }
    reader_take(r, width);
    return value;
}

void broker_mqtt_packet_add_varint(struct buf *out, size_t value)
{
    if (value > MQTT_REMAINING_MAX) {
        out->broken = true;
        return;
    }
    for (; value >= 128; value >>= 7)
        buf_add_u8(out, (uint8_t)(value | 0x80));
    buf_add_u8(out, (uint8_t)value);
}

enum rc broker_mqtt_packet_string(struct reader *r, const char *what, struct bytes *string,
                                  enum mqtt_reason *why)
{
    struct bytes taken = reader_sized16(r, MQTT_STRING_MAX);

    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT 1.5.4: %s is cut short", what);
    if (!text_is_utf8(taken))
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-1.5.4-1] [MQTT-1.5.4-2] [3.1.1: MQTT-1.5.3-1, -2] "
                           "%s is not UTF-8 without U+0000",
                           what);
    *string = taken;
    return RC_OK;
}

enum rc broker_mqtt_packet_id(struct reader *r, enum mqtt_type in, uint16_t *id,
                              enum mqtt_reason *why)
{
    uint16_t taken = reader_u16(r);

    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "MQTT 2.2.1: %s without packet identifier", TYPES[in].name);
    if (taken == 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-2.2.1-3] [3.1.1: MQTT-2.3.1-1] %s with packet identifier 0",
                           TYPES[in].name);
    *id = taken;
    return RC_OK;
}

enum rc broker_mqtt_packet_end(const struct reader *r, enum mqtt_type in, enum mqtt_reason *why)
{
    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT: %s is cut short", TYPES[in].name);
    if (r->left.len > 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT: %s with %zu bytes too many",
                           TYPES[in].name, r->left.len);
    return RC_OK;
}
