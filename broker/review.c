#include <stdlib.h>
#include <string.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

/* ---- On the main thread ---- */

void broker_review_release(struct broker_review *review)
{
    if (review == NULL || atomic_fetch_sub(&review->holds, 1) != 1)
        return;
    broker_policy_release(review->policy);
    free(review);
}

static enum rc add_policy(struct broker_door *door, struct broker_review *review)
{
    review->policy = broker_policy_hold(broker_front_policy(door->front));
    if (review->policy == NULL)
        return fault(RC_NOMEM, "policy for the workers");
    if (review->policy->policy == NULL)
        broker_door_tell(door, BROKER_DOOR_POLICY, "", review->policy->why);
    return RC_OK;
}

static enum rc fill(struct broker_door *door, const struct registry_change *change,
                    struct broker_review *review)
{
    struct registry_subject subject;
    struct registry_certificate certificate;

    if (change != NULL && change->kind == REGISTRY_CHANGE_SUBJECT) {
        TRY(registry_subject_read(change->body, &subject));
        memcpy(review->id, subject.id, sizeof review->id);
        return RC_OK;
    }
    if (change != NULL && change->kind == REGISTRY_CHANGE_CERTIFICATE) {
        TRY(registry_certificate_read(change->body, &certificate));
        memcpy(review->id, certificate.subject, sizeof review->id);
        return RC_OK;
    }
    return add_policy(door, review);
}

static bool concerns_sessions(const struct registry_change *change)
{
    return change == NULL || change->kind == REGISTRY_CHANGE_SUBJECT ||
           change->kind == REGISTRY_CHANGE_CERTIFICATE ||
           change->kind == REGISTRY_CHANGE_POLICY;
}

enum rc broker_review_post(struct broker_door *door, const struct registry_change *change)
{
    if (!concerns_sessions(change))
        return RC_OK;
    struct broker_review *review = calloc(1, sizeof *review);
    if (review == NULL)
        return fault(RC_NOMEM, "review of the sessions");
    atomic_init(&review->holds, 1);
    enum rc rc = fill(door, change, review);
    const struct broker_mail mail = { .kind = BROKER_MAIL_REVIEW,
                                      .number = ++door->reviews,
                                      .what = review };
    for (size_t i = 0; rc == RC_OK && i < door->setup.workers; i++) {
        atomic_fetch_add(&review->holds, 1);
        rc = broker_post_send(door->post, BROKER_POST_MAIN, BROKER_POST_WORKER + (unsigned)i,
                              &mail);
        if (rc != RC_OK)
            broker_review_release(review);
    }
    broker_review_release(review);
    return rc;
}

/* ---- On a worker ---- */

static void cut(struct connection *connection, const char *reason, enum mqtt_reason told,
                const struct policy_decision *decided)
{
    const struct witness what = { .action = AUDIT_SESSION_CUT,
                                  .decision = AUDIT_DENIED,
                                  .target = bytes_of_text(connection->listener->name),
                                  .reason = reason,
                                  .decided = decided };

    broker_tls_forget(connection->tls);
    broker_witness_flush(connection);
    broker_witness(connection, &what);
    /* What still waits for a slow reader is no longer its own: then there is no farewell. */
    bool slow = (connection->watch.wanted & LOOP_WRITE) != 0;
    if (connection->client != NULL)
        broker_client_cut(connection->client, told);
    else
        broker_metric_add(BROKER_SESSIONS_CUT, 1);
    if (connection->client != NULL && !slow)
        broker_connection_end(connection);
    else
        broker_connection_close(connection);
}

bool broker_review_one(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct client *client = connection->client;
    struct policy_decision decided = { 0 };
    struct registry_subject subject;

    bool ending = connection->state == CONNECTION_ENDING;
    if ((connection->state != CONNECTION_OPEN && !ending) || !connection->identity.shown)
        return true;
    enum registry_verdict verdict = broker_identity_judge(
        &connection->identity, worker->door->front, connection->listener->kinds,
        broker_worker_now_s(worker), &subject);
    if (ending) { /* it says farewell already, perhaps behind much that waits */
        if (verdict != REGISTRY_ACCEPTED)
            broker_connection_close(connection);
        return verdict == REGISTRY_ACCEPTED;
    }
    if (verdict != REGISTRY_ACCEPTED) {
        cut(connection, registry_verdict_name(verdict), MQTT_ADMINISTRATIVE_ACTION, NULL);
        return false;
    }
    if (client == NULL || !client->bound)
        return true;
    if (!broker_client_bind(client, &subject, &decided)) {
        cut(connection, "may no longer connect", MQTT_NOT_AUTHORIZED, &decided);
        return false;
    }
    if (client->lease_ends_ms != 0 && loop_now_ms(worker->loop) >= client->lease_ends_ms) {
        cut(connection, "its lease is over", MQTT_MAXIMUM_CONNECT_TIME, &decided);
        return false;
    }
    broker_client_review(client);
    return true;
}

static void use_policy(struct worker *worker, const struct broker_review *review)
{
    struct broker_policy *former = worker->policy;

    worker->policy = broker_policy_hold(review->policy);
    for (size_t i = 0; i < worker->slot_room; i++)
        if (worker->slots[i] != NULL)
            broker_review_one(worker->slots[i]);
    /* Whoever is on the way out is bound to the former one still. */
    for (size_t i = 0; i < worker->slot_room; i++)
        if (former != NULL && former != review->policy && worker->slots[i] != NULL &&
            worker->slots[i]->client != NULL &&
            worker->slots[i]->client->policy.policy == former->policy)
            worker->slots[i]->client->bound = false;
    broker_policy_release(former);
}

void broker_review_take(struct worker *worker, const struct broker_review *review)
{
    if (review->policy != NULL) {
        use_policy(worker, review);
        return;
    }
    struct connection *next = NULL;
    for (struct connection *at = broker_worker_peers(worker, bytes_of_text(review->id));
         at != NULL; at = next) {
        next = at->next_peer;
        if (strcmp(at->identity.id, review->id) == 0)
            broker_review_one(at);
    }
}
