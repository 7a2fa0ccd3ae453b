#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

enum {
    FAREWELL_MS = 1000,     /* for what a client is told at the end, whether it reads or not */
    PROGRESS = 16 * 1024,   /* what HTTP's reader must take of what waits, in read_ms */
    ANSWER_MS = 300 * 1000, /* an answer has this long in all once nothing is added to it */
    KEPT_OUT = 4096,
    DRAINS = 16
};

static int64_t now_ms(const struct connection *connection)
{
    return loop_now_ms(connection->worker->loop);
}

/* ---- Ending ---- */

/* What the client still sent lies unread: closing over it would be a reset, which can overtake
 * the farewell. Whoever sends on and on gets the reset. */
static void drain(struct connection *connection)
{
    shutdown(connection->fd, SHUT_WR);
    for (size_t i = 0; i < DRAINS; i++)
        if (recv(connection->fd, connection->worker->scratch, SCRATCH, MSG_DONTWAIT) <= 0)
            break;
}

static void close_socket(struct connection *connection)
{
    AUTO_FD closed = TAKE_FD(connection->fd);

    (void)closed;
    loop_remove(&connection->watch);
    loop_disarm(&connection->timer);
}

static void await_will(struct connection *connection)
{
    connection->state = CONNECTION_WILL;
    broker_tls_close(TAKE(connection->tls));
    buf_clear(&connection->in);
    buf_clear(&connection->out);
    connection->patience_ms = now_ms(connection) + connection->client->will_delay_s * 1000LL;
    broker_connection_alarm(connection, connection->patience_ms);
}

static void close_as(struct connection *connection, const char *reason)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->state == CONNECTION_WILL) {
        connection->state = CONNECTION_CLOSED;
        loop_disarm(&connection->timer);
        broker_worker_mark(connection);
        return;
    }
    connection->state = CONNECTION_CLOSED;
    broker_worker_note_shaken(connection);
    if (connection->client != NULL)
        broker_client_finish(connection->client, reason);
    if (connection->stream != NULL)
        broker_stream_free(TAKE(connection->stream));
    broker_tls_say_goodbye(connection->tls);
    drain(connection);
    close_socket(connection);
    if (connection->client != NULL && connection->client->will != NULL)
        await_will(connection);
    broker_worker_mark(connection); /* which sees to its memory when the turn is over */
}

void broker_connection_close(struct connection *connection)
{
    close_as(connection, "closed");
}

static int64_t read_by_ms(const struct connection *connection)
{
    return now_ms(connection) + connection->worker->door->setup.limits.read_ms;
}

void broker_connection_end(struct connection *connection)
{
    if (connection->state >= CONNECTION_ENDING)
        return;
    connection->state = CONNECTION_ENDING;
    connection->answered_by_ms = now_ms(connection) + ANSWER_MS;
    connection->patience_ms =
        connection->stream != NULL ? read_by_ms(connection) : now_ms(connection) + FAREWELL_MS;
    broker_connection_alarm(connection, connection->patience_ms);
    broker_worker_mark(connection);
}

/*
 * What the client's end has acknowledged since the connection began (tcpi_bytes_acked, RFC
 * 4898). What the kernel took from us says nothing of the client: its buffer grows by itself.
 */
static uint64_t acknowledged(const struct connection *connection)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;

    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_acked;
}

static void begin_patience(struct connection *connection)
{
    connection->acknowledged = acknowledged(connection);
    connection->patience_ms = read_by_ms(connection);
    broker_connection_alarm(connection, connection->patience_ms);
}

/*
 * A slow link gets its whole answer; who reads nothing, or next to nothing, does not stay.
 * While so much waits for him that nothing more is taken from libmicrohttpd, its giving up is
 * not seen either.
 */
static void renew_patience(struct connection *connection, size_t sent)
{
    int64_t until = read_by_ms(connection);

    if (connection->stream == NULL)
        return;
    if (connection->state == CONNECTION_ENDING) {
        if (sent > 0)
            connection->patience_ms =
                until < connection->answered_by_ms ? until : connection->answered_by_ms;
    } else if (connection->out.len == 0) {
        connection->patience_ms = INT64_MAX;
    } else if (connection->patience_ms == INT64_MAX) {
        begin_patience(connection);
    }
}

/* HTTP's reader has had his time: false if he has not taken enough in it, and is let go of. */
static bool goes_on_reading(struct connection *connection)
{
    if (connection->stream == NULL || now_ms(connection) < connection->patience_ms)
        return true;
    if (acknowledged(connection) < connection->acknowledged + PROGRESS)
        return false;
    begin_patience(connection);
    return true;
}

void broker_connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    close_socket(connection);
    broker_client_free(connection->client);
    broker_stream_free(connection->stream);
    broker_tls_close(connection->tls);
    buf_clear(&connection->in);
    buf_clear(&connection->out);
    free(connection);
}

/* ---- Out ---- */

static void want(struct connection *connection, unsigned wanted)
{
    if (connection->watch.loop != NULL && connection->watch.wanted != wanted &&
        loop_want(&connection->watch, wanted) != RC_OK)
        broker_connection_close(connection);
}

