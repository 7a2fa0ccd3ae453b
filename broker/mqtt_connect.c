#include "broker/mqtt_connect.h"

#include "broker/mqtt_topic.h"

/* Section 3.1.2.3. */
enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80,
};

static enum rc read_protocol(struct reader *r, enum mqtt_version *version,
                             enum mqtt_reason *why)
{
    struct bytes name = reader_sized16(r, MQTT_STRING_MAX);
    uint8_t level = reader_u8(r);

    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "MQTT 3.1.2.1: CONNECT without protocol name and level");
    if (!bytes_equal_text(name, "MQTT"))
        return MQTT_REFUSE(why, MQTT_UNSUPPORTED_VERSION,
                           "[MQTT-3.1.2-1] the protocol name is not \"MQTT\"");
    if (level != MQTT_3_1_1 && level != MQTT_5)
        return MQTT_REFUSE(why, MQTT_UNSUPPORTED_VERSION,
                           "[MQTT-3.1.2-2] protocol level %u, not 4 or 5", level);
    *version = (enum mqtt_version)level;
    return RC_OK;
}

static enum rc check_flags(unsigned flags, enum mqtt_version version, enum mqtt_reason *why)
{
    if ((flags & FLAG_RESERVED) != 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.1.2-3] reserved flag of CONNECT is set");
    if ((flags & FLAG_WILL) == 0 && (flags & FLAG_WILL_QOS) != 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.1.2-11] [3.1.1: MQTT-3.1.2-13] will QoS without will");
    if ((flags & FLAG_WILL) == 0 && (flags & FLAG_WILL_RETAIN) != 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.1.2-13] [3.1.1: MQTT-3.1.2-15] will retain without will");
    if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.1.2-12] [3.1.1: MQTT-3.1.2-14] will QoS 3");
    if (version == MQTT_3_1_1 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USER_NAME) == 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[3.1.1: MQTT-3.1.2-22] password without user name");
    return RC_OK;
}

static enum rc read_will(struct reader *r, unsigned flags, enum mqtt_version version,
                         struct mqtt_will *will, enum mqtt_reason *why)
{
    if (version == MQTT_5)
        TRY(broker_mqtt_properties_read(r, MQTT_IN_WILL, &will->properties, why));
    TRY(broker_mqtt_packet_string(r, "will topic", &will->topic, why));
    if (broker_mqtt_topic_check_name(will->topic) != RC_OK) {
        *why = MQTT_TOPIC_NAME_INVALID;
        return fault_while(RC_MALFORMED, "will topic");
    }
    will->payload = reader_sized16(r, MQTT_STRING_MAX);
    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "MQTT 3.1.3.4: will payload is cut short");
    will->qos = flags >> 3 & 3;
    will->retain = (flags & FLAG_WILL_RETAIN) != 0;
    return RC_OK;
}

static enum rc skip_credentials(struct reader *r, unsigned flags, enum mqtt_reason *why)
{
    struct bytes user_name;

    if ((flags & FLAG_USER_NAME) != 0)
        TRY(broker_mqtt_packet_string(r, "user name", &user_name, why));
    if ((flags & FLAG_PASSWORD) != 0)
        reader_sized16(r, MQTT_STRING_MAX);
    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.1.2-19] [3.1.1: MQTT-3.1.2-21] password is cut short");
    return RC_OK;
}

static enum rc check_meaning(const struct mqtt_connect *connect, enum mqtt_reason *why)
{
    if (connect->version == MQTT_3_1_1 && connect->client_id.len == 0 && !connect->clean_start)
        return MQTT_REFUSE(why, MQTT_CLIENT_ID_NOT_VALID,
                           "[3.1.1: MQTT-3.1.3-8] no client identifier, and no clean session");
    if (broker_mqtt_properties_has(&connect->properties, MQTT_AUTHENTICATION_METHOD))
        return MQTT_REFUSE(why, MQTT_BAD_AUTHENTICATION_METHOD,
                           "MQTT 4.12: extended authentication is not supported");
    if (broker_mqtt_properties_has(&connect->properties, MQTT_AUTHENTICATION_DATA))
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "MQTT 3.1.2.11.10: authentication data without method");
    return RC_OK;
}

