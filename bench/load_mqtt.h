/* The client's half of MQTT 3.1.1 and 5.0, as much as a load needs; not the broker's own codec,
 * so that both do not share a misreading. */
#pragma once

#include "base/buf.h"

enum load_mqtt_version { LOAD_MQTT_3 = 4, LOAD_MQTT_5 = 5 };

enum load_mqtt_type {
    LOAD_CONNECT = 1,
    LOAD_CONNACK = 2,
    LOAD_PUBLISH = 3,
    LOAD_PUBACK = 4,
    LOAD_SUBSCRIBE = 8,
    LOAD_SUBACK = 9,
    LOAD_PINGREQ = 12,
    LOAD_PINGRESP = 13,
    LOAD_DISCONNECT = 14,
};

struct load_frame {
    uint8_t first; /* type and flags */
    struct bytes body;
    size_t size; /* of the whole packet */
};

enum load_found { LOAD_FOUND, LOAD_NEEDS_MORE, LOAD_BROKEN };

/* The packet at the start of the stream; borrows from it. */
enum load_found load_mqtt_next(struct bytes stream, struct load_frame *frame);
unsigned load_mqtt_type(const struct load_frame *frame);
unsigned load_mqtt_qos(const struct load_frame *frame);

struct load_publish {
    struct bytes topic, payload;
    uint16_t packet_id; /* 0 for QoS 0 */
};

/* False if it is no PUBLISH of this version. Borrows. */
bool load_mqtt_read_publish(const struct load_frame *frame, enum load_mqtt_version version,
                            struct load_publish *publish);
/* Of PUBACK, SUBACK (the first code) and CONNACK, the reason or return code; id 0 in CONNACK.
 */
bool load_mqtt_read_ack(const struct load_frame *frame, enum load_mqtt_version version,
                        uint16_t *packet_id, uint8_t *reason);

void load_mqtt_connect(struct buf *out, enum load_mqtt_version version, struct bytes client_id,
                       uint16_t keep_alive_s);
void load_mqtt_subscribe(struct buf *out, enum load_mqtt_version version, uint16_t packet_id,
                         struct bytes filter, uint8_t qos);
/* The packet up to its payload, which the caller adds: payload bytes. */
void load_mqtt_publish_head(struct buf *out, enum load_mqtt_version version,
                            const struct load_publish *publish, uint8_t flags);
void load_mqtt_puback(struct buf *out, uint16_t packet_id);
void load_mqtt_empty(struct buf *out, enum load_mqtt_type type); /* PINGREQ, DISCONNECT */
