#include "base/text.h"
#include "broker/door_state.h"
#include "broker/metrics.h"

/* ---- Into the turn's records ---- */

static void note_ticket(struct worker *worker)
{
    if (worker->about != NULL)
        worker->about->ticket = worker->outbox.ticket;
}

/* Looking for it costs what the policy's rules are many: nobody shall buy that with denials. */
enum { EXPLAINED_PER_S = 10, EXPLAINED_MAX = 2048 };

static bool may_explain(struct worker *worker)
{
    int64_t now_s = loop_now_ms(worker->loop) / 1000;

    if (worker->explained_s != now_s)
        worker->explained = 0;
    worker->explained_s = now_s;
    return worker->explained++ < EXPLAINED_PER_S;
}

/* Of what no rule allows, one by one and not in aggregate: the rule that came nearest. */
static enum rc emit_explained(struct worker *worker, const struct audit_record *record)
{
    AUTO_BUF(reason, EXPLAINED_MAX);
    struct audit_record told = *record;

    buf_add(&reason, record->reason);
    if (reason.len > 0)
        buf_addf(&reason, ": ");
    size_t begin = reason.len;
    policy_explain_denial(&worker->unheard_of->policy, &worker->unheard, &reason);
    if (reason.len > begin && !reason.broken)
        told.reason = text_cut(buf_bytes(&reason), AUDIT_REASON_MAX);
    return broker_outbox_add(&worker->outbox, &told);
}

enum rc broker_witness_emit(void *with, const struct audit_record *record)
{
    struct worker *worker = with;
    bool explained = worker->explains && record->aggregate.count == 0 && may_explain(worker);

    TRY(explained ? emit_explained(worker, record)
                  : broker_outbox_add(&worker->outbox, record));
    note_ticket(worker);
    return RC_OK;
}

enum rc broker_witness_ended(void *with, struct audit_slot *window)
{
    struct worker *worker = with;

    TRY(broker_outbox_end(&worker->outbox, window));
    note_ticket(worker);
    return RC_OK;
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
    if (connection->proven && record.actor_kind != AUDIT_NOBODY) {
        record.actor = bytes_of_text(identity->id);
        return record;
    }
    /* Anybody can show a certificate, which is no secret: whose it is is what this is about. */
    if (record.actor_kind == AUDIT_DEVICE)
        record.device = bytes_of_text(identity->id);
    record.actor_kind = AUDIT_NOBODY;
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

/* ---- Counting what is allowed, done or failed ---- */

/* A window that finds no memory to leave stays in its slot, for the next life. */
static void end_tally(struct connection *connection)
{
    struct tally *tally = &connection->client->tally;
    struct worker *worker = connection->worker;

    worker->about = connection;
    for (size_t i = 0; i < tally->used; i++)
        if (broker_witness_ended(worker, tally->rows[i].slot) != RC_OK)
            broker_connection_end(connection);
    worker->about = NULL;
    broker_tally_clear(tally);
}

void broker_witness_flush(struct connection *connection)
{
    if (connection->client != NULL && connection->client->tally.used > 0)
        end_tally(connection);
}

static enum rc begin_window(struct connection *connection, const struct audit_record *act,
                            uint64_t topic, struct audit_slot **slot)
{
    struct audit_pending *pending = connection->worker->outbox.pending;
    struct tally *tally = &connection->client->tally;
    struct audit_record record = record_of(connection);

    if (broker_tally_is_full(tally))
        end_tally(connection);
    record.action = act->action;
    record.decision = act->decision;
    record.reason = act->reason;
    record.rule = act->rule;
    record.policy_version = act->policy_version;
    record.target = act->target;
    TRY(audit_pending_begin(pending, &record, TALLY_TARGETS, slot));
    enum rc rc = broker_tally_begin(tally, act, topic, *slot);
    if (rc != RC_OK)
        audit_pending_release(pending, *slot);
    return rc;
}

static bool count(struct connection *connection, const struct witness *what,
                  struct bytes target)
{
    const struct clock *clock = connection->worker->door->setup.clock;
    const struct audit_record act = {
        .action = what->action,
        .decision = what->decision,
        .reason = bytes_of_text(what->reason == NULL ? "" : what->reason),
        .rule = what->decided != NULL && what->decided->by_rule ? what->decided->text_line : 0,
        .policy_version = what->decided != NULL ? what->decided->version : 0,
        .target = target,
    };
    const uint64_t hash = broker_tally_hash(&connection->worker->tally_key, target);
    uint64_t topic = target.len <= TALLY_TOPIC_MAX ? hash : 0;
    struct audit_slot *slot = broker_tally_find(&connection->client->tally, &act, &topic);

