/* What a door counts, in one closed table: for /metrics and support bundles. */
#pragma once

#include "base/bytes.h"

/* To add one: a constant here, its row in metrics.c at the same place. */
enum broker_metric {
    BROKER_CONNECTIONS,        /* gauge: live */
    BROKER_SESSIONS,           /* gauge: MQTT sessions that were accepted */
    BROKER_HANDSHAKES,         /* TLS handshakes that ended well */
    BROKER_HANDSHAKES_RESUMED, /* of these */
    BROKER_HANDSHAKES_REFUSED,
    BROKER_SESSIONS_CUT, /* ended by revocation, suspension, expiry, policy */
    BROKER_PUBLISH_RECEIVED,
    BROKER_PUBLISH_DENIED,
    BROKER_DELIVERED,
    BROKER_DROPPED,       /* QoS 0 for a slow reader, or a full queue */
    BROKER_SUBSCRIPTIONS, /* gauge */
    BROKER_RETAINED,      /* gauge: retained messages */
    BROKER_HTTP_REQUESTS,
    BROKER_HTTP_REFUSED,
    BROKER_AUDIT_RECORDS, /* made durable in the spool */
    BROKER_AUDIT_ACTS,    /* that those records tell of: an aggregate's count, else one */
    BROKER_AUDIT_REFUSED, /* records that the spool had no room for at first */
    BROKER_AUDIT_SPOOLED, /* gauge: sequence of the spool's last record */
    BROKER_AUDIT_TAKEN,   /* gauge: of the last one that the authority has taken */
    BROKER_AUDIT_PENDING, /* gauge: records and open windows that are not in the spool yet */
    BROKER_AUDIT_WAITING, /* gauge: in the spool, not taken by the authority */
    BROKER_FEED_SEQUENCE, /* gauge: applied */
    BROKER_METRICS
};

struct broker_metric_row {
    const char *name; /* as Prometheus wants it: "touchmark_connections" */
    bool gauge;       /* else a counter, whose name ends in _total */
    const char *help;
};
const struct broker_metric_row *broker_metric_row(enum broker_metric metric);

/* The process's own; relaxed atomics, from any thread. */
void broker_metric_add(enum broker_metric metric, int64_t by);
void broker_metric_set(enum broker_metric metric, int64_t value);
int64_t broker_metric_get(enum broker_metric metric);
