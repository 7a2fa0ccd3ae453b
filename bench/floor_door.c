/* The floor: the least that a door can cost with this OpenSSL. One epoll loop accepts mutual
 * TLS 1.3 with chain verification, answers CONNECT, and forwards PUBLISH along fixed routes:
 * reads are large, and what is due to a connection in a turn leaves in one write (DESIGN.md,
 * D13). No identity, no policy, no sessions, no limits: nothing but TLS, framing and copying.
 */
#include "base/buf.h"
#include "bench/load_mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    READ_BYTES = 65536,
    SCRATCH_BYTES = 4 * READ_BYTES,
    OUT_MAX = 256 * 1024 * 1024,
    BACKLOG = 1024,
    CACHE_SESSIONS = 40000,
    FILTER_MAX = 64,
};

struct routes {
    struct connection **to;
    size_t count;
};

/* As small as can be: the memory of an idle connection is measured. */
struct connection {
    SSL *ssl;
    struct buf *out; /* lent while there is something to write */
    struct buf *rest;
    struct connection *next_dirty;
    char *filter;          /* of its one subscription */
    struct routes *routes; /* of what it publishes, found once */
    size_t sent;
    int fd;
    uint16_t next_id;
    bool ready, dirty, wants_write, closed;
};

struct floor {
    SSL_CTX *tls;
    int epoll, listener;
    uint8_t *scratch;
    struct connection *dirty, *closed;
    struct connection **all;
    size_t count, room;
    struct buf *spare[EVENTS];
    size_t spares;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "floor_door: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static struct buf *borrow(struct floor *f)
{
    if (f->spares > 0)
        return f->spare[--f->spares];
    struct buf *made = malloc(sizeof *made);
    must(made != NULL, "buffer");
    *made = BUF_MAX(OUT_MAX);
    return made;
}

static void give_back(struct floor *f, struct buf **lent)
{
    struct buf *buf = *lent;

    *lent = NULL;
    if (buf == NULL)
        return;
    buf_reset(buf);
    if (f->spares < EVENTS) {
        f->spare[f->spares++] = buf;
        return;
    }
    buf_clear(buf);
    free(buf);
}

static struct buf *out_of(struct floor *f, struct connection *c)
{
    if (c->out == NULL)
        c->out = borrow(f);
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = f->dirty;
        f->dirty = c;
    }
    return c->out;
}

static void watch(struct floor *f, struct connection *c, int operation, bool wants_write)
{
    struct epoll_event event = { EPOLLIN | (wants_write ? EPOLLOUT : 0), { .ptr = c } };

    c->wants_write = wants_write;
    must(epoll_ctl(f->epoll, operation, c->fd, &event) == 0, "epoll_ctl");
}

static void forget_route(struct routes *routes, const struct connection *c)
{
    for (size_t i = 0; routes != NULL && i < routes->count; i++)
        if (routes->to[i] == c)
            routes->to[i--] = routes->to[--routes->count];
}

/* Freed at the end of the turn: the dirty list may still know it. */
static void close_connection(struct floor *f, struct connection *c)
{
    if (c->closed)
        return;
    c->closed = true;
    for (size_t i = 0; i < f->count; i++) {
        if (c->filter != NULL)
            forget_route(f->all[i]->routes, c);
        if (f->all[i] == c)
            f->all[i--] = f->all[--f->count];
    }
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    ERR_clear_error();
    close(c->fd);
    give_back(f, &c->out);
    give_back(f, &c->rest);
    if (!c->dirty) {
        c->next_dirty = f->closed;
        f->closed = c;
    }
}

static void free_connection(struct connection *c)
{
    if (c->routes != NULL)
        free(c->routes->to);
    free(c->routes);
    free(c->filter);
    free(c);
}

static void flush(struct floor *f, struct connection *c)
{
    while (c->ready && c->out != NULL && c->sent < c->out->len) {
        ERR_clear_error();
        int wrote = SSL_write(c->ssl, c->out->at + c->sent, (int)(c->out->len - c->sent));
        if (wrote <= 0) {
            if (SSL_get_error(c->ssl, wrote) != SSL_ERROR_WANT_WRITE)
                close_connection(f, c);
            else if (!c->wants_write)
                watch(f, c, EPOLL_CTL_MOD, true);
            return;
        }
        c->sent += (size_t)wrote;
    }
    c->sent = 0;
    give_back(f, &c->out);
    if (c->wants_write)
        watch(f, c, EPOLL_CTL_MOD, false);
}

