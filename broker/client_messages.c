#include <assert.h>
#include <stdlib.h>

#include "broker/client_state.h"
#include "broker/metrics.h"

/* ---- PUBLISH ---- */

/* In 3.1.1 nothing but closing tells a client that its message was not taken; a denial it is
 * not told at all, as section 3.3.5 leaves open: the message is acknowledged and dropped. */
static void answer(struct client *client, uint16_t packet_id, enum mqtt_reason reason)
{
    if (packet_id == 0)
        return;
    if (reason != MQTT_SUCCESS && reason != MQTT_NOT_AUTHORIZED &&
        broker_mqtt_session_version(client->session) == MQTT_3_1_1) {
        broker_mqtt_session_end(client->session, reason);
        return;
    }
    enum rc rc = broker_mqtt_session_acknowledge(client->session, packet_id, reason);
    (void)rc; /* not found: the session is over */
}

/* 3.1.1 has one word for what is refused; another one would end the session. */
static enum mqtt_reason too_often(const struct client *client)
{
    return broker_mqtt_session_version(client->session) == MQTT_5 ? MQTT_QUOTA_EXCEEDED
                                                                  : MQTT_NOT_AUTHORIZED;
}

/* What was decided of publishing, and of keeping the message if that is asked. */
struct judged {
    struct policy_decision publish, retain;
};

/* Its denials are recorded here; what is allowed once it is known that it can be done. */
static enum mqtt_reason may_publish(struct client *client, const struct mqtt_publish *publish,
                                    struct judged *judged)
{
    struct policy_decision *told = &judged->publish;

    judged->publish = broker_client_decide_message(client, POLICY_PUBLISH, publish);
    broker_metric_add(BROKER_PUBLISH_RECEIVED, 1);
    if (!broker_client_within(client, AUDIT_PUBLISH, publish->topic, told)) {
        broker_metric_add(BROKER_PUBLISH_DENIED, 1);
        return too_often(client);
    }
    if (told->allowed && publish->retain) {
        told = &judged->retain;
        *told = broker_client_decide_message(client, POLICY_RETAIN, publish);
    }
    if (told->allowed)
        return MQTT_SUCCESS;
    broker_client_witness_message(
        client, told == &judged->retain ? AUDIT_RETAIN : AUDIT_PUBLISH, publish, NULL, told);
    broker_metric_add(BROKER_PUBLISH_DENIED, 1);
    return MQTT_NOT_AUTHORIZED;
}

enum rc broker_client_retain(struct client *client, struct message *message, uint16_t packet_id)
{
    struct worker *worker = client->connection->worker;
    struct broker_peer *whose = malloc(sizeof *whose);

    if (whose == NULL)
        return fault(RC_NOMEM, "who wants a message retained");
    *whose = client->connection->peer;
    const struct broker_mail mail = { .kind = BROKER_MAIL_RETAIN,
                                      .session = client->connection->number,
                                      .number = packet_id,
                                      .what = broker_message_hold(message),
                                      .whose = whose };
    enum rc rc =
        broker_post_send(worker->door->post, worker->party, BROKER_POST_RECORDER, &mail);

    if (rc != RC_OK) {
        broker_message_release(message);
        free(whose);
    }
    return rc;
}

static enum mqtt_reason take_message(struct client *client, const struct mqtt_publish *publish,
                                     const struct judged *judged, struct message **message)
{
    struct worker *worker = client->connection->worker;

    if (broker_message_new(worker->pool, publish, loop_now_ms(worker->loop), message) !=
        RC_OK) {
        broker_metric_add(BROKER_DROPPED, 1);
        broker_client_witness_failure(client, AUDIT_PUBLISH, publish->topic,
                                      "no memory for the message", &judged->publish);
        return MQTT_QUOTA_EXCEEDED;
    }
    /* In 3.1.1, too, nothing that is not done is acknowledged. */
    if (!broker_client_witness_message(client, AUDIT_PUBLISH, publish, NULL,
                                       &judged->publish) ||
        (publish->retain &&
         !broker_client_witness_message(client, AUDIT_RETAIN, publish, NULL, &judged->retain)))
        return MQTT_QUOTA_EXCEEDED;
    return MQTT_SUCCESS;
}

