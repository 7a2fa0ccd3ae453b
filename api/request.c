#include "api/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <jansson.h>
#include <microhttpd.h>

#include "base/text.h"
#include "broker/metrics.h"

/* What is read and thrown away of a body that is refused, so that the peer gets its answer. */
enum { SWALLOW_MAX = 256 * 1024, TARGET_MAX = 256, LARGE_AT_ONCE = 2 };

struct api_request *api_request_new(struct api *api, const char *uri)
{
    struct api_request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return NULL;
    request->api = api;
    request->uri = strdup(uri);
    if (request->uri == NULL) {
        free(request);
        return NULL;
    }
    const char *query = strchrnul(request->uri, '?');
    request->path =
        (struct bytes){ (const uint8_t *)request->uri, (size_t)(query - request->uri) };
    if (*query == '?')
        request->query = bytes_of_text(query + 1);
    return request;
}

enum rc api_request_grow(struct api_request *request)
{
    struct api *api = request->api;

    if (request->large)
        return RC_OK;
    if (api->large_count >= LARGE_AT_ONCE)
        return fault(RC_BUSY, "%d requests of more than %d octets are served at a time",
                     LARGE_AT_ONCE, API_BODY_LARGE);
    request->large = true;
    api->large_count++;
    return RC_OK;
}

/* Not when it is freed: the api may be gone by then. */
static void shrink(struct api_request *request)
{
    if (request->large)
        request->api->large_count--;
    request->large = false;
}

void api_request_free(struct api_request *request)
{
    if (request == NULL)
        return;
    if (!request->gone)
        shrink(request);
    if (request->asking) { /* done() will find it gone */
        request->gone = true;
        return;
    }
    buf_clear(&request->body);
    api_input_clear(&request->input);
    request->answer.close = false;
    api_answer_clear(&request->answer);
    json_decref(request->kept);
    free(request->uri);
    free(request);
}

struct bytes api_request_header(const struct api_request *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);

    return value == NULL ? (struct bytes){ 0 } : bytes_of_text(value);
}

/* ---- Refusing ---- */

/* "GET /v1/devices/dev-1", fit for a record. */
static void tell_door(struct api_request *request, unsigned status, const char *reason)
{
    const struct api_setup *setup = &request->api->setup;
    AUTO_BUF(target, 8 * TARGET_MAX);
    const char *text = "";

    if (setup->refused == NULL)
        return;
    text_add_escaped(&target, request->method);
    buf_add_u8(&target, ' ');
    text_add_escaped(&target, (struct bytes){ request->path.at, request->path.len < TARGET_MAX
                                                                    ? request->path.len
                                                                    : TARGET_MAX });
    if (target.len > TARGET_MAX)
        buf_cut(&target, TARGET_MAX);
    if (buf_text(&target, &text) != RC_OK)
        text = "";
    setup->refused(setup->with, &request->peer, text, status, reason);
}

/* What was wrong with an input is told to operators and lines, never why it was denied, but by
 * which rule of the policy. */
static bool may_know(const struct api_request *request, enum rc rc, const char *detail)
{
    bool known = request->peer.actor.known && (request->peer.kind == REGISTRY_OPERATOR ||
                                               request->peer.kind == REGISTRY_LINE);

    if (registry_is_policy_denial(rc, bytes_of_text(detail)))
        return true; /* its credentials were good: the authority asks the policy last */
    return known &&
           (rc == RC_MALFORMED || rc == RC_EXISTS || rc == RC_NOT_FOUND || rc == RC_LIMIT);
}

static void refuse_as(struct api_request *request, unsigned status, enum rc rc,
                      const char *detail)
{
    api_answer_error(&request->answer, status, api_answer_code(rc),
                     BYTES_OF(request->peer.correlation),
                     may_know(request, rc, detail) ? detail : "");
    if (status == 401 && request->route != NULL && request->route->token)
        api_answer_header(&request->answer, "WWW-Authenticate",
                          "Basic realm=\"touchmark\", charset=\"UTF-8\"");
    else if (status == 401)
        api_answer_header(&request->answer, "WWW-Authenticate", "ClientCertificate");
}

