#include "api/api.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <jansson.h>
#include <microhttpd.h>

#include "api/openapi.h"
#include "api/request.h"
#include "base/text.h"
#include "broker/crls.h"
#include "broker/metrics.h"
#include "broker/octets.h"

/*
 * libmicrohttpd's own memory for a connection's line and headers; how long a connection may
 * say nothing; how often the streams are looked at. The peer's patience for each part of a
 * request is ours (request.c), since libmicrohttpd counts from the last octet.
 */
enum {
    CONNECTION_MEMORY = 16 * 1024,
    CONNECTION_IDLE_S = 60,
    FIRST_REQUEST_MS = 30000,
    SWEEP_MS = 500,
    UNSENT_MOST = 256,
    PIECE = 64 * 1024, /* of what is handed over in pieces */
    SEED = sizeof(size_t),
};

/* ---- One turn of libmicrohttpd in our loop ---- */

static enum rc run(struct api *api)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;

    if (MHD_run(api->daemon) != MHD_YES)
        return fault(RC_IO, "libmicrohttpd does not run");
    if (MHD_get_timeout(api->daemon, &timeout_ms) == MHD_YES)
        return loop_arm(api->setup.loop, &api->timer,
                        timeout_ms > INT32_MAX ? INT32_MAX : (int64_t)timeout_ms);
    loop_disarm(&api->timer);
    return RC_OK;
}

static enum rc ready(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    return run((struct api *)((char *)watch - offsetof(struct api, watch)));
}

static enum rc due(struct loop_timer *timer)
{
    return run((struct api *)((char *)timer - offsetof(struct api, timer)));
}

/* libmicrohttpd complains of TCP options on sockets that are not TCP; what is wrong with a
 * request it tells the peer. */
PRINTF_LIKE(2, 0)
static void hear(void *with, const char *format, va_list arguments)
{
    (void)with;
    (void)format;
    (void)arguments;
}

/* ---- Streams ---- */

static void unlink_stream(struct api_stream *stream)
{
    *stream->at = stream->next;
    if (stream->next != NULL)
        stream->next->at = stream->at;
}

static void link_stream(struct api_stream **list, struct api_stream *stream)
{
    stream->next = *list;
    stream->at = list;
    if (stream->next != NULL)
        stream->next->at = &stream->next;
    *list = stream;
}

static void free_stream(struct api_stream *stream)
{
    broker_octets_release(stream->octets);
    free(stream);
}

/* Of one that ended: what was read on it and could not be recorded is tried again. */
static void forget_stream(struct api *api, struct api_stream *stream)
{
    if (stream->reading.count == 0)
        free_stream(stream);
    else if (api->unsent_count < UNSENT_MOST) {
        link_stream(&api->unsent, stream);
        api->unsent_count++;
    } else {
        broker_metric_add(BROKER_AUDIT_REFUSED, (int64_t)stream->reading.count);
        free_stream(stream);
    }
}

static void remove_stream(struct api_stream *stream)
{
    struct api *api = stream->api;

    api_tiles_flush(stream, true);
    unlink_stream(stream);
    api->stream_count--;
    api->plain_count -= stream->services == API_PUBLIC;
    if (stream->reading.due_ms == 0)
        stream->reading.count = 0; /* its record failed, and so nothing was shown */
    forget_stream(api, stream);
}

static void send_unsent(struct api *api)
{
    struct api_stream *next = NULL;

    for (struct api_stream *stream = api->unsent; stream != NULL; stream = next) {
        next = stream->next;
        api_tiles_flush(stream, true);
        if (stream->reading.count > 0)
            continue;
        unlink_stream(stream);
        api->unsent_count--;
        free_stream(stream);
    }
}

static void add_stream(struct api *api, struct api_stream *stream)
{
    stream->api = api;
    link_stream(&api->streams, stream);
    api->stream_count++;
    api->plain_count += stream->services == API_PUBLIC;
}

static struct api_stream *find_unbound(const struct api *api, int fd)
{
    struct api_stream *stream = api->streams;

    while (stream != NULL && (stream->bound || stream->fd != fd))
        stream = stream->next;
    return stream;
}

