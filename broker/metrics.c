#include "broker/metrics.h"

#include <stdatomic.h>

static const struct broker_metric_row ROWS[BROKER_METRICS] = {
    [BROKER_CONNECTIONS] = { "touchmark_connections", true, "live connections" },
    [BROKER_SESSIONS] = { "touchmark_sessions", true, "MQTT sessions that were accepted" },
    [BROKER_HANDSHAKES] = { "touchmark_handshakes_total", false,
                            "TLS handshakes that ended well" },
    [BROKER_HANDSHAKES_RESUMED] = { "touchmark_handshakes_resumed_total", false,
                                    "TLS handshakes that resumed a session" },
    [BROKER_HANDSHAKES_REFUSED] = { "touchmark_handshakes_refused_total", false,
                                    "TLS handshakes that failed or showed a certificate that "
                                    "was refused" },
    [BROKER_SESSIONS_CUT] = { "touchmark_sessions_cut_total", false,
                              "sessions ended by revocation, suspension, expiry or policy" },
    [BROKER_PUBLISH_RECEIVED] = { "touchmark_publish_received_total", false,
                                  "messages that devices published" },
    [BROKER_PUBLISH_DENIED] = { "touchmark_publish_denied_total", false,
                                "messages that the policy did not allow" },
    [BROKER_DELIVERED] = { "touchmark_delivered_total", false, "messages handed to devices" },
    [BROKER_DROPPED] = { "touchmark_dropped_total", false,
                         "messages dropped: QoS 0 for a slow reader, or a full queue" },
    [BROKER_SUBSCRIPTIONS] = { "touchmark_subscriptions", true, "subscriptions" },
    [BROKER_RETAINED] = { "touchmark_retained", true, "retained messages" },
    [BROKER_HTTP_REQUESTS] = { "touchmark_http_requests_total", false, "HTTP requests" },
    [BROKER_HTTP_REFUSED] = { "touchmark_http_refused_total", false,
                              "HTTP requests that were refused" },
    [BROKER_AUDIT_RECORDS] = { "touchmark_audit_records_total", false,
                               "audit records written to the spool" },
    [BROKER_AUDIT_ACTS] = { "touchmark_audit_acts_total", false,
                            "acts that those records tell of, aggregates by their counts" },
    [BROKER_AUDIT_REFUSED] = { "touchmark_audit_refused_total", false,
                               "audit records that the spool had no room for when they came" },
    [BROKER_AUDIT_SPOOLED] = { "touchmark_audit_spooled", true,
                               "sequence of the last audit record in the spool" },
    [BROKER_AUDIT_TAKEN] = { "touchmark_audit_taken", true,
                             "sequence of the last one that the authority has taken" },
    [BROKER_AUDIT_PENDING] = { "touchmark_audit_pending", true,
                               "audit records and open windows on their way to the spool" },
    [BROKER_AUDIT_WAITING] = { "touchmark_audit_waiting", true,
                               "audit records that the authority has not taken" },
    [BROKER_FEED_SEQUENCE] = { "touchmark_feed_sequence", true,
                               "sequence of the change feed that is applied" },
};

static atomic_int_least64_t values[BROKER_METRICS];

const struct broker_metric_row *broker_metric_row(enum broker_metric metric)
{
    return &ROWS[metric];
}

void broker_metric_add(enum broker_metric metric, int64_t by)
{
    atomic_fetch_add_explicit(&values[metric], by, memory_order_relaxed);
}

void broker_metric_set(enum broker_metric metric, int64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t broker_metric_get(enum broker_metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}
