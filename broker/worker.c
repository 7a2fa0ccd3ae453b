#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

enum {
    WILL_DELAY_MAX_S = 24 * 3600,
    SLOTS_FIRST = 64,
    JAMMED_MS = 1,
    KEPT_BYTES = 16 * 1024 * 1024 /* of freed messages, for the next */
};

int64_t broker_worker_now_s(const struct worker *worker)
{
    return clock_wall_ms(worker->door->setup.clock) / 1000;
}

/* ---- Connections by number ---- */

static uint64_t number_of(const struct worker *worker, size_t slot)
{
    return (uint64_t)worker->uses[slot] << 32 | slot;
}

struct connection *broker_worker_find(struct worker *worker, uint64_t number)
{
    size_t slot = (uint32_t)number;

    if (slot >= worker->slot_room || worker->slots[slot] == NULL ||
        number_of(worker, slot) != number || worker->slots[slot]->state == CONNECTION_CLOSED)
        return NULL;
    return worker->slots[slot];
}

static enum rc more_slots(struct worker *worker)
{
    size_t room = worker->slot_room == 0 ? SLOTS_FIRST : 2 * worker->slot_room;
    struct connection **slots = realloc(worker->slots, room * sizeof *slots);

    if (slots == NULL)
        return fault(RC_NOMEM, "connections of a worker");
    worker->slots = slots;
    uint32_t *uses = realloc(worker->uses, room * sizeof *uses);
    if (uses == NULL)
        return fault(RC_NOMEM, "connections of a worker");
    worker->uses = uses;
    for (size_t i = worker->slot_room; i < room; i++) {
        worker->slots[i] = NULL;
        worker->uses[i] = 0;
    }
    worker->slot_room = room;
    return RC_OK;
}

enum rc broker_worker_admit(struct worker *worker, struct connection *connection)
{
    size_t slot = worker->slot_hint;

    while (slot < worker->slot_room && worker->slots[slot] != NULL)
        slot++;
    if (slot == worker->slot_room)
        TRY(more_slots(worker));
    worker->slots[slot] = connection;
    worker->slot_hint = slot + 1;
    worker->connections++;
    connection->number = number_of(worker, slot);
    connection->admitted = true;
    struct connection ***end = &worker->shaking_end[connection->listener->mqtt];
    connection->shaking_at = *end;
    **end = connection;
    *end = &connection->next_shaking;
    worker->shaking_count++;
    atomic_fetch_add(&worker->door->connections, 1);
    atomic_fetch_add(&worker->door->streams, connection->listener->mqtt ? 0 : 1);
    broker_metric_add(BROKER_CONNECTIONS, 1);
    return RC_OK;
}

void broker_worker_note_shaken(struct connection *connection)
{
    struct connection *next = connection->next_shaking;

    if (connection->shaking_at == NULL)
        return;
    *connection->shaking_at = next;
    if (next != NULL)
        next->shaking_at = connection->shaking_at;
    else
        connection->worker->shaking_end[connection->listener->mqtt] = connection->shaking_at;
    connection->shaking_at = NULL;
    connection->next_shaking = NULL;
    connection->worker->shaking_count--;
}

/* ---- Connections by who is there ---- */

static struct connection **bucket_of(struct worker *worker, struct bytes id)
{
    static const struct topic_hash_key KEY = { 2, 2 }; /* ids are the registry's choice */

    return &worker->peers[broker_topic_hash(&KEY, id) % PEER_BUCKETS];
}

void broker_worker_add_peer(struct worker *worker, struct connection *connection)
{
    struct connection **at = bucket_of(worker, bytes_of_text(connection->identity.id));

    connection->next_peer = *at;
    *at = connection;
    connection->peered = true;
}

struct connection *broker_worker_peers(struct worker *worker, struct bytes id)
{
    return *bucket_of(worker, id);
}

static void remove_peer(struct worker *worker, struct connection *connection)
{
    struct connection **at = bucket_of(worker, bytes_of_text(connection->identity.id));

    while (*at != connection)
        at = &(*at)->next_peer;
    *at = connection->next_peer;
    connection->peered = false;
}

static void remove_opening(struct worker *worker, const struct client *client)
{
    struct client **at = &worker->opening;

    while (*at != NULL && *at != client)
        at = &(*at)->next_opening;
    if (*at != NULL)
        *at = client->next_opening;
}

static void dismiss(struct worker *worker, struct connection *connection)
{
    size_t slot = (uint32_t)connection->number;

    if (connection->peered)
        remove_peer(worker, connection);
    if (connection->client != NULL)
        remove_opening(worker, connection->client);
    worker->slots[slot] = NULL;
    worker->uses[slot]++;
    if (slot < worker->slot_hint)
        worker->slot_hint = slot;
    worker->connections--;
    atomic_fetch_sub(&worker->door->connections, 1);
    atomic_fetch_sub(&worker->door->streams, connection->listener->mqtt ? 0 : 1);
    broker_metric_add(BROKER_CONNECTIONS, -1);
    broker_connection_free(connection);
}

