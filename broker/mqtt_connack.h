/* CONNACK (MQTT 5.0 and 3.1.1, section 3.2). */
#pragma once

#include "broker/mqtt_properties.h"

struct mqtt_connack {
    bool session_present;
    enum mqtt_reason reason;
    struct mqtt_properties properties; /* not written in 3.1.1 */
};

/* In 3.1.1 the reason becomes one of the return codes 0 to 5 of section 3.2.2.3. */
void broker_mqtt_connack_write(const struct mqtt_connack *connack, enum mqtt_version version,
                               struct buf *out);
/* The client's side; in 3.1.1 the return code becomes the reason that it is written for. */
enum rc broker_mqtt_connack_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                 struct mqtt_connack *connack, enum mqtt_reason *why);