void broker_client_on_publish(void *with, const struct mqtt_publish *publish)
{
    struct client *client = with;
    struct judged judged;
    AUTO_OF(message) *message = NULL;

    enum mqtt_reason reason = may_publish(client, publish, &judged);
    if (reason == MQTT_SUCCESS)
        reason = take_message(client, publish, &judged, &message);
    if (reason != MQTT_SUCCESS) {
        answer(client, publish->packet_id, reason);
        return;
    }
    broker_route(client->connection->worker, message, client);
    if (!publish->retain) {
        answer(client, publish->packet_id, MQTT_SUCCESS);
    } else if (broker_client_retain(client, message, publish->packet_id) != RC_OK) {
        broker_client_witness_failure(client, AUDIT_RETAIN, publish->topic,
                                      "it could not be handed on to be kept", &judged.retain);
        answer(client, publish->packet_id, MQTT_QUOTA_EXCEEDED);
    }
}

void broker_client_retained(struct client *client, uint16_t packet_id, enum rc rc,
                            struct bytes topic)
{
    if (rc != RC_OK)
        broker_client_witness_failure(client, AUDIT_RETAIN, topic, BROKER_NOT_DURABLE, NULL);
    answer(client, packet_id, rc == RC_OK ? MQTT_SUCCESS : MQTT_QUOTA_EXCEEDED);
    broker_worker_mark(client->connection);
}

/* ---- SUBSCRIBE ---- */

static enum mqtt_reason check_filter(struct bytes filter)
{
    if (filter.len > AUDIT_TARGET_MAX)
        return MQTT_TOPIC_FILTER_INVALID;
    enum rc rc = broker_mqtt_topic_check_filter(filter);
    if (rc == RC_DENIED)
        return MQTT_NO_SHARED_SUBSCRIPTIONS;
    return rc == RC_OK ? MQTT_SUCCESS : MQTT_TOPIC_FILTER_INVALID;
}

static bool is_filter(struct client *client, enum audit_action action, struct bytes filter,
                      enum mqtt_reason *reason)
{
    *reason = check_filter(filter);
    if (*reason != MQTT_SUCCESS)
        broker_client_witness(client, action, false, filter,
                              *reason == MQTT_NO_SHARED_SUBSCRIPTIONS
                                  ? "there are no shared subscriptions"
                                  : "it is no topic filter",
                              NULL);
    return *reason == MQTT_SUCCESS;
}

static enum mqtt_reason subscribe_one(struct client *client, struct broker_wanted *wanted)
{
    struct worker *worker = client->connection->worker;
    uint8_t *qos = &wanted->subscription.options.qos;
    enum mqtt_reason reason;

    if (!is_filter(client, AUDIT_SUBSCRIBE, wanted->filter, &reason))
        return reason;
    struct policy_decision decided =
        broker_client_decide(client, POLICY_SUBSCRIBE, wanted->filter);
    if (!broker_client_within(client, AUDIT_SUBSCRIBE, wanted->filter, &decided))
        return too_often(client);
    if (!decided.allowed) {
        broker_client_witness(client, AUDIT_SUBSCRIBE, false, wanted->filter, NULL, &decided);
        return MQTT_NOT_AUTHORIZED;
    }
    *qos = *qos > 1 ? 1 : *qos;
    if (broker_subscriptions_add(worker->subscriptions, &client->subscriber, wanted->filter,
                                 &wanted->subscription, &wanted->replaced) != RC_OK) {
        broker_client_witness_failure(client, AUDIT_SUBSCRIBE, wanted->filter,
                                      "no room for more subscriptions", &decided);
        return MQTT_QUOTA_EXCEEDED;
    }
    if (!broker_client_witness(client, AUDIT_SUBSCRIBE, true, wanted->filter, NULL, &decided))
        return too_often(client); /* it ends with the connection */
    broker_metric_add(BROKER_SUBSCRIPTIONS, wanted->replaced ? 0 : 1);
    atomic_store(&worker->subscribed, broker_subscriptions_count(worker->subscriptions));
    return *qos == 0 ? MQTT_SUCCESS : MQTT_GRANTED_QOS_1;
}

