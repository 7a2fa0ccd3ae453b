/* threaded */
#include "tests/unit/integration/records.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/address.h"
#include "integration/delivery.h"
#include "integration/syslog.h"
#include "tests/support/openssl.h"

/*
 * A receiver in a thread of its own, which breaks as it is told: it takes connections one after
 * the other, and of each so many octets. What it read before it broke is received; what it did
 * not is lost.
 */
enum { RECEIVED_MAX = 4 * 1024 * 1024, DEADLINE_S = 120, RECORDS = 300, PAGE = 20 };

struct receiver {
    pthread_t thread;
    SSL_CTX *context;
    int listener;
    uint16_t port;
    _Atomic size_t takes; /* octets of a connection before it is reset; SIZE_MAX: all */
    atomic_bool stalls;   /* reads nothing */
    atomic_bool ends;
    atomic_uint connections, orderly;
    pthread_mutex_t lock;
    struct buf received; /* of all connections */
};

struct world {
    char folder[32], address[32];
    int dir;
    struct clock clock;
    struct loop *loop;
    struct records records;
    struct receiver receiver;
    struct integration_delivery *delivery;
    uint64_t log; /* records there are */
};

/* ---- The receiver ---- */

/* RFC 5425 4.3: a length, a space, the message. Whole ones are received, a line each. */
static void take_frames(struct receiver *r, struct buf *part)
{
    const char *text;
    char *behind;

    while (buf_text(part, &text) == RC_OK) {
        size_t len = strtoul(text, &behind, 10);
        size_t head = (size_t)(behind - text) + 1;
        if (head == 1 || *behind != ' ' || part->len < head + len)
            return;
        pthread_mutex_lock(&r->lock);
        buf_add(&r->received, (struct bytes){ part->at + head, len });
        buf_addf(&r->received, "\n");
        pthread_mutex_unlock(&r->lock);
        memmove(part->at, part->at + head + len, part->len - head - len);
        buf_cut(part, part->len - head - len);
    }
}

/* False when the connection is over. The socket wakes now and then, to see whether the test is.
 */
static bool read_some(struct receiver *r, SSL *ssl, size_t *left, struct buf *part)
{
    uint8_t room[512];
    size_t got = 0;

    if (SSL_read_ex(ssl, room, *left < sizeof room ? *left : sizeof room, &got) != 1)
        return SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ && !r->ends;
    buf_add(part, (struct bytes){ room, got });
    take_frames(r, part);
    *left -= r->takes == SIZE_MAX ? 0 : got;
    return true;
}

static void serve(struct receiver *r, int fd)
{
    const struct linger reset = { 1, 0 };
    AUTO_BUF(part, INTEGRATION_SYSLOG_MAX + 1024);
    SSL *ssl = SSL_new(r->context);

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        r->connections++;
        while (r->stalls && !r->ends)
            usleep(1000);
        for (size_t left = r->takes; left > 0 && read_some(r, ssl, &left, &part);) {
        }
    }
    if ((SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0) {
        r->orderly++;
        SSL_shutdown(ssl);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    SSL_free(ssl);
}

static void *receive(void *with)
{
    struct receiver *r = with;

    while (!r->ends) {
        AUTO_FD fd = accept(r->listener, NULL, NULL);
        const struct timeval within = { .tv_usec = 100000 };
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
        serve(r, fd);
    }
    return NULL;
}

static void make_certificates(void)
{
    static const char *const CA[] = { "req",    "-x509",    "-newkey",
                                      "ec",     "-pkeyopt", "ec_paramgen_curve:P-256",
                                      "-nodes", "-keyout",  "ca.key",
                                      "-out",   "ca.pem",   "-subj",
                                      "/CN=ca", "-addext",  "subjectAltName=DNS:siem.example",
                                      NULL };
    AUTO_BUF(said, 65536);

    assert_int_equal(openssl_run(&said, CA), 0);
}

static void open_receiver(struct receiver *r)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval within = { .tv_usec = 50000 };
    socklen_t len = sizeof at;

    r->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_file(r->context, "ca.pem", SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(r->context, "ca.key", SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_options(r->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    r->takes = SIZE_MAX;
    r->received = BUF_MAX(RECEIVED_MAX);
    pthread_mutex_init(&r->lock, NULL);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(r->listener, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within),
                     0);
    assert_int_equal(bind(r->listener, (void *)&at, sizeof at), 0);
    assert_int_equal(listen(r->listener, 8), 0);
    assert_int_equal(getsockname(r->listener, (void *)&at, &len), 0);
    r->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, receive, r), 0);
}

