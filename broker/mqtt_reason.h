/* Reason codes of MQTT 5.0 (section 2.4), their names, and which packet may carry which. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "broker/mqtt_type.h"

/*
 * Where two packets give one number different names (0x00, 0x01), the value has
 * two names here. MQTT 3.1.1 knows numbers only in CONNACK and SUBACK: they are
 * derived from these by the writers of those packets.
 */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00, /* also: normal disconnection, granted QoS 0 */
    MQTT_GRANTED_QOS_1 = 0x01,
    MQTT_GRANTED_QOS_2 = 0x02,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_CONTINUE_AUTHENTICATION = 0x18,
    MQTT_RE_AUTHENTICATE = 0x19,
    MQTT_UNSPECIFIED_ERROR = 0x80,
    MQTT_MALFORMED_PACKET = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_ERROR = 0x83,
    MQTT_UNSUPPORTED_VERSION = 0x84,
    MQTT_CLIENT_ID_NOT_VALID = 0x85,
    MQTT_BAD_USER_NAME = 0x86,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89,
    MQTT_BANNED = 0x8a,
    MQTT_SERVER_SHUTTING_DOWN = 0x8b,
    MQTT_BAD_AUTHENTICATION_METHOD = 0x8c,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
    MQTT_SESSION_TAKEN_OVER = 0x8e,
    MQTT_TOPIC_FILTER_INVALID = 0x8f,
    MQTT_TOPIC_NAME_INVALID = 0x90,
    MQTT_PACKET_ID_IN_USE = 0x91,
    MQTT_PACKET_ID_NOT_FOUND = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_ADMINISTRATIVE_ACTION = 0x98,
    MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9a,
    MQTT_QOS_NOT_SUPPORTED = 0x9b,
    MQTT_USE_ANOTHER_SERVER = 0x9c,
    MQTT_SERVER_MOVED = 0x9d,
    MQTT_NO_SHARED_SUBSCRIPTIONS = 0x9e,
    MQTT_RATE_OF_CONNECTIONS = 0x9f,
    MQTT_MAXIMUM_CONNECT_TIME = 0xa0,
    MQTT_NO_SUBSCRIPTION_IDS = 0xa1,
    MQTT_NO_WILDCARD_SUBSCRIPTIONS = 0xa2,
};

/* "packet-too-large"; "unknown" for a number that has no meaning. */
const char *broker_mqtt_reason_name(unsigned code);
/* Section 2.4: may this packet type carry this code? */
bool broker_mqtt_reason_fits(unsigned code, enum mqtt_type in);

/*
 * Remember what to tell the other side and record why: for readers that have an
 * `enum mqtt_reason *why`, which they set only when they fail.
 */
#define MQTT_REFUSE(why, reason, ...) (*(why) = (reason), fault(RC_MALFORMED, __VA_ARGS__))