/* ---- The turn ---- */

void broker_worker_mark(struct connection *connection)
{
    if (connection->dirty || !connection->admitted)
        return;
    connection->dirty = true;
    connection->next_dirty = connection->worker->dirty;
    connection->worker->dirty = connection;
}

void broker_worker_mark_again(struct connection *connection)
{
    if (connection->again)
        return;
    connection->again = true;
    connection->next_again = connection->worker->again;
    connection->worker->again = connection;
}

bool broker_worker_is_crowded(struct worker *worker)
{
    worker->logging = worker->logging && audit_pending_is_crowded(worker->outbox.pending);
    return worker->logging;
}

bool broker_worker_is_jammed(struct worker *worker)
{
    return broker_worker_is_crowded(worker) ||
           broker_post_is_jammed(worker->door->post, worker->party);
}

static void settle_dirty(struct worker *worker)
{
    while (worker->dirty != NULL) {
        struct connection *connection = worker->dirty;
        worker->dirty = connection->next_dirty;
        connection->dirty = false;
        broker_connection_settle(connection);
        if (connection->state == CONNECTION_CLOSED && !connection->buried) {
            connection->buried = true;
            connection->next_closed = worker->closed;
            worker->closed = connection;
        }
    }
}

static void bury_closed(struct worker *worker)
{
    struct connection *at = worker->closed;

    worker->closed = NULL;
    while (at != NULL) {
        struct connection *next = at->next_closed;
        if (at->again || at->dirty) { /* still in a list of the turn: next time */
            at->next_closed = worker->closed;
            worker->closed = at;
        } else {
            dismiss(worker, at);
        }
        at = next;
    }
}

static enum rc on_soon(struct loop_timer *timer)
{
    struct worker *worker = (void *)((char *)timer - offsetof(struct worker, soon));
    struct connection *at = worker->again;

    if (broker_worker_is_jammed(worker))
        return RC_OK; /* the end of the turn arms it again */
    worker->again = NULL;
    while (at != NULL) {
        struct connection *next = at->next_again;
        at->again = false;
        if (at->state == CONNECTION_OPEN)
            broker_connection_read(at);
        broker_worker_mark(at);
        at = next;
    }
    return RC_OK;
}

static enum rc on_turn_ended(struct loop_turn *turn)
{
    struct worker *worker = (void *)((char *)turn - offsetof(struct worker, turn));
    bool jammed = broker_worker_is_jammed(worker);

    settle_dirty(worker);
    broker_outbox_send(&worker->outbox);
    broker_post_deliver(worker->door->post, worker->party);
    bury_closed(worker);
    TRY(broker_accept_go_on(worker));
    if (worker->again != NULL || worker->closed != NULL || jammed)
        TRY(loop_arm(worker->loop, &worker->soon, jammed ? JAMMED_MS : 0));
    if (worker->stopping && worker->connections == 0)
        loop_stop(worker->loop);
    return RC_OK;
}

/* ---- Mail ---- */

/* Records up to this ticket are on disk, in order; or this one's could not be kept. */
static void recorded(struct worker *worker, const struct broker_mail *mail)
{
    if (mail->rc != RC_OK)
        worker->logging = false; /* the spool is full: sessions end, they do not wait for it */
    if (mail->rc != RC_OK)
        for (size_t i = 0; i < worker->slot_room; i++)
            if (worker->slots[i] != NULL && worker->slots[i]->ticket == mail->number)
                broker_connection_end(worker->slots[i]);
    while (worker->opening != NULL && worker->opening->awaited <= mail->number) {
        struct client *client = worker->opening;
        worker->opening = client->next_opening;
        client->next_opening = NULL;
        if (mail->rc != RC_OK && client->awaited == mail->number)
            broker_connection_end(client->connection); /* a later record may have its ticket */
        if (client->connection->state == CONNECTION_OPEN)
            broker_client_open(client);
    }
}

static void retained(struct worker *worker, const struct broker_mail *mail)
{
    struct connection *connection = broker_worker_find(worker, mail->session);
    AUTO_OF(message) *failed = mail->what;
    const struct witness what = { .action = AUDIT_RETAIN,
                                  .decision = AUDIT_FAILED,
                                  .target =
                                      failed == NULL ? BYTES("") : broker_message_topic(failed),
                                  .reason = BROKER_NOT_DURABLE };

    /* The tally of one that is not open any more has gone out. */
    if (connection != NULL && connection->client != NULL &&
        connection->state == CONNECTION_OPEN)
        broker_client_retained(connection->client, (uint16_t)mail->number, mail->rc,
                               what.target);
    else if (mail->rc != RC_OK && mail->whose != NULL)
        broker_witness_gone(worker, mail->whose, &what);
    free(mail->whose);
}