static enum mqtt_reason unsubscribe_one(struct client *client, struct bytes filter)
{
    struct worker *worker = client->connection->worker;
    enum mqtt_reason reason;

    if (!is_filter(client, AUDIT_UNSUBSCRIBE, filter, &reason))
        return MQTT_TOPIC_FILTER_INVALID;
    if (!broker_subscriptions_remove(worker->subscriptions, &client->subscriber, filter))
        return MQTT_NO_SUBSCRIPTION_EXISTED;
    broker_client_witness(client, AUDIT_UNSUBSCRIBE, true, filter, NULL, NULL);
    broker_client_forget_walk(client, filter);
    broker_metric_add(BROKER_SUBSCRIPTIONS, -1);
    atomic_store(&worker->subscribed, broker_subscriptions_count(worker->subscriptions));
    return MQTT_SUCCESS;
}

static size_t take_filters(struct client *client, const struct mqtt_subscribe *subscribe,
                           struct broker_wanted wanted[FILTERS_MAX], uint8_t codes[FILTERS_MAX])
{
    uint32_t identifier =
        broker_mqtt_properties_number(&subscribe->properties, MQTT_SUBSCRIPTION_ID, 0);
    struct bytes rest = subscribe->filters;
    size_t count = 0;

    while (broker_mqtt_subscribe_next(subscribe->type, &rest, &wanted[count].filter,
                                      &wanted[count].subscription.options)) {
        wanted[count].subscription.identifier = identifier;
        wanted[count].replaced = false;
        codes[count] = (uint8_t)(subscribe->type == MQTT_SUBSCRIBE
                                     ? subscribe_one(client, &wanted[count])
                                     : unsubscribe_one(client, wanted[count].filter));
        count++;
    }
    return count;
}

/* SUBACK first, then what is retained. */
void broker_client_on_subscribe(void *with, const struct mqtt_subscribe *subscribe)
{
    struct client *client = with;
    struct broker_wanted wanted[FILTERS_MAX];
    uint8_t codes[FILTERS_MAX];

    assert(subscribe->count <= FILTERS_MAX); /* the session's limit */
    /* One step for all that comes before the next write, however many SUBSCRIBEs that is. */
    bool first = broker_mqtt_session_room(client->session).whole;
    size_t count = take_filters(client, subscribe, wanted, codes);
    broker_mqtt_session_answer(client->session, subscribe->type, subscribe->packet_id,
                               (struct bytes){ codes, count });
    for (size_t i = 0; i < count && subscribe->type == MQTT_SUBSCRIBE; i++)
        if (codes[i] <= MQTT_GRANTED_QOS_1)
            broker_client_want_retained(client, &wanted[i]);
    if (first)
        broker_client_go_on(client);
}

/* ---- A new policy ---- */

static bool keep_subscription(void *with, struct bytes filter,
                              const struct subscription *subscription)
{
    struct client *client = with;
    struct policy_decision decided = broker_client_decide(client, POLICY_SUBSCRIBE, filter);

    (void)subscription;
    if (!decided.allowed) {
        const struct witness what = { .action = AUDIT_SUBSCRIBE,
                                      .decision = AUDIT_DENIED,
                                      .target = filter,
                                      .reason = "no longer allowed: it was removed",
                                      .decided = &decided,
                                      .alone = true };
        broker_client_forget_walk(client, filter);
        broker_metric_add(BROKER_SUBSCRIPTIONS, -1);
        broker_witness(client->connection, &what);
    }
    return decided.allowed;
}