/* Those that came over it. */
static uint64_t octets_of(const struct api_stream *stream)
{
    struct tcp_info told = { 0 };
    socklen_t len = sizeof told;

    if (stream->octets != NULL)
        return broker_octets_count(stream->octets);
    return getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &told, &len) == 0
               ? told.tcpi_bytes_received
               : 0;
}

/* libmicrohttpd answers a first line that is none by itself, and tells nobody; likewise who
 * leaves before it is whole. */
static void tell_unread(const struct api *api, const struct api_stream *stream)
{
    if (!stream->begun && octets_of(stream) > stream->read && api->setup.refused != NULL)
        api->setup.refused(api->setup.with, &stream->peer, "", 400,
                           "ended with octets that were no request");
}

static void connection_changed(void *with, struct MHD_Connection *connection,
                               void **socket_context, enum MHD_ConnectionNotificationCode what)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (what == MHD_CONNECTION_NOTIFY_STARTED && info != NULL) {
        struct api_stream *stream = find_unbound(with, info->connect_fd);
        if (stream != NULL)
            stream->bound = true;
        *socket_context = stream;
    } else if (what == MHD_CONNECTION_NOTIFY_CLOSED && *socket_context != NULL) {
        tell_unread(with, *socket_context);
        remove_stream(*socket_context);
        *socket_context = NULL;
    }
}

static bool is_cut(const struct api *api, const struct api_stream *stream)
{
    struct registry_certificate certificate;
    struct registry_subject subject;

    if (stream->deadline_ms != 0 && loop_now_ms(api->setup.loop) > stream->deadline_ms)
        return true;
    if (!stream->peer.actor.known)
        return false;
    enum registry_verdict verdict =
        broker_front_judge(api->setup.front, &stream->peer.actor.fingerprint,
                           clock_wall_ms(api->setup.clock) / 1000, &certificate, &subject);
    return verdict != REGISTRY_ACCEPTED && verdict != REGISTRY_UNKNOWN;
}

/* The slow, and those whose certificate ended. libmicrohttpd sees the end of the stream and
 * lets go of it. */
static enum rc sweep(struct loop_timer *timer)
{
    struct api *api = (struct api *)((char *)timer - offsetof(struct api, sweep));

    for (struct api_stream *stream = api->streams; stream != NULL; stream = stream->next) {
        if (stream->bound && is_cut(api, stream))
            shutdown(stream->fd, SHUT_RDWR);
        api_tiles_flush(stream, false);
    }
    send_unsent(api);
    return loop_arm(api->setup.loop, timer, SWEEP_MS);
}

/* ---- Requests ---- */

static struct api_stream *stream_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

static void *request_line(void *with, const char *uri, struct MHD_Connection *connection)
{
    struct api_request *request = api_request_new(with, uri);
    struct api_stream *stream = stream_of(connection);

    if (request != NULL && stream != NULL)
        stream->begun = true;
    return request;
}

/* The rest of a body that nobody waits for is no other request. */
static void end_request(struct api_stream *stream, bool closes)
{
    stream->begun = closes;
    stream->read = octets_of(stream);
}

static void completed(void *with, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode how)
{
    struct api *api = with;
    struct api_request *request = *context;

    struct api_stream *stream = stream_of(connection);

    if (request == NULL)
        return;
    api_request_unread(request, stream);
    if (stream != NULL)
        end_request(stream,
                    how != MHD_REQUEST_TERMINATED_COMPLETED_OK || request->answer.close);
    if (request->stream != NULL)
        request->stream->deadline_ms = loop_now_ms(api->setup.loop) + FIRST_REQUEST_MS;
    api_request_free(request);
    *context = NULL;
}

