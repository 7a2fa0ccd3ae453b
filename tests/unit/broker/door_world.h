/* A world for tests of a whole door: it with its threads, on real sockets and folders, and an
 * authority that the test plays on the main loop. */
#pragma once

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
#include "broker/octets.h"
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
    uint64_t spool_most;             /* 0: enough */
    atomic_int_least64_t stepped_ms; /* by which the wall clock is wrong */
    bool holds;                      /* the authority answers no spool: it has its request */
    struct link_request held;
    uint64_t taken; /* sequence of the last record that it took */
    /* That it took, by action: records, acts that they tell, and records of one allowed act. */
    unsigned records[AUDIT_PROTOCOL + 1], acts[AUDIT_PROTOCOL + 1], alone[AUDIT_PROTOCOL + 1];
    char last_reason[AUDIT_REASON_MAX + 1]; /* of the last of these */
    void (*heard)(struct world *w, const struct audit_record *record); /* of each; or NULL */
    void *hears;                                                       /* for that */
    struct audit_record last;                                          /* its numbers */
    size_t pending_most;                                               /* 0: enough */
    size_t retained_most;                                              /* 0: enough */
    size_t connections_most;                                           /* 0: enough */
    struct audit_spool *spool;
    struct audit_pending *pending;
    struct audit_pending_found found;
    struct broker_keeper *keeper;
};

/* ---- Certificates ---- */

static inline X509 *certify(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer)
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

static inline void add_der(struct buf *to, X509 *certificate)
{
    uint8_t *der = NULL;
    int len = i2d_X509(certificate, &der);

    assert_true(len > 0);
    buf_add(to, (struct bytes){ der, (size_t)len });
    OPENSSL_free(der);
}

static inline void make_identities(struct world *w)
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

static inline void add_change(struct buf *list, uint64_t sequence,
                              enum registry_change_kind kind, struct bytes body)
{
    const struct registry_change change = { kind, body };

    assert_true(registry_answer_add_change(list, sequence, &change));
}

static inline void add_subject(const struct world *w, struct buf *list, unsigned device,
                               enum registry_state state)
{
    struct registry_subject subject = sample_device(w->devices[device].id);
    AUTO_BUF(form, 4096);

    subject.state = state;
    subject.revision = 100 + w->sequence;
    registry_subject_write(&subject, &form);
    add_change(list, w->sequence, REGISTRY_CHANGE_SUBJECT, buf_bytes(&form));
}

static inline void add_certificate(const struct world *w, struct buf *list, unsigned device)
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

static inline void add_policy(struct world *w, struct buf *list, const char *text)
{
    const struct registry_text whole = { .octets = bytes_of_text(text) };
    AUTO_BUF(form, 4096);

    w->policy = text;
    buf_add_u64(&form, ++w->policy_version);
    registry_text_write(&whole, &form);
    add_change(list, w->sequence, REGISTRY_CHANGE_POLICY, buf_bytes(&form));
}

static inline struct registry_answer at(const struct world *w)
{
    struct registry_answer made = { .position.sequence = w->sequence };

    memcpy(made.position.lineage, LINEAGE, sizeof LINEAGE);
    return made;
}

static inline void answer(const struct link_request *request,
                          const struct registry_answer *what)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_answer_write((enum registry_ask)request->kind->kind, what, &body),
                     RC_OK);
    link_answer(request, RC_OK, buf_bytes(&body), -1);
}

static inline void give_snapshot(struct world *w, const struct link_request *request)
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

static inline void give_door(struct world *w, const struct link_request *request,
                             struct bytes csr)
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

static inline void note_record(struct world *w, const struct audit_record *record)
{
    bool one = record->aggregate.count == 0;

    if (w->heard != NULL)
        w->heard(w, record);
    w->records[record->action]++;
    w->acts[record->action] += one ? 1 : (unsigned)record->aggregate.count;
    if (!one || record->decision != AUDIT_ALLOWED ||
        audit_action_get(record->action)->when != AUDIT_COUNTED)
        return;
    w->alone[record->action]++;
    w->last_reason[0] = '\0';
    if (record->reason.len > 0)
        sample_text(w->last_reason, record->reason);
    w->last = (struct audit_record){ .action = record->action,
                                     .rule = record->rule,
                                     .policy_version = record->policy_version };
}

static inline void take_spool(struct world *w, const struct link_request *request,
                              struct bytes bytes)
{
    struct audit_batch batch;
    struct audit_record record;
    struct bytes form;
    uint64_t sequence = 0;

    assert_int_equal(audit_batch_read(bytes, &batch), RC_OK);
    if (w->taken == 0) /* a spool that another life began */
        w->taken = batch.sequence - 1;
    assert_true(batch.sequence <= w->taken + 1);
    while (audit_batch_next(&batch, &sequence, &form) == RC_OK) {
        assert_int_equal(audit_record_read(form, &record), RC_OK);
        if (sequence <= w->taken)
            continue;
        assert_int_equal(sequence, w->taken + 1);
        w->taken = sequence;
        note_record(w, &record);
    }
    answer(request, &(struct registry_answer){ .sequence = w->taken });
}

