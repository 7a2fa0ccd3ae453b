/* PUBACK, PUBREC, PUBREL and PUBCOMP, which have one shape (sections 3.4 to 3.7). */
#pragma once

#include "broker/mqtt_properties.h"

struct mqtt_ack {
    uint16_t packet_id;
    enum mqtt_reason reason; /* MQTT_SUCCESS in 3.1.1, and where MQTT 5 leaves it out */
    struct mqtt_properties properties; /* MQTT 5 only */
};

/* The frame's type says which of the four it is. Borrows from the frame. */
enum rc broker_mqtt_ack_read(const struct mqtt_frame *frame, enum mqtt_version version,
                             struct mqtt_ack *ack, enum mqtt_reason *why);
/* In the shortest form: without reason for success, without length for no properties (3.4.2.1).
 */
void broker_mqtt_ack_write(enum mqtt_type type, const struct mqtt_ack *ack,
                           enum mqtt_version version, struct buf *out);