static void published(struct worker *worker, const struct broker_mail *mail)
{
    broker_route(worker, mail->what, NULL);
    broker_message_release(mail->what);
}

static void taken_over(struct worker *worker, const struct broker_mail *mail)
{
    struct connection *connection = broker_worker_find(worker, mail->session);

    if (connection != NULL && connection->client != NULL)
        broker_client_taken_over(connection->client);
}

static void looked_up(struct worker *worker, const struct broker_mail *mail)
{
    struct broker_looked_up *found = mail->what;
    struct connection *connection = broker_worker_find(worker, mail->session);

    if (connection != NULL)
        broker_connection_learn(connection, mail->rc, found == NULL ? NULL : &found->answer);
    free(found);
}

static void review(struct worker *worker, const struct broker_mail *mail)
{
    const struct broker_mail done = { .kind = BROKER_MAIL_REVIEWED, .number = mail->number };

    broker_review_take(worker, mail->what);
    broker_review_release(mail->what);
    settle_dirty(worker); /* farewells and closing come before the word that it is done */
    enum rc rc = broker_post_send(worker->door->post, worker->party, BROKER_POST_MAIN, &done);
    (void)rc; /* without memory the change stays unacknowledged: the safe side */
}

static void stop(struct worker *worker)
{
    broker_accept_close(worker);
    worker->stopping = true;
    for (size_t i = 0; i < worker->slot_room; i++) {
        struct connection *connection = worker->slots[i];
        if (connection == NULL)
            continue;
        if (connection->client != NULL && connection->state == CONNECTION_OPEN) {
            broker_mqtt_session_end(connection->client->session, MQTT_SERVER_SHUTTING_DOWN);
            broker_connection_end(connection);
        } else if (connection->state != CONNECTION_ENDING) {
            broker_connection_close(connection);
        }
    }
}

static enum rc take_mail(struct worker *worker, const struct broker_mail *mail)
{
    static void (*const TAKE_MAIL[])(struct worker *, const struct broker_mail *) = {
        [BROKER_MAIL_REVIEW] = review,     [BROKER_MAIL_LOOKED_UP] = looked_up,
        [BROKER_MAIL_RECORDED] = recorded, [BROKER_MAIL_RETAINED] = retained,
        [BROKER_MAIL_PUBLISH] = published, [BROKER_MAIL_TAKE_OVER] = taken_over,
    };

    if (mail->kind == BROKER_MAIL_OPEN)
        return broker_accept_open(worker);
    if (mail->kind == BROKER_MAIL_STOP)
        stop(worker);
    else
        TAKE_MAIL[mail->kind](worker, mail);
    return RC_OK;
}

static enum rc on_bell(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = (void *)((char *)watch - offsetof(struct worker, bell));
    struct broker_mail mail;

    (void)ready;
    broker_post_open(worker->door->post, worker->party);
    while (broker_post_next(worker->door->post, worker->party, &mail))
        TRY(take_mail(worker, &mail));
    return RC_OK;
}

/* ---- Windows of the audit ---- */

static enum rc on_window(struct loop_timer *timer)
{
    struct worker *worker = (void *)((char *)timer - offsetof(struct worker, window));
    int64_t window_ms = worker->door->setup.limits.audit_window_ms;

    for (size_t i = 0; i < worker->slot_room; i++)
        if (worker->slots[i] != NULL)
            broker_witness_flush(worker->slots[i]);
    broker_turned_away_flush(worker);
    enum rc rc =
        audit_aggregate_flush(worker->aggregate, clock_monotonic_ms(worker->door->setup.clock));
    (void)rc; /* what could not go out is counted on */
    return loop_arm(worker->loop, timer, window_ms);
}

/* ---- The thread ---- */

static enum rc serve(struct worker *worker)
{
    broker_message_pool_adopt(worker->pool);
    TRY(loop_new(worker->door->setup.clock, &worker->loop));
    loop_add_turn(worker->loop, &worker->turn);
    TRY(loop_add(worker->loop, &worker->bell,
                 broker_post_bell(worker->door->post, worker->party), LOOP_READ));
    TRY(loop_arm(worker->loop, &worker->window, worker->door->setup.limits.audit_window_ms));
    return loop_run(worker->loop);
}

/* Everybody is gone: what was counted is told, and the recorder has it before it stops. */
static void tell_the_rest(struct worker *worker)
{
    enum rc rc = audit_aggregate_flush(worker->aggregate, INT64_MAX);

    broker_turned_away_flush(worker);
    (void)rc; /* it stays in its slots, for the next life */
    broker_outbox_send(&worker->outbox);
    broker_post_deliver(worker->door->post, worker->party);
}

