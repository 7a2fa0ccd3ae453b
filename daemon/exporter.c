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

/*
 * Nothing is done while nothing happens: the authority says when the log has grown, and the
 * tick sleeps while all sinks are up and what they have had is told. News goes out at once;
 * what comes within GATHER_MS of it goes out together after that, with one sync.
 */
enum { TICK_MS = 1000, ASLEEP_MS = 3600000, GATHER_MS = 50, HOST_ROOM = 256 };

struct sink {
    struct daemon_exporter *exporter;
    const char *name;
    const struct daemon_config_sink *config;
    struct integration_outlet outlet; /* until it is started */
    struct integration_delivery *delivery;
    struct integration_delivery_want asked; /* of the authority, while asking */
    uint64_t size;                          /* of the log, as far as we knew then */
    uint64_t ended;                         /* it had nothing more when it had this size */
    bool asking;
    enum integration_state told; /* in our log */
};

struct daemon_exporter {
    struct daemon_exporter_setup setup;
    char host[HOST_ROOM];
    struct sink sinks[DAEMON_CONFIG_SINKS];
    size_t sink_count;
    struct daemon_carrier *carrier; /* to witnesses */
    struct link *authority;
    uint64_t size; /* of the log, as the authority said last; 0 before that */
    struct loop_timer tick, gather;
    bool reporting, news, listening;
    bool soon; /* the tick is at most TICK_MS away */
};

static void pump(struct sink *sink);

/* From within the tick it may find no memory: the tick arms itself at its end. */
static void tick_soon(struct daemon_exporter *exporter)
{
    exporter->soon =
        exporter->soon || loop_arm(exporter->setup.loop, &exporter->tick, TICK_MS) == RC_OK;
}

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
    if (reply->rc == RC_OK)
        return;
    exporter->news = true;
    tick_soon(exporter);
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
    exporter->news =
        registry_question_write(REGISTRY_ASK_EXPORTED, &question, &body) != RC_OK ||
        link_ask(exporter->authority, REGISTRY_ASK_EXPORTED, buf_bytes(&body), -1, on_reported,
                 exporter) != RC_OK;
    exporter->reporting = !exporter->news;
    if (exporter->news)
        tick_soon(exporter);
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

static void on_witness(void *with, bool changed)
{
    struct daemon_exporter *exporter = with;

    exporter->news = true;
    tick_soon(exporter);
    if (changed)
        report(exporter);
}

static void on_told(void *with)
{
    struct sink *sink = with;
    struct integration_delivery_status status;

    sink->exporter->news = true;
    tick_soon(sink->exporter);
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
            next = index + 1;
        }
    }
    if (next == want.next)
        sink->ended = sink->size;
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
        sink->ended = 0;
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
    if (reply->rc != RC_OK) {
        tick_soon(sink->exporter); /* asks again, if the authority is there */
        return;
    }
    if (!integration_delivery_wants(sink->delivery, &now) || !is_same(&now, &sink->asked)) {
        pump(sink); /* another try began meanwhile */
        return;
    }
    enum rc rc = registry_answer_read(REGISTRY_ASK_AUDIT_ENTRIES, reply->body, &answer);
    took_page(sink, rc == RC_OK ? take_page(sink, answer.query) : rc);
}

/* What it was given last is held against the log at once; more is asked for when there is. */
static bool is_to_ask(const struct sink *sink, struct integration_delivery_want *want)
{
    const struct daemon_exporter *exporter = sink->exporter;

    if (exporter->authority == NULL || sink->asking ||
        !integration_delivery_wants(sink->delivery, want))
        return false;
    return want->unsure || (want->next < exporter->size && sink->ended != exporter->size);
}

static void pump(struct sink *sink)
{
    struct daemon_exporter *exporter = sink->exporter;
    struct registry_question question = { 0 };
    struct integration_delivery_want want;
    AUTO_BUF(first, sizeof(uint64_t));
    AUTO_BUF(body, LINK_BODY_MAX);

    if (!is_to_ask(sink, &want))
        return;
    buf_add_u64(&first, want.unsure ? want.next - 1 : want.next);
    question.query = buf_bytes(&first);
    if (registry_question_write(REGISTRY_ASK_AUDIT_ENTRIES, &question, &body) != RC_OK ||
        link_ask(exporter->authority, REGISTRY_ASK_AUDIT_ENTRIES, buf_bytes(&body), -1, on_page,
                 sink) != RC_OK) {
        tick_soon(exporter);
        return;
    }
    sink->asked = want;
    sink->size = exporter->size;
    sink->asking = true;
}

static void on_wants(void *with)
{
    pump(with);
}

/* ---- How far the log is ---- */

static void take_size(struct daemon_exporter *exporter, uint64_t size)
{
    exporter->size = size;
    for (size_t i = 0; i < exporter->sink_count; i++) {
        exporter->sinks[i].ended = 0;
        pump(&exporter->sinks[i]);
    }
    daemon_carrier_heard(exporter->carrier, size);
}

static enum rc read_size(const struct link_reply *reply, uint64_t *size)
{
    struct registry_answer answer;
    struct audit_page page;

