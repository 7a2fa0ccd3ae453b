#include "bench/load_internal.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS = 256 };

int64_t load_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t load_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t load_now_ns(const struct load *load)
{
    return load->now_ns;
}

const struct load_options *load_options_of(const struct load *load)
{
    return &load->options;
}

void load_set_handler(struct load *load, const struct load_handler *handler)
{
    load->handler = *handler;
}

void load_set_resume(struct load *load, bool resume)
{
    load->options.resume = resume;
}

/* The client's own: TLS 1.3 gives a new ticket with each connection. */
static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct load_client *client = SSL_get_app_data(ssl);

    SSL_SESSION_free(client->session);
    client->session = session;
    return 1;
}

static enum rc make_tls(struct load *load)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    load->tls = tls;
    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(tls, "P-256") != 1 ||
        SSL_CTX_load_verify_locations(tls, load->options.ca_path, NULL) != 1)
        return fault(RC_CRYPTO, "TLS: cannot use %s", load->options.ca_path);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_read_buffer_len(tls, LOAD_READ);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, keep_ticket);
    return RC_OK;
}

static enum rc open_all(struct load *load)
{
    load->to.sin_family = AF_INET;
    load->to.sin_port = htons(load->options.port);
    if (inet_pton(AF_INET, load->options.host, &load->to.sin_addr) != 1)
        return fault(RC_MALFORMED, "%s is no IPv4 address", load->options.host);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->scratch = malloc(LOAD_SCRATCH);
    if (load->epoll < 0 || load->scratch == NULL)
        return fault_errno("load");
    return make_tls(load);
}

enum rc load_new(const struct load_options *options, const struct load_handler *handler,
                 struct load **load)
{
    AUTO_OF(load) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "load");
    made->epoll = -1;
    made->options = *options;
    made->handler = *handler;
    made->now_ns = load_clock_ns();
    TRY(open_all(made));
    *load = TAKE(made);
    return RC_OK;
}

void load_free(struct load *load)
{
    if (load == NULL)
        return;
    if (load->epoll >= 0)
        close(load->epoll);
    SSL_CTX_free(load->tls);
    free(load->scratch);
    free(load);
}

static void flush_dirty(struct load *load)
{
    struct load_client *client = load->dirty;

    load->dirty = NULL;
    while (client != NULL) {
        struct load_client *next = client->next_dirty;
        client->dirty = false;
        load_client_flush(client);
        client = next;
    }
}

enum rc load_turn(struct load *load, int64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = { wait_ns / 1000000000, wait_ns % 1000000000 };

    flush_dirty(load);
    int count = epoll_pwait2(load->epoll, events, EVENTS, &wait, NULL);
    if (count < 0 && errno != EINTR)
        return fault_errno("epoll_pwait2");
    load->now_ns = load_clock_ns();
    for (int i = 0; i < count; i++)
        load_client_ready(events[i].data.ptr, events[i].events);
    flush_dirty(load);
    return RC_OK;
}
