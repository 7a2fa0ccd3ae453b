/*
 * MQTT control packets in a byte stream: where one ends, what its first byte says, and the
 * strings and numbers that all of them are made of.
 *
 * MQTT 5.0 and 3.1.1 (OASIS), sections 1.5 and 2.1. Everything is parsed in place: what a
 * reader gives back borrows from the stream. Faults cite normative statements by MQTT 5.0's
 * numbers; where 3.1.1 has the same rule under another number, as [3.1.1: MQTT-...].
 */
#pragma once

#include "base/buf.h"
#include "broker/mqtt_reason.h"

enum {
    MQTT_REMAINING_MAX = 268435455, /* four bytes of seven bits: 2.1.4 */
    MQTT_HEADER_MAX = 5,            /* first byte and remaining length */
    MQTT_PACKET_MAX = MQTT_REMAINING_MAX + MQTT_HEADER_MAX,
    MQTT_STRING_MAX = 65535,
};

struct mqtt_frame {
    enum mqtt_type type;
    uint8_t flags; /* lower half of the first byte, checked against the type */
    bool whole;    /* false: body is empty, and more must be read */
    size_t size; /* of the whole packet; while not whole, how many bytes are needed to go on */
    struct bytes body; /* after the fixed header */
};

/*
 * Look at the packet at the start of the stream. RC_OK with whole == false asks for more bytes.
 * RC_LIMIT and MQTT_PACKET_TOO_LARGE when it says that it is longer than max (fixed header
 * included: 3.1.2.11.4), before any of it has to be kept. RC_MALFORMED for a reserved type or
 * flag, or a length of more than four bytes. A length with needless bytes is refused in MQTT 5
 * only: 3.1.1 has no such rule, and before CONNECT the version is not known.
 */
enum rc broker_mqtt_packet_next(struct bytes stream, enum mqtt_version version, size_t max,
                                struct mqtt_frame *frame, enum mqtt_reason *why);

/* Start a packet whose body will have this many bytes; a body too large breaks out. */
void broker_mqtt_packet_head(struct buf *out, enum mqtt_type type, uint8_t flags, size_t body);

/* Variable byte integers, section 1.5.5. A reader that meets a bad one is broken. */
uint32_t broker_mqtt_packet_varint(struct reader *r);
void broker_mqtt_packet_add_varint(struct buf *out, size_t value);
size_t broker_mqtt_packet_varint_size(size_t value);

/* A UTF-8 string, section 1.5.4; what names it in the fault. */
enum rc broker_mqtt_packet_string(struct reader *r, const char *what, struct bytes *string,
                                  enum mqtt_reason *why);
/* A packet identifier; never zero. */
enum rc broker_mqtt_packet_id(struct reader *r, enum mqtt_type in, uint16_t *id,
                              enum mqtt_reason *why);
/* Nothing may follow, nothing may be missing. */
enum rc broker_mqtt_packet_end(const struct reader *r, enum mqtt_type in,
                               enum mqtt_reason *why);
