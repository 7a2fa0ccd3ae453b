#include "broker/mqtt_subscribe.h"

#include "broker/mqtt_topic.h"

/* Section 3.8.3.1. */
enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING = 0x30,
    OPTIONS_RESERVED = 0xc0,
    OPTIONS_RESERVED_3_1_1 = 0xfc,
};

static enum rc check_options(uint8_t options, struct bytes filter, enum mqtt_version version,
                             enum mqtt_reason *why)
{
    unsigned reserved = version == MQTT_5 ? OPTIONS_RESERVED : OPTIONS_RESERVED_3_1_1;

    if ((options & reserved) != 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-3.8.3-5] [3.1.1: MQTT-3.8.3-4] subscription options 0x%02x "
                           "with reserved bits",
                           options);
    if ((options & OPTION_QOS) == 3)
        return MQTT_REFUSE(why, version == MQTT_5 ? MQTT_PROTOCOL_ERROR : MQTT_MALFORMED_PACKET,
                           "MQTT 3.8.3.1 [3.1.1: MQTT-3.8.3-4] subscription to QoS 3");
    if ((options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 3.8.3.1: retain handling 3");
    if ((options & OPTION_NO_LOCAL) != 0 && broker_mqtt_topic_is_shared(filter))
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-3.8.3-4] no local on a shared subscription");
    return RC_OK;
}

static enum rc check_filters(const struct mqtt_frame *frame, enum mqtt_version version,
                             struct reader *r, unsigned filters_max, unsigned *count,
                             enum mqtt_reason *why)
{
    struct bytes filter;

    while (r->left.len > 0) {
        TRY(broker_mqtt_packet_string(r, "topic filter", &filter, why));
        if (frame->type == MQTT_SUBSCRIBE) {
            uint8_t options = reader_u8(r);
            if (r->broken)
                return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                                   "MQTT 3.8.3: topic filter without options");
            TRY(check_options(options, filter, version, why));
        }
        if (++*count > filters_max) {
            *why = MQTT_QUOTA_EXCEEDED;
            return fault(RC_LIMIT, "more than %u topic filters in one %s", filters_max,
                         broker_mqtt_type_name(frame->type));
        }
    }
    return RC_OK;
}

enum rc broker_mqtt_subscribe_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                   unsigned filters_max, struct mqtt_subscribe *subscribe,
                                   enum mqtt_reason *why)
{
    struct reader r = READER(frame->body);
    struct mqtt_subscribe got = { .type = frame->type };

    TRY(broker_mqtt_packet_id(&r, frame->type, &got.packet_id, why));
    if (version == MQTT_5)
        TRY(broker_mqtt_properties_read(&r, frame->type, &got.properties, why));
    got.filters = r.left;
    TRY(check_filters(frame, version, &r, filters_max, &got.count, why));
    if (got.count == 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR,
                           "[MQTT-3.8.3-2] [MQTT-3.10.3-2] [3.1.1: MQTT-3.8.3-3] %s without "
                           "topic filter",
                           broker_mqtt_type_name(frame->type));
    *subscribe = got;
    return RC_OK;
}

bool broker_mqtt_subscribe_next(enum mqtt_type type, struct bytes *rest, struct bytes *filter,
                                struct mqtt_subscription_options *options)
{
    struct reader r = READER(*rest);
    struct bytes next = reader_sized16(&r, MQTT_STRING_MAX);
    uint8_t bits = type == MQTT_SUBSCRIBE ? reader_u8(&r) : 0;

    if (r.broken)
        return false;
    *filter = next;
    *options = (struct mqtt_subscription_options){
        .qos = bits & OPTION_QOS,
        .no_local = (bits & OPTION_NO_LOCAL) != 0,
        .retain_as_published = (bits & OPTION_AS_PUBLISHED) != 0,
        .retain_handling = (bits & OPTION_RETAIN_HANDLING) >> 4,
    };
    *rest = r.left;
    return true;
}

void broker_mqtt_subscribe_add(struct buf *filters, enum mqtt_type type, struct bytes filter,
                               const struct mqtt_subscription_options *options)
{
    buf_add_sized16(filters, filter);
    if (type == MQTT_SUBSCRIBE)
        buf_add_u8(filters, (uint8_t)(options->qos | (options->no_local ? OPTION_NO_LOCAL : 0) |
                                      (options->retain_as_published ? OPTION_AS_PUBLISHED : 0) |
                                      options->retain_handling << 4));
}

void broker_mqtt_subscribe_write(const struct mqtt_subscribe *subscribe,
                                 enum mqtt_version version, struct buf *out)
{
    size_t size = 2 + subscribe->filters.len;

    if (version == MQTT_5)
        size += broker_mqtt_properties_size(&subscribe->properties);
    broker_mqtt_packet_head(out, subscribe->type, 2, size);
    buf_add_u16(out, subscribe->packet_id);
    if (version == MQTT_5)
        broker_mqtt_properties_write(&subscribe->properties, out);
    buf_add(out, subscribe->filters);
}
