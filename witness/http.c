#include "witness/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "audit/submission.h"
#include "witness/judge.h"

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_MEMORY = 16 * 1024,
    CONNECTION_IDLE_S = 20,
    SUBMISSION_MS = 20000, /* from the first octet to the last */
    SWEEP_MS = 1000,
};

struct witness_http {
    struct witness_http_setup setup;
    struct MHD_Daemon *daemon;
    struct loop_watch watch;
    struct loop_timer timer, sweep;
    struct request *requests;
};

/* One submission, while it comes. */
struct request {
    struct request *next, **at;
    struct MHD_Connection *connection;
    int64_t deadline_ms;
    struct buf body;
    bool wanted; /* the path and the method are those */
};

/* ---- One turn of libmicrohttpd in our loop ---- */

static enum rc run(struct witness_http *http)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;

    if (MHD_run(http->daemon) != MHD_YES)
        return fault(RC_IO, "libmicrohttpd does not run");
    if (MHD_get_timeout(http->daemon, &timeout_ms) != MHD_YES) {
        loop_disarm(&http->timer);
        return RC_OK;
    }
    return loop_arm(http->setup.loop, &http->timer,
                    timeout_ms > INT32_MAX ? INT32_MAX : (int64_t)timeout_ms);
}

static enum rc is_ready(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    return run((struct witness_http *)((char *)watch - offsetof(struct witness_http, watch)));
}

static enum rc is_due(struct loop_timer *timer)
{
    return run((struct witness_http *)((char *)timer - offsetof(struct witness_http, timer)));
}

/* libmicrohttpd's own timeout counts from the last octet: it does not stop a slow sender. */
static enum rc sweep(struct loop_timer *timer)
{
    struct witness_http *http =
        (struct witness_http *)((char *)timer - offsetof(struct witness_http, sweep));
    int64_t now_ms = loop_now_ms(http->setup.loop);

    for (struct request *one = http->requests; one != NULL; one = one->next) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(one->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (now_ms > one->deadline_ms && info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR);
    }
    return loop_arm(http->setup.loop, timer, SWEEP_MS);
}

/* ---- Requests ---- */

static struct request *begin(struct witness_http *http, struct MHD_Connection *connection,
                             const char *url, const char *method)
{
    struct request *made = calloc(1, sizeof *made);

    if (made == NULL)
        return NULL;
    made->connection = connection;
    made->deadline_ms = loop_now_ms(http->setup.loop) + SUBMISSION_MS;
    made->body = BUF_MAX(AUDIT_SUBMISSION_MAX);
    made->wanted = strcmp(url, "/add-checkpoint") == 0 && strcmp(method, "POST") == 0;
    made->next = http->requests;
    made->at = &http->requests;
    if (made->next != NULL)
        made->next->at = &made->next;
    http->requests = made;
    return made;
}

static void completed(void *with, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode how)
{
    struct request *request = *context;

    (void)with;
    (void)connection;
    (void)how;
    if (request == NULL)
        return;
    *request->at = request->next;
    if (request->next != NULL)
        request->next->at = request->at;
    buf_clear(&request->body);
    free(request);
    *context = NULL;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection,
                                   const struct witness_answer *answer)
{
    struct bytes body = buf_bytes(&answer->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.at, MHD_RESPMEM_MUST_COPY);

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", answer->type);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static void judge(struct witness_http *http, const struct request *request,
                  struct witness_answer *answer)
{
    struct bytes body;

    if (!request->wanted) {
        answer->status = 404;
        answer->type = "text/plain; charset=utf-8";
        buf_addf(&answer->body, "POST /add-checkpoint is all there is\n");
    } else if (buf_done(&request->body, &body) != RC_OK) {
        answer->status = 400;
        answer->type = "text/plain; charset=utf-8";
        buf_addf(&answer->body, "a submission has at most %d octets\n", AUDIT_SUBMISSION_MAX);
    } else {
        witness_judge(http->setup.book, body,
                      (uint64_t)(clock_wall_ms(http->setup.clock) / 1000), answer);
    }
}

static enum MHD_Result answer_request(struct witness_http *http, struct request *request)
{
    AUTO_BUF(told, WITNESS_ANSWER_MAX + 1);
    struct witness_answer answer = { .body = BUF_MAX(WITNESS_ANSWER_MAX) };
    const char *text = "";

    judge(http, request, &answer);
    buf_add(&told, buf_bytes(&answer.body));
    if (buf_text(&told, &text) != RC_OK)
        text = "";
    if (http->setup.told != NULL)
        http->setup.told(http->setup.with, answer.status, answer.split_view, text);
    enum MHD_Result result = send_answer(request->connection, &answer);
    buf_clear(&answer.body);
    return result;
}

/* Called first with the headers, then with parts of the body, then with nothing: all is there.
 */
static enum MHD_Result take(void *with, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *body,
                            size_t *body_len, void **context)
{
    struct witness_http *http = with;
    struct request *request = *context;

    (void)version;
    if (request == NULL) {
        *context = begin(http, connection, url, method);
        return *context == NULL ? MHD_NO : MHD_YES;
    }
    if (*body_len == 0)
        return answer_request(http, request);
    buf_add(&request->body, (struct bytes){ (const uint8_t *)body, *body_len });
    *body_len = 0;
    return MHD_YES; /* what is too long is thrown away as it comes */
}

PRINTF_LIKE(2, 0)
static void hear(void *with, const char *format, va_list arguments)
{
    (void)with;
    (void)format;
    (void)arguments;
}

/* ---- Life ---- */

static enum rc start(struct witness_http *http)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, take, http,
        MHD_OPTION_EXTERNAL_LOGGER, hear, http, MHD_OPTION_LISTEN_SOCKET, http->setup.listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (http->daemon == NULL) {
        close(http->setup.listener);
        return fault(RC_IO, "libmicrohttpd does not start");
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return fault(RC_IO, "libmicrohttpd has no epoll descriptor");
    http->watch.ready = is_ready;
    http->timer.due = is_due;
    http->sweep.due = sweep;
    TRY(loop_add(http->setup.loop, &http->watch, info->epoll_fd, LOOP_READ));
    return loop_arm(http->setup.loop, &http->sweep, SWEEP_MS);
}

enum rc witness_http_new(const struct witness_http_setup *setup, struct witness_http **http)
{
    AUTO_OF(witness_http) *made = calloc(1, sizeof *made);

    if (made == NULL) {
        close(setup->listener);
        return fault(RC_NOMEM, "a witness's HTTP");
    }
    made->setup = *setup;
    TRY(start(made));
    *http = TAKE(made);
    return RC_OK;
}

void witness_http_free(struct witness_http *http)
{
    if (http == NULL)
        return;
    loop_remove(&http->watch);
    loop_disarm(&http->timer);
    loop_disarm(&http->sweep);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    free(http);
}