/* What is written is forgotten; an idle connection keeps no memory for it. */
static void forget_sent(struct connection *connection)
{
    struct buf *out = &connection->out;

    if (connection->sent == out->len) {
        connection->sent = 0;
        if (out->room > KEPT_OUT)
            buf_clear(out);
        else
            buf_reset(out);
    } else if (connection->sent > out->len / 2) {
        memmove(out->at, out->at + connection->sent, out->len - connection->sent);
        buf_cut(out, out->len - connection->sent);
        connection->sent = 0;
    }
}

/* False when it would block, or is closed. */
static bool flush(struct connection *connection)
{
    struct buf *out = &connection->out;
    enum broker_tls_step step = BROKER_TLS_DONE;
    size_t all = 0;

    while (connection->sent < out->len && step == BROKER_TLS_DONE) {
        size_t sent = 0;
        step = broker_tls_write(
            connection->tls,
            (struct bytes){ out->at + connection->sent, out->len - connection->sent }, &sent);
        connection->sent += sent;
        all += sent;
    }
    forget_sent(connection);
    renew_patience(connection, all);
    if (step == BROKER_TLS_BROKEN || step == BROKER_TLS_ENDED)
        close_as(connection, fault_text());
    return step == BROKER_TLS_DONE;
}

/* ---- In ---- */

void broker_connection_consume(struct connection *connection, size_t count)
{
    struct buf *in = &connection->in;

    if (count == in->len) {
        buf_clear(in);
    } else if (count > 0) {
        memmove(in->at, in->at + count, in->len - count);
        buf_cut(in, in->len - count);
    }
}

static void feed_kept(struct connection *connection)
{
    if (connection->in.broken)
        close_as(connection, "no memory");
    else if (connection->stream != NULL)
        broker_stream_pump(connection);
    else if (connection->in.len > 0)
        broker_connection_consume(
            connection, broker_client_feed(connection->client, buf_bytes(&connection->in)));
}

/* Parsed where it was read, unless the start of a packet waits for its end. */
static void feed(struct connection *connection, struct bytes bytes)
{
    if (connection->client != NULL && connection->in.len == 0) {
        size_t taken = broker_client_feed(connection->client, bytes);
        bytes.at += taken;
        bytes.len -= taken;
    }
    if (bytes.len == 0)
        return;
    buf_add(&connection->in, bytes);
    feed_kept(connection);
}

static bool wants_input(const struct connection *connection)
{
    if (connection->state != CONNECTION_OPEN)
        return false;
    return connection->stream != NULL
               ? broker_stream_wants_input(connection)
               : broker_mqtt_session_wants_input(connection->client->session);
}

static void input_ended(struct connection *connection, enum broker_tls_step step)
{
    if (step == BROKER_TLS_ENDED && connection->stream != NULL)
        broker_stream_half_close(connection);
    else
        close_as(connection, step == BROKER_TLS_ENDED ? "closed by the device" : fault_text());
}

static void read_on(struct connection *connection)
{
    struct worker *worker = connection->worker;
    enum broker_tls_step step = BROKER_TLS_DONE;
    size_t reads = 0;

    if (connection->held) /* there is no room to read more before that is taken in */
        feed_kept(connection);
    while (wants_input(connection) && step == BROKER_TLS_DONE) {
        size_t got = 0;
        if (reads++ == (size_t)TURN_READS * 4 || broker_worker_is_jammed(worker)) {
            broker_worker_mark_again(connection);
            return;
        }
        step = broker_tls_read(connection->tls, worker->scratch, SCRATCH, &got);
        connection->dry = step == BROKER_TLS_WANT_READ;
        if (step == BROKER_TLS_DONE)
            feed(connection, (struct bytes){ worker->scratch, got });
    }
    if (step == BROKER_TLS_ENDED || step == BROKER_TLS_BROKEN)
        input_ended(connection, step);
}

/* ---- Settling: whatever can be done now ---- */

static void settle_client(struct connection *connection)
{
    struct client *client = connection->client;

    for (;;) {
        size_t before = connection->in.len;
        feed_kept(connection);
        if (connection->state != CONNECTION_OPEN || !flush(connection))
            break;
        broker_mqtt_session_resume(client->session, now_ms(connection));
        if (connection->out.len == 0 && connection->in.len == before)
            break;
    }
    if (connection->state == CONNECTION_OPEN && broker_mqtt_session_is_over(client->session))
        broker_connection_end(connection);
    if (connection->state == CONNECTION_OPEN)
        broker_connection_alarm(connection, broker_mqtt_session_deadline(client->session));
}

static void settle_open(struct connection *connection)
{
    if (connection->client != NULL) {
        settle_client(connection);
    } else {
        flush(connection);
        if (connection->state == CONNECTION_OPEN)
            broker_stream_settle(connection);
    }
    if (connection->state != CONNECTION_OPEN)
        return;
    if (connection->held ||
        (wants_input(connection) && !connection->dry && broker_tls_has_more(connection->tls)) ||
        (connection->client != NULL && broker_client_may_go_on(connection->client)))
        broker_worker_mark_again(connection);
    want(connection, (wants_input(connection) && !connection->again ? LOOP_READ : 0U) |
                         (connection->out.len > 0 ? LOOP_WRITE : 0U));
}

