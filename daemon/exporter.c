#include "daemon/exporter.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/carrier.h"
#include "daemon/events.h"
#include "integration/delivery.h"
#include "integration/jsonl.h"
#include "integration/report.h"
#include "integration/syslog.h"
#include "registry/answer.h"

enum { TICK_MS = 1000, HOST_ROOM = 256 };

struct sink {
    struct daemon_exporter *exporter;
    const char *name;
    const struct daemon_config_sink *config;
    struct integration_outlet outlet; /* until it is started */
    struct integration_delivery *delivery;
    struct integration_delivery_want asked; /* of the authority, while asking */
    bool asking, at_end;                    /* at_end: there was nothing more */
    enum integration_state told;            /* in our log */
};

struct daemon_exporter {
    struct daemon_exporter_setup setup;
    char host[HOST_ROOM];
    struct sink sinks[DAEMON_CONFIG_SINKS];
    size_t sink_count;
    struct daemon_carrier *carrier; /* to witnesses */
    struct link *authority;
    struct loop_timer tick;
    bool reporting, news;
};

static void pump(struct sink *sink);

/* ---- What the authority is told ---- */

static void add_to_report(const struct sink *sink, struct integration_report *report)
{
    struct integration_report_sink *told = &report->sinks[report->count++];
    const struct daemon_exporter *exporter = sink->exporter;
    struct integration_delivery_status status;
    int64_t since;

    integration_delivery_status(sink->delivery, &status);
    since = loop_now_ms(exporter->setup.loop) - status.since_ms;
    memcpy(told->name, sink->name, strlen(sink->name));
    memcpy(told->why, status.why, sizeof told->why);
    told->state = status.state;
    told->delivered = status.delivered;
    told->trouble = status.state == INTEGRATION_FAILING &&
                    since >= exporter->setup.config->exporter.trouble_after_ms;
}

static void on_reported(void *with, const struct link_reply *reply)
{
    struct daemon_exporter *exporter = with;

    exporter->reporting = false;
    if (reply->rc != RC_OK)
        exporter->news = true; /* with the next tick */
}

static bool has_ways(const struct daemon_exporter *exporter)
{
    return exporter->sink_count > 0 || daemon_carrier_count(exporter->carrier) > 0;
}

static void report(struct daemon_exporter *exporter)
{
    struct integration_report all = { 0 };
    struct registry_question question = { 0 };
    AUTO_BUF(text, INTEGRATION_REPORT_MAX);
    AUTO_BUF(body, LINK_BODY_MAX);

    if (exporter->authority == NULL || exporter->reporting || !has_ways(exporter))
        return;
    for (size_t i = 0; i < exporter->sink_count; i++)
        add_to_report(&exporter->sinks[i], &all);
    daemon_carrier_report(exporter->carrier, &all);
    integration_report_write(&all, &text);
    question.query = buf_bytes(&text);
    if (registry_question_write(REGISTRY_ASK_EXPORTED, &question, &body) != RC_OK ||
        link_ask(exporter->authority, REGISTRY_ASK_EXPORTED, buf_bytes(&body), -1, on_reported,
                 exporter) != RC_OK)
        return; /* with the next tick */
    exporter->reporting = true;
    exporter->news = false;
}

static void log_change(struct sink *sink, const struct integration_delivery_status *status)
{
    struct log *log = sink->exporter->setup.log;

    if (status->state == INTEGRATION_UP)
        log_write(log, DAEMON_EVENT_EXPORTER_SINK_UP, LOG_TEXT_FIELD("sink", sink->name),
                  LOG_NUMBER_FIELD("index", (int64_t)status->delivered));
    else if (status->state == INTEGRATION_FAILING)
        log_write(log, DAEMON_EVENT_EXPORTER_SINK_FAILS, LOG_TEXT_FIELD("sink", sink->name),
                  LOG_NUMBER_FIELD("index", (int64_t)status->delivered),
                  LOG_TEXT_FIELD("reason", status->why));
}

static void on_witness(void *with)
{
    struct daemon_exporter *exporter = with;

    exporter->news = true;
    report(exporter);
}

static void on_told(void *with)
{
    struct sink *sink = with;
    struct integration_delivery_status status;

    sink->exporter->news = true;
    integration_delivery_status(sink->delivery, &status);
    if (status.state == sink->told)
        return;
    log_change(sink, &status);
    sink->told = status.state;
    report(sink->exporter);
}

/* ---- Records ---- */

/* The one before what is wanted shows that it is the same log. RC_NOT_FOUND: it is another. */
static enum rc check_last(const struct integration_delivery_want *want, uint64_t index,
                          struct bytes leaf)
{
    if (index != want->next - 1 || !bytes_equal(leaf, BYTES_OF(want->last.at)))
        return fault(RC_NOT_FOUND, "record %llu is not the one that was delivered",
                     (unsigned long long)(want->next - 1));
    return RC_OK;
}

static enum rc give_entry(struct sink *sink, uint64_t index, struct bytes leaf,
                          struct bytes bytes)
{
    AUTO_BUF(room, AUDIT_ENTRY_MAX);
    struct audit_record record;
    struct audit_entry entry;
    struct audit_hit hit = { .index = index, .entry = bytes, .record = &record };

