/* Records as syslog messages (RFC 5424), framed for TLS (RFC 5425). */
#pragma once

#include "integration/format.h"

/*
 * <PRI>1 TIME HOST touchmark SOURCE ACTION [SD-ID index="..." leaf="..." ...] MSG
 *
 * Facility 13 (log audit); severity 6 (informational) for allowed, 4 (warning) for denied, 3
 * (error) for failed. The structured data has index, leaf, decision and correlation; with
 * INTEGRATION_TEXT each other field of the record too, and MSG is a sentence; with the other
 * formats MSG is the JSON. No message is longer than the 8192 octets that RFC 5425 4.3.1 wants
 * receivers to take.
 */
enum {
    INTEGRATION_SYSLOG_MAX = 8192,
    INTEGRATION_HOST_MAX = 255,
    INTEGRATION_SD_ID_MAX = 32,
};

struct integration_syslog_style {
    enum integration_format format;
    const char *host;  /* HOSTNAME; printable, no space; "" for "-" */
    const char *sd_id; /* "name@private enterprise number" (RFC 5424 6.3.2) */
};

/* RC_MALFORMED: not a HOSTNAME, not an SD-ID with a private enterprise number. */
enum rc integration_syslog_check(const struct integration_syslog_style *style);
/* Append the message with its length in front (RFC 5425 4.3). RC_NOMEM, RC_LIMIT. */
enum rc integration_syslog_write(const struct integration_syslog_style *style,
                                 const struct audit_hit *hit, struct buf *out);