void api_request_fail_as(struct api_request *request, unsigned status, enum rc rc)
{
    tell_door(request, status, fault_text());
    refuse_as(request, status, rc, fault_text());
}

void api_request_fail(struct api_request *request, enum rc rc)
{
    api_request_fail_as(request, api_answer_status(rc), rc);
}

void api_request_refuse(struct api_request *request, enum rc rc, struct bytes reason)
{
    api_request_refuse_as(request, api_answer_status(rc), rc, reason);
}

void api_request_refuse_as(struct api_request *request, unsigned status, enum rc rc,
                           struct bytes reason)
{
    AUTO_BUF(copy, 1024);
    const char *text = "";

    buf_add(&copy, reason);
    if (buf_text(&copy, &text) != RC_OK)
        text = "";
    /* What it recorded itself is not told twice; that it is away it could not record. */
    if (rc == RC_BUSY || rc == RC_CLOSED)
        tell_door(request, status, text);
    refuse_as(request, status, rc, text);
}

/* ---- Before the body ---- */

/* The connection may be older than the revocation of its certificate. */
static enum rc judge_peer(struct api_request *request)
{
    struct registry_certificate certificate;
    struct registry_subject subject;
    struct broker_peer *peer = &request->peer;
    const struct api_setup *setup = &request->api->setup;

    if (!peer->actor.known)
        return RC_OK;
    enum registry_verdict verdict =
        broker_front_judge(setup->front, &peer->actor.fingerprint,
                           clock_wall_ms(setup->clock) / 1000, &certificate, &subject);
    /* Not in the projection yet: the handshake asked the authority, and so does what follows.
     */
    if (verdict == REGISTRY_UNKNOWN)
        return RC_OK;
    if (verdict != REGISTRY_ACCEPTED) {
        request->answer.close = true;
        return fault(RC_DENIED, "the client certificate: %s", registry_verdict_name(verdict));
    }
    request->vouched = true;
    peer->kind = subject.kind;
    peer->role = subject.role;
    return RC_OK;
}

static enum rc check_right(struct api_request *request)
{
    const struct api_route *route = request->route;
    const struct broker_peer *peer = &request->peer;

    if (route->right == REGISTRY_RIGHT_NONE)
        return RC_OK;
    if (!registry_right_passes(route->right, request->api->setup.channel))
        return fault(RC_DENIED, "%s: not through this door", registry_right_name(route->right));
    if (!peer->actor.known || !registry_right_held(route->right, peer->kind, peer->role))
        return fault(RC_DENIED, "%s: not a right of %s", registry_right_name(route->right),
                     peer->actor.known ? registry_kind_name(peer->kind) : "a stranger");
    return RC_OK;
}

static bool has_token(const struct api_request *request)
{
    return request->route->token && api_request_header(request, "Authorization").len > 0;
}

/* "application/json; charset=utf-8": the type, and if a charset is named, that one. */
static enum rc check_type(const struct api_request *request, const char *wanted)
{
    struct bytes type = api_request_header(request, "Content-Type");
    size_t len = strlen(wanted);
    const char *text = (const char *)type.at;

    if (text == NULL || type.len < len || strncasecmp(text, wanted, len) != 0 ||
        (type.len > len && strchr("; \t", text[len]) == NULL))
        return fault(RC_MALFORMED, "Content-Type: must be %s", wanted);
    const char *charset = strcasestr(text + len, "charset=");
    if (charset != NULL && strncasecmp(charset + 8, "utf-8", 5) != 0 &&
        strncasecmp(charset + 8, "\"utf-8\"", 7) != 0)
        return fault(RC_MALFORMED, "Content-Type: charset must be utf-8");
    return RC_OK;
}

