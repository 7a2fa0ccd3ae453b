/* threaded */
/* A whole door with its threads: real TLS and MQTT clients on loopback, and an authority that
 * the test plays on the main loop. */
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "broker/door.h"
#include "broker/mqtt_connect.h"
#include "broker/mqtt_subscribe.h"
#include "broker/own_key.h"
#include "tests/unit/audit/logs.h"
#include "tests/unit/registry/samples.h"

enum { WORKERS = 2, CLIENTS = 4, ROUNDS = 200, DAY = 24 * 3600, MIB = 1024 * 1024 };
static const uint8_t LINEAGE[REGISTRY_LINEAGE] = { 9 };
static const char ALLOW[] = "allow device connect\n"
                            "allow device publish, subscribe, receive, retain, will \"t/#\"\n";
static const char LESS[] = "allow device connect\nallow device publish \"t/#\"\n";

struct identity {
    char id[16];
    EVP_PKEY *key;
    X509 *certificate;
};

struct world {
    struct clock clock;
    struct loop *loop;
    struct broker_door *door;
    struct link_server *authority;
    struct link_request watch;
    bool watching, listens;
    uint64_t sequence, acknowledged, policy_version;
    const char *policy;
    EVP_PKEY *ca_key;
    X509 *ca;
    struct identity devices[CLIENTS];
    char paths[2][32];
    int dirs[2], mqtts[WORKERS], memfd;
    uint16_t port;
    struct audit_spool *spool;
    struct broker_keeper *keeper;
};

/* ---- Certificates ---- */

static X509 *certify(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer)
{
    static atomic_int serial = 1000;
    X509 *made = X509_new();

    assert_int_equal(X509_set_version(made, X509_VERSION_3), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(made), DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const uint8_t *)name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer == NULL ? made : issuer));
    X509_set_pubkey(made, key);
    assert_true(X509_sign(made, signer, EVP_sha256()) > 0);
    return made;
}

static void add_der(struct buf *to, X509 *certificate)
{
    uint8_t *der = NULL;
    int len = i2d_X509(certificate, &der);

    assert_true(len > 0);
    buf_add(to, (struct bytes){ der, (size_t)len });
    OPENSSL_free(der);
}

static void make_identities(struct world *w)
{
    w->ca_key = EVP_EC_gen("P-256");
    w->ca = certify("ca", w->ca_key, NULL, w->ca_key);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct identity *each = &w->devices[i];
        AUTO_BUF(id, sizeof each->id);
        buf_addf(&id, "dev-%u", i);
        sample_text(each->id, buf_bytes(&id));
        each->key = EVP_EC_gen("P-256");
        each->certificate = certify(each->id, each->key, w->ca, w->ca_key);
    }
}

/* ---- The authority ---- */

static void add_change(struct buf *list, uint64_t sequence, enum registry_change_kind kind,
                       struct bytes body)
{
    const struct registry_change change = { kind, body };

    assert_true(registry_answer_add_change(list, sequence, &change));
}

static void add_subject(const struct world *w, struct buf *list, unsigned device,
                        enum registry_state state)
{
    struct registry_subject subject = sample_device(w->devices[device].id);
    AUTO_BUF(form, 4096);

    subject.state = state;
    subject.revision = 100 + w->sequence;
    registry_subject_write(&subject, &form);
    add_change(list, w->sequence, REGISTRY_CHANGE_SUBJECT, buf_bytes(&form));
}

static void add_certificate(const struct world *w, struct buf *list, unsigned device)
{
    struct registry_certificate certificate = sample_certificate(1, w->devices[device].id);
    unsigned len = 0;
    AUTO_BUF(form, 4096);

    certificate.not_before_s = clock_wall_ms(&w->clock) / 1000 - DAY;
    certificate.not_after_s = certificate.not_before_s + 2 * DAY;
    X509_digest(w->devices[device].certificate, EVP_sha256(), certificate.fingerprint.at, &len);
    registry_certificate_write(&certificate, &form);
    add_change(list, 0, REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&form));
}

static void add_policy(struct world *w, struct buf *list, const char *text)
{
    AUTO_BUF(form, 4096);

    w->policy = text;
    buf_add_u64(&form, ++w->policy_version);
    buf_add(&form, bytes_of_text(text));
    add_change(list, w->sequence, REGISTRY_CHANGE_POLICY, buf_bytes(&form));
}

