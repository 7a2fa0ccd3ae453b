/*
 * The properties of MQTT 5.0 (section 2.2.2): one table says each one's type, the packets it
 * may be in, and whether it may repeat.
 *
 * A property block is checked once, when it is read, and then kept as the bytes it came in:
 * looking one up walks the block, forwarding copies it. A packet without properties costs
 * nothing.
 */
#pragma once

#include "broker/mqtt_packet.h"

enum mqtt_property {
    MQTT_PAYLOAD_FORMAT = 0x01,
    MQTT_MESSAGE_EXPIRY = 0x02,
    MQTT_CONTENT_TYPE = 0x03,
    MQTT_RESPONSE_TOPIC = 0x08,
    MQTT_CORRELATION_DATA = 0x09,
    MQTT_SUBSCRIPTION_ID = 0x0b,
    MQTT_SESSION_EXPIRY = 0x11,
    MQTT_ASSIGNED_CLIENT_ID = 0x12,
    MQTT_SERVER_KEEP_ALIVE = 0x13,
    MQTT_AUTHENTICATION_METHOD = 0x15,
    MQTT_AUTHENTICATION_DATA = 0x16,
    MQTT_REQUEST_PROBLEM_INFORMATION = 0x17,
    MQTT_WILL_DELAY = 0x18,
    MQTT_REQUEST_RESPONSE_INFORMATION = 0x19,
    MQTT_RESPONSE_INFORMATION = 0x1a,
    MQTT_SERVER_REFERENCE = 0x1c,
    MQTT_REASON_STRING = 0x1f,
    MQTT_RECEIVE_MAXIMUM = 0x21,
    MQTT_TOPIC_ALIAS_MAXIMUM = 0x22,
    MQTT_TOPIC_ALIAS = 0x23,
    MQTT_MAXIMUM_QOS = 0x24,
    MQTT_RETAIN_AVAILABLE = 0x25,
    MQTT_USER_PROPERTY = 0x26,
    MQTT_MAXIMUM_PACKET_SIZE = 0x27,
    MQTT_WILDCARD_AVAILABLE = 0x28,
    MQTT_SUBSCRIPTION_IDS_AVAILABLE = 0x29,
    MQTT_SHARED_AVAILABLE = 0x2a,
};

/* Where a block stands: the packet type, or 0 for the will's block inside CONNECT. */
enum { MQTT_IN_WILL = 0 };

/* Zeros are a block without properties. */
struct mqtt_properties {
    struct bytes block; /* checked, without its length */
    uint64_t present;   /* bit n: property n occurs */
};

/* One property of a checked block; only the member of its type is set. */
struct mqtt_value {
    enum mqtt_property id;
    uint32_t number;
    struct bytes data; /* string or binary; of a user property the name */
    struct bytes text; /* of a user property the value */
    struct bytes wire; /* all of it, identifier included */
};

/*
 * A length and that many bytes of properties. Refused, as MQTT_MALFORMED_PACKET or
 * MQTT_PROTOCOL_ERROR as the property's section says: unknown, not for this packet, twice
 * where once is allowed, or a value out of range.
 */
enum rc broker_mqtt_properties_read(struct reader *r, unsigned in,
                                    struct mqtt_properties *properties, enum mqtt_reason *why);
/* The length and the block. */
void broker_mqtt_properties_write(const struct mqtt_properties *properties, struct buf *out);
size_t broker_mqtt_properties_size(const struct mqtt_properties *properties);

bool broker_mqtt_properties_has(const struct mqtt_properties *properties,
                                enum mqtt_property id);
/* The first value of the property, or what is given for its absence. */
uint32_t broker_mqtt_properties_number(const struct mqtt_properties *properties,
                                       enum mqtt_property id, uint32_t absent);
/* Empty if absent. */
struct bytes broker_mqtt_properties_data(const struct mqtt_properties *properties,
                                         enum mqtt_property id);
/* Walks: rest starts as the block; false at its end. */
bool broker_mqtt_properties_next(struct bytes *rest, struct mqtt_value *value);

/* Make a block, property by property; the type of value must be that of the property (assert).
 */
void broker_mqtt_properties_add_number(struct buf *block, enum mqtt_property id,
                                       uint32_t value);
void broker_mqtt_properties_add_data(struct buf *block, enum mqtt_property id,
                                     struct bytes value);
void broker_mqtt_properties_add_user(struct buf *block, struct bytes name, struct bytes value);
/* A view of a block that was made by these calls; it must hold what fits the packet (assert).
 */
struct mqtt_properties broker_mqtt_properties_of(const struct buf *block, unsigned in);
