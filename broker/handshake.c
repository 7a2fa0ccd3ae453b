#include <string.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

/* ---- Refused ---- */

/* Of a stranger's certificate the log has no other word than this; of an operator's or line's,
 * which nobody proved to hold, it names whose it is. (A device has a field of its own.) */
static void add_shown(const struct connection *connection, struct buf *text)
{
    const struct broker_identity *identity = &connection->identity;
    const struct x509_st *leaf = broker_tls_leaf(connection->tls);

    if (!connection->proven && identity->kind != 0 && identity->kind != REGISTRY_DEVICE)
        buf_addf(text, "; shown, not proven: %s %s", registry_kind_name(identity->kind),
                 identity->id);
    else if (leaf != NULL && identity->kind == 0)
        broker_identity_describe(leaf, text);
}

static void refuse(struct connection *connection, const char *reason)
{
    AUTO_BUF(text, 4 * AUDIT_REASON_MAX);
    const char *told = reason;

    buf_addf(&text, "%s", reason);
    add_shown(connection, &text);
    if (buf_text(&text, &told) != RC_OK)
        told = "refused; why is too long to tell";
    const struct witness what = { .action = AUDIT_HANDSHAKE,
                                  .decision = AUDIT_DENIED,
                                  .target = bytes_of_text(connection->listener->name),
                                  .reason = told };

    broker_metric_add(BROKER_HANDSHAKES_REFUSED, 1);
    broker_witness(connection, &what);
    broker_tls_forget(connection->tls);
    broker_connection_close(connection);
}

void broker_connection_give_up(struct connection *connection)
{
    if (connection->state == CONNECTION_HANDSHAKE)
        refuse(connection, "the handshake took too long");
    else if (connection->state == CONNECTION_LOOKED_UP)
        refuse(connection, "the authority did not answer in time");
    else if (connection->state == CONNECTION_WILL)
        broker_client_will_due(connection->client);
    if (connection->state != CONNECTION_CLOSED)
        broker_connection_close(connection);
}

void broker_connection_make_way(struct connection *connection)
{
    refuse(connection, "too many connections: it was the longest in its handshake");
}

/* ---- Let in ---- */

/* Over HTTPS not all that is asked has a record, and over MQTT not all of them ask. */
bool broker_connection_witness_session(struct connection *connection, const char *reason)
{
    const struct witness what = { .action = AUDIT_HANDSHAKE,
                                  .decision = AUDIT_ALLOWED,
                                  .target = bytes_of_text(connection->listener->name),
                                  .reason = reason };

    return !connection->identity.shown || broker_witness(connection, &what);
}

static void describe_peer(struct connection *connection)
{
    struct broker_peer *peer = &connection->peer;
    const struct broker_identity *identity = &connection->identity;

    peer->actor.known = identity->shown;
    if (identity->shown) {
        peer->actor.fingerprint = identity->fingerprint;
        peer->kind = identity->kind;
        peer->role = identity->role;
        memcpy(peer->id, identity->id, sizeof peer->id);
        memcpy(peer->serial, identity->serial, sizeof peer->serial);
        peer->serial_len = identity->serial_len;
        memcpy(peer->issuer_hash, identity->issuer_hash, sizeof peer->issuer_hash);
        memcpy(peer->key_hash, identity->key_hash, sizeof peer->key_hash);
    }
    if (!connection->listener->mqtt)
        peer->binding_len =
            broker_tls_binding(connection->tls, peer->binding, sizeof peer->binding);
}

static void let_in(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const struct broker_identity *identity = &connection->identity;

    broker_metric_add(BROKER_HANDSHAKES, 1);
    broker_metric_add(BROKER_HANDSHAKES_RESUMED, broker_tls_was_resumed(connection->tls));
    describe_peer(connection);
    connection->state = CONNECTION_OPEN;
    connection->patience_ms = INT64_MAX;
    if (identity->shown) {
        broker_worker_add_peer(worker, connection);
        broker_connection_alarm(connection, loop_now_ms(worker->loop) + 1000);
    }
    enum rc rc = connection->listener->mqtt ? broker_client_new(connection, &connection->client)
                                            : broker_stream_open(connection);
    if (rc != RC_OK)
        refuse(connection, fault_text());
    else if (connection->listener->mqtt || broker_connection_witness_session(connection, NULL))
        broker_worker_mark_again(connection); /* what came with the last flight is read */
}

/* ---- Unknown: the authority is asked, and until it answers nothing is read ---- */