static bool matches(const char *filter, struct bytes topic)
{
    size_t len = strlen(filter);

    /* Fixed routing knows two kinds: the topic itself, and all that a plus at the end takes. */
    if (len > 0 && filter[len - 1] == '+')
        return bytes_start_with(topic, (struct bytes){ (const uint8_t *)filter, len - 1 });
    return bytes_equal_text(topic, filter);
}

static void find_routes(struct floor *f, struct connection *c, struct bytes topic)
{
    c->routes = calloc(1, sizeof *c->routes);
    must(c->routes != NULL, "routes");
    c->routes->to = calloc(f->count, sizeof *c->routes->to);
    must(c->routes->to != NULL, "routes");
    for (size_t i = 0; i < f->count; i++)
        if (f->all[i]->filter != NULL && matches(f->all[i]->filter, topic))
            c->routes->to[c->routes->count++] = f->all[i];
}

/* The packet goes out as it came in, but for its identifier, which is the receiver's own. */
static void forward(struct floor *f, struct connection *c, const struct load_frame *frame,
                    struct bytes packet)
{
    struct load_publish publish;

    must(load_mqtt_read_publish(frame, LOAD_MQTT_3, &publish), "publish");
    if (c->routes == NULL)
        find_routes(f, c, publish.topic);
    size_t id_at = (size_t)(publish.topic.at + publish.topic.len - packet.at);
    for (size_t i = 0; i < c->routes->count; i++) {
        struct connection *to = c->routes->to[i];
        struct buf *out = out_of(f, to);
        buf_add(out, packet);
        if (publish.packet_id == 0 || out->broken)
            continue;
        to->next_id = to->next_id == UINT16_MAX ? 1 : to->next_id + 1;
        uint8_t *id = out->at + out->len - packet.len + id_at;
        id[0] = (uint8_t)(to->next_id >> 8);
        id[1] = (uint8_t)to->next_id;
    }
    if (publish.packet_id != 0)
        load_mqtt_puback(out_of(f, c), publish.packet_id);
}

static void subscribe(struct floor *f, struct connection *c, struct bytes body)
{
    struct reader r = READER(body);
    uint16_t id = reader_u16(&r);
    struct bytes filter = reader_sized16(&r, FILTER_MAX);
    uint8_t qos = reader_u8(&r);

    must(!r.broken, "subscribe");
    free(c->filter);
    c->filter = strndup((const char *)filter.at, filter.len);
    must(c->filter != NULL, "filter");
    struct buf *out = out_of(f, c);
    buf_add_u16(out, LOAD_SUBACK << 12 | 3);
    buf_add_u16(out, id);
    buf_add_u8(out, qos);
}

static void take(struct floor *f, struct connection *c, const struct load_frame *frame,
                 struct bytes packet)
{
    switch (load_mqtt_type(frame)) {
    case LOAD_CONNECT:
        buf_add_u32(out_of(f, c), LOAD_CONNACK << 28 | 2 << 16);
        break;
    case LOAD_PUBLISH:
        forward(f, c, frame, packet);
        break;
    case LOAD_SUBSCRIBE:
        subscribe(f, c, frame->body);
        break;
    case LOAD_PINGREQ:
        buf_add_u16(out_of(f, c), LOAD_PINGRESP << 12);
        break;
    case LOAD_DISCONNECT:
        close_connection(f, c);
        break;
    default:
        break;
    }
}

static void take_stream(struct floor *f, struct connection *c, struct bytes stream)
{
    struct load_frame frame;

    while (!c->closed && load_mqtt_next(stream, &frame) == LOAD_FOUND) {
        take(f, c, &frame, (struct bytes){ stream.at, frame.size });
        stream = (struct bytes){ stream.at + frame.size, stream.len - frame.size };
    }
    if (c->closed)
        return;
    if (stream.len == 0) {
        give_back(f, &c->rest);
        return;
    }
    if (c->rest == NULL)
        c->rest = borrow(f);
    buf_reset(c->rest);
    buf_add(c->rest, stream);
}

/* Records are gathered until the socket is empty, so that packets are rarely cut. */
static void read_all(struct floor *f, struct connection *c)
{
    size_t have = c->rest != NULL ? c->rest->len : 0;

    if (have > 0)
        memcpy(f->scratch, c->rest->at, have);
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(c->ssl, f->scratch + have, (int)(SCRATCH_BYTES - have));
        if (got <= 0) {
            int error = SSL_get_error(c->ssl, got);
            take_stream(f, c, (struct bytes){ f->scratch, have });
            if (error != SSL_ERROR_WANT_READ)
                close_connection(f, c);
            return;
        }
        have += (size_t)got;
        if (SCRATCH_BYTES - have >= READ_BYTES)
            continue;
        take_stream(f, c, (struct bytes){ f->scratch, have });
        have = c->rest != NULL ? c->rest->len : 0;
        if (c->closed)
            return;
        if (have > 0)
            memcpy(f->scratch, c->rest->at, have);
    }
}

