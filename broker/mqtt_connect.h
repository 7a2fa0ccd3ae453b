/*
 * CONNECT (MQTT 5.0 and 3.1.1, section 3.1).
 *
 * There are no passwords in Touchmark: a user name and a password are checked for their form,
 * and then forgotten; only that they were there is told. Who the device is, its certificate
 * says.
 */
#pragma once

#include "broker/mqtt_properties.h"

struct mqtt_will {
    struct bytes topic; /* a valid topic name */
    struct bytes payload;
    uint8_t qos; /* 0, 1 or 2: what the server supports is the session's business */
    bool retain;
    struct mqtt_properties properties;
};

struct mqtt_connect {
    enum mqtt_version version;
    bool clean_start; /* 3.1.1 calls it clean session */
    bool has_will;
    bool sent_user_name, sent_password;
    uint16_t keep_alive_s;  /* 0: none */
    struct bytes client_id; /* may be empty */
    struct mqtt_properties properties;
    struct mqtt_will will;
};

/*
 * Borrows from the frame. Besides what is malformed: MQTT_UNSUPPORTED_VERSION for another
 * protocol name or level; MQTT_CLIENT_ID_NOT_VALID for an empty client id that wants to keep
 * its session in 3.1.1; MQTT_BAD_AUTHENTICATION_METHOD for extended authentication.
 */
enum rc broker_mqtt_connect_read(const struct mqtt_frame *frame, struct mqtt_connect *connect,
                                 enum mqtt_reason *why);
/* In which version to answer a CONNECT that was refused: 3.1.1 unless it clearly says 5. */
enum mqtt_version broker_mqtt_connect_version(const struct mqtt_frame *frame);
/* The client's side. */
void broker_mqtt_connect_write(const struct mqtt_connect *connect, struct buf *out);