    if (reply->rc != RC_OK)
        return reply->rc;
    TRY(registry_answer_read(REGISTRY_ASK_AUDIT_WATCH, reply->body, &answer));
    TRY(audit_page_read(answer.query, &page));
    *size = page.next;
    audit_page_clear(&page);
    return RC_OK;
}

static void on_heard(void *with, const struct link_reply *reply)
{
    struct daemon_exporter *exporter = with;
    uint64_t size = 0;

    exporter->listening = false;
    if (read_size(reply, &size) == RC_OK &&
        loop_arm(exporter->setup.loop, &exporter->gather, GATHER_MS) == RC_OK)
        take_size(exporter, size);
    else
        tick_soon(exporter);
}

/* Answered when the log is not of the size that we know, or after ten seconds. */
static void listen_on(struct daemon_exporter *exporter)
{
    static const struct audit_query ALL = { .most = 1 };
    struct registry_question question = { 0 };
    AUTO_BUF(query, sizeof(uint64_t) + AUDIT_QUERY_MAX);
    AUTO_BUF(body, LINK_BODY_MAX);

    if (exporter->authority == NULL || exporter->listening || exporter->gather.loop != NULL ||
        !has_ways(exporter))
        return;
    buf_add_u64(&query, exporter->size);
    audit_query_write(&ALL, &query);
    question.query = buf_bytes(&query);
    if (registry_question_write(REGISTRY_ASK_AUDIT_WATCH, &question, &body) != RC_OK ||
        link_ask(exporter->authority, REGISTRY_ASK_AUDIT_WATCH, buf_bytes(&body), -1, on_heard,
                 exporter) != RC_OK)
        tick_soon(exporter);
    else
        exporter->listening = true;
}

static enum rc gathered(struct loop_timer *timer)
{
    listen_on((void *)((char *)timer - offsetof(struct daemon_exporter, gather)));
    return RC_OK;
}

/* ---- What was put off ---- */

static bool is_well(const struct daemon_exporter *exporter)
{
    struct integration_delivery_status status;

    for (size_t i = 0; i < exporter->sink_count; i++) {
        integration_delivery_status(exporter->sinks[i].delivery, &status);
        if (status.state != INTEGRATION_UP)
            return false;
    }
    return daemon_carrier_is_well(exporter->carrier);
}

/* How long it fails is told each time. */
static enum rc tick(struct loop_timer *timer)
{
    struct daemon_exporter *exporter =
        (void *)((char *)timer - offsetof(struct daemon_exporter, tick));
    bool well = is_well(exporter);

    exporter->soon = false;
    for (size_t i = 0; i < exporter->sink_count; i++) {
        integration_delivery_nudge(exporter->sinks[i].delivery);
        pump(&exporter->sinks[i]);
    }
    listen_on(exporter);
    if (exporter->news || !well)
        report(exporter);
    exporter->soon = exporter->soon || exporter->news || !well;
    return loop_arm(exporter->setup.loop, &exporter->tick,
                    exporter->soon ? TICK_MS : ASLEEP_MS);
}

/* ---- The channel ---- */

static void detach(struct daemon_exporter *exporter)
{
    struct link *authority = exporter->authority;

    exporter->authority = NULL; /* its replies ask for nothing more */
    if (exporter->carrier != NULL)
        daemon_carrier_attach(exporter->carrier, NULL);
    link_close(authority);
    loop_disarm(&exporter->gather);
    exporter->size = 0; /* it may be another log */
}

static void on_closed(void *with)
{
    struct daemon_exporter *exporter = with;

    log_write(exporter->setup.log, DAEMON_EVENT_EXPORTER_AUTHORITY_GONE,
              LOG_TEXT_FIELD("reason", fault_text()));
    detach(exporter);
}

enum rc daemon_exporter_attach(struct daemon_exporter *exporter, int authority)
{
    detach(exporter);
    TRY(link_open(exporter->setup.loop, authority, registry_door_protocol(), on_closed,
                  exporter, &exporter->authority));
    daemon_carrier_attach(exporter->carrier, exporter->authority);
    for (size_t i = 0; i < exporter->sink_count; i++)
        pump(&exporter->sinks[i]);
    listen_on(exporter);
    report(exporter);
    return RC_OK; /* what of this found no memory is tried again with the tick */
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
    made->gather.due = gathered;
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
    if (has_ways(exporter))
        TRY(loop_arm(exporter->setup.loop, &exporter->tick, TICK_MS));
    exporter->soon = true;
    return RC_OK;
}

void daemon_exporter_free(struct daemon_exporter *exporter)
{
    if (exporter == NULL)
        return;
    detach(exporter);
    loop_disarm(&exporter->tick);
    daemon_carrier_free(exporter->carrier);
    for (size_t i = 0; i < exporter->sink_count; i++) {
        struct sink *sink = &exporter->sinks[i];
        if (sink->outlet.kind != NULL)
            sink->outlet.kind->free(sink->outlet.outlet);
        integration_delivery_free(sink->delivery);
    }
    free(exporter);
}
