/* Reads an MQTT packet of any type and writes it again: for golden bytes, truncations, fuzzing.
 */
#pragma once

#include "broker/mqtt_ack.h"
#include "broker/mqtt_connack.h"
#include "broker/mqtt_connect.h"
#include "broker/mqtt_disconnect.h"
#include "broker/mqtt_publish.h"
#include "broker/mqtt_suback.h"
#include "broker/mqtt_subscribe.h"

enum { MIRROR_FILTERS_MAX = 1000 };

static inline enum rc mirror_connect(const struct mqtt_frame *frame, struct buf *out,
                                     enum mqtt_reason *why)
{
    struct mqtt_connect connect;

    TRY(broker_mqtt_connect_read(frame, &connect, why));
    broker_mqtt_connect_write(&connect, out);
    return RC_OK;
}

static inline enum rc mirror_connack(const struct mqtt_frame *frame, enum mqtt_version version,
                                     struct buf *out, enum mqtt_reason *why)
{
    struct mqtt_connack connack;

    TRY(broker_mqtt_connack_read(frame, version, &connack, why));
    broker_mqtt_connack_write(&connack, version, out);
    return RC_OK;
}

static inline enum rc mirror_publish(const struct mqtt_frame *frame, enum mqtt_version version,
                                     struct buf *out, enum mqtt_reason *why)
{
    struct mqtt_publish publish;

    TRY(broker_mqtt_publish_read(frame, version, &publish, why));
    broker_mqtt_publish_write(&publish, version, out);
    return RC_OK;
}

static inline enum rc mirror_ack(const struct mqtt_frame *frame, enum mqtt_version version,
                                 struct buf *out, enum mqtt_reason *why)
{
    struct mqtt_ack ack;

    TRY(broker_mqtt_ack_read(frame, version, &ack, why));
    broker_mqtt_ack_write(frame->type, &ack, version, out);
    return RC_OK;
}

static inline enum rc mirror_subscribe(const struct mqtt_frame *frame,
                                       enum mqtt_version version, struct buf *out,
                                       enum mqtt_reason *why)
{
    struct mqtt_subscribe subscribe;

    TRY(broker_mqtt_subscribe_read(frame, version, MIRROR_FILTERS_MAX, &subscribe, why));
    struct buf filters = BUF_MAX(1 << 20);
    struct bytes rest = subscribe.filters, filter;
    struct mqtt_subscription_options options;
    while (broker_mqtt_subscribe_next(frame->type, &rest, &filter, &options))
        broker_mqtt_subscribe_add(&filters, frame->type, filter, &options);
    subscribe.filters = buf_bytes(&filters);
    broker_mqtt_subscribe_write(&subscribe, version, out);
    buf_clear(&filters);
    return RC_OK;
}

static inline enum rc mirror_suback(const struct mqtt_frame *frame, enum mqtt_version version,
                                    struct buf *out, enum mqtt_reason *why)
{
    struct mqtt_suback suback;

    TRY(broker_mqtt_suback_read(frame, version, &suback, why));
    broker_mqtt_suback_write(&suback, version, out);
    return RC_OK;
}

static inline enum rc mirror_disconnect(const struct mqtt_frame *frame,
                                        enum mqtt_version version, struct buf *out,
                                        enum mqtt_reason *why)
{
    struct mqtt_disconnect disconnect;

    TRY(broker_mqtt_disconnect_read(frame, version, &disconnect, why));
    broker_mqtt_disconnect_write(frame->type, &disconnect, version, out);
    return RC_OK;
}

static inline enum rc mirror_ping(const struct mqtt_frame *frame, struct buf *out,
                                  enum mqtt_reason *why)
{
    TRY(broker_mqtt_ping_read(frame, why));
    broker_mqtt_ping_write(frame->type, out);
    return RC_OK;
}

static inline enum rc mirror_packet(const struct mqtt_frame *frame, enum mqtt_version version,
                                    struct buf *out, enum mqtt_reason *why)
{
    switch (frame->type) {
    case MQTT_CONNECT:
        return mirror_connect(frame, out, why);
    case MQTT_CONNACK:
        return mirror_connack(frame, version, out, why);
    case MQTT_PUBLISH:
        return mirror_publish(frame, version, out, why);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mirror_ack(frame, version, out, why);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return mirror_subscribe(frame, version, out, why);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return mirror_suback(frame, version, out, why);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return mirror_ping(frame, out, why);
    case MQTT_DISCONNECT:
    case MQTT_AUTH:
        return mirror_disconnect(frame, version, out, why);
    }
    return fault(RC_MALFORMED, "packet type %d", frame->type);
}