static struct mqtt_publish shown_as(const struct message *message)
{
    return (struct mqtt_publish){ .topic = broker_message_topic(message),
                                  .payload = broker_message_payload(message),
                                  .properties = broker_message_properties(message),
                                  .qos = broker_message_qos(message),
                                  .retain = broker_message_is_retained(message) };
}

/* One that waits for the client's PUBACKs. */
static bool keep_message(void *with, const struct message *message)
{
    struct client *client = with;
    const struct mqtt_publish shown = shown_as(message);
    struct policy_decision decided =
        broker_client_decide_message(client, POLICY_RECEIVE, &shown);

    if (!decided.allowed)
        broker_client_witness(client, AUDIT_RECEIVE, false, shown.topic,
                              "no longer allowed: it waited, and is not sent", &decided);
    return decided.allowed;
}

void broker_client_review(struct client *client)
{
    struct worker *worker = client->connection->worker;

    broker_subscriptions_review(worker->subscriptions, &client->subscriber,
                                &(struct subscriptions_judge){ keep_subscription, client });
    atomic_store(&worker->subscribed, broker_subscriptions_count(worker->subscriptions));
    broker_metric_add(BROKER_DROPPED, (int64_t)broker_mqtt_session_review(
                                          client->session, keep_message, client));
}

/* ---- Messages out ---- */

static struct policy_decision judge_delivery(struct client *client, struct message *message)
{
    const struct mqtt_publish shown = shown_as(message);

    return broker_client_decide_message(client, POLICY_RECEIVE, &shown);
}

/* What is logged in full is recorded before it is done: what cannot be recorded is not. */
static bool is_recorded(struct client *client, struct message *message,
                        const struct policy_decision *decided)
{
    const struct mqtt_publish shown = shown_as(message);

    return broker_client_witness_message(client, AUDIT_RECEIVE, &shown, NULL, decided);
}

void broker_client_hand_over(struct client *client, struct message *message,
                             const struct message_delivery *how)
{
    const struct policy_decision decided = judge_delivery(client, message);
    const struct bytes topic = broker_message_topic(message);
    bool before = decided.allowed && decided.obligations.log_full;

    if (!broker_client_within(client, AUDIT_RECEIVE, topic, &decided))
        return;
    if (!decided.allowed) {
        is_recorded(client, message, &decided);
        return;
    }
    if (before && !is_recorded(client, message, &decided))
        return;
    enum mqtt_delivered done = broker_mqtt_session_deliver(client->session, message, how);
    broker_metric_add(done == MQTT_DROPPED ? BROKER_DROPPED : BROKER_DELIVERED, 1);
    if (done == MQTT_DROPPED)
        broker_client_witness_failure(client, AUDIT_RECEIVE, topic,
                                      "dropped: no room for it, too large, or expired",
                                      &decided);
    else if (!before)
        is_recorded(client, message, &decided);
    broker_worker_mark(client->connection);
}

void broker_client_deliver(struct client *client, struct message *message,
                           const struct match *match)
{
    const struct worker *worker = client->connection->worker;
    uint32_t identifiers[MATCH_IDENTIFIERS];
    struct message_delivery how = {
        .qos = match->qos,
        .retain = match->retain_as_published && broker_message_is_retained(message),
        .identifiers = identifiers,
        .now_ms = loop_now_ms(worker->loop),
    };

    for (size_t at = match->identifier; at != 0 && how.identifier_count < MATCH_IDENTIFIERS;
         at = worker->identifiers[at - 1].next)
        identifiers[how.identifier_count++] = worker->identifiers[at - 1].identifier;
    broker_client_hand_over(client, message, &how);
}
