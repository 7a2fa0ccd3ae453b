#include <stdlib.h>
#include <string.h>

#include "broker/client_state.h"
#include "broker/metrics.h"
#include "registry/judged.h"

enum { TIMED_MS = 1000 }; /* how often a policy that asks for the time is asked again */

static void on_delivered(void *with, const struct message *message, enum mqtt_reason reason)
{
    (void)with; /* it was judged, counted and audited when it was sent */
    (void)message;
    (void)reason;
}

enum rc broker_client_new(struct connection *connection, struct client **client)
{
    struct worker *worker = connection->worker;
    struct client *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "client");
    made->connection = connection;
    made->walks_end = &made->walks;
    made->opened_ms = loop_now_ms(worker->loop);
    made->events = (struct mqtt_session_events){ .connect = broker_client_on_connect,
                                                 .publish = broker_client_on_publish,
                                                 .subscribe = broker_client_on_subscribe,
                                                 .delivered = on_delivered,
                                                 .with = made };
    enum rc rc =
        broker_mqtt_session_new(&worker->mqtt_limits, &made->events, worker->pool,
                                &connection->out, loop_now_ms(worker->loop), &made->session);
    if (rc != RC_OK) {
        free(made);
        return rc;
    }
    *client = made;
    return RC_OK;
}

void broker_client_free(struct client *client)
{
    if (client == NULL)
        return;
    struct worker *worker = client->connection->worker;

    if (worker->unheard_of == client)
        worker->unheard_of = NULL;
    broker_client_forget_walks(client);
    broker_message_release(client->will);
    broker_mqtt_session_free(client->session);
    broker_limits_release(worker->door->limits, client->limit);
    broker_tally_clear(&client->tally);
    free(client);
}

/* ---- Judging ---- */

bool broker_client_is_timed(const struct client *client)
{
    return client->bound && policy_is_timed(client->policy.policy);
}

/* The time is looked up only if the policy asks for it. */
static struct policy_decision decide(const struct client *client, struct policy_request request)
{
    struct worker *worker = client->connection->worker;

    if (!client->bound)
        return (struct policy_decision){ 0 };
    if (broker_client_is_timed(client)) {
        request.known |= POLICY_KNOWS_NOW;
        request.now_ms = clock_wall_ms(worker->door->setup.clock);
    }
    struct policy_decision decided = policy_decide_request(&client->policy, &request);
    if (!decided.allowed && !decided.by_rule) {
        worker->unheard = request;
        worker->unheard_of = client;
    }
    return decided;
}

struct policy_decision broker_client_decide(const struct client *client,
                                            enum policy_action action, struct bytes topic)
{
    return decide(client, (struct policy_request){ .action = action, .resource = topic });
}

static struct bytes content_type(const struct mqtt_publish *message)
{
    if (!broker_mqtt_properties_has(&message->properties, MQTT_CONTENT_TYPE))
        return (struct bytes){ NULL, 0 };
    struct bytes type = broker_mqtt_properties_data(&message->properties, MQTT_CONTENT_TYPE);
    return type.at == NULL ? BYTES("") : type;
}

enum { KNOWS_MESSAGE = POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS | POLICY_KNOWS_RETAIN };

struct policy_decision broker_client_decide_message(const struct client *client,
                                                    enum policy_action action,
                                                    const struct mqtt_publish *message)
{
    return decide(client, (struct policy_request){ .action = action,
                                                   .resource = message->topic,
                                                   .known = KNOWS_MESSAGE,
                                                   .size = message->payload.len,
                                                   .qos = message->qos,
                                                   .retain = message->retain,
                                                   .content_type = content_type(message) });
}

struct mqtt_publish broker_client_will_of(const struct mqtt_will *will)
{
    return (struct mqtt_publish){
        .topic = will->topic,
        .payload = will->payload,
        .properties = will->properties,
        .qos = will->qos,
        .retain = will->retain,
    };
}

struct policy_decision broker_client_decide_will(const struct client *client,
                                                 enum policy_action action,
                                                 const struct mqtt_will *will)
{
    const struct mqtt_publish message = broker_client_will_of(will);

    return broker_client_decide_message(client, action, &message);
}

bool broker_client_witness(struct client *client, enum audit_action action, bool allowed,
                           struct bytes target, const char *reason,
                           const struct policy_decision *decided)
{
    const struct witness what = { .action = action,
                                  .decision = allowed ? AUDIT_ALLOWED : AUDIT_DENIED,
                                  .target = target,
                                  .reason = reason,
                                  .decided = decided };

    return broker_witness(client->connection, &what);
}

