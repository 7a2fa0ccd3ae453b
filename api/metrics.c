/* Prometheus' text format 0.0.4: what this door counts, and what the authority says of the
 * registry, if it is there. */
#include "api/handlers.h"

#include <stddef.h>
#include <string.h>

#include "audit/action.h"
#include "broker/metrics.h"

#define TYPE "text/plain; version=0.0.4; charset=utf-8"

static void add(struct buf *out, const char *name, const char *type, const char *help,
                long long value)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, type, name, value);
}

static void add_own(struct buf *out)
{
    for (unsigned i = 0; i < BROKER_METRICS; i++) {
        const struct broker_metric_row *row = broker_metric_row((enum broker_metric)i);
        add(out, row->name, row->gauge ? "gauge" : "counter", row->help,
            (long long)broker_metric_get((enum broker_metric)i));
    }
}

static void add_devices(struct buf *out, const struct registry_status *status)
{
    buf_addf(out, "# HELP touchmark_devices Devices in the registry, by state.\n"
                  "# TYPE touchmark_devices gauge\n");
    for (unsigned i = REGISTRY_REGISTERED; i <= REGISTRY_REVOKED; i++)
        buf_addf(out, "touchmark_devices{state=\"%s\"} %llu\n",
                 registry_state_name((enum registry_state)i),
                 (unsigned long long)status->devices[i]);
}

static void add_sources(struct buf *out, const struct registry_status *status)
{
    static const struct {
        const char *name, *type, *help;
        size_t place;
    } ROWS[] = {
        { "touchmark_audit_source_records", "gauge", "Audit records in the log, by source.",
          offsetof(struct registry_source, records) },
        { "touchmark_audit_source_acts", "gauge",
          "Acts that they tell of, aggregates by their counts.",
          offsetof(struct registry_source, acts) },
        { "touchmark_audit_source_spooled", "gauge",
          "Records that the source has made durable, as it said last.",
          offsetof(struct registry_source, spooled) },
        { "touchmark_audit_source_refused", "gauge",
          "Records that found no room when they came, in the source's life.",
          offsetof(struct registry_source, refused) },
    };

    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", ROWS[row].name, ROWS[row].help,
                 ROWS[row].name, ROWS[row].type);
        for (unsigned i = AUDIT_FROM_AUTHORITY; i < REGISTRY_SOURCES; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&status->sources[i] + ROWS[row].place, sizeof value);
            buf_addf(out, "%s{source=\"%s\"} %llu\n", ROWS[row].name,
                     audit_source_name((enum audit_source)i), (unsigned long long)value);
        }
    }
}

static void add_status(struct buf *out, const struct registry_status *status)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        { "touchmark_certificates", "Certificates in the registry.", status->certificates },
        { "touchmark_operators", "Active operators.", status->operators },
        { "touchmark_lines", "Active lines.", status->lines },
        { "touchmark_orphans", "Serials signed and never registered.", status->orphans },
        { "touchmark_policy_version", "The active policy.", status->policy_version },
        { "touchmark_signer_up", "Is the signer there?", status->signer },
        { "touchmark_sequence", "End of the change feed.", status->sequence },
        { "touchmark_doors_behind", "Changes that the slowest door has not acknowledged.",
          status->doors_behind },
        { "touchmark_audit_records", "Records in the audit log.", status->records },
        { "touchmark_audit_checkpoint", "Records under the newest signed checkpoint.",
          status->checkpoint },
        { "touchmark_audit_sinks", "Sinks that the audit log goes out to.", status->sinks },
        { "touchmark_audit_exported", "Records that every sink has had; 0 without sinks.",
          status->exported },
        { "touchmark_audit_published", "Records under the published checkpoint; 0 before it.",
          status->published },
        { "touchmark_audit_witnesses", "Witnesses that checkpoints are carried to.",
          status->witnesses },
        { "touchmark_audit_cosigned",
          "Records under the newest checkpoint that every witness signed; 0 without any.",
          status->cosigned },
        { "touchmark_trouble", "Is there something that needs a person?",
          status->trouble[0] != '\0' },
        { "touchmark_crl_made_seconds", "When the oldest CRL in force was made.",
          (uint64_t)status->crl_ms / 1000 },
    };

    add_devices(out, status);
    add_sources(out, status);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(out, rows[i].name, "gauge", rows[i].help, (long long)rows[i].value);
}

static void answer(struct api_request *request, const struct registry_status *status)
{
    AUTO_BUF(text, API_ANSWER_MAX);

    add_own(&text);
    add(&text, "touchmark_authority_up", "gauge", "Does the authority answer?", status != NULL);
    if (status != NULL)
        add_status(&text, status);
    api_answer_bytes(&request->answer, 200, TYPE, buf_bytes(&text));
}

/* An authority that is away is a measure, not a failure, to whom the projection still knows. */
static bool is_away(const struct api_request *request, enum rc rc)
{
    return request->vouched && (rc == RC_BUSY || rc == RC_CLOSED);
}

static void told(void *with, enum rc rc, const struct registry_answer *from,
                 struct bytes reason)
{
    struct api_request *request = with;

    if (!api_request_resume(request))
        return;
    if (rc == RC_OK)
        answer(request, &from->status);
    else if (is_away(request, rc))
        answer(request, NULL);
    else
        api_request_refuse(request, rc, reason);
}

enum rc api_metrics_show(struct api_request *request)
{
    enum rc rc = api_request_ask_for(request, REGISTRY_ASK_STATUS, told);

    if (rc == RC_OK || !is_away(request, rc))
        return rc;
    answer(request, NULL);
    return RC_OK;
}