static bool has_body(const struct api_request *request, uint64_t *declared)
{
    struct bytes length = api_request_header(request, "Content-Length");

    *declared = UINT64_MAX;
    if (length.len > 0 && text_read_u64(length, UINT64_MAX, declared) != RC_OK)
        *declared = UINT64_MAX;
    return api_request_header(request, "Transfer-Encoding").len > 0 ||
           (length.len > 0 && *declared > 0);
}

static enum rc find_route(struct api_request *request, unsigned *status)
{
    AUTO_BUF(allow, 128);
    const char *text = "";
    enum rc rc = request->path.len > API_PATH_MAX
                     ? fault(RC_LIMIT, "a path of %zu octets", request->path.len)
                     : api_route_find(request->method, request->path, request->stream->services,
                                      &request->route, &allow);

    if (rc == RC_LIMIT) {
        *status = 414;
        return rc;
    }
    if (rc == RC_DENIED && buf_text(&allow, &text) == RC_OK) {
        *status = 405;
        api_request_fail_as(request, 405, RC_NOT_FOUND);
        api_answer_header(&request->answer, "Allow", text);
    }
    return rc;
}

/* Whatever can be refused without the body. *status is set when it is not the rc's. */
static enum rc check_head(struct api_request *request, unsigned *status)
{
    uint64_t declared = 0;

    TRY(judge_peer(request));
    TRY(find_route(request, status));
    const struct api_route *route = request->route;
    if ((route->service & API_OPERATORS) != 0 && api_request_header(request, "Origin").len > 0)
        return fault(RC_DENIED, "a browser's request (Origin) is not served here");
    if (!has_token(request)) {
        enum rc rc = check_right(request);
        if (rc == RC_DENIED && (route->token || !request->peer.actor.known))
            *status = 401;
        TRY(rc);
    }
    if (request->query.len > API_QUERY_MAX) {
        *status = 414;
        return fault(RC_LIMIT, "a query of %zu octets", request->query.len);
    }
    if (!has_body(request, &declared))
        return RC_OK;
    if (declared != UINT64_MAX && declared > route->body_max) {
        *status = 413;
        return fault(RC_MALFORMED, "a body of %llu octets, at most %zu are taken",
                     (unsigned long long)declared, route->body_max);
    }
    if (declared != UINT64_MAX && declared > API_BODY_LARGE)
        TRY(api_request_grow(request));
    if (route->body_max == 0 || strcmp(route->method, "GET") == 0)
        return RC_OK;
    *status = 415;
    TRY(check_type(request, route->body_type == NULL ? "application/json" : route->body_type));
    *status = 0;
    return RC_OK;
}

/* A refusal that cannot wait for the body: a peer that asks before it sends one, or too much
 * to swallow. The connection ends behind it. */
static void decide_to_close(struct api_request *request)
{
    uint64_t declared = 0;

    if (!has_body(request, &declared))
        return;
    if (api_request_header(request, "Expect").len > 0 ||
        (declared != UINT64_MAX && declared > SWALLOW_MAX))
        request->answer.close = true;
}

void api_request_unread(struct api_request *request, struct api_stream *stream)
{
    bool begun = request->connection != NULL;

    if (request->answer.status != 0 || request->asking || (!begun && stream == NULL))
        return;
    if (!begun) {
        request->stream = stream;
        request->peer = stream->peer;
        request->method = BYTES("?"); /* it is not told */
    }
    tell_door(
        request, 400,
        begun ? "the request ended before it was whole"
              : "refused by the HTTP server: its line or headers are not HTTP, or too much");
}

void api_request_begin(struct api_request *request, const char *method, const char *version)
{
    AUTO_SECRET(random);
    unsigned status = 0;

    request->method = bytes_of_text(method);
    request->peer = request->stream->peer;
    request->stream->deadline_ms = loop_now_ms(request->api->setup.loop) + API_PATIENCE_MS;
    broker_metric_add(BROKER_HTTP_REQUESTS, 1);
    enum rc rc = secret_make_random(&random, REGISTRY_CORRELATION);
    memcpy(request->peer.correlation, random.at, REGISTRY_CORRELATION);
    if (rc == RC_OK && strncmp(version, "HTTP/1.", 7) != 0)
        rc = fault(RC_MALFORMED, "RFC 9112 2.3: not HTTP/1.1");
    if (rc == RC_OK)
        rc = check_head(request, &status);
    if (rc == RC_OK)
        return;
    if (request->answer.status == 0)
        api_request_fail_as(request, status != 0 ? status : api_answer_status(rc), rc);
    decide_to_close(request);
}