enum { SHOWN_MAX = 64 };

bool broker_client_witness_message(struct client *client, enum audit_action action,
                                   const struct mqtt_publish *message, const char *reason,
                                   const struct policy_decision *decided)
{
    AUTO_BUF(text, SHOWN_MAX);
    const char *shown = reason;

    if (decided->obligations.log_full && reason == NULL) {
        buf_addf(&text, "%zu octets, QoS %u%s", message->payload.len, (unsigned)message->qos,
                 message->retain ? ", retained" : "");
        if (buf_text(&text, &shown) != RC_OK)
            shown = NULL;
    }
    return broker_client_witness(client, action, decided->allowed, message->topic, shown,
                                 decided);
}

void broker_client_witness_failure(struct client *client, enum audit_action action,
                                   struct bytes target, const char *reason,
                                   const struct policy_decision *decided)
{
    const struct witness what = { .action = action,
                                  .decision = AUDIT_FAILED,
                                  .target = target,
                                  .reason = reason,
                                  .decided = decided };

    broker_witness(client->connection, &what);
}

/* Without memory for its clocks nothing is within a limit. */
bool broker_client_take(struct client *client, const struct policy_decision *decided)
{
    const struct connection *connection = client->connection;
    const int64_t now_ms = loop_now_ms(connection->worker->loop);

    if (decided->obligations.rate == 0)
        return true;
    if (client->limit == NULL && broker_limits_hold(connection->worker->door->limits,
                                                    bytes_of_text(connection->identity.id),
                                                    now_ms, &client->limit) != RC_OK)
        return false;
    return broker_limit_take(client->limit, decided, now_ms);
}

bool broker_client_within(struct client *client, enum audit_action action, struct bytes topic,
                          const struct policy_decision *decided)
{
    if (!decided->allowed || broker_client_take(client, decided))
        return true;
    broker_client_witness(client, action, false, topic, "more than its limit", decided);
    return false;
}

static void add_hex(char *to, struct bytes octets)
{
    static const char DIGITS[] = "0123456789abcdef";

    for (size_t i = 0; i < octets.len; i++) {
        *to++ = DIGITS[octets.at[i] >> 4];
        *to++ = DIGITS[octets.at[i] & 15];
    }
    *to = '\0';
}

/* Empty: not known. */
static struct bytes known(const char *text)
{
    return text[0] == '\0' ? (struct bytes){ NULL, 0 } : bytes_of_text(text);
}

/* What the registry does not know: of the certificate, and of the connection. */
static void add_facts(struct client *client)
{
    const struct connection *connection = client->connection;
    const struct broker_identity *identity = &connection->identity;
    struct policy_facts *facts = &client->facts;

    add_hex(client->serial, (struct bytes){ identity->serial, identity->serial_len });
    add_hex(client->fingerprint, BYTES_OF(identity->fingerprint.at));
    facts->device_id = bytes_of_text(identity->id); /* it outlives the subject */
    facts->certificate_issuer = known(identity->issuer_name);
    facts->certificate_subject = facts->device_id; /* of the row that has its fingerprint */
    facts->certificate_serial = known(client->serial);
    facts->certificate_fingerprint = known(client->fingerprint);
    if (client->named)
        facts->client_id = facts->device_id;
    registry_judged_connect(facts, connection->peer.address, connection->peer.tls,
                            identity->expires_s);
}

/* A lease that ends, and rules that ask for the time, are looked after by the connection's
 * alarm. */
static void wake_up(struct client *client, int64_t lease_ms)
{
    struct connection *connection = client->connection;
    int64_t now_ms = loop_now_ms(connection->worker->loop);

    client->lease_ends_ms = lease_ms > 0 && lease_ms < INT64_MAX - client->opened_ms
                                ? client->opened_ms + lease_ms
                                : 0;
    if (client->lease_ends_ms > now_ms)
        broker_connection_alarm(connection, client->lease_ends_ms);
    if (broker_client_is_timed(client))
        broker_connection_alarm(connection, now_ms + TIMED_MS);
}

bool broker_client_bind(struct client *client, const struct registry_subject *subject,
                        struct policy_decision *decided)
{
    const struct worker *worker = client->connection->worker;
    struct bytes groups[REGISTRY_GROUPS_MAX];