void broker_connection_settle(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN)
        settle_open(connection);
    if (connection->state != CONNECTION_ENDING)
        return;
    if (flush(connection))
        close_as(connection, "ended");
    else
        want(connection, LOOP_WRITE);
}

void broker_connection_read(struct connection *connection)
{
    read_on(connection);
    if (connection->client != NULL && connection->state == CONNECTION_OPEN)
        broker_client_go_on(connection->client);
    broker_worker_mark(connection);
}

/* ---- Time ---- */

void broker_connection_alarm(struct connection *connection, int64_t at_ms)
{
    int64_t delay = at_ms - now_ms(connection);

    if (at_ms == INT64_MAX || connection->state == CONNECTION_CLOSED ||
        (connection->timer.loop != NULL && connection->timer.due_ms <= at_ms))
        return;
    if (loop_arm(connection->worker->loop, &connection->timer, delay) != RC_OK)
        close_as(connection, fault_text());
}

/* Its policy asks for the time, or its lease is over. */
static bool is_due(const struct connection *connection)
{
    const struct client *client = connection->client;

    if (client == NULL)
        return false;
    return broker_client_is_timed(client) ||
           (client->lease_ends_ms != 0 && now_ms(connection) >= client->lease_ends_ms);
}

/* The certificate's last second is over: the same judgement as everywhere. */
static void judge_age(struct connection *connection)
{
    int64_t left_s = connection->identity.expires_s - broker_worker_now_s(connection->worker);

    if (!connection->identity.shown || connection->identity.expires_s == 0)
        return;
    if ((left_s < 0 || is_due(connection)) && !broker_review_one(connection))
        return;
    if (connection->client != NULL && connection->client->lease_ends_ms != 0)
        broker_connection_alarm(connection, connection->client->lease_ends_ms);
    /* The wall clock may step: look at it now and then. */
    int64_t look_s = left_s < 0 ? 0 : left_s > 60 ? 60 : left_s;
    broker_connection_alarm(connection, now_ms(connection) + (look_s + 1) * 1000);
}

static enum rc on_due(struct loop_timer *timer)
{
    struct connection *connection =
        (void *)((char *)timer - offsetof(struct connection, timer));

    if (connection->state != CONNECTION_OPEN) {
        if (now_ms(connection) < connection->patience_ms)
            broker_connection_alarm(connection, connection->patience_ms);
        else
            broker_connection_give_up(connection);
        return RC_OK;
    }
    if (connection->client != NULL)
        broker_mqtt_session_tick(connection->client->session, now_ms(connection));
    if (!goes_on_reading(connection)) {
        broker_connection_close(connection);
        return RC_OK;
    }
    if (connection->stream != NULL)
        broker_connection_alarm(connection, connection->patience_ms);
    judge_age(connection);
    broker_worker_mark(connection);
    return RC_OK;
}

/* ---- Beginning ---- */

static enum rc on_ready(struct loop_watch *watch, unsigned ready)
{
    struct connection *connection =
        (void *)((char *)watch - offsetof(struct connection, watch));

    if (connection->state == CONNECTION_HANDSHAKE)
        broker_connection_shake_hands(connection);
    else if (connection->state == CONNECTION_OPEN && (ready & LOOP_READ) != 0)
        read_on(connection);
    broker_worker_mark(connection);
    return RC_OK;
}

static enum rc open_tls(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const struct broker_door_limits *limits = &worker->door->setup.limits;

    TRY(broker_tls_open(worker->door->tls, connection->fd, connection->listener->name,
                        connection->listener->demand, connection, &connection->tls));
    if (getrandom(connection->peer.correlation, sizeof connection->peer.correlation, 0) !=
        sizeof connection->peer.correlation)
        return fault_errno("random octets for a correlation id");
    connection->patience_ms = now_ms(connection) + limits->handshake_ms;
    broker_connection_alarm(connection, connection->patience_ms);
    TRY(loop_add(worker->loop, &connection->watch, connection->fd, LOOP_READ));
    return broker_worker_admit(worker, connection);
}

enum rc broker_connection_accept(struct worker *worker, const struct listener *listener, int fd,
                                 const char *address)
{
    AUTO_FD owned = fd;
    const struct broker_door_limits *limits = &worker->door->setup.limits;
    struct connection *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "connection");
    made->worker = worker;
    made->listener = listener;
    made->fd = TAKE_FD(owned);
    made->watch.ready = on_ready;
    made->timer.due = on_due;
    made->in = (struct buf)BUF_MAX(limits->packet_max + SCRATCH);
    made->out = (struct buf)BUF_MAX(limits->out_bytes);
    memcpy(made->peer.address, address, strlen(address) + 1);
    enum rc rc = open_tls(made);
    if (rc != RC_OK)
        broker_connection_free(made);
    return rc;
}
