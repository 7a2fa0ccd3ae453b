/* The closed list of facts that rules may ask for: name, type, when it is known, whose word it
 * is. */
#pragma once

#include <assert.h>

#include "base/bytes.h"
#include "policy/value.h"

/* When a fact is known. A condition on session facts alone is worked out once, when a session
 * is bound; one on the clock changes by itself, and live sessions are reviewed when it does. */
enum policy_scope { POLICY_OF_SESSION, POLICY_OF_REQUEST, POLICY_OF_CLOCK };

/* Numbers are this process's own; names are the language. */
enum policy_fact {
    POLICY_DEVICE_ID,
    POLICY_DEVICE_PROFILE,
    POLICY_OPERATOR_ID,
    POLICY_OPERATOR_ROLE,
    POLICY_LINE_ID,
    POLICY_SINK_NAME,
    POLICY_CERTIFICATE_ISSUER,      /* its Common Name */
    POLICY_CERTIFICATE_SUBJECT,     /* the id in it: policy_facts */
    POLICY_CERTIFICATE_SERIAL,      /* hexadecimal, lower case */
    POLICY_CERTIFICATE_FINGERPRINT, /* SHA-256, hexadecimal, lower case */
    POLICY_CERTIFICATE_LEFT,        /* duration until notAfter */
    POLICY_ATTESTATION_VERDICT,
    POLICY_ATTESTATION_AGE,
    POLICY_FIRMWARE_VERSION, /* as the device says */
    POLICY_CONNECTION_ADDRESS,
    POLICY_CONNECTION_DOOR,     /* "device", "operator" */
    POLICY_CONNECTION_PROTOCOL, /* "mqtt", "https" */
    POLICY_CONNECTION_TLS,      /* "1.2", "1.3" */
    POLICY_CLIENT_ID,           /* as the client says */
    POLICY_MESSAGE_SIZE,        /* octets of the payload */
    POLICY_MESSAGE_QOS,
    POLICY_MESSAGE_RETAIN,
    POLICY_MESSAGE_CONTENT_TYPE, /* as the client says */
    POLICY_REQUEST_KEY,          /* "p-256": a certificate is asked for it */
    POLICY_TARGET,               /* with its groups: what a resource `group "x"` asks for */
    POLICY_TIME_NOW,
    POLICY_TIME_OF_DAY,  /* duration since midnight, UTC */
    POLICY_TIME_WEEKDAY, /* "monday" to "sunday", UTC */
    POLICY_FACTS
};
static_assert((int)POLICY_FACTS <= 32, "a set of them is a uint32_t");

struct policy_fact_row {
    const char *name; /* "certificate.left" */
    enum policy_type type;
    enum policy_scope scope;
    bool claimed; /* the client's own word: no base for authority, and `policy check` says so */
    bool
        in_topic; /* may stand in a topic as ${name}: its values are names, policy_name_len() */
    const char *meaning;
};

const struct policy_fact_row *policy_fact_get(enum policy_fact fact);
/* POLICY_FACTS if there is none. */
enum policy_fact policy_fact_by_name(struct bytes name);
/* The next ${fact} of a rule's resource, which then begins behind it; false: there is none. */
bool policy_fact_next(struct bytes *resource, enum policy_fact *fact);