static void add_headers(struct MHD_Response *response, const struct api_request *request)
{
    const struct api_answer *answer = &request->answer;
    AUTO_BUF(id, 64);
    const char *text = "";

    text_add_hex(&id, BYTES_OF(request->peer.correlation));
    if (buf_text(&id, &text) != RC_OK)
        text = "";
    MHD_add_response_header(response, "X-Request-Id", text);
    if (!answer->cached)
        MHD_add_response_header(response, "Cache-Control",
                                answer->may_be_kept ? "no-cache" : "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->type != NULL)
        MHD_add_response_header(response, "Content-Type", answer->type);
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (answer->close)
        MHD_add_response_header(response, "Connection", "close");
}

/* A CRL, or a long policy, on its way to one client, who may be slow. */
struct sending {
    struct broker_crl *crl; /* or NULL: */
    struct buf body;
    struct api_stream *stream; /* outlives what is sent on it */
    uint64_t counted;          /* the client's time began anew here */
};

static ssize_t send_piece(void *with, uint64_t at, char *to, size_t most)
{
    struct sending *sending = with;
    struct api_stream *stream = sending->stream;
    struct bytes all = buf_bytes(sending->crl != NULL ? &sending->crl->der : &sending->body);

    if (at >= all.len || (sending->crl != NULL && broker_crls_is_stale(sending->crl)))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at - sending->counted >= API_PACE) {
        sending->counted = at;
        stream->deadline_ms = loop_now_ms(stream->api->setup.loop) + API_PATIENCE_MS;
    }
    size_t len = most < all.len - at ? most : all.len - at;
    memcpy(to, all.at + at, len);
    return (ssize_t)len;
}

static void end_sending(void *with)
{
    struct sending *sending = with;

    broker_crls_release(sending->crl);
    buf_clear(&sending->body);
    free(sending);
}

static struct MHD_Response *respond_in_pieces(struct api_request *request)
{
    struct api_answer *answer = &request->answer;
    struct sending *sending = malloc(sizeof *sending);

    if (sending == NULL)
        return NULL;
    *sending = (struct sending){ answer->crl, answer->body, request->stream, 0 };
    struct MHD_Response *response = MHD_create_response_from_callback(
        answer->crl != NULL ? answer->crl->der.len : answer->body.len, PIECE, send_piece,
        sending, end_sending);
    if (response == NULL) {
        free(sending);
        return NULL;
    }
    answer->crl = NULL;
    answer->body = (struct buf)BUF_MAX(0);
    return response;
}

static struct MHD_Response *respond(struct api_request *request)
{
    struct bytes body = buf_bytes(&request->answer.body);

