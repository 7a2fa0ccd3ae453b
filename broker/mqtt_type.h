/* The kinds of MQTT control packet and the versions of the protocol. */
#pragma once

/* MQTT 5.0 section 2.1.2. */
enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH,
};
enum { MQTT_TYPES = 16 };

/* The protocol level that CONNECT states. */
enum mqtt_version {
    MQTT_VERSION_UNKNOWN = 0, /* before CONNECT */
    MQTT_3_1_1 = 4,
    MQTT_5 = 5,
};

/* "PUBLISH"; "reserved" for 0 and what is above 15. */
const char *broker_mqtt_type_name(unsigned type);