    TRY(audit_leaf_read(bytes, &entry));
    TRY(audit_leaf_record(&entry, &room, &record));
    memcpy(hit.leaf.at, leaf.at, sizeof hit.leaf.at);
    integration_delivery_give(sink->delivery, &hit);
    return RC_OK;
}

/* One page: index u64, length u32, leaf hash 32, entry. */
static enum rc take_page(struct sink *sink, struct bytes page)
{
    const struct integration_delivery_want want = sink->asked;
    struct reader r = READER(page);
    uint64_t next = want.next;

    if (want.unsure && page.len == 0)
        return fault(RC_NOT_FOUND, "the log ends before record %llu",
                     (unsigned long long)(want.next - 1));
    sink->at_end = true;
    while (!reader_done(&r) && !r.broken) {
        uint64_t index = reader_u64(&r);
        uint32_t len = reader_u32(&r);
        struct bytes leaf = reader_take(&r, PROOF_HASH), entry = reader_take(&r, len);
        if (r.broken)
            return fault(RC_MALFORMED, "a page of the log is cut short");
        if (index < want.next) {
            TRY(check_last(&want, index, leaf));
            integration_delivery_sure(sink->delivery);
        } else if (index != next && next != 0) { /* an old log may begin later than at 0 */
            return fault(RC_CORRUPT, "record %llu came where %llu was wanted",
                         (unsigned long long)index, (unsigned long long)next);
        } else {
            TRY(give_entry(sink, index, leaf, entry));
            sink->at_end = false;
            next = index + 1;
        }
    }
    integration_delivery_flush(sink->delivery);
    return RC_OK;
}

static bool is_same(const struct integration_delivery_want *a,
                    const struct integration_delivery_want *b)
{
    return a->next == b->next && a->unsure == b->unsure &&
           bytes_equal(BYTES_OF(a->last.at), BYTES_OF(b->last.at));
}

static void took_page(struct sink *sink, enum rc rc)
{
    if (rc == RC_NOT_FOUND) {
        log_write(sink->exporter->setup.log, DAEMON_EVENT_EXPORTER_BEGINS_AGAIN,
                  LOG_TEXT_FIELD("sink", sink->name), LOG_TEXT_FIELD("reason", fault_text()));
        integration_delivery_begin_again(sink->delivery);
        sink->at_end = false;
    } else if (rc != RC_OK) {
        integration_delivery_fail(sink->delivery);
    }
    pump(sink);
}

static void on_page(void *with, const struct link_reply *reply)
{
    struct sink *sink = with;
    struct integration_delivery_want now;
    struct registry_answer answer;

    sink->asking = false;
    if (reply->rc != RC_OK)
        return; /* asked again with the next tick, or when the authority is back */
    if (!integration_delivery_wants(sink->delivery, &now) || !is_same(&now, &sink->asked)) {
        pump(sink); /* another try began meanwhile */
        return;
    }
    enum rc rc = registry_answer_read(REGISTRY_ASK_AUDIT_ENTRIES, reply->body, &answer);
    took_page(sink, rc == RC_OK ? take_page(sink, answer.query) : rc);
}

static void pump(struct sink *sink)
{
    struct link *authority = sink->exporter->authority;
    struct registry_question question = { 0 };
    struct integration_delivery_want want;
    AUTO_BUF(first, sizeof(uint64_t));
    AUTO_BUF(body, LINK_BODY_MAX);

    if (authority == NULL || sink->asking ||
        !integration_delivery_wants(sink->delivery, &want) || (sink->at_end && !want.unsure))
        return;
    buf_add_u64(&first, want.unsure ? want.next - 1 : want.next);
    question.query = buf_bytes(&first);
    if (registry_question_write(REGISTRY_ASK_AUDIT_ENTRIES, &question, &body) != RC_OK ||
        link_ask(authority, REGISTRY_ASK_AUDIT_ENTRIES, buf_bytes(&body), -1, on_page, sink) !=
            RC_OK)
        return; /* with the next tick */
    sink->asked = want;
    sink->asking = true;
}

static void on_wants(void *with)
{
    pump(with);
}

static enum rc tick(struct loop_timer *timer)
{
    struct daemon_exporter *exporter =
        (void *)((char *)timer - offsetof(struct daemon_exporter, tick));

    for (size_t i = 0; i < exporter->sink_count; i++) {
        struct sink *sink = &exporter->sinks[i];
        integration_delivery_nudge(sink->delivery);
        sink->at_end = false;
        pump(sink);
    }
    report(exporter);
    return loop_arm(exporter->setup.loop, &exporter->tick, TICK_MS);
}

/* ---- The channel ---- */

static void on_closed(void *with)
{
    struct daemon_exporter *exporter = with;

    log_write(exporter->setup.log, DAEMON_EVENT_EXPORTER_AUTHORITY_GONE,
              LOG_TEXT_FIELD("reason", fault_text()));
    daemon_carrier_attach(exporter->carrier, NULL);
    link_close(exporter->authority);
    exporter->authority = NULL;
}

