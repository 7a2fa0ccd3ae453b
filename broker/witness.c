#include <stdlib.h>

#include "base/text.h"
#include "broker/door_state.h"

enum { RECORDS_MAX = 1024 * 1024 /* octets of records that leave together */ };

/* ---- Into the turn's records ---- */

static enum rc begin_records(struct worker *worker)
{
    if (worker->records != NULL)
        return RC_OK;
    worker->records = malloc(sizeof *worker->records);
    if (worker->records == NULL)
        return fault(RC_NOMEM, "audit records of a turn");
    *worker->records = (struct buf)BUF_MAX(RECORDS_MAX);
    worker->ticket++;
    return RC_OK;
}

enum rc broker_witness_emit(void *with, const struct audit_record *record)
{
    struct worker *worker = with;
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    struct bytes bytes;

    TRY(audit_record_write(record, &form));
    TRY(buf_done(&form, &bytes));
    /* A turn may end a window of thousands of connections: what is full leaves at once. */
    if (worker->records != NULL && worker->records->len + 2 + bytes.len > RECORDS_MAX)
        broker_witness_send(worker);
    TRY(begin_records(worker));
    if (worker->records->len + 2 + bytes.len > RECORDS_MAX)
        return fault(RC_NOMEM, "audit records wait for the recorder");
    buf_add_sized16(worker->records, bytes);
    if (worker->records->broken)
        return fault(RC_NOMEM, "audit records of a turn");
    if (worker->about != NULL)
        worker->about->ticket = worker->ticket;
    return RC_OK;
}

void broker_witness_send(struct worker *worker)
{
    if (worker->records == NULL)
        return;
    const struct broker_mail mail = { .kind = BROKER_MAIL_RECORDS,
                                      .number = worker->ticket,
                                      .what = worker->records };
    if (broker_post_send(worker->door->post, worker->party, BROKER_POST_RECORDER, &mail) ==
        RC_OK)
        worker->records = NULL; /* else they go with the next turn's */
}

/* ---- What a record says ---- */

static struct audit_record record_of(const struct connection *connection)
{
    const struct broker_identity *identity = &connection->identity;
    const struct clock *clock = connection->worker->door->setup.clock;
    struct audit_record record = {
        .wall_ms = clock_wall_ms(clock),
        .monotonic_ms = clock_monotonic_ms(clock),
        .actor_kind = broker_identity_actor(identity),
        .actor_certificate = broker_identity_certificate(identity),
        .peer = bytes_of_text(connection->peer.address),
        .tls = bytes_of_text(connection->peer.tls),
    };
    struct reader r = READER(BYTES_OF(connection->peer.correlation));

    reader_copy(&r, record.correlation, sizeof record.correlation);
    if (record.actor_kind != AUDIT_NOBODY)
        record.actor = bytes_of_text(identity->id);
    return record;
}

/* A topic may hold what an audit record may not; a backslash would pass for an escape. */
static struct bytes clean(struct bytes text, size_t most, struct buf *room)
{
    bool is_clean = text.len <= most;

    for (size_t i = 0; is_clean && i < text.len; i++)
        is_clean = text.at[i] >= 0x20 && text.at[i] < 0x7f && text.at[i] != '\\';
    if (is_clean)
        return text;
    text_add_escaped(room, text);
    struct bytes escaped = { room->at, room->len };
    if (escaped.len > most)
        escaped.len = most;
    return escaped;
}

/* ---- Counting what is allowed ---- */

static void emit_tally(struct connection *connection)
{
    struct tally *tally = &connection->client->tally;
    struct worker *worker = connection->worker;

    worker->about = connection;
    for (size_t i = 0; i < tally->used; i++) {
        struct audit_record record = record_of(connection);
        broker_tally_fill(&tally->rows[i], &record);
        if (broker_witness_emit(worker, &record) != RC_OK)
            broker_connection_end(connection);
    }
    worker->about = NULL;
}

void broker_witness_flush(struct connection *connection)
{
    if (connection->client == NULL || connection->client->tally.used == 0)
        return;
    emit_tally(connection);
    broker_tally_clear(&connection->client->tally);
}

static void count(struct connection *connection, const struct witness *what,
                  struct bytes target)
{
    const struct clock *clock = connection->worker->door->setup.clock;
    const struct tally_act act = {
        .action = what->action,
        .rule = what->decided != NULL && what->decided->by_rule ? what->decided->line : 0,
        .policy_version = what->decided != NULL ? what->decided->version : 0,
        .target = target,
        .wall_ms = clock_wall_ms(clock),
        .monotonic_ms = clock_monotonic_ms(clock),
    };
    enum rc rc = broker_tally_add(&connection->client->tally, &act);

    if (rc == RC_LIMIT) {
        broker_witness_flush(connection);
        rc = broker_tally_add(&connection->client->tally, &act);
    }
    if (rc != RC_OK)
        broker_connection_end(connection); /* what cannot be recorded is not done */
}

static void record_one(struct connection *connection, const struct witness *what,
                       struct bytes target)
{
    struct worker *worker = connection->worker;
    struct audit_record record = record_of(connection);
    AUTO_BUF(reason, 4 * AUDIT_REASON_MAX);

    record.action = what->action;
    record.decision = what->decision;
    record.target = target;
    record.reason = clean(bytes_of_text(what->reason == NULL ? "" : what->reason),
                          AUDIT_REASON_MAX, &reason);
    if (what->decided != NULL) {
        record.policy_version = what->decided->version;
        record.rule = what->decided->by_rule ? what->decided->line : 0;
    }
    worker->about = connection;
    if (audit_aggregate_add(worker->aggregate, &record) != RC_OK)
        broker_connection_end(connection);
    worker->about = NULL;
}

void broker_witness(struct connection *connection, const struct witness *what)
{
    AUTO_BUF(room, 4 * MQTT_TOPIC_MAX);
    struct bytes target = clean(what->target, AUDIT_TARGET_MAX, &room);

    if (what->decision == AUDIT_ALLOWED && connection->client != NULL &&
        audit_action_get(what->action)->when == AUDIT_COUNTED)
        count(connection, what, target);
    else
        record_one(connection, what, target);
}
