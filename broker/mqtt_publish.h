/* PUBLISH (MQTT 5.0 and 3.1.1, section 3.3). */
#pragma once

#include "broker/mqtt_properties.h"

struct mqtt_publish {
    struct bytes topic; /* a valid topic name; empty with a topic alias (MQTT 5 only) */
    struct bytes payload;
    struct mqtt_properties properties;
    uint16_t packet_id; /* 0 for QoS 0 */
    uint8_t qos;        /* 0, 1 or 2 */
    bool retain, dup;
};

/*
 * Borrows from the frame. Subscription identifiers are let through here, since a server sends
 * them; that a client must not is the session's rule ([MQTT-3.3.4-6]).
 */
enum rc broker_mqtt_publish_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                 struct mqtt_publish *publish, enum mqtt_reason *why);
void broker_mqtt_publish_write(const struct mqtt_publish *publish, enum mqtt_version version,
                               struct buf *out);