static void close_receiver(struct receiver *r)
{
    r->ends = true;
    pthread_join(r->thread, NULL);
    close(r->listener);
    SSL_CTX_free(r->context);
    pthread_mutex_destroy(&r->lock);
    buf_clear(&r->received);
}

/* ---- The exporter's part ---- */

static void page(struct world *w)
{
    struct integration_delivery_want want;

    if (!integration_delivery_wants(w->delivery, &want) || want.next == w->log)
        return;
    if (want.unsure)
        integration_delivery_sure(w->delivery);
    for (uint64_t i = want.next; i < want.next + PAGE && i < w->log; i++)
        integration_delivery_give(w->delivery, records_plain(&w->records, i));
    integration_delivery_flush(w->delivery);
}

static void ignore(void *with)
{
    (void)with;
}

static void start(struct world *w, const char *server_name, int64_t settle_ms, int64_t renew_ms)
{
    const struct integration_delivery_setup delivery = { w->loop, w->dir, "sink-1", 500,
                                                         ignore,  ignore, w };
    const struct integration_syslog_setup setup = {
        .loop = w->loop,
        .address = w->address,
        .server_name = server_name,
        .authorities = "ca.pem",
        .certificate = "",
        .key = "",
        .style = { INTEGRATION_TEXT, "host-1", "touchmark@32473" },
        .connect_ms = 10000,
        .settle_ms = settle_ms,
        .renew_ms = renew_ms,
    };
    struct integration_outlet outlet;

    assert_int_equal(integration_delivery_new(&delivery, &w->delivery), RC_OK);
    assert_int_equal(
        integration_syslog_new(&setup, integration_delivery_told(w->delivery), &outlet), RC_OK);
    assert_int_equal(integration_delivery_start(w->delivery, &outlet), RC_OK);
}

static struct integration_delivery_status status_of(const struct world *w)
{
    struct integration_delivery_status status;

    integration_delivery_status(w->delivery, &status);
    return status;
}

static void turn(struct world *w)
{
    assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    page(w);
}

static void run_until_delivered(struct world *w, uint64_t many)
{
    int64_t end = clock_monotonic_ms(&w->clock) + DEADLINE_S * 1000;

    while (status_of(w).delivered < many) {
        assert_true(clock_monotonic_ms(&w->clock) < end);
        turn(w);
    }
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    AUTO_BUF(address, sizeof w->address);
    const char *text;

    assert_non_null(w);
    memcpy(w->folder, "/tmp/test_syslog.XXXXXX", 24);
    assert_non_null(mkdtemp(w->folder));
    w->dir = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->clock = clock_system();
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    records_open(&w->records);
    make_certificates();
    open_receiver(&w->receiver);
    buf_addf(&address, "127.0.0.1:%u", w->receiver.port);
    assert_int_equal(buf_text(&address, &text), RC_OK);
    memcpy(w->address, text, address.len + 1);
    w->log = RECORDS;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    integration_delivery_free(w->delivery);
    close_receiver(&w->receiver);
    loop_free(w->loop);
    records_close(&w->records);
    unlinkat(w->dir, "sink-1.cursor", 0);
    close(w->dir);
    rmdir(w->folder);
    free(w);
    return 0;
}

