/* DISCONNECT, AUTH, PINGREQ and PINGRESP (MQTT 5.0 and 3.1.1, sections 3.12 to 3.15). */
#pragma once

#include "broker/mqtt_properties.h"

/* Also the shape of AUTH, which MQTT 3.1.1 does not have. */
struct mqtt_disconnect {
    enum mqtt_reason reason;           /* MQTT_SUCCESS where it is left out */
    struct mqtt_properties properties; /* MQTT 5 only */
};

/* The frame's type says which of the two it is. Borrows from the frame. */
enum rc broker_mqtt_disconnect_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                    struct mqtt_disconnect *disconnect, enum mqtt_reason *why);
/* In the shortest form. In 3.1.1 a packet without body: only a client sends it. */
void broker_mqtt_disconnect_write(enum mqtt_type type, const struct mqtt_disconnect *disconnect,
                                  enum mqtt_version version, struct buf *out);

/* PINGREQ or PINGRESP: nothing may follow the header. */
enum rc broker_mqtt_ping_read(const struct mqtt_frame *frame, enum mqtt_reason *why);
void broker_mqtt_ping_write(enum mqtt_type type, struct buf *out);
