#include "bench/load_mqtt.h"

/* Read a variable byte integer of at most four bytes: how many it took, 0 if it goes on, -1 if
 * it is none (section 1.5.5). */
static int read_varint(struct bytes from, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < 4; i++) {
        if (i >= from.len)
            return 0;
        *value |= (size_t)(from.at[i] & 0x7f) << (7 * i);
        if (from.at[i] < 0x80)
            return (int)i + 1;
    }
    return -1;
}

enum load_found load_mqtt_next(struct bytes stream, struct load_frame *frame)
{
    size_t length;

    if (stream.len < 2)
        return LOAD_NEEDS_MORE;
    int took = read_varint((struct bytes){ stream.at + 1, stream.len - 1 }, &length);
    if (took < 0)
        return LOAD_BROKEN;
    size_t head = 1 + (size_t)took;
    if (took == 0 || stream.len - head < length)
        return LOAD_NEEDS_MORE;
    *frame = (struct load_frame){ stream.at[0], { stream.at + head, length }, head + length };
    return LOAD_FOUND;
}

unsigned load_mqtt_type(const struct load_frame *frame)
{
    return frame->first >> 4;
}

unsigned load_mqtt_qos(const struct load_frame *frame)
{
    return (frame->first >> 1) & 3;
}

static void skip_properties(struct reader *r)
{
    size_t length;
    int took = read_varint(r->left, &length);

    reader_take(r, took > 0 ? (size_t)took : SIZE_MAX);
    reader_take(r, length);
}

bool load_mqtt_read_publish(const struct load_frame *frame, enum load_mqtt_version version,
                            struct load_publish *publish)
{
    struct reader r = READER(frame->body);

    if (load_mqtt_type(frame) != LOAD_PUBLISH)
        return false;
    publish->topic = reader_take(&r, reader_u16(&r));
    publish->packet_id = load_mqtt_qos(frame) > 0 ? reader_u16(&r) : 0;
    if (version == LOAD_MQTT_5)
        skip_properties(&r);
    publish->payload = r.left;
    return !r.broken;
}

bool load_mqtt_read_ack(const struct load_frame *frame, enum load_mqtt_version version,
                        uint16_t *packet_id, uint8_t *reason)
{
    struct reader r = READER(frame->body);

    *packet_id = 0;
    if (load_mqtt_type(frame) == LOAD_CONNACK) {
        reader_u8(&r);
        *reason = reader_u8(&r);
        return !r.broken;
    }
    *packet_id = reader_u16(&r);
    if (load_mqtt_type(frame) == LOAD_SUBACK && version == LOAD_MQTT_5)
        skip_properties(&r);
    /* Without a reason a PUBACK is a success (3.4.2.1). */
    *reason = r.left.len > 0 ? reader_u8(&r) : 0;
    return !r.broken;
}

static void add_head(struct buf *out, uint8_t first, size_t length)
{
    buf_add_u8(out, first);
    do {
        uint8_t low = length & 0x7f;
        length >>= 7;
        buf_add_u8(out, length > 0 ? low | 0x80 : low);
    } while (length > 0);
}

static void add_no_properties(struct buf *out, enum load_mqtt_version version)
{
    if (version == LOAD_MQTT_5)
        buf_add_u8(out, 0);
}

void load_mqtt_connect(struct buf *out, enum load_mqtt_version version, struct bytes client_id,
                       uint16_t keep_alive_s)
{
    enum { CLEAN = 0x02 };
    size_t properties = version == LOAD_MQTT_5;

    add_head(out, LOAD_CONNECT << 4, 12 + properties + client_id.len);
    buf_add_sized16(out, BYTES("MQTT"));
    buf_add_u8(out, (uint8_t)version);
    buf_add_u8(out, CLEAN);
    buf_add_u16(out, keep_alive_s);
    add_no_properties(out, version);
    buf_add_sized16(out, client_id);
}

void load_mqtt_subscribe(struct buf *out, enum load_mqtt_version version, uint16_t packet_id,
                         struct bytes filter, uint8_t qos)
{
    size_t properties = version == LOAD_MQTT_5;

    add_head(out, (LOAD_SUBSCRIBE << 4) | 2, 5 + properties + filter.len);
    buf_add_u16(out, packet_id);
    add_no_properties(out, version);
    buf_add_sized16(out, filter);
    buf_add_u8(out, qos);
}

void load_mqtt_publish_head(struct buf *out, enum load_mqtt_version version,
                            const struct load_publish *publish, uint8_t flags)
{
    size_t properties = version == LOAD_MQTT_5;
    size_t id = publish->packet_id > 0 ? 2 : 0;

    add_head(out, (uint8_t)(LOAD_PUBLISH << 4 | flags | (id > 0 ? 2 : 0)),
             2 + publish->topic.len + id + properties + publish->payload.len);
    buf_add_sized16(out, publish->topic);
    if (id > 0)
        buf_add_u16(out, publish->packet_id);
    add_no_properties(out, version);
}

void load_mqtt_puback(struct buf *out, uint16_t packet_id)
{
    add_head(out, LOAD_PUBACK << 4, 2);
    buf_add_u16(out, packet_id);
}

void load_mqtt_empty(struct buf *out, enum load_mqtt_type type)
{
    add_head(out, (uint8_t)(type << 4), 0);
}