static void shake_hands(struct floor *f, struct connection *c)
{
    ERR_clear_error();
    int done = SSL_accept(c->ssl);
    if (done == 1) {
        c->ready = true;
        if (c->wants_write)
            watch(f, c, EPOLL_CTL_MOD, false);
        return;
    }
    int error = SSL_get_error(c->ssl, done);
    if (error == SSL_ERROR_WANT_WRITE && !c->wants_write)
        watch(f, c, EPOLL_CTL_MOD, true);
    else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        close_connection(f, c);
}

static void add_connection(struct floor *f, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    int on = 1;

    if (f->count == f->room) {
        f->room = f->room > 0 ? 2 * f->room : 256;
        f->all = realloc(f->all, f->room * sizeof(struct connection *));
    }
    must(c != NULL && f->all != NULL, "connection");
    c->fd = fd;
    c->ssl = SSL_new(f->tls);
    must(c->ssl != NULL && SSL_set_fd(c->ssl, fd) == 1, "SSL_new");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    f->all[f->count++] = c;
    watch(f, c, EPOLL_CTL_ADD, false);
}

static void accept_all(struct floor *f)
{
    int fd;

    while ((fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        add_connection(f, fd);
    must(errno == EAGAIN || errno == ECONNABORTED, "accept");
}

static void end_turn(struct floor *f)
{
    while (f->dirty != NULL) {
        struct connection *c = f->dirty;
        f->dirty = c->next_dirty;
        if (!c->closed)
            flush(f, c);
        c->dirty = false;
        if (c->closed) {
            c->next_dirty = f->closed;
            f->closed = c;
        }
    }
    while (f->closed != NULL) {
        struct connection *c = f->closed;
        f->closed = c->next_dirty;
        free_connection(c);
    }
}

static void turn(struct floor *f)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(f->epoll, events, EVENTS, -1);

    must(count >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c == NULL) {
            accept_all(f);
            continue;
        }
        if (!c->closed && !c->ready)
            shake_hands(f, c);
        if (!c->closed && c->ready && (events[i].events & EPOLLOUT) != 0)
            flush(f, c);
        if (!c->closed && c->ready)
            read_all(f, c);
    }
    end_turn(f);
}

static void open_tls(struct floor *f, const char *ca, const char *certificate, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    must(tls != NULL && SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
             SSL_CTX_use_certificate_chain_file(tls, certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_load_verify_locations(tls, ca, NULL) == 1 &&
             SSL_CTX_set1_groups_list(tls, "P-256") == 1 &&
             SSL_CTX_set_session_id_context(tls, BYTES("floor").at, 5) == 1,
         "TLS");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* Tickets that name a kept session are half the price of those that hold one. */
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_sess_set_cache_size(tls, CACHE_SESSIONS);
    SSL_CTX_set_num_tickets(tls, 1);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_read_buffer_len(tls, READ_BYTES);
    SSL_CTX_set_read_ahead(tls, 1);
    f->tls = tls;
}

static void open_listener(struct floor *f)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    struct epoll_event event = { EPOLLIN, { .ptr = NULL } };

    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->scratch = malloc(SCRATCH_BYTES);
    must(f->listener >= 0 && f->epoll >= 0 && f->scratch != NULL &&
             bind(f->listener, (struct sockaddr *)&at, len) == 0 &&
             listen(f->listener, BACKLOG) == 0 &&
             getsockname(f->listener, (struct sockaddr *)&at, &len) == 0 &&
             epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->listener, &event) == 0,
         "listen");
    printf("port %u\n", ntohs(at.sin_port));
    must(fflush(stdout) == 0, "stdout");
}

int main(int argc, char **argv)
{
    static struct floor f;

    if (argc != 4) {
        fprintf(stderr, "usage: floor_door CA.pem SERVER.pem SERVER.key\n"
                        "Prints its port on 127.0.0.1, and serves until it is killed or its\n"
                        "parent ends.\n");
        return 64;
    }
    /* Heap trimming would be most of the cost of fan-out. */
    enum { KEEP = 1 << 28 };
    mallopt(M_TRIM_THRESHOLD, KEEP);
    mallopt(M_MMAP_THRESHOLD, KEEP);
    mallopt(M_TOP_PAD, 1 << 20);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_tls(&f, argv[1], argv[2], argv[3]);
    open_listener(&f);
    for (;;)
        turn(&f);
}