    return request->answer.crl != NULL || body.len > API_ANSWER_MAX
               ? respond_in_pieces(request)
               : MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.at,
                                                 MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result send_answer(struct api_request *request)
{
    struct MHD_Response *response = respond(request);

    if (response == NULL)
        return MHD_NO;
    if (request->answer.status >= 400)
        broker_metric_add(BROKER_HTTP_REFUSED, 1);
    add_headers(response, request);
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* Called first with the headers, then with parts of the body, then with nothing: all is there.
 * And once more after a suspension. */
static enum MHD_Result access_route(void *with, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *version,
                                    const char *body, size_t *body_len, void **context)
{
    struct api_request *request = *context;

    (void)with;
    (void)url;
    if (request == NULL)
        return MHD_NO;
    if (request->connection == NULL) {
        request->connection = connection;
        request->stream = stream_of(connection);
        if (request->stream == NULL)
            return MHD_NO;
        api_request_begin(request, method, version);
        /* An answer before the body ends the connection. */
        return request->answer.status != 0 && request->answer.close ? send_answer(request)
                                                                    : MHD_YES;
    }
    if (*body_len > 0) {
        bool more =
            api_request_feed(request, (struct bytes){ (const uint8_t *)body, *body_len });
        *body_len = 0;
        return more ? MHD_YES : MHD_NO;
    }
    api_request_handle(request);
    if (request->answer.status != 0)
        return send_answer(request);
    request->stream->waiting = request;
    request->stream->connection = connection;
    request->stream->deadline_ms = 0;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* ---- Life ---- */

static enum rc start(struct api *api)
{
    static const unsigned FLAGS =
        MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

    api->daemon = MHD_start_daemon(
        FLAGS, 0, NULL, NULL, access_route, api, MHD_OPTION_EXTERNAL_LOGGER, hear, api,
        MHD_OPTION_CONNECTION_LIMIT, api->setup.connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, api,
        MHD_OPTION_NOTIFY_COMPLETED, completed, api, MHD_OPTION_URI_LOG_CALLBACK, request_line,
        api, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (api->daemon == NULL)
        return fault(RC_IO, "libmicrohttpd does not start");
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return fault(RC_IO, "libmicrohttpd has no epoll descriptor");
    api->watch.ready = ready;
    api->timer.due = due;
    api->sweep.due = sweep;
    TRY(loop_add(api->setup.loop, &api->watch, info->epoll_fd, LOOP_READ));
    return loop_arm(api->setup.loop, &api->sweep, SWEEP_MS);
}

/* Against hash flooding; left alone, jansson would open /dev/urandom, which a jail forbids. */
static enum rc seed_json(void)
{
    AUTO_SECRET(random);
    size_t seed = 0;

    TRY(secret_make_random(&random, SEED));
    memcpy(&seed, random.at, SEED);
    json_object_seed(seed == 0 ? 1 : seed);
    return RC_OK;
}

enum rc api_new(const struct api_setup *setup, struct api **api)
{
    AUTO_OF(api) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "api");
    made->setup = *setup;
    made->document.max = API_ANSWER_MAX;
    TRY(seed_json());
    TRY(pki_verifier_new(&made->verifier));
    TRY(api_throttle_new(&made->throttle));
    TRY(api_openapi_write(&made->document));
    TRY(start(made));
    *api = TAKE(made);
    return RC_OK;
}

/* Whoever waits for the authority waits no longer: its answer will find nobody. */
static void resume_all(struct api *api)
{
    for (struct api_stream *stream = api->streams; stream != NULL; stream = stream->next)
        if (stream->waiting != NULL) {
            stream->waiting = NULL;
            MHD_resume_connection(stream->connection);
        }
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    loop_remove(&api->watch);
    loop_disarm(&api->timer);
    loop_disarm(&api->sweep);
    if (api->daemon != NULL) {
        resume_all(api);
        MHD_stop_daemon(api->daemon);
    }
    while (api->streams != NULL)
        remove_stream(api->streams);
    for (struct api_stream *stream = api->unsent; stream != NULL; stream = api->unsent) {
        broker_metric_add(BROKER_AUDIT_REFUSED, (int64_t)stream->reading.count);
        api->unsent = stream->next;
        free_stream(stream);
    }
    pki_verifier_free(api->verifier);
    api_throttle_free(api->throttle);
    buf_clear(&api->document);
    free(api);
}

/* The half of plain ones is its own: it cannot be in the way of those over TLS. */
static enum rc make_stream(struct api *api, unsigned services, struct api_stream **stream)
{
    bool plain = services == API_PUBLIC;
    size_t open = plain ? api->plain_count : api->stream_count - api->plain_count;

    if (open >= (api->setup.connections_max + 1) / 2)
        return fault(RC_LIMIT, "%zu %s connections are open", open, plain ? "HTTP" : "HTTPS");
    *stream = calloc(1, sizeof **stream);
    return *stream == NULL ? fault(RC_NOMEM, "api stream") : RC_OK;
}

enum rc api_adopt(struct api *api, int stream, unsigned services,
                  const struct broker_peer *peer, struct broker_octets *octets)
{
    static const struct sockaddr_un NOWHERE = { .sun_family = AF_UNIX };
    struct api_stream *made = NULL;
    AUTO_FD fd = stream;

    enum rc rc = make_stream(api, services, &made);
    if (rc != RC_OK) {
        broker_octets_release(octets);
        return rc;
    }
    *made =
        (struct api_stream){ .fd = fd, .services = services, .octets = octets, .peer = *peer };
    made->deadline_ms = loop_now_ms(api->setup.loop) + FIRST_REQUEST_MS;
    add_stream(api, made);
    /* libmicrohttpd closes it if it fails, too. */
    if (MHD_add_connection(api->daemon, TAKE_FD(fd), (const struct sockaddr *)&NOWHERE,
                           sizeof NOWHERE) != MHD_YES) {
        for (struct api_stream *left = api->streams; left != NULL; left = left->next)
            if (left == made) {
                remove_stream(made);
                break;
            }
        return fault(RC_IO, "libmicrohttpd does not take a connection");
    }
    return loop_arm(api->setup.loop, &api->timer, 0);
}
