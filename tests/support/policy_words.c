#include "tests/support/policy_words.h"

#include "base/clock.h"

#include <inttypes.h>

static bool know_time(struct policy_facts *facts, struct bytes name, struct bytes text)
{
    int64_t *at = bytes_equal_text(name, "certificate.ends") ? &facts->certificate_ends_ms
                  : bytes_equal_text(name, "attestation.at") ? &facts->attestation_at_ms
                                                             : NULL;

    return at != NULL && clock_read_rfc3339(text, at) == RC_OK;
}

bool policy_words_know(struct policy_facts *facts, struct bytes name, struct bytes text)
{
    const struct {
        const char *name;
        struct bytes *text;
    } TEXTS[] = {
        { "device.id", &facts->device_id },
        { "device.profile", &facts->device_profile },
        { "operator.id", &facts->operator_id },
        { "operator.role", &facts->operator_role },
        { "line.id", &facts->line_id },
        { "sink.name", &facts->sink_name },
        { "certificate.issuer", &facts->certificate_issuer },
        { "certificate.subject", &facts->certificate_subject },
        { "certificate.serial", &facts->certificate_serial },
        { "certificate.fingerprint", &facts->certificate_fingerprint },
        { "attestation.verdict", &facts->attestation_verdict },
        { "firmware.version", &facts->firmware_version },
        { "connection.address", &facts->connection_address },
        { "connection.door", &facts->connection_door },
        { "connection.protocol", &facts->connection_protocol },
        { "connection.tls", &facts->connection_tls },
        { "client.id", &facts->client_id },
    };

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (bytes_equal_text(name, TEXTS[i].name)) {
            *TEXTS[i].text = text;
            return true;
        }
    return know_time(facts, name, text);
}

static void add_separator(struct buf *out)
{
    if (out->len > 0)
        buf_addf(out, "; ");
}

void policy_words_oblige(const struct policy_decision *decision, struct buf *out)
{
    const struct policy_obligations *o = &decision->obligations;

    if (o->rate > 0)
        buf_addf(out, "limit %u per %" PRId64 " ms, burst %u, of rule %u", o->rate, o->rate_ms,
                 o->burst, decision->limit_rule);
    if (o->payload_limited) {
        add_separator(out);
        buf_addf(out, "payload %" PRIu64, o->payload);
    }
    if (o->lease_ms > 0) {
        add_separator(out);
        buf_addf(out, "lease %" PRId64 " ms", o->lease_ms);
    }
    if (o->log_full) {
        add_separator(out);
        buf_addf(out, "log full");
    }
    if (o->until_ms != 0) {
        add_separator(out);
        buf_addf(out, "until ");
        clock_add_rfc3339(out, o->until_ms);
    }
}
