/*
 * SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 and 3.1.1, sections 3.8 and 3.10).
 *
 * The filters stay in the packet: reading checks every one of them, next() walks them. A filter
 * whose *syntax* breaks section 4.7 does not refuse the packet; it gets its own reason code in
 * the acknowledgement (broker_mqtt_topic_check_filter), as MQTT 5.0 provides.
 */
#pragma once

#include "broker/mqtt_properties.h"

struct mqtt_subscribe {
    enum mqtt_type type; /* MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE */
    uint16_t packet_id;
    unsigned count; /* at least 1 */
    struct mqtt_properties properties;
    struct bytes filters; /* as on the wire, checked */
};

struct mqtt_subscription_options {
    uint8_t qos;
    bool no_local, retain_as_published; /* false in 3.1.1 */
    uint8_t retain_handling;            /* 0, 1, 2 */
};

/* For either packet; RC_LIMIT and MQTT_QUOTA_EXCEEDED beyond filters_max. Borrows. */
enum rc broker_mqtt_subscribe_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                   unsigned filters_max, struct mqtt_subscribe *subscribe,
                                   enum mqtt_reason *why);
/* Walks: rest starts as filters; false at the end. Options are zeros for UNSUBSCRIBE. */
bool broker_mqtt_subscribe_next(enum mqtt_type type, struct bytes *rest, struct bytes *filter,
                                struct mqtt_subscription_options *options);

/* The client's side: add filters to a buffer, then write the packet around it. */
void broker_mqtt_subscribe_add(struct buf *filters, enum mqtt_type type, struct bytes filter,
                               const struct mqtt_subscription_options *options);
void broker_mqtt_subscribe_write(const struct mqtt_subscribe *subscribe,
                                 enum mqtt_version version, struct buf *out);
