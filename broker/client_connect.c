#include "broker/client_state.h"
#include "broker/metrics.h"

static struct registry_subject judge(struct client *client)
{
    struct connection *connection = client->connection;
    struct registry_subject subject;

    broker_identity_judge(&connection->identity, connection->worker->door->front,
                          connection->listener->kinds, broker_worker_now_s(connection->worker),
                          &subject);
    return subject;
}

static void refuse(struct client *client, enum mqtt_reason answer, struct bytes target,
                   const char *reason, const struct policy_decision *decided)
{
    broker_client_witness(client, AUDIT_SESSION_OPEN, false, target, reason, decided);
    client->told = true;
    broker_mqtt_session_end(client->session, answer);
}

/* The client id is bound to the certificate: another one would be another device's name. */
static bool has_its_own_id(struct client *client, const struct mqtt_connect *connect)
{
    struct bytes own = bytes_of_text(client->connection->identity.id);

    if (connect->client_id.len == 0 || bytes_equal(connect->client_id, own))
        return true;
    refuse(client, MQTT_CLIENT_ID_NOT_VALID, connect->client_id,
           "client id is not the device's id", NULL);
    return false;
}

/* What is allowed is recorded once the session is. */
static bool may_leave_will(struct client *client, const struct mqtt_connect *connect,
                           struct policy_decision *will)
{
    if (!connect->has_will)
        return true;
    struct bytes topic = connect->will.topic;
    *will = broker_client_decide_will(client, POLICY_WILL, &connect->will);
    if (will->allowed && connect->will.retain)
        *will = broker_client_decide_will(client, POLICY_RETAIN, &connect->will);
    if (!will->allowed) {
        broker_client_witness(client, AUDIT_WILL, false, topic, "at connect", will);
        refuse(client, MQTT_NOT_AUTHORIZED, topic, "its will is not allowed", will);
    }
    return will->allowed;
}

static void send_take_over(struct worker *worker, const struct broker_seat *former)
{
    const struct broker_mail mail = { .kind = BROKER_MAIL_TAKE_OVER,
                                      .session = former->session };

    if (former->party == worker->party) {
        struct connection *old = broker_worker_find(worker, former->session);
        if (old != NULL && old->client != NULL)
            broker_client_taken_over(old->client);
        return;
    }
    /* Without memory for it the old one stays until its keep alive ends: it has no seat. */
    enum rc rc = broker_post_send(worker->door->post, worker->party, former->party, &mail);
    (void)rc;
}

static enum rc claim(struct client *client)
{
    struct connection *connection = client->connection;
    struct worker *worker = connection->worker;
    const struct broker_seat seat = { worker->party, connection->number };
    struct broker_seat former;
    bool taken = false;

    TRY(broker_directory_claim(worker->door->directory, bytes_of_text(connection->identity.id),
                               &seat, &former, &taken));
    client->claimed = true;
    if (taken)
        send_take_over(worker, &former);
    return RC_OK;
}

/* CONNACK goes out when the record of it is on disk. */
static void await_record(struct client *client)
{
    struct worker *worker = client->connection->worker;
    struct client **at = &worker->opening;

    client->awaited = client->connection->ticket;
    while (*at != NULL)
        at = &(*at)->next_opening;
    *at = client;
}

void broker_client_on_connect(void *with, const struct mqtt_connect *connect)
{
    struct client *client = with;
    struct policy_decision decided = { 0 }, will = { 0 };
    const struct registry_subject subject = judge(client);
    enum registry_verdict verdict = client->connection->identity.verdict;

    client->asked = true;
    if (verdict != REGISTRY_ACCEPTED) {
        refuse(client, MQTT_NOT_AUTHORIZED, BYTES(""), registry_verdict_name(verdict), NULL);
        return;
    }
    if (!has_its_own_id(client, connect))
        return;
    client->named = connect->client_id.len > 0;
    if (!broker_client_bind(client, &subject, &decided)) {
        refuse(client, MQTT_NOT_AUTHORIZED, BYTES(""), "may not connect", &decided);
        return;
    }
    if (!may_leave_will(client, connect, &will))
        return;
    if (!broker_client_take(client, &decided)) {
        refuse(client, MQTT_RATE_OF_CONNECTIONS, BYTES(""), "more than its limit", &decided);
        return;
    }
    if (claim(client) != RC_OK) {
        refuse(client, MQTT_SERVER_UNAVAILABLE, BYTES(""), fault_text(), NULL);
        return;
    }
    if (connect->has_will) {
        const struct mqtt_publish message = broker_client_will_of(&connect->will);
        broker_client_witness_message(client, AUDIT_WILL, &message, NULL, &will);
    }
    broker_client_witness(client, AUDIT_SESSION_OPEN, true, BYTES(""), NULL, &decided);
    await_record(client);
}

void broker_client_open(struct client *client)
{
    struct connection *connection = client->connection;

    client->awaited = 0;
    if (broker_mqtt_session_is_over(client->session))
        return;
    broker_mqtt_session_accept(client->session, false, bytes_of_text(connection->identity.id),
                               loop_now_ms(connection->worker->loop));
    client->accepted = true;
    broker_metric_add(BROKER_SESSIONS, 1);
    broker_worker_mark(connection);
}

/* ---- The will, when it is due: a dead connection is judged like a living one ---- */

void broker_client_publish_will(struct client *client, struct message *will)
{
    struct connection *connection = client->connection;
    struct bytes topic = broker_message_topic(will);
    const struct mqtt_publish shown = { .topic = topic,
                                        .payload = broker_message_payload(will),
                                        .properties = broker_message_properties(will),
                                        .qos = broker_message_qos(will),
                                        .retain = broker_message_is_retained(will) };
    struct policy_decision decided = { 0 };
    const struct registry_subject subject = judge(client);
    bool keep = broker_message_is_retained(will);

    if (connection->identity.verdict == REGISTRY_ACCEPTED &&
        broker_client_bind(client, &subject, &decided))
        decided = broker_client_decide_message(client, POLICY_WILL, &shown);
    if (decided.allowed && keep)
        decided = broker_client_decide_message(client, POLICY_RETAIN, &shown);
    bool recorded = broker_client_witness_message(
        client, AUDIT_WILL, &shown, decided.allowed ? NULL : "when it was due", &decided);
    if (!decided.allowed || !recorded)
        return;
    broker_message_restart_expiry(will, loop_now_ms(connection->worker->loop));
    broker_route(connection->worker, will, client);
    if (keep && broker_client_retain(client, will, 0) != RC_OK)
        broker_client_witness_failure(client, AUDIT_RETAIN, topic,
                                      "it could not be handed on to be kept", &decided);
}
