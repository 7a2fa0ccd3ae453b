#include "broker/mqtt_reason.h"

#include <stddef.h>

#define IN(type) (1U << MQTT_##type)

enum {
    IN_ACKS = IN(PUBACK) | IN(PUBREC),
    IN_SUBACKS = IN(SUBACK) | IN(UNSUBACK),
    IN_ENDS = IN(CONNACK) | IN(DISCONNECT),
};

struct reason_row {
    uint8_t code;
    unsigned in; /* bit n: packet type n */
    const char *name;
};

/* Section 2.4, table 2-6, with the columns of the packets' own tables in section 3. */
static const struct reason_row REASONS[] = {
    { 0x00,
      IN(CONNACK) | IN_ACKS | IN(PUBREL) | IN(PUBCOMP) | IN_SUBACKS | IN(DISCONNECT) | IN(AUTH),
      "success" },
    { 0x01, IN(SUBACK), "granted-qos-1" },
    { 0x02, IN(SUBACK), "granted-qos-2" },
    { 0x04, IN(DISCONNECT), "disconnect-with-will" },
    { 0x10, IN_ACKS, "no-matching-subscribers" },
    { 0x11, IN(UNSUBACK), "no-subscription-existed" },
    { 0x18, IN(AUTH), "continue-authentication" },
    { 0x19, IN(AUTH), "re-authenticate" },
    { 0x80, IN_ENDS | IN_ACKS | IN_SUBACKS, "unspecified-error" },
    { 0x81, IN_ENDS, "malformed-packet" },
    { 0x82, IN_ENDS, "protocol-error" },
    { 0x83, IN_ENDS | IN_ACKS | IN_SUBACKS, "implementation-specific-error" },
    { 0x84, IN(CONNACK), "unsupported-protocol-version" },
    { 0x85, IN(CONNACK), "client-identifier-not-valid" },
    { 0x86, IN(CONNACK), "bad-user-name-or-password" },
    { 0x87, IN_ENDS | IN_ACKS | IN_SUBACKS, "not-authorized" },
    { 0x88, IN(CONNACK), "server-unavailable" },
    { 0x89, IN_ENDS, "server-busy" },
    { 0x8a, IN(CONNACK), "banned" },
    { 0x8b, IN(DISCONNECT), "server-shutting-down" },
    { 0x8c, IN_ENDS, "bad-authentication-method" },
    { 0x8d, IN(DISCONNECT), "keep-alive-timeout" },
    { 0x8e, IN(DISCONNECT), "session-taken-over" },
    { 0x8f, IN_SUBACKS | IN(DISCONNECT), "topic-filter-invalid" },
    { 0x90, IN_ENDS | IN_ACKS, "topic-name-invalid" },
    { 0x91, IN_ACKS | IN_SUBACKS, "packet-identifier-in-use" },
    { 0x92, IN(PUBREL) | IN(PUBCOMP), "packet-identifier-not-found" },
    { 0x93, IN(DISCONNECT), "receive-maximum-exceeded" },
    { 0x94, IN(DISCONNECT), "topic-alias-invalid" },
    { 0x95, IN_ENDS, "packet-too-large" },
    { 0x96, IN(DISCONNECT), "message-rate-too-high" },
    { 0x97, IN_ENDS | IN_ACKS | IN(SUBACK), "quota-exceeded" },
    { 0x98, IN(DISCONNECT), "administrative-action" },
    { 0x99, IN_ENDS | IN_ACKS, "payload-format-invalid" },
    { 0x9a, IN_ENDS, "retain-not-supported" },
    { 0x9b, IN_ENDS, "qos-not-supported" },
    { 0x9c, IN_ENDS, "use-another-server" },
    { 0x9d, IN_ENDS, "server-moved" },
    { 0x9e, IN(SUBACK) | IN(DISCONNECT), "shared-subscriptions-not-supported" },
    { 0x9f, IN_ENDS, "connection-rate-exceeded" },
    { 0xa0, IN(DISCONNECT), "maximum-connect-time" },
    { 0xa1, IN(SUBACK) | IN(DISCONNECT), "subscription-identifiers-not-supported" },
    { 0xa2, IN(SUBACK) | IN(DISCONNECT), "wildcard-subscriptions-not-supported" },
};

static const struct reason_row *find_row(unsigned code)
{
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (REASONS[i].code == code)
            return &REASONS[i];
    return NULL;
}

const char *broker_mqtt_reason_name(unsigned code)
{
    const struct reason_row *row = find_row(code);

    return row == NULL ? "unknown" : row->name;
}

bool broker_mqtt_reason_fits(unsigned code, enum mqtt_type in)
{
    const struct reason_row *row = find_row(code);

    return row != NULL && (row->in >> in & 1) != 0;
}
