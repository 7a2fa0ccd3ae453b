#include "daemon/carrier.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/events.h"
#include "integration/witness.h"
#include "registry/answer.h"

/* While there is something to be looked for; the log's growing says when. */
enum { LOOK_MS = 1000 };

struct carried {
    struct daemon_carrier *carrier;
    const char *name;
    struct integration_witness *witness;
    bool asking;
    enum integration_state told; /* in our log */
};

struct daemon_carrier {
    struct daemon_carrier_setup setup;
    struct carried witnesses[DAEMON_CONFIG_WITNESSES];
    size_t count;
    struct link *authority;
    struct loop_timer look;
    bool looking;
    uint64_t records, offered; /* in the log; and in the tree of the newest checkpoint */
};

static void pump(struct carried *carried);

/* No memory for it: when the log is heard of next, at most ten seconds later. */
static void look_soon(struct daemon_carrier *carrier)
{
    if (carrier->look.loop == NULL)
        (void)loop_arm(carrier->setup.loop, &carrier->look, LOOK_MS);
}

/* ---- Asking the authority ---- */

static bool ask(struct daemon_carrier *carrier, enum registry_ask what, struct bytes query,
                link_done *done, void *with)
{
    struct registry_question question = { .query = query };
    AUTO_BUF(body, LINK_BODY_MAX);

    return carrier->authority != NULL &&
           registry_question_write(what, &question, &body) == RC_OK &&
           link_ask(carrier->authority, (uint16_t)what, buf_bytes(&body), -1, done, with) ==
               RC_OK;
}

/* What the authority said: its answer, or its reason as the fault. */
static enum rc read_reply(enum registry_ask what, const struct link_reply *reply,
                          struct registry_answer *answer)
{
    if (reply->rc != RC_OK)
        return fault(reply->rc, "the authority says: %.*s", (int)reply->body.len,
                     (const char *)reply->body.at);
    return registry_answer_read(what, reply->body, answer);
}

/* ---- Proofs ---- */

static enum rc take_proof(struct carried *carried, struct bytes nodes)
{
    struct proof_hash read[PROOF_NODES_MAX];
    struct reader r = READER(nodes);
    size_t count = 0;

    while (r.left.len > 0 && count < PROOF_NODES_MAX) {
        struct bytes node = reader_take(&r, PROOF_HASH);
        if (r.broken)
            break;
        memcpy(read[count++].at, node.at, PROOF_HASH);
    }
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "a proof that is no row of hashes");
    integration_witness_prove(carried->witness, read, count);
    return RC_OK;
}

static void on_proof(void *with, const struct link_reply *reply)
{
    struct carried *carried = with;
    struct registry_answer answer;

    carried->asking = false;
    if (reply->rc == RC_CLOSED || reply->rc == RC_BUSY) {
        look_soon(carried->carrier);
        return; /* asked again when the authority is back, or with the next look */
    }
    enum rc rc = read_reply(REGISTRY_ASK_AUDIT_PROOF, reply, &answer);
    if (rc == RC_OK)
        rc = take_proof(carried, answer.query);
    if (rc != RC_OK)
        integration_witness_fail(carried->witness);
}

/* ---- Signatures ---- */

static void on_cosigned(void *with, const struct link_reply *reply)
{
    struct carried *carried = with;
    struct registry_answer answer;

    carried->asking = false;
    if (reply->rc == RC_CLOSED || reply->rc == RC_BUSY) {
        look_soon(carried->carrier);
        return;
    }
    if (read_reply(REGISTRY_ASK_AUDIT_COSIGN, reply, &answer) != RC_OK) {
        integration_witness_fail(carried->witness);
        return;
    }
    struct reader r = READER(answer.query);
    reader_u64(&r);
    integration_witness_brought(carried->witness, r.left);
}

static void pump(struct carried *carried)
{
    AUTO_BUF(query, REGISTRY_QUERY_MAX);
    uint64_t from, to;
    struct bytes lines;

    if (carried->asking || carried->carrier->authority == NULL)
        return;
    if (integration_witness_proves(carried->witness, &from, &to)) {
        buf_add_u8(&query, 2);
        buf_add_u64(&query, from);
        buf_add_u64(&query, to);
        carried->asking = ask(carried->carrier, REGISTRY_ASK_AUDIT_PROOF, buf_bytes(&query),
                              on_proof, carried);
    } else if (integration_witness_brings(carried->witness, &to, &lines)) {
        buf_add_u64(&query, to);
        buf_add(&query, lines);
        carried->asking = ask(carried->carrier, REGISTRY_ASK_AUDIT_COSIGN, buf_bytes(&query),
                              on_cosigned, carried);
    } else {
        return;
    }
    if (!carried->asking)
        look_soon(carried->carrier);
}

static void on_wants(void *with)
{
    pump(with);
}

/* ---- The newest checkpoint ---- */

static void offer(struct daemon_carrier *carrier, struct bytes answer)
{
    struct reader r = READER(answer);
    uint64_t size = reader_u64(&r);

    for (size_t i = 0; i < carrier->count; i++)
        if (integration_witness_offer(carrier->witnesses[i].witness, r.left) != RC_OK)
            return; /* whatever it is, it is no checkpoint: witnesses are late, as status says
                     */
    carrier->offered = size;
}