/* Each record was received whole at least once, and the first of each in order. */
static void assert_received(struct world *w)
{
    struct receiver *r = &w->receiver;
    const char *text, *at;
    uint64_t next = 0;

    pthread_mutex_lock(&r->lock);
    assert_int_equal(buf_text(&r->received, &text), RC_OK);
    for (at = text; next < RECORDS; next++) {
        AUTO_BUF(wanted, 128);
        const char *sentence;
        buf_addf(&wanted, ", target device dev-%llu\n", (unsigned long long)next);
        assert_int_equal(buf_text(&wanted, &sentence), RC_OK);
        const char *found = strstr(at, sentence);
        if (found == NULL)
            fail_msg("record %llu is missing", (unsigned long long)next);
        else
            at = found;
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- Claims ---- */

static void everything_arrives_though_connections_break_at_any_octet(void **state)
{
    struct world *w = *state;
    uint64_t dice = 7;

    w->receiver.takes = 100;
    start(w, "siem.example", 100, 300);
    for (unsigned broken = 0; broken < 12;) {
        unsigned before = w->receiver.connections;
        turn(w);
        if (w->receiver.connections == before)
            continue;
        dice = dice * 6364136223846793005 + 1442695040888963407;
        w->receiver.takes = (dice >> 40) % 40000;
        broken++;
    }
    w->receiver.takes = SIZE_MAX;
    run_until_delivered(w, RECORDS);
    assert_received(w);
}

static void with_renewal_the_receivers_end_is_what_delivers(void **state)
{
    struct world *w = *state;

    start(w, "siem.example", 100, 200);
    run_until_delivered(w, RECORDS);
    assert_true(w->receiver.orderly >= 1);
    assert_received(w);
    assert_int_equal(status_of(w).state, INTEGRATION_UP);
}

/* Its kernel has acknowledged everything, for longer than settle and renew. */
static void what_a_stalled_receiver_did_not_read_is_not_delivered(void **state)
{
    struct world *w = *state;
    int64_t began;

    w->receiver.stalls = true;
    start(w, "siem.example", 100, 200);
    while (w->receiver.connections == 0)
        turn(w);
    for (began = clock_monotonic_ms(&w->clock); clock_monotonic_ms(&w->clock) - began < 1500;)
        turn(w);
    assert_int_equal(status_of(w).delivered, 0);
    w->receiver.takes = 0;
    w->receiver.stalls = false; /* it is killed */
    while (status_of(w).state != INTEGRATION_FAILING)
        turn(w);
    assert_int_equal(status_of(w).delivered, 0);
    w->receiver.takes = SIZE_MAX;
    run_until_delivered(w, RECORDS);
    assert_received(w);
}

static void without_renewal_one_connection_lasts(void **state)
{
    struct world *w = *state;

    start(w, "siem.example", 100, 0);
    run_until_delivered(w, RECORDS);
    assert_int_equal(w->receiver.connections, 1);
    assert_int_equal(w->receiver.orderly, 0);
    assert_received(w);
}

static void another_name_gets_nothing(void **state)
{
    static const char *const OTHERS[] = { "other.example", "example", "127.0.0.1" };
    struct world *w = *state;

    for (size_t i = 0; i < 3; i++) {
        start(w, OTHERS[i], 100, 0);
        while (status_of(w).state != INTEGRATION_FAILING)
            turn(w);
        assert_non_null(strstr(status_of(w).why, "mismatch"));
        integration_delivery_free(w->delivery);
        w->delivery = NULL;
    }
    assert_null(
        memchr(w->receiver.received.at == NULL ? (const void *)"" : w->receiver.received.at,
               '<', w->receiver.received.len));
}

static void wrong_settings_are_told_at_once(void **state)
{
    struct world *w = *state;
    const struct integration_outlet_told told = { 0 };
    struct integration_syslog_setup setup = { .loop = w->loop,
                                              .address = w->address,
                                              .server_name = "a",
                                              .authorities = "ca.pem",
                                              .certificate = "",
                                              .key = "",
                                              .style = { INTEGRATION_TEXT, "", "a@1" } };
    static const char *const ADDRESSES[] = { "",     "127.0.0.1",   "host:1",   "127.0.0.1:0",
                                             "[::1", "[::1]:65536", "1.2.3.4:x" };
    struct integration_outlet outlet;
    struct integration_address address;

    assert_int_equal(integration_address_read("[::1]:6514", &address), RC_OK);
    assert_int_equal(address.port, 6514);
    for (size_t i = 0; i < sizeof ADDRESSES / sizeof *ADDRESSES; i++) {
        struct integration_syslog_setup wrong = setup;
        wrong.address = ADDRESSES[i];
        assert_int_equal(integration_syslog_new(&wrong, &told, &outlet), RC_MALFORMED);
    }
    struct integration_syslog_setup wrong = setup;
    wrong.authorities = "no-such-file";
    assert_int_equal(integration_syslog_new(&wrong, &told, &outlet), RC_MALFORMED);
    wrong = setup;
    wrong.certificate = wrong.key = "ca.key";
    assert_int_equal(integration_syslog_new(&wrong, &told, &outlet), RC_MALFORMED);
    wrong.certificate = "ca.pem";
    assert_int_equal(integration_syslog_new(&wrong, &told, &outlet), RC_OK);
    outlet.kind->free(outlet.outlet);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Keys and certificates shall not lie wherever the test is started. */
static int enter_own_folder(void **state)
{
    static char path[] = "/tmp/test_syslog.XXXXXX";

    *state = mkdtemp(path);
    return *state != NULL && chdir(path) == 0 ? 0 : -1;
}

static int remove_own_folder(void **state)
{
    unlink("ca.key");
    unlink("ca.pem");
    return rmdir(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_arrives_though_connections_break_at_any_octet),
        TEST(with_renewal_the_receivers_end_is_what_delivers),
        TEST(what_a_stalled_receiver_did_not_read_is_not_delivered),
        TEST(without_renewal_one_connection_lasts),
        TEST(another_name_gets_nothing),
        TEST(wrong_settings_are_told_at_once),
    };

    return cmocka_run_group_tests(tests, enter_own_folder, remove_own_folder);
}