enum rc daemon_exporter_attach(struct daemon_exporter *exporter, int authority)
{
    daemon_carrier_attach(exporter->carrier, NULL);
    link_close(exporter->authority);
    exporter->authority = NULL;
    TRY(link_open(exporter->setup.loop, authority, registry_door_protocol(), on_closed,
                  exporter, &exporter->authority));
    for (size_t i = 0; i < exporter->sink_count; i++) {
        exporter->sinks[i].at_end = false;
        pump(&exporter->sinks[i]);
    }
    daemon_carrier_attach(exporter->carrier, exporter->authority);
    report(exporter);
    return RC_OK;
}

/* ---- Life ---- */

static enum rc make_outlet(struct sink *sink)
{
    const struct daemon_exporter *exporter = sink->exporter;
    const struct daemon_config_sink *config = sink->config;
    const struct integration_jsonl_setup jsonl = {
        .path = config->file,
        .format = (enum integration_format)config->format,
        .rotate = config->rotate,
    };
    const struct integration_syslog_setup syslog = {
        .loop = exporter->setup.loop,
        .address = config->address,
        .server_name = config->server_name,
        .authorities = config->authorities,
        .certificate = config->certificate,
        .key = config->key,
        .style = { (enum integration_format)config->format, exporter->host, config->sd_id },
        .connect_ms = exporter->setup.config->exporter.connect_within_ms,
        .settle_ms = config->settle_ms,
        .renew_ms = config->renew_ms,
    };
    const struct integration_outlet_told *told = integration_delivery_told(sink->delivery);

    return config->kind == DAEMON_CONFIG_JSONL
               ? integration_jsonl_new(&jsonl, told, &sink->outlet)
               : integration_syslog_new(&syslog, told, &sink->outlet);
}

static enum rc add_sink(struct daemon_exporter *exporter, size_t place)
{
    struct sink *sink = &exporter->sinks[exporter->sink_count];
    const struct integration_delivery_setup setup = {
        .loop = exporter->setup.loop,
        .dir = exporter->setup.state,
        .name = daemon_config_sink_name(place),
        .retry_most_ms = exporter->setup.config->exporter.retry_most_ms,
        .wants = on_wants,
        .told = on_told,
        .with = sink,
    };

    sink->exporter = exporter;
    sink->name = setup.name;
    sink->config = &exporter->setup.config->exporter.sinks[place];
    TRY(integration_delivery_new(&setup, &sink->delivery));
    exporter->sink_count++;
    if (make_outlet(sink) != RC_OK) {
        integration_delivery_fail(sink->delivery);
        on_told(sink);
    }
    return RC_OK;
}

static enum rc find_host(struct daemon_exporter *exporter)
{
    const char *given = exporter->setup.config->exporter.host;

    if (*given != '\0')
        memcpy(exporter->host, given, strlen(given) + 1);
    else if (gethostname(exporter->host, sizeof exporter->host - 1) != 0)
        return fault_errno("the machine's name");
    return RC_OK;
}

static enum rc make_carrier(struct daemon_exporter *exporter)
{
    const struct daemon_carrier_setup setup = {
        .loop = exporter->setup.loop,
        .log = exporter->setup.log,
        .config = exporter->setup.config,
        .news = on_witness,
        .with = exporter,
    };

    return daemon_carrier_new(&setup, &exporter->carrier);
}

enum rc daemon_exporter_new(const struct daemon_exporter_setup *setup,
                            struct daemon_exporter **exporter)
{
    AUTO_OF(daemon_exporter) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "the exporter");
    made->setup = *setup;
    made->tick.due = tick;
    TRY(find_host(made));
    TRY(make_carrier(made));
    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++)
        if (setup->config->exporter.sinks[i].kind != DAEMON_CONFIG_NO_SINK)
            TRY(add_sink(made, i));
    *exporter = TAKE(made);
    return RC_OK;
}

enum rc daemon_exporter_start(struct daemon_exporter *exporter)
{
    for (size_t i = 0; i < exporter->sink_count; i++) {
        struct sink *sink = &exporter->sinks[i];
        if (sink->outlet.kind != NULL)
            TRY(integration_delivery_start(sink->delivery, &sink->outlet));
        sink->outlet.kind = NULL;
    }
    TRY(daemon_carrier_start(exporter->carrier));
    return has_ways(exporter) ? loop_arm(exporter->setup.loop, &exporter->tick, TICK_MS)
                              : RC_OK;
}

void daemon_exporter_free(struct daemon_exporter *exporter)
{
    if (exporter == NULL)
        return;
    loop_disarm(&exporter->tick);
    struct link *authority = exporter->authority;
    exporter->authority = NULL; /* its replies ask for nothing more */
    if (exporter->carrier != NULL)
        daemon_carrier_attach(exporter->carrier, NULL);
    link_close(authority);
    daemon_carrier_free(exporter->carrier);
    for (size_t i = 0; i < exporter->sink_count; i++) {
        struct sink *sink = &exporter->sinks[i];
        if (sink->outlet.kind != NULL)
            sink->outlet.kind->free(sink->outlet.outlet);
        integration_delivery_free(sink->delivery);
    }
    free(exporter);
}