    client->facts = registry_judged_device(subject, groups);
    add_facts(client);
    /* Fail closed: without one everything is denied. */
    client->bound =
        worker->policy != NULL && worker->policy->policy != NULL &&
        policy_bind(worker->policy->policy, &client->facts, &client->policy) == RC_OK;
    client->facts.groups = NULL; /* they are bound */
    client->facts.group_count = 0;
    *decided = broker_client_decide(client, POLICY_CONNECT, BYTES(""));
    wake_up(client, decided->obligations.lease_ms);
    return decided->allowed;
}

/* ---- Bytes in ---- */

static void broke_protocol(struct client *client)
{
    broker_client_witness(client, AUDIT_PROTOCOL, false, BYTES(""), fault_text(), NULL);
    client->told = true;
}

/* One frame; false if there is no whole one, or none is wanted now. */
static bool take_frame(struct client *client, struct bytes *left)
{
    struct mqtt_session *session = client->session;
    struct mqtt_frame frame;
    enum mqtt_reason why = MQTT_SUCCESS;

    if (left->len == 0 || !broker_mqtt_session_wants_input(session))
        return false;
    client->connection->held = broker_worker_is_crowded(client->connection->worker);
    if (client->connection->held)
        return false;
    enum rc rc = broker_mqtt_packet_next(*left, broker_mqtt_session_version(session),
                                         broker_mqtt_session_packet_max(session), &frame, &why);
    if (rc != RC_OK) {
        broker_mqtt_session_end(session, why);
        broke_protocol(client);
        return false;
    }
    if (!frame.whole)
        return false;
    if (broker_mqtt_session_take(session, &frame,
                                 loop_now_ms(client->connection->worker->loop)) != RC_OK)
        broke_protocol(client);
    left->at += frame.size;
    left->len -= frame.size;
    return true;
}

size_t broker_client_feed(struct client *client, struct bytes bytes)
{
    struct bytes left = bytes;

    client->connection->held = false;
    while (take_frame(client, &left))
        continue;
    return bytes.len - left.len;
}

/* ---- The end ---- */

void broker_client_cut(struct client *client, enum mqtt_reason reason)
{
    client->cut = true;
    client->told = true;
    broker_mqtt_session_end(client->session, reason);
    broker_metric_add(BROKER_SESSIONS_CUT, 1);
}

void broker_client_taken_over(struct client *client)
{
    client->claimed = false;
    client->taken = true;
    broker_mqtt_session_end(client->session, MQTT_SESSION_TAKEN_OVER);
    if (client->connection->state == CONNECTION_WILL)
        broker_connection_close(client->connection);
    else
        broker_connection_end(client->connection);
}

static void leave_directory(struct client *client)
{
    struct connection *connection = client->connection;
    const struct broker_seat seat = { connection->worker->party, connection->number };

    if (client->claimed)
        broker_directory_leave(connection->worker->door->directory,
                               bytes_of_text(connection->identity.id), &seat);
    client->claimed = false;
}

static void leave_subscriptions(struct client *client)
{
    struct worker *worker = client->connection->worker;

    broker_metric_add(BROKER_SUBSCRIPTIONS, -(int64_t)client->subscriber.count);
    broker_subscriptions_remove_all(worker->subscriptions, &client->subscriber);
    atomic_store(&worker->subscribed, broker_subscriptions_count(worker->subscriptions));
}

void broker_client_will_due(struct client *client)
{
    AUTO_OF(message) *will = TAKE(client->will);

    leave_directory(client);
    broker_client_publish_will(client, will);
    broker_witness_flush(client->connection);
}

static void see_to_will(struct client *client)
{
    AUTO_OF(message) *will =
        broker_mqtt_session_take_will(client->session, &client->will_delay_s);

    if (will == NULL || client->cut || !client->accepted)
        return;
    if (client->will_delay_s == 0)
        broker_client_publish_will(client, will);
    else if (!client->taken)
        client->will = TAKE(will);
}

void broker_client_finish(struct client *client, const char *reason)
{
    broker_mqtt_session_lost(client->session);
    leave_subscriptions(client);
    broker_client_forget_walks(client);
    see_to_will(client);
    if (client->will == NULL)
        leave_directory(client);
    if (!client->asked && !client->told)
        broker_connection_witness_session(client->connection, "it ended before a CONNECT");
    if (!client->accepted)
        return;
    broker_metric_add(BROKER_SESSIONS, -1);
    broker_witness_flush(client->connection);
    enum mqtt_reason why = broker_mqtt_session_reason(client->session);
    if (!client->told)
        broker_client_witness(client, AUDIT_SESSION_CLOSE, true, BYTES(""),
                              why == MQTT_SUCCESS ? reason : broker_mqtt_reason_name(why),
                              NULL);
}
