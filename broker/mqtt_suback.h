/* SUBACK and UNSUBACK (MQTT 5.0 and 3.1.1, sections 3.9 and 3.11). */
#pragma once

#include "broker/mqtt_properties.h"

/* One code per filter, in their order ([MQTT-3.9.3-1], [MQTT-3.11.3-1]). */
struct mqtt_suback {
    enum mqtt_type type; /* MQTT_SUBACK or MQTT_UNSUBACK */
    uint16_t packet_id;
    struct mqtt_properties properties; /* MQTT 5 only */
    struct bytes codes; /* enum mqtt_reason, a byte each; 3.1.1's UNSUBACK carries none */
};

/* In 3.1.1 every failure becomes 0x80. */
void broker_mqtt_suback_write(const struct mqtt_suback *suback, enum mqtt_version version,
                              struct buf *out);
/* Borrows from the frame. */
enum rc broker_mqtt_suback_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                struct mqtt_suback *suback, enum mqtt_reason *why);