static struct registry_answer at(const struct world *w)
{
    struct registry_answer made = { .position.sequence = w->sequence };

    memcpy(made.position.lineage, LINEAGE, sizeof LINEAGE);
    return made;
}

static void answer(const struct link_request *request, const struct registry_answer *what)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_answer_write((enum registry_ask)request->kind->kind, what, &body),
                     RC_OK);
    link_answer(request, RC_OK, buf_bytes(&body), -1);
}

static void give_snapshot(struct world *w, const struct link_request *request)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    AUTO_BUF(authorities, 8192);
    AUTO_BUF(der, 4096);
    struct registry_answer page = at(w);

    for (unsigned i = 0; i < CLIENTS; i++) {
        add_certificate(w, &list, i);
        add_subject(w, &list, i, REGISTRY_ACTIVE);
    }
    add_policy(w, &list, ALLOW);
    add_der(&der, w->ca);
    buf_add_sized32(&authorities, buf_bytes(&der));
    add_change(&list, 0, REGISTRY_CHANGE_AUTHORITIES, buf_bytes(&authorities));
    page.list = buf_bytes(&list);
    answer(request, &page);
}

static void give_door(struct world *w, const struct link_request *request, struct bytes csr)
{
    const uint8_t *from = csr.at;
    X509_REQ *read = d2i_X509_REQ(NULL, &from, (long)csr.len);
    struct registry_answer given = { 0 };
    AUTO_BUF(der, 4096);

    assert_non_null(read);
    EVP_PKEY *key = X509_REQ_get_pubkey(read);
    assert_int_equal(X509_REQ_verify(read, key), 1);
    X509 *made = certify("door", key, w->ca, w->ca_key);
    add_der(&der, made);
    given.der = buf_bytes(&der);
    answer(request, &given);
    X509_free(made);
    EVP_PKEY_free(key);
    X509_REQ_free(read);
}

static void take_spool(const struct link_request *request, struct bytes bytes)
{
    struct registry_answer taken = { 0 };
    struct audit_batch batch;
    struct bytes form;

    assert_int_equal(audit_batch_read(bytes, &batch), RC_OK);
    taken.sequence = batch.sequence - 1;
    while (audit_batch_next(&batch, &taken.sequence, &form) == RC_OK)
        continue;
    answer(request, &taken);
}

static enum rc handle(void *with, const struct link_request *request)
{
    struct world *w = with;
    struct registry_question question;
    enum registry_ask ask = (enum registry_ask)request->kind->kind;

    assert_int_equal(registry_question_read(ask, request->body, &question), RC_OK);
    if (ask == REGISTRY_ASK_SNAPSHOT) {
        give_snapshot(w, request);
    } else if (ask == REGISTRY_ASK_DOOR) {
        give_door(w, request, question.der);
    } else if (ask == REGISTRY_ASK_SPOOL) {
        take_spool(request, question.query);
    } else if (ask == REGISTRY_ASK_LOOK_UP) {
        answer(request, &(struct registry_answer){ .verdict = REGISTRY_FOREIGN });
    } else if (ask == REGISTRY_ASK_WATCH) {
        w->watch = *request;
        w->watching = true;
        w->acknowledged = question.position.sequence;
    }
    return RC_OK;
}

static void gone(void *with)
{
    (void)with;
}

/* Tell a change, and let the loop run until the door has acknowledged it. */
static void tell(struct world *w, void (*fill)(struct world *w, struct buf *list))
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);

    w->sequence++;
    fill(w, &list);
    struct registry_answer news = at(w);
    news.list = buf_bytes(&list);
    assert_true(w->watching);
    w->watching = false;
    answer(&w->watch, &news);
    for (int i = 0; i < 500 && !(w->watching && w->acknowledged == w->sequence); i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_int_equal(w->acknowledged, w->sequence);
}

/* ---- The door ---- */

static void told(void *with, enum broker_door_event event, const char *what, const char *text)
{
    struct world *w = with;

    (void)what;
    (void)text;
    if (event == BROKER_DOOR_LISTENS)
        w->listens = true;
}

static void adopt(void *with, int stream, bool plain, const struct broker_peer *peer)
{
    (void)with;
    (void)plain;
    (void)peer;
    close(stream);
}