static void on_checkpoint(void *with, const struct link_reply *reply)
{
    struct daemon_carrier *carrier = with;
    struct registry_answer answer;

    carrier->looking = false;
    if (read_reply(REGISTRY_ASK_AUDIT_CHECKPOINT, reply, &answer) == RC_OK)
        offer(carrier, answer.query);
    if (carrier->offered < carrier->records)
        look_soon(carrier); /* it is about to be signed */
}

static void look_now(struct daemon_carrier *carrier)
{
    AUTO_BUF(query, sizeof(uint64_t));

    if (carrier->authority == NULL)
        return;
    for (size_t i = 0; i < carrier->count; i++)
        pump(&carrier->witnesses[i]);
    buf_add_u64(&query, UINT64_MAX);
    if (!carrier->looking)
        carrier->looking = ask(carrier, REGISTRY_ASK_AUDIT_CHECKPOINT, buf_bytes(&query),
                               on_checkpoint, carrier);
    if (!carrier->looking)
        look_soon(carrier);
}

static enum rc look(struct loop_timer *timer)
{
    look_now((void *)((char *)timer - offsetof(struct daemon_carrier, look)));
    return RC_OK;
}

void daemon_carrier_heard(struct daemon_carrier *carrier, uint64_t records)
{
    carrier->records = records;
    if (carrier->count > 0 && carrier->look.loop == NULL)
        look_now(carrier);
}

/* ---- What is told ---- */

static void log_change(const struct carried *carried,
                       const struct integration_witness_status *status)
{
    struct log *log = carried->carrier->setup.log;

    if (status->health.state == INTEGRATION_UP)
        log_write(log, DAEMON_EVENT_EXPORTER_WITNESS_UP,
                  LOG_TEXT_FIELD("witness", carried->name),
                  LOG_NUMBER_FIELD("size", (int64_t)status->cosigned));
    else
        log_write(log, DAEMON_EVENT_EXPORTER_WITNESS_FAILS,
                  LOG_TEXT_FIELD("witness", carried->name),
                  LOG_TEXT_FIELD("reason", status->health.why));
}

static void on_told(void *with)
{
    struct carried *carried = with;
    struct integration_witness_status status;

    integration_witness_status(carried->witness, &status);
    bool changed = status.health.state != carried->told;
    if (changed)
        log_change(carried, &status);
    carried->told = status.health.state;
    carried->carrier->setup.news(carried->carrier->setup.with, changed);
}

bool daemon_carrier_is_well(const struct daemon_carrier *carrier)
{
    for (size_t i = 0; i < carrier->count; i++)
        if (carrier->witnesses[i].told != INTEGRATION_UP)
            return false;
    return true;
}

void daemon_carrier_report(const struct daemon_carrier *carrier,
                           struct integration_report *report)
{
    const struct daemon_carrier_setup *setup = &carrier->setup;

    for (size_t i = 0; i < carrier->count; i++) {
        struct integration_report_sink *told = &report->sinks[report->count++];
        struct integration_witness_status status;
        integration_witness_status(carrier->witnesses[i].witness, &status);
        memcpy(told->name, carrier->witnesses[i].name, strlen(carrier->witnesses[i].name));
        memcpy(told->why, status.health.why, sizeof told->why);
        told->state = status.health.state;
        told->delivered = status.cosigned;
        told->trouble = told->state == INTEGRATION_FAILING &&
                        loop_now_ms(setup->loop) - status.health.since_ms >=
                            setup->config->exporter.trouble_after_ms;
        report->witnesses++;
    }
}

/* ---- Life ---- */

static enum rc add(struct daemon_carrier *carrier, size_t place)
{
    struct carried *carried = &carrier->witnesses[carrier->count];
    const struct daemon_config_witness *config =
        &carrier->setup.config->exporter.witnesses[place];
    const struct integration_witness_setup setup = {
        .loop = carrier->setup.loop,
        .url = config->url,
        .authorities = config->authorities,
        .name = config->name,
        .connect_ms = carrier->setup.config->exporter.connect_within_ms,
        .retry_most_ms = carrier->setup.config->exporter.retry_most_ms,
        .wants = on_wants,
        .told = on_told,
        .with = carried,
    };

    carried->carrier = carrier;
    carried->name = daemon_config_witness_name(place);
    TRY(integration_witness_new(&setup, &carried->witness));
    carrier->count++;
    on_told(carried); /* it may fail already */
    return RC_OK;
}

enum rc daemon_carrier_new(const struct daemon_carrier_setup *setup,
                           struct daemon_carrier **carrier)
{
    AUTO_OF(daemon_carrier) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "what carries checkpoints");
    made->setup = *setup;
    made->look.due = look;
    for (size_t i = 0; i < DAEMON_CONFIG_WITNESSES; i++)
        if (*setup->config->exporter.witnesses[i].url != '\0')
            TRY(add(made, i));
    *carrier = TAKE(made);
    return RC_OK;
}

void daemon_carrier_attach(struct daemon_carrier *carrier, struct link *authority)
{
    carrier->authority = authority;
    carrier->records = carrier->offered = 0; /* it may be another log */
    loop_disarm(&carrier->look);
}

size_t daemon_carrier_count(const struct daemon_carrier *carrier)
{
    return carrier->count;
}

void daemon_carrier_free(struct daemon_carrier *carrier)
{
    if (carrier == NULL)
        return;
    loop_disarm(&carrier->look);
    for (size_t i = 0; i < carrier->count; i++)
        integration_witness_free(carrier->witnesses[i].witness);
    free(carrier);
}