/* ---- The body, and the rest ---- */

bool api_request_feed(struct api_request *request, struct bytes some)
{
    request->swallowed += some.len;
    if (request->answer.status != 0)
        return request->swallowed <= SWALLOW_MAX;
    request->body.max = request->route->body_max;
    buf_add(&request->body, some);
    if (request->body.broken) {
        enum rc rc = fault(RC_MALFORMED, "a body over %zu octets", request->route->body_max);
        api_request_fail_as(request, 413, rc);
        return request->swallowed <= SWALLOW_MAX;
    }
    if (request->body.len - request->timed >= API_PACE) {
        request->timed = request->body.len;
        request->stream->deadline_ms = loop_now_ms(request->api->setup.loop) + API_PATIENCE_MS;
    }
    enum rc rc = request->body.len > API_BODY_LARGE ? api_request_grow(request) : RC_OK;
    if (rc != RC_OK)
        api_request_fail(request, rc);
    return true;
}

static void set_preamble(struct api_request *request)
{
    struct registry_preamble *preamble = &request->input.question.preamble;

    memcpy(preamble->correlation, request->peer.correlation, sizeof preamble->correlation);
    preamble->actor = request->peer.actor;
    memcpy(preamble->peer, request->peer.address, sizeof preamble->peer);
    memcpy(preamble->tls, request->peer.tls, sizeof preamble->tls);
}

void api_request_handle(struct api_request *request)
{
    if (request->answer.status != 0 || request->asking)
        return;
    const struct api_route *route = request->route;
    enum rc rc = api_input_read(route, request->path, request->query, buf_bytes(&request->body),
                                &request->input);
    if (request->large) /* it is in the input now */
        buf_clear(&request->body);
    if (rc == RC_OK) {
        set_preamble(request);
        rc = route->handle(request);
    }
    if (rc != RC_OK && request->answer.status == 0)
        api_request_fail(request, rc);
}

/* ---- Asking ---- */

static void told(void *with, enum rc rc, const struct registry_answer *answer,
                 struct bytes reason)
{
    struct api_request *request = with;

    if (!api_request_resume(request))
        return;
    if (rc != RC_OK) {
        api_request_refuse(request, rc, reason);
        return;
    }
    rc = request->route->told(request, answer);
    if (rc == RC_MALFORMED) /* the authority's answer, not the peer's request */
        rc = RC_IO;
    if (rc != RC_OK && request->answer.status == 0)
        api_request_fail(request, rc);
}

enum rc api_request_ask(struct api_request *request)
{
    return api_request_ask_for(request, request->route->ask, told);
}

enum rc api_request_ask_for(struct api_request *request, enum registry_ask ask,
                            broker_front_done *done)
{
    TRY(broker_front_ask(request->api->setup.front, ask, &request->input.question, done,
                         request));
    request->asking = true;
    return RC_OK;
}

bool api_request_hear(struct api_request *request)
{
    request->asking = false;
    if (!request->gone)
        return true;
    api_request_free(request);
    return false;
}

bool api_request_resume(struct api_request *request)
{
    if (!api_request_hear(request))
        return false;
    if (request->stream->waiting == request) {
        request->stream->waiting = NULL;
        request->stream->deadline_ms = loop_now_ms(request->api->setup.loop) + API_PATIENCE_MS;
        MHD_resume_connection(request->connection);
        /* Its own descriptor does not wake an epoll set that is run from outside. */
        if (loop_arm(request->api->setup.loop, &request->api->timer, 0) != RC_OK)
            shutdown(request->stream->fd, SHUT_RDWR);
    }
    return true;
}