static void open_listeners(struct world *w)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    const int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < WORKERS; i++) {
        w->mqtts[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(setsockopt(w->mqtts[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
        assert_int_equal(bind(w->mqtts[i], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(w->mqtts[i], 64), 0);
        assert_int_equal(getsockname(w->mqtts[i], (struct sockaddr *)&address, &len), 0);
    }
    w->port = ntohs(address.sin_port);
}

static void open_disk(struct world *w)
{
    const struct journal_limits limits = { MIB, 64 * MIB };
    const struct retained_limits retained = { 1000, MIB, { 10000, MIB } };

    for (unsigned i = 0; i < 2; i++)
        logs_folder(w->paths[i], &w->dirs[i]);
    assert_int_equal(audit_spool_open(w->dirs[0], &limits, &w->clock, &w->spool), RC_OK);
    assert_int_equal(broker_keeper_open(w->dirs[1], &limits, &retained, &w->clock, &w->keeper),
                     RC_OK);
}

static void open_door(struct world *w)
{
    const struct broker_door_setup setup = {
        .loop = w->loop,
        .clock = &w->clock,
        .channel = REGISTRY_DEVICE_DOOR,
        .limits = { .connections = 100,
                    .packet_max = 64 * 1024,
                    .handshake_ms = 20000,
                    .connect_ms = 20000,
                    .subscriptions = 10,
                    .out_bytes = MIB,
                    .queue_max = 1000,
                    .message_bytes = 64 * MIB,
                    .tls_timeout_s = 60,
                    .tls_sessions = 100,
                    .audit_window_ms = 200 },
        .workers = WORKERS,
        .mqtts = w->mqtts,
        .https = -1,
        .http = -1,
        .key = w->memfd,
        .spool = w->spool,
        .keeper = w->keeper,
        .adopt = adopt,
        .told = told,
        .with = w,
    };
    int asking = -1, answering = -1;

    assert_int_equal(broker_door_new(&setup, &w->door), RC_OK);
    assert_int_equal(broker_door_start(w->door), RC_OK);
    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    assert_int_equal(link_serve(w->loop, answering, registry_door_protocol(), handle, gone, w,
                                &w->authority),
                     RC_OK);
    assert_int_equal(broker_door_attach(w->door, asking), RC_OK);
    for (int i = 0; i < 500 && !(w->listens && w->watching); i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_true(w->listens && w->watching);
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->clock = clock_system();
    w->sequence = 1;
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    w->memfd = memfd_create("key", MFD_CLOEXEC);
    assert_int_equal(ftruncate(w->memfd, BROKER_OWN_KEY_BYTES), 0);
    make_identities(w);
    open_listeners(w);
    open_disk(w);
    open_door(w);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    broker_door_free(w->door);
    link_server_close(TAKE(w->authority));
    if (w->watching)
        link_answer(&w->watch, RC_CLOSED, BYTES(""), -1);
    broker_keeper_close(w->keeper);
    audit_spool_close(w->spool);
    for (unsigned i = 0; i < 2; i++)
        logs_folder_remove(w->paths[i], w->dirs[i]);
    for (unsigned i = 0; i < WORKERS; i++)
        close(w->mqtts[i]);
    close(w->memfd);
    loop_free(w->loop);
    for (unsigned i = 0; i < CLIENTS; i++) {
        EVP_PKEY_free(w->devices[i].key);
        X509_free(w->devices[i].certificate);
    }
    EVP_PKEY_free(w->ca_key);
    X509_free(w->ca);
    free(w);
    return 0;
}

/* ---- A client, on a thread of its own ---- */

struct client {
    struct world *w;
    unsigned number;
    pthread_t thread;
    SSL_CTX *context;
    SSL *tls;
    int fd;
    struct buf in;
    atomic_uint received, acknowledged;
    atomic_bool ready, ended;
    enum mqtt_reason farewell;
};

static bool client_read(struct client *c)
{
    uint8_t room[16384];
    int got = SSL_read(c->tls, room, sizeof room);

    if (got > 0)
        buf_add(&c->in, (struct bytes){ room, (size_t)got });
    return got > 0;
}

/* The next packet's type; 0 at the end of the connection. */
static unsigned client_next(struct client *c)
{
    struct mqtt_frame frame;
    enum mqtt_reason why = MQTT_SUCCESS;

    for (;;) {
        if (broker_mqtt_packet_next(buf_bytes(&c->in), MQTT_5, MIB, &frame, &why) != RC_OK)
            abort();
        if (frame.whole)
            break;
        if (!client_read(c))
            return 0;
    }
    if (frame.type == MQTT_DISCONNECT && frame.body.len > 0)
        c->farewell = (enum mqtt_reason)frame.body.at[0];
    memmove(c->in.at, c->in.at + frame.size, c->in.len - frame.size);
    buf_cut(&c->in, c->in.len - frame.size);
    return frame.type;
}

static void client_write(struct client *c, const struct buf *bytes)
{
    if (SSL_write(c->tls, bytes->at, (int)bytes->len) != (int)bytes->len)
        atomic_store(&c->ended, true);
}

static bool client_connect(struct client *c)
{
    const struct identity *who = &c->w->devices[c->number % CLIENTS];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(c->w->port) };
    const struct mqtt_connect connect_packet = { .version = MQTT_5, .clean_start = true };
    AUTO_BUF(out, 4096);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->in = (struct buf)BUF_MAX(4 * MIB);
    c->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(c->context, who->certificate);
    SSL_CTX_use_PrivateKey(c->context, who->key);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->tls = SSL_new(c->context);
    SSL_set_fd(c->tls, c->fd);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        SSL_connect(c->tls) != 1)
        return false;
    broker_mqtt_connect_write(&connect_packet, &out);
    client_write(c, &out);
    return client_next(c) == MQTT_CONNACK;
}

static void client_close(struct client *c)
{
    SSL_free(c->tls);
    SSL_CTX_free(c->context);
    close(c->fd);
    buf_clear(&c->in);
}

static void client_subscribe(struct client *c, struct bytes filter)
{
    const struct mqtt_subscription_options options = { .qos = 1 };
    struct mqtt_subscribe subscribe = { .type = MQTT_SUBSCRIBE, .packet_id = 1, .count = 1 };
    AUTO_BUF(filters, 256);
    AUTO_BUF(out, 512);

    broker_mqtt_subscribe_add(&filters, MQTT_SUBSCRIBE, filter, &options);
    subscribe.filters = buf_bytes(&filters);
    broker_mqtt_subscribe_write(&subscribe, MQTT_5, &out);
    client_write(c, &out);
}

static void client_publish(struct client *c, uint16_t packet_id, bool retain)
{
    const struct mqtt_publish publish = { .topic = BYTES("t/a"),
                                          .payload = BYTES("0123456789"),
                                          .packet_id = packet_id,
                                          .qos = 1,
                                          .retain = retain };
    AUTO_BUF(out, 512);

    broker_mqtt_publish_write(&publish, MQTT_5, &out);
    client_write(c, &out);
}

/* Take what comes until so many PUBACKs, or the end. QoS 1 messages are not acknowledged: the
 * window of 1024 is larger than what is sent here. */
static void client_take(struct client *c, unsigned acknowledged)
{
    while (atomic_load(&c->acknowledged) < acknowledged) {
        unsigned type = client_next(c);
        if (type == 0 || type == MQTT_DISCONNECT) {
            atomic_store(&c->ended, true);
            return;
        }
        if (type == MQTT_PUBLISH)
            atomic_fetch_add(&c->received, 1);
        if (type == MQTT_PUBACK)
            atomic_fetch_add(&c->acknowledged, 1);
        if (type == MQTT_SUBACK)
            atomic_store(&c->ready, true);
    }
}

static void *talk(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        client_subscribe(c, BYTES("t/#"));
        while (!atomic_load(&c->ready) && client_next(c) != MQTT_SUBACK)
            continue;
        atomic_store(&c->ready, true);
        for (unsigned i = 1; i <= ROUNDS && !atomic_load(&c->ended); i++)
            client_publish(c, (uint16_t)i, i % 20 == 0);
        client_take(c, ROUNDS);
    }
    /* Whoever is done goes on listening, until it is sent away. */
    client_take(c, UINT32_MAX);
    client_close(c);
    return NULL;
}

static void start(struct world *w, struct client *c, unsigned number, void *(*run)(void *))
{
    *c = (struct client){ .w = w, .number = number };
    assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
}

static void turn(struct world *w)
{
    assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
}

/* ---- Claims ---- */

static void suspend_all(struct world *w, struct buf *list)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        add_subject(w, list, i, REGISTRY_SUSPENDED);
}

/* Each gets every message of everybody who published after its SUBACK; its own, at least. */
static void devices_on_all_workers_talk_until_they_are_cut(void **state)
{
    struct world *w = *state;
    struct client clients[CLIENTS];

    for (unsigned i = 0; i < CLIENTS; i++)
        start(w, &clients[i], i, talk);
    for (unsigned i = 0; i < CLIENTS;) {
        turn(w);
        i += atomic_load(&clients[i].acknowledged) == ROUNDS &&
             atomic_load(&clients[i].received) >= ROUNDS;
    }
    tell(w, suspend_all); /* returns when the door says that all are cut */
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].farewell, MQTT_ADMINISTRATIVE_ACTION);
    }
    broker_door_free(TAKE(w->door)); /* whose recorder has the spool until then */
    assert_true(audit_spool_sequence(w->spool) >= 2 * CLIENTS);
}

