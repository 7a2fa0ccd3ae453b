#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "broker/door_state.h"
#include "broker/octets.h"

/* One end of a socket pair; libmicrohttpd has the other one, on the main thread. */
struct stream {
    struct connection *connection;
    int fd;
    struct broker_octets *octets; /* that came for it */
    size_t counted;               /* among them, of those that wait in the connection's in */
    struct loop_watch watch;
    bool ended;       /* it has said all: what is in out is the last of it */
    bool half_closed; /* the client has said all */
};

enum {
    OUT_MOST = 32 * 1024 /* that wait for a slow reader: more is left with libmicrohttpd */
};

/* ---- From the client ---- */

static void want(struct stream *stream)
{
    const struct connection *connection = stream->connection;
    unsigned wanted = 0;

    if (!stream->ended && connection->out.len < OUT_MOST)
        wanted |= LOOP_READ;
    if (connection->in.len > 0)
        wanted |= LOOP_WRITE;
    if (stream->watch.loop != NULL && loop_want(&stream->watch, wanted) != RC_OK)
        broker_connection_close(stream->connection);
}

bool broker_stream_wants_input(const struct connection *connection)
{
    return connection->in.len == 0 && !connection->stream->half_closed;
}

void broker_stream_pump(struct connection *connection)
{
    struct stream *stream = connection->stream;
    struct buf *in = &connection->in;

    /* Before they are sent: who reads them may have ended by the time that is over. */
    broker_octets_add(stream->octets, in->len - stream->counted);
    stream->counted = in->len;
    while (in->len > 0) {
        ssize_t sent = send(stream->fd, in->at, in->len, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            buf_clear(in); /* nobody listens: its last words are on their way to the client */
            stream->counted = 0;
            return;
        }
        stream->counted -= (size_t)sent;
        broker_connection_consume(connection, (size_t)sent);
    }
    if (in->len == 0 && stream->half_closed)
        shutdown(stream->fd, SHUT_WR);
    want(stream);
}

void broker_stream_half_close(struct connection *connection)
{
    connection->stream->half_closed = true;
    broker_stream_pump(connection);
}

/* ---- To the client ---- */

static enum rc on_ready(struct loop_watch *watch, unsigned ready)
{
    struct stream *stream = (void *)((char *)watch - offsetof(struct stream, watch));
    struct connection *connection = stream->connection;
    struct worker *worker = connection->worker;

    broker_worker_mark(connection);
    if ((ready & LOOP_WRITE) != 0)
        broker_stream_pump(connection);
    if ((ready & LOOP_READ) == 0 || connection->state == CONNECTION_CLOSED)
        return RC_OK;
    ssize_t got = recv(stream->fd, worker->scratch, OUT_MOST, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return RC_OK;
    stream->ended = got <= 0;
    if (got > 0)
        buf_add(&connection->out, (struct bytes){ worker->scratch, (size_t)got });
    else
        broker_connection_end(connection);
    want(stream);
    return RC_OK;
}

/* ---- Its life ---- */

void broker_stream_offer_free(struct broker_stream_offer *offer)
{
    own_close(&offer->fd);
    broker_octets_release(offer->octets);
    free(offer);
}

static enum rc offer(struct connection *connection, int fd)
{
    struct worker *worker = connection->worker;
    AUTO_FD owned = fd;
    struct broker_octets *octets = NULL;

    TRY(broker_octets_new(&octets));
    connection->stream->octets = octets;
    struct broker_stream_offer *made = malloc(sizeof *made);
    if (made == NULL) {
        broker_octets_release(octets);
        return fault(RC_NOMEM, "offer of a stream");
    }
    *made = (struct broker_stream_offer){ TAKE_FD(owned), octets, connection->peer };
    const struct broker_mail mail = { .kind = BROKER_MAIL_STREAM, .what = made };
    enum rc rc = broker_post_send(worker->door->post, worker->party, BROKER_POST_MAIN, &mail);
    if (rc != RC_OK)
        broker_stream_offer_free(made);
    return rc;
}

enum rc broker_stream_open(struct connection *connection)
{
    int ends[2] = { -1, -1 };
    struct stream *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "stream");
    made->fd = -1;
    made->connection = connection;
    made->watch.ready = on_ready;
    connection->stream = made;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_errno("socket pair of a stream");
    made->fd = ends[0];
    TRY(offer(connection, ends[1]));
    return loop_add(connection->worker->loop, &made->watch, made->fd, LOOP_READ);
}

void broker_stream_settle(struct connection *connection)
{
    want(connection->stream);
}

void broker_stream_free(struct stream *stream)
{
    if (stream == NULL)
        return;
    loop_remove(&stream->watch);
    own_close(&stream->fd);
    broker_octets_release(stream->octets);
    free(stream);
}