static inline enum rc handle(void *with, const struct link_request *request)
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
        if (w->holds)
            w->held = *request;
        else
            take_spool(w, request, question.query);
    } else if (ask == REGISTRY_ASK_LOOK_UP) {
        answer(request, &(struct registry_answer){ .verdict = REGISTRY_FOREIGN });
    } else if (ask == REGISTRY_ASK_WATCH) {
        w->watch = *request;
        w->watching = true;
        w->acknowledged = question.position.sequence;
    } else if (ask == REGISTRY_ASK_ACKNOWLEDGE) {
        w->acknowledged = question.position.sequence;
        answer(request, &(struct registry_answer){ 0 });
    }
    return RC_OK;
}

static inline void gone(void *with)
{
    (void)with;
}

/* Tell a change, and let the loop run until the door has acknowledged it. */
static inline void tell(struct world *w, void (*fill)(struct world *w, struct buf *list))
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

static inline void told(void *with, enum broker_door_event event, const char *what,
                        const char *text)
{
    struct world *w = with;

    (void)what;
    (void)text;
    if (event == BROKER_DOOR_LISTENS)
        w->listens = true;
}

static inline void adopt(void *with, int stream, bool plain, const struct broker_peer *peer,
                         struct broker_octets *octets)
{
    (void)with;
    (void)plain;
    (void)peer;
    broker_octets_release(octets);
    close(stream);
}

static inline void open_listeners(struct world *w)
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

static inline void open_disk(struct world *w)
{
    const struct journal_limits limits = { MIB, 64 * MIB };
    const struct journal_limits spool = { 64 * 1024,
                                          w->spool_most > 0 ? w->spool_most : 64 * MIB };
    const struct retained_limits retained = { w->retained_most > 0 ? w->retained_most : 1000,
                                              MIB,
                                              { 10000, MIB } };

    for (unsigned i = 0; i < 2; i++)
        logs_folder(w->paths[i], &w->dirs[i]);
    assert_int_equal(audit_spool_open(w->dirs[0], &spool, &w->clock, &w->spool), RC_OK);
    const struct audit_pending_setup pending = { .dir = w->dirs[0],
                                                 .spool = audit_spool_id(w->spool),
                                                 .last = audit_spool_sequence(w->spool),
                                                 .bytes_most = w->pending_most > 0
                                                                   ? w->pending_most
                                                                   : 16 * MIB };
    assert_int_equal(audit_pending_open(&pending, &w->pending, &w->found), RC_OK);
    assert_int_equal(broker_keeper_open(w->dirs[1], &limits, &retained, &w->clock, &w->keeper),
                     RC_OK);
}

static inline void await_listening(struct world *w)
{
    for (int i = 0; i < 500 && !(w->listens && w->watching); i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_true(w->listens && w->watching);
}

static inline void open_door(struct world *w)
{
    const struct broker_door_setup setup = {
        .loop = w->loop,
        .clock = &w->clock,
        .channel = REGISTRY_DEVICE_DOOR,
        .limits = { .connections = w->connections_most > 0 ? w->connections_most : 100,
                    .packet_max = 64 * 1024,
                    .handshake_ms = 20000,
                    .connect_ms = 20000,
                    .read_ms = 15000,
                    .subscriptions = 10,
                    .out_bytes = MIB,
                    .queue_max = 1000,
                    .queue_bytes = 4 * MIB,
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
        .pending = w->pending,
        .found = w->found,
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
}

static inline int64_t stepping_wall(void *with)
{
    const struct clock system = clock_system();

    return clock_wall_ms(&system) + atomic_load(&((struct world *)with)->stepped_ms);
}

static inline int64_t steady(void *with)
{
    const struct clock system = clock_system();

    (void)with;
    return clock_monotonic_ms(&system);
}

static inline struct world *make_world(void)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->clock = (struct clock){ stepping_wall, steady, w };
    w->sequence = 1;
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    w->memfd = memfd_create("key", MFD_CLOEXEC);
    assert_int_equal(ftruncate(w->memfd, BROKER_OWN_KEY_BYTES), 0);
    make_identities(w);
    open_listeners(w);
    return w;
}

static inline int prepare(void **state)
{
    struct world *w = make_world();

    open_disk(w);
    open_door(w);
    await_listening(w);
    *state = w;
    return 0;
}

static inline int clean(void **state)
{
    struct world *w = *state;

    broker_door_free(w->door);
    link_server_close(TAKE(w->authority));
    if (w->watching)
        link_answer(&w->watch, RC_CLOSED, BYTES(""), -1);
    broker_keeper_close(w->keeper);
    audit_pending_close(w->pending);
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
