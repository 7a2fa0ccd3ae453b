#include "bench/load_internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void close_connection(struct load_client *client)
{
    if (client->state == LOAD_IDLE)
        return;
    client->state = LOAD_IDLE;
    SSL_free(client->ssl);
    client->ssl = NULL;
    close(client->fd);
    client->fd = -1;
    client->sent = 0;
    buf_clear(&client->out);
    buf_clear(&client->rest);
    ERR_clear_error();
}

static void end(struct load_client *client, const char *why, unsigned code)
{
    close_connection(client);
    client->load->handler.ended(client->load->handler.with, client, why, code);
}

static void watch(struct load_client *client, int operation, bool wants_write)
{
    struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
                                 .data.ptr = client };

    client->wants_write = wants_write;
    epoll_ctl(client->load->epoll, operation, client->fd, &event);
}

static void want_write(struct load_client *client, bool wants_write)
{
    if (client->wants_write != wants_write)
        watch(client, EPOLL_CTL_MOD, wants_write);
}

static enum rc make_ssl(struct load_client *client)
{
    const struct load_identity *who = client->who;
    const struct load *load = client->load;
    SSL *ssl = SSL_new(load->tls);

    client->ssl = ssl;
    if (ssl == NULL || SSL_set_fd(ssl, client->fd) != 1 ||
        SSL_use_cert_and_key(ssl, who->certificate, who->key, who->chain, 1) != 1)
        return fault(RC_CRYPTO, "TLS of %s", who->id);
    /* The macro takes a pointer to what is not const, and changes nothing there. */
    void *name = (void *)(uintptr_t)load->options.server_name;
    if (name != NULL &&
        (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) != 1 ||
         SSL_set1_host(ssl, load->options.server_name) != 1))
        return fault(RC_CRYPTO, "server name %s", load->options.server_name);
    SSL_set_app_data(ssl, client);
    if (load->options.resume && client->session != NULL)
        SSL_set_session(ssl, client->session);
    SSL_set_connect_state(ssl);
    return RC_OK;
}

static enum rc open_socket(struct load_client *client)
{
    const struct load *load = client->load;
    int on = 1;

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return fault_errno("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, (const struct sockaddr *)&load->to, sizeof load->to) != 0 &&
        errno != EINPROGRESS)
        return fault_errno("connect");
    return RC_OK;
}

enum rc load_start(struct load_client *client)
{
    client->out = BUF_MAX(LOAD_OUT_MAX);
    client->rest = BUF_MAX(LOAD_OUT_MAX);
    client->started_ns = load_clock_ns();
    client->live_ns = 0;
    client->resumed = false;
    client->ssl = NULL;
    enum rc rc = open_socket(client);
    if (client->fd >= 0)
        client->state = LOAD_CONNECTING;
    if (rc == RC_OK)
        rc = make_ssl(client);
    if (rc == RC_OK)
        watch(client, EPOLL_CTL_ADD, true);
    else
        close_connection(client);
    return rc;
}

void load_stop(struct load_client *client)
{
    if (client->state == LOAD_LIVE) {
        load_mqtt_empty(load_out(client), LOAD_DISCONNECT);
        load_client_flush(client);
    }
    if (client->state > LOAD_HANDSHAKE)
        SSL_shutdown(client->ssl);
    close_connection(client);
}

void load_client_clear(struct load_client *client)
{
    close_connection(client);
    SSL_SESSION_free(client->session);
    client->session = NULL;
}

struct buf *load_out(struct load_client *client)
{
    if (!client->dirty) {
        client->dirty = true;
        client->next_dirty = client->load->dirty;
        client->load->dirty = client;
    }
    return &client->out;
}

size_t load_waiting(const struct load_client *client)
{
    return client->out.len - client->sent;
}

/* What SSL_get_error says of a connection that cannot go on. */
static void end_by_tls(struct load_client *client, int error)
{
    bool handshake = client->state < LOAD_WAITS_CONNACK;

    if (error == SSL_ERROR_ZERO_RETURN)
        end(client, "closed", 0);
    else if (error == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) >= SSL_AD_REASON_OFFSET)
        end(client, handshake ? "handshake-alert" : "alert",
            (unsigned)ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET);
    else if (error == SSL_ERROR_SYSCALL && errno == ECONNREFUSED)
        end(client, "refused", 0);
    else if (error == SSL_ERROR_SYSCALL && errno == ECONNRESET)
        end(client, handshake ? "handshake-reset" : "reset", 0);
    else
        end(client, handshake ? "handshake-failed" : "eof", 0);
}