static enum rc ask(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct broker_look_up *wanted = broker_look_up_new();

    if (wanted == NULL)
        return fault(RC_NOMEM, "look-up of a certificate");
    memcpy(wanted->preamble.correlation, connection->peer.correlation,
           sizeof wanted->preamble.correlation);
    memcpy(wanted->preamble.peer, connection->peer.address, sizeof wanted->preamble.peer);
    memcpy(wanted->preamble.tls, connection->peer.tls, sizeof wanted->preamble.tls);
    const struct broker_mail mail = { .kind = BROKER_MAIL_LOOK_UP,
                                      .session = connection->number,
                                      .what = wanted };
    enum rc rc = broker_identity_der(broker_tls_leaf(connection->tls), &wanted->leaf);
    if (rc == RC_OK)
        rc = broker_post_send(worker->door->post, worker->party, BROKER_POST_MAIN, &mail);
    if (rc != RC_OK)
        broker_look_up_free(wanted);
    return rc;
}

static void look_up(struct connection *connection)
{
    connection->state = CONNECTION_LOOKED_UP;
    if (loop_want(&connection->watch, 0) != RC_OK || ask(connection) != RC_OK)
        refuse(connection, "unknown");
}

void broker_connection_learn(struct connection *connection, enum rc rc,
                             const struct registry_answer *answer)
{
    if (connection->state != CONNECTION_LOOKED_UP)
        return;
    /* The feed may have overtaken the answer: a certificate that came and went meanwhile. */
    struct broker_identity *identity = &connection->identity;
    enum registry_verdict verdict = broker_identity_judge(
        identity, connection->worker->door->front, connection->listener->kinds,
        broker_worker_now_s(connection->worker), NULL);
    if (rc == RC_OK && answer != NULL && verdict == REGISTRY_UNKNOWN)
        verdict = broker_identity_learn(identity, connection->listener->kinds, answer);
    if (rc == RC_LIMIT)
        refuse(connection, "unknown, and too many unknown ones are being asked about");
    else if (rc != RC_OK)
        refuse(connection, "unknown, and the authority cannot be asked");
    else if (verdict == REGISTRY_ACCEPTED)
        let_in(connection);
    else
        refuse(connection, registry_verdict_name(verdict));
}

/* ---- The end of the handshake ---- */

static void describe_tls(struct connection *connection)
{
    AUTO_BUF(text, REGISTRY_TLS_MAX);

    broker_tls_describe(connection->tls, &text);
    memcpy(connection->peer.tls, text.at, text.len);
}

/* Also at a resumption, where OpenSSL did not ask: the session brought the certificate along,
 * and much may have happened since. */
static void established(struct connection *connection)
{
    struct broker_identity *identity = &connection->identity;
    const struct x509_st *leaf = broker_tls_leaf(connection->tls);

    connection->proven = true;
    broker_worker_note_shaken(connection);
    describe_tls(connection);
    if (leaf == NULL) {
        if (connection->listener->demand == BROKER_TLS_REQUIRED)
            refuse(connection, "no certificate");
        else
            let_in(connection);
        return;
    }
    if (broker_identity_read(leaf, identity) != RC_OK) {
        refuse(connection, fault_text());
        return;
    }
    enum registry_verdict verdict = broker_identity_judge(
        identity, connection->worker->door->front, connection->listener->kinds,
        broker_worker_now_s(connection->worker), NULL);
    if (verdict == REGISTRY_ACCEPTED)
        let_in(connection);
    else if (verdict == REGISTRY_UNKNOWN)
        look_up(connection);
    else
        refuse(connection, registry_verdict_name(verdict));
}

static const char *why_not(const struct connection *connection)
{
    const struct broker_identity *identity = &connection->identity;
    bool judged = identity->shown && identity->verdict != REGISTRY_ACCEPTED &&
                  identity->verdict != REGISTRY_UNKNOWN;

    return judged ? registry_verdict_name(identity->verdict) : fault_text();
}

void broker_connection_shake_hands(struct connection *connection)
{
    unsigned wanted = LOOP_READ;

    switch (broker_tls_handshake(connection->tls)) {
    case BROKER_TLS_DONE:
        established(connection);
        return;
    case BROKER_TLS_WANT_WRITE:
        wanted = LOOP_WRITE;
        break;
    case BROKER_TLS_WANT_READ:
        break;
    case BROKER_TLS_ENDED:
    case BROKER_TLS_BROKEN:
        describe_tls(connection);
        refuse(connection, why_not(connection));
        return;
    }
    if (loop_want(&connection->watch, wanted) != RC_OK)
        refuse(connection, fault_text());
}

enum registry_verdict broker_connection_judge(void *with, const struct x509_st *leaf)
{
    struct connection *connection = with;

    if (leaf == NULL || broker_identity_read(leaf, &connection->identity) != RC_OK)
        return REGISTRY_FOREIGN;
    return broker_identity_judge(&connection->identity, connection->worker->door->front,
                                 connection->listener->kinds,
                                 broker_worker_now_s(connection->worker), NULL);
}