static void *listen_only(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        client_subscribe(c, BYTES("t/#"));
        client_take(c, UINT32_MAX);
    }
    client_close(c);
    return NULL;
}

static void the_second_with_the_same_certificate_ends_the_first(void **state)
{
    struct world *w = *state;
    struct client first, second;

    for (unsigned round = 0; round < 8; round++) { /* on one worker, and on two */
        start(w, &first, 0, listen_only);
        while (!atomic_load(&first.ready))
            turn(w);
        start(w, &second, 0, listen_only);
        while (!atomic_load(&second.ready) || !atomic_load(&first.ended))
            turn(w);
        pthread_join(first.thread, NULL);
        assert_int_equal(first.farewell, MQTT_SESSION_TAKEN_OVER);
        shutdown(second.fd, SHUT_RDWR);
        pthread_join(second.thread, NULL);
    }
}

static void less(struct world *w, struct buf *list)
{
    add_policy(w, list, LESS);
}

static void *publish_only(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        for (unsigned i = 1; i <= ROUNDS; i++)
            client_publish(c, (uint16_t)i, false);
        client_take(c, ROUNDS);
    }
    client_close(c);
    return NULL;
}

static void a_subscription_that_a_new_policy_does_not_allow_gets_nothing(void **state)
{
    struct world *w = *state;
    struct client reader, writer;

    start(w, &reader, 0, listen_only);
    while (!atomic_load(&reader.ready))
        turn(w);
    tell(w, less);
    start(w, &writer, 1, publish_only);
    while (atomic_load(&writer.acknowledged) < ROUNDS)
        turn(w);
    pthread_join(writer.thread, NULL);
    assert_false(atomic_load(&reader.ended));
    assert_int_equal(atomic_load(&reader.received), 0);
    tell(w, suspend_all);
    pthread_join(reader.thread, NULL);
}

static void an_unknown_certificate_is_asked_about_and_turned_away(void **state)
{
    struct world *w = *state;
    struct client stranger;
    EVP_PKEY *key = w->devices[3].key;

    X509_free(w->devices[3].certificate);
    w->devices[3].certificate = certify("stranger", key, w->ca, w->ca_key);
    start(w, &stranger, 3, listen_only);
    for (int i = 0; i < 20; i++)
        turn(w);
    pthread_join(stranger.thread, NULL);
    assert_false(atomic_load(&stranger.ready));
}

static void it_stops_with_a_farewell(void **state)
{
    struct world *w = *state;
    struct client c;

    start(w, &c, 0, listen_only);
    while (!atomic_load(&c.ready))
        turn(w);
    broker_door_free(TAKE(w->door));
    pthread_join(c.thread, NULL);
    assert_int_equal(c.farewell, MQTT_SERVER_SHUTTING_DOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(devices_on_all_workers_talk_until_they_are_cut),
        TEST(the_second_with_the_same_certificate_ends_the_first),
        TEST(a_subscription_that_a_new_policy_does_not_allow_gets_nothing),
        TEST(an_unknown_certificate_is_asked_about_and_turned_away),
        TEST(it_stops_with_a_farewell),
    };

    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