enum rc broker_mqtt_connect_read(const struct mqtt_frame *frame, struct mqtt_connect *connect,
                                 enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_connect got = { 0 };

    TRY(read_protocol(&r, &got.version, why));
    unsigned flags = reader_u8(&r);
    TRY(check_flags(flags, got.version, why));
    got.clean_start = (flags & FLAG_CLEAN) != 0;
    got.has_will = (flags & FLAG_WILL) != 0;
    got.sent_user_name = (flags & FLAG_USER_NAME) != 0;
    got.sent_password = (flags & FLAG_PASSWORD) != 0;
    got.keep_alive_s = reader_u16(&r);
    if (got.version == MQTT_5)
        TRY(broker_mqtt_properties_read(&r, MQTT_CONNECT, &got.properties, why));
    TRY(broker_mqtt_packet_string(&r, "client identifier", &got.client_id, why));
    if (got.has_will)
        TRY(read_will(&r, flags, got.version, &got.will, why));
    TRY(skip_credentials(&r, flags, why));
    TRY(broker_mqtt_packet_end(&r, MQTT_CONNECT, why));
    TRY(check_meaning(&got, why));
    *connect = got;
    return RC_OK;
}

enum mqtt_version broker_mqtt_connect_version(const struct mqtt_frame *frame)
{
    struct reader r = READER(frame->body);
    struct bytes name = reader_sized16(&r, MQTT_STRING_MAX);
    uint8_t level = reader_u8(&r);

    return bytes_equal_text(name, "MQTT") && level >= MQTT_5 ? MQTT_5 : MQTT_3_1_1;
}

static uint8_t flags_of(const struct mqtt_connect *connect)
{
    unsigned flags = 0;

    flags |= connect->clean_start ? FLAG_CLEAN : 0;
    flags |= connect->sent_user_name ? FLAG_USER_NAME : 0;
    flags |= connect->sent_password ? FLAG_PASSWORD : 0;
    if (connect->has_will)
        flags |= FLAG_WILL | (unsigned)connect->will.qos << 3 |
                 (connect->will.retain ? FLAG_WILL_RETAIN : 0);
    return (uint8_t)flags;
}

static size_t body_size(const struct mqtt_connect *connect)
{
    bool five = connect->version == MQTT_5;
    size_t size = 6 + 1 + 1 + 2 + 2 + connect->client_id.len;

    size += five ? broker_mqtt_properties_size(&connect->properties) : 0;
    if (connect->has_will) {
        size += 2 + connect->will.topic.len + 2 + connect->will.payload.len;
        size += five ? broker_mqtt_properties_size(&connect->will.properties) : 0;
    }
    return size + (connect->sent_user_name ? 2 : 0) + (connect->sent_password ? 2 : 0);
}

void broker_mqtt_connect_write(const struct mqtt_connect *connect, struct buf *out)
{
    bool five = connect->version == MQTT_5;

    broker_mqtt_packet_head(out, MQTT_CONNECT, 0, body_size(connect));
    buf_add_sized16(out, BYTES("MQTT"));
    buf_add_u8(out, (uint8_t)connect->version);
    buf_add_u8(out, flags_of(connect));
    buf_add_u16(out, connect->keep_alive_s);
    if (five)
        broker_mqtt_properties_write(&connect->properties, out);
    buf_add_sized16(out, connect->client_id);
    if (connect->has_will) {
        if (five)
            broker_mqtt_properties_write(&connect->will.properties, out);
        buf_add_sized16(out, connect->will.topic);
        buf_add_sized16(out, connect->will.payload);
    }
    if (connect->sent_user_name)
        buf_add_sized16(out, BYTES(""));
    if (connect->sent_password)
        buf_add_sized16(out, BYTES(""));
}