    if (slot == NULL && begin_window(connection, &act, topic, &slot) != RC_OK) {
        broker_connection_end(connection); /* what cannot be recorded is not done */
        return false;
    }
    audit_slot_count(slot, clock_wall_ms(clock), hash, target);
    return true;
}

/* POLICY_ACTIONS: a policy is not asked for it. */
static enum policy_action asked_for(enum audit_action action)
{
    static const struct {
        enum audit_action told;
        enum policy_action asked;
    } ROWS[] = {
        { AUDIT_SESSION_OPEN, POLICY_CONNECT }, { AUDIT_PUBLISH, POLICY_PUBLISH },
        { AUDIT_SUBSCRIBE, POLICY_SUBSCRIBE },  { AUDIT_RECEIVE, POLICY_RECEIVE },
        { AUDIT_RETAIN, POLICY_RETAIN },        { AUDIT_WILL, POLICY_WILL },
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].told == action)
            return ROWS[i].asked;
    return POLICY_ACTIONS;
}

/* It is of what was asked of the policy last. */
static bool is_unheard(const struct connection *connection, const struct witness *what)
{
    const struct worker *worker = connection->worker;

    return what->decision == AUDIT_DENIED && what->decided != NULL && !what->decided->allowed &&
           !what->decided->by_rule && connection->client != NULL &&
           worker->unheard_of == connection->client &&
           worker->unheard.action == asked_for(what->action) &&
           worker->unheard.resource.len == what->target.len &&
           (what->target.len == 0 || worker->unheard.resource.at == what->target.at);
}

static bool is_logged_in_full(const struct witness *what)
{
    return what->decided != NULL && what->decided->obligations.log_full;
}

/* What was denied is counted in aggregate rather than lost when there is no room for it alone.
 */
static enum rc record_alone(struct worker *worker, const struct audit_record *record)
{
    enum rc rc = broker_witness_emit(worker, record);

    if (rc == RC_OK || record->decision == AUDIT_ALLOWED)
        return rc;
    return audit_aggregate_add(worker->aggregate, record);
}

static bool record_one(struct connection *connection, const struct witness *what,
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
        record.rule = what->decided->by_rule ? what->decided->text_line : 0;
    }
    worker->about = connection;
    worker->explains = is_unheard(connection, what);
    worker->logging = worker->logging || is_logged_in_full(what);
    enum rc rc = what->alone || is_logged_in_full(what)
                     ? record_alone(worker, &record)
                     : audit_aggregate_add(worker->aggregate, &record);
    worker->about = NULL;
    worker->explains = false;
    worker->unheard_of = NULL;
    if (rc != RC_OK)
        broker_connection_end(connection);
    return rc == RC_OK;
}

bool broker_witness(struct connection *connection, const struct witness *what)
{
    AUTO_BUF(room, 4 * MQTT_TOPIC_MAX);
    struct bytes target = clean(what->target, AUDIT_TARGET_MAX, &room);

    if (what->decision != AUDIT_DENIED && connection->client != NULL &&
        what->action != AUDIT_HANDSHAKE &&
        audit_action_get(what->action)->when == AUDIT_COUNTED && !is_logged_in_full(what))
        return count(connection, what, target);
    return record_one(connection, what, target);
}

void broker_witness_gone(struct worker *worker, const struct broker_peer *peer,
                         const struct witness *what)
{
    const struct clock *clock = worker->door->setup.clock;
    AUTO_BUF(room, 4 * MQTT_TOPIC_MAX);
    struct audit_record record = broker_peer_record(peer);

    record.action = what->action;
    record.decision = what->decision;
    record.target = clean(what->target, AUDIT_TARGET_MAX, &room);
    record.reason = bytes_of_text(what->reason);
    record.wall_ms = clock_wall_ms(clock);
    record.monotonic_ms = clock_monotonic_ms(clock);
    if (audit_aggregate_add(worker->aggregate, &record) != RC_OK)
        broker_metric_add(BROKER_DROPPED, 1);
}