static void *run(void *with)
{
    struct worker *worker = with;

    enum rc rc = serve(worker);
    if (!worker->stopping) {
        const struct broker_mail mail = { .kind = BROKER_MAIL_FAILED,
                                          .rc = rc == RC_OK ? RC_CLOSED : rc,
                                          .what = strdup(fault_text()) };
        if (broker_post_send(worker->door->post, worker->party, BROKER_POST_MAIN, &mail) !=
            RC_OK)
            abort(); /* a door with a dead worker must not go on */
        broker_post_deliver(worker->door->post, worker->party);
    }
    tell_the_rest(worker);
    broker_policy_release(TAKE(worker->policy));
    return NULL;
}

enum rc broker_worker_start(struct worker *worker)
{
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        return fault_errno("thread of a worker");
    worker->started = true;
    return RC_OK;
}

static void set_limits(const struct broker_door_limits *from, struct mqtt_session_limits *to)
{
    *to = (struct mqtt_session_limits){
        .packet_max = from->packet_max,
        .first_packet_max = from->packet_max,
        .connect_timeout_ms = (uint32_t)from->connect_ms,
        .session_expiry_max_s = 0,
        .will_outlives_s = WILL_DELAY_MAX_S,
        .filters_max = FILTERS_MAX,
        .topic_max = AUDIT_TARGET_MAX,
        .topic_alias_maximum = 16,
        .receive_maximum = 1024,
        .inflight_max = 1024,
        .queue_max = from->queue_max,
        .queue_bytes = from->queue_bytes,
        .keep_alive_max_s = from->keep_alive_max_s,
    };
}

static enum rc open_index(struct worker *worker)
{
    const struct broker_door_limits *limits = &worker->door->setup.limits;
    const struct subscriptions_limits index = {
        .entries = limits->connections * 16,
        .per_subscriber = limits->subscriptions,
        .tree = { .nodes = 8 * 1024 * 1024, .bytes = (size_t)1 << 30 },
    };
    struct topic_hash_key key;

    if (getrandom(&key, sizeof key, 0) != sizeof key ||
        getrandom(&worker->tally_key, sizeof worker->tally_key, 0) != sizeof worker->tally_key)
        return fault_errno("random keys of topics");
    return broker_subscriptions_new(&index, &key, &worker->subscriptions);
}

enum rc broker_worker_open(struct broker_door *door, unsigned place)
{
    struct worker *worker = &door->workers[place];
    const struct message_pool_limits pool = { door->setup.limits.message_bytes, KEPT_BYTES };
    const struct audit_aggregate_limits aggregate = {
        .window_ms = door->setup.limits.audit_window_ms,
        .one_by_one = ONE_BY_ONE,
        .keys = AGGREGATE_KEYS,
        .targets = AGGREGATE_TARGETS,
    };

    worker->door = door;
    worker->party = BROKER_POST_WORKER + place;
    for (size_t i = 0; i < 2; i++)
        worker->shaking_end[i] = &worker->shaking[i];
    worker->bell.ready = on_bell;
    broker_accept_prepare(worker);
    worker->turn.ended = on_turn_ended;
    worker->window.due = on_window;
    worker->soon.due = on_soon;
    set_limits(&door->setup.limits, &worker->mqtt_limits);
    TRY(broker_message_pool_new(&pool, &worker->pool));
    TRY(open_index(worker));
    worker->outbox = (struct broker_outbox){ .post = door->post,
                                             .pending = door->setup.pending,
                                             .party = worker->party };
    const struct audit_aggregate_out out = { broker_witness_emit, broker_witness_ended, worker,
                                             door->setup.pending };
    return audit_aggregate_new(&aggregate, &out, &worker->aggregate);
}

static void free_connections(struct worker *worker)
{
    for (size_t i = 0; i < worker->slot_room; i++)
        broker_connection_free(worker->slots[i]);
    free(worker->slots);
    free(worker->uses);
}

void broker_worker_close(struct worker *worker)
{
    if (worker->door == NULL)
        return;
    free_connections(worker);
    loop_remove(&worker->bell);
    loop_disarm(&worker->window);
    loop_disarm(&worker->soon);
    if (worker->loop != NULL)
        loop_remove_turn(&worker->turn);
    loop_free(worker->loop);
    audit_aggregate_free(worker->aggregate);
    broker_subscriptions_free(worker->subscriptions);
    if (worker->pool != NULL)
        broker_message_pool_adopt(worker->pool);
    broker_message_pool_free(worker->pool);
    broker_outbox_close(&worker->outbox);
    free(worker->matches);
    free(worker->identifiers);
}