void load_client_flush(struct load_client *client)
{
    if (client->state < LOAD_WAITS_CONNACK)
        return;
    while (client->sent < client->out.len) {
        ERR_clear_error();
        int wrote = SSL_write(client->ssl, client->out.at + client->sent,
                              (int)(client->out.len - client->sent));
        if (wrote <= 0) {
            int error = SSL_get_error(client->ssl, wrote);
            if (error == SSL_ERROR_WANT_WRITE)
                want_write(client, true);
            else if (error != SSL_ERROR_WANT_READ)
                end_by_tls(client, error);
            return;
        }
        client->sent += (size_t)wrote;
    }
    buf_reset(&client->out);
    client->sent = 0;
    want_write(client, false);
}

static void take_connack(struct load_client *client, const struct load_frame *frame)
{
    struct load *load = client->load;
    uint16_t id;
    uint8_t reason;

    if (load_mqtt_type(frame) != LOAD_CONNACK ||
        !load_mqtt_read_ack(frame, load->options.version, &id, &reason)) {
        end(client, "no-connack", 0);
    } else if (reason != 0) {
        end(client, "connack", reason);
    } else {
        client->state = LOAD_LIVE;
        client->live_ns = load->now_ns;
        load->handler.live(load->handler.with, client);
    }
}

static void take_packet(struct load_client *client, const struct load_frame *frame)
{
    struct load *load = client->load;

    if (client->state == LOAD_WAITS_CONNACK)
        take_connack(client, frame);
    else if (load_mqtt_type(frame) == LOAD_DISCONNECT)
        end(client, "disconnect", frame->body.len > 0 ? frame->body.at[0] : 0);
    else
        load->handler.packet(load->handler.with, client, frame);
}

/* The rest of a packet is kept for the next read. */
static void take_stream(struct load_client *client, struct bytes stream)
{
    struct load_frame frame;
    enum load_found found = LOAD_NEEDS_MORE;

    while (client->state > LOAD_HANDSHAKE &&
           (found = load_mqtt_next(stream, &frame)) == LOAD_FOUND) {
        take_packet(client, &frame);
        stream = (struct bytes){ stream.at + frame.size, stream.len - frame.size };
    }
    if (client->state <= LOAD_HANDSHAKE)
        return;
    buf_reset(&client->rest);
    if (found == LOAD_BROKEN)
        end(client, "broken-packet", 0);
    else
        buf_add(&client->rest, stream);
}

static void read_all(struct load_client *client)
{
    struct load *load = client->load;

    while (client->state > LOAD_HANDSHAKE) {
        size_t kept = client->rest.len;
        if (kept + LOAD_READ > LOAD_SCRATCH) {
            end(client, "packet-too-large", 0);
            return;
        }
        ERR_clear_error();
        int got = SSL_read(client->ssl, load->scratch + kept, (int)(LOAD_SCRATCH - kept));
        if (got <= 0) {
            int error = SSL_get_error(client->ssl, got);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                end_by_tls(client, error);
            return;
        }
        if (kept > 0)
            memcpy(load->scratch, client->rest.at, kept);
        load->now_ns = load_clock_ns();
        take_stream(client, (struct bytes){ load->scratch, kept + (size_t)got });
    }
}

static void shake_hands(struct load_client *client)
{
    const struct load_options *options = &client->load->options;

    client->state = LOAD_HANDSHAKE;
    ERR_clear_error();
    int done = SSL_do_handshake(client->ssl);
    if (done != 1) {
        int error = SSL_get_error(client->ssl, done);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
            want_write(client, error == SSL_ERROR_WANT_WRITE);
        else
            end_by_tls(client, error);
        return;
    }
    client->resumed = SSL_session_reused(client->ssl) == 1;
    client->state = LOAD_WAITS_CONNACK;
    load_mqtt_connect(load_out(client), options->version, bytes_of_text(client->who->id),
                      options->keep_alive_s);
    load_client_flush(client);
}

void load_client_ready(struct load_client *client, uint32_t events)
{
    if (client->state == LOAD_IDLE)
        return;
    if (client->state <= LOAD_HANDSHAKE)
        shake_hands(client);
    if (client->state > LOAD_HANDSHAKE && (events & EPOLLOUT) != 0)
        load_client_flush(client);
    if (client->state > LOAD_HANDSHAKE)
        read_all(client);
}
