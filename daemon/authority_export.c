#include "daemon/authority_state.h"

#include <string.h>

/*
 * How far the exporter's sinks are (integration/report.h). What changes of a sink's state is a
 * record, in the transaction that takes the report; where it stands is kept in memory, for
 * status and for whoever prunes the log.
 */

/* A broken exporter shall not fill the log with its sinks' ups and downs. */
enum { CHANGE_LEAST_MS = 500 };

static const struct integration_report_sink *find(const struct integration_report *report,
                                                  const char *name)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->sinks[i].name, name) == 0)
            return &report->sinks[i];
    return NULL;
}

static bool is_news(const struct daemon_authority *authority,
                    const struct integration_report_sink *sink)
{
    const struct integration_report_sink *known = find(&authority->exported, sink->name);

    return sink->state != (known == NULL ? INTEGRATION_TRYING : known->state);
}

static bool has_news(const struct daemon_authority *authority,
                     const struct integration_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (is_news(authority, &report->sinks[i]))
            return true;
    return false;
}

static enum rc record_sink(struct store_txn *txn, struct daemon_authority_request *request,
                           const struct integration_report_sink *sink)
{
    const struct integration_report_sink *known =
        find(&request->authority->exported, sink->name);
    bool failed = known != NULL && known->state == INTEGRATION_FAILING;
    AUTO_BUF(reason, INTEGRATION_WHY_MAX + 64);
    const char *text = NULL;

    memset(request->target, 0, sizeof request->target);
    memcpy(request->target, sink->name, strlen(sink->name));
    if (sink->state == INTEGRATION_FAILING)
        buf_addf(&reason, "fails at %llu: %s", (unsigned long long)sink->delivered, sink->why);
    else
        buf_addf(&reason, "%s at %llu", failed ? "recovers" : "begins",
                 (unsigned long long)sink->delivered);
    TRY(buf_text(&reason, &text));
    return daemon_authority_record(txn, request,
                                   sink->state == INTEGRATION_FAILING ? RC_IO : RC_OK, text);
}

static enum rc take(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority *authority = request->authority;
    struct integration_report report;

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    TRY(integration_report_read(request->question.query, &report));
    if (report.count - report.witnesses != authority->setup.settings.sinks ||
        report.witnesses != authority->setup.settings.witnesses)
        return fault(RC_MALFORMED,
                     "a report of %zu sinks and %zu witnesses, the settings name %u and %u",
                     report.count - report.witnesses, report.witnesses,
                     authority->setup.settings.sinks, authority->setup.settings.witnesses);
    for (size_t i = 0; i < report.count; i++)
        if (report.sinks[i].state != INTEGRATION_TRYING && is_news(authority, &report.sinks[i]))
            TRY(record_sink(txn, request, &report.sinks[i]));
    return audit_log_size(authority->setup.audit.log, txn, &request->answer.sequence);
}

static void tell_trouble(struct daemon_authority *authority)
{
    for (size_t i = 0; i < authority->exported.count; i++) {
        const struct integration_report_sink *sink = &authority->exported.sinks[i];
        if (!sink->trouble)
            continue;
        bool is_witness = i >= authority->exported.count - authority->exported.witnesses;
        (void)fault(RC_IO,
                    is_witness ? "%s does not sign checkpoints: %s"
                               : "the audit log does not go out to %s: %s",
                    sink->name, sink->why);
        daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_EXPORT);
        return;
    }
    daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_EXPORT);
}

static void taken(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority *authority = request->authority;
    struct integration_report report;

    if (rc == RC_OK)
        rc = integration_report_read(request->question.query, &report);
    if (rc != RC_OK) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    authority->exported = report;
    tell_trouble(authority);
    daemon_authority_answer(request);
}

void daemon_authority_export(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    struct integration_report report;
    int64_t since = loop_now_ms(authority->setup.loop) - authority->exported_ms;
    enum rc rc = integration_report_read(request->question.query, &report);
    bool news = rc == RC_OK && has_news(authority, &report);

    if (news && authority->exported_ms > 0 && since < CHANGE_LEAST_MS)
        rc = fault(RC_BUSY, "the state of a sink changed just now");
    if (rc != RC_OK) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    if (news)
        authority->exported_ms = loop_now_ms(authority->setup.loop);
    daemon_authority_queue(request, take, taken);
}

static uint64_t least_of(const struct daemon_authority *authority, size_t begin, size_t count)
{
    uint64_t least = UINT64_MAX;

    if (authority->exported.count < begin + count)
        return 0; /* not told yet */
    for (size_t i = begin; i < begin + count; i++)
        if (authority->exported.sinks[i].delivered < least)
            least = authority->exported.sinks[i].delivered;
    return least;
}

uint64_t daemon_authority_exported(const struct daemon_authority *authority)
{
    return least_of(authority, 0, authority->setup.settings.sinks);
}

uint64_t daemon_authority_witnessed(const struct daemon_authority *authority)
{
    return least_of(authority, authority->setup.settings.sinks,
                    authority->setup.settings.witnesses);
}
