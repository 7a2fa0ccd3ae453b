#include <stdlib.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

enum { FIRST_ROOM = 64 };

/* What the finder is told in its round over the index. */
struct finding {
    struct worker *worker;
    const struct client *from;
};

static struct client *client_of(struct subscriber *subscriber)
{
    return (void *)((char *)subscriber - offsetof(struct client, subscriber));
}

static struct match *new_match(struct worker *worker, struct client *client)
{
    if (worker->match_count == worker->match_room) {
        size_t room = worker->match_room == 0 ? FIRST_ROOM : 2 * worker->match_room;
        struct match *grown = realloc(worker->matches, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        worker->matches = grown;
        worker->match_room = room;
    }
    client->round = worker->round;
    client->match = worker->match_count++;
    worker->matches[client->match] = (struct match){ .client = client };
    return &worker->matches[client->match];
}

static void add_identifier(struct worker *worker, struct match *match, uint32_t identifier)
{
    if (worker->identifier_count == worker->identifier_room) {
        size_t room = worker->identifier_room == 0 ? FIRST_ROOM : 2 * worker->identifier_room;
        struct match_identifier *grown = realloc(worker->identifiers, room * sizeof *grown);
        if (grown == NULL)
            return; /* the message is worth more than its identifier */
        worker->identifiers = grown;
        worker->identifier_room = room;
    }
    worker->identifiers[worker->identifier_count++] =
        (struct match_identifier){ identifier, match->identifier };
    match->identifier = worker->identifier_count;
}

/* Overlapping subscriptions get one message: the highest QoS, all identifiers (3.3.4). */
static void on_found(void *with, struct subscriber *subscriber,
                     const struct subscription *subscription)
{
    struct finding *finding = with;
    struct client *client = client_of(subscriber);

    if (subscription->options.no_local && client == finding->from)
        return;
    struct match *match = client->round == finding->worker->round
                              ? &finding->worker->matches[client->match]
                              : new_match(finding->worker, client);
    if (match == NULL) {
        broker_metric_add(BROKER_DROPPED, 1);
        return;
    }
    if (subscription->options.qos > match->qos)
        match->qos = subscription->options.qos;
    if (subscription->options.retain_as_published)
        match->retain_as_published = true;
    if (subscription->identifier != 0)
        add_identifier(finding->worker, match, subscription->identifier);
}

static void route_here(struct worker *worker, struct message *message, struct client *from)
{
    struct finding finding = { worker, from };

    worker->round++;
    worker->match_count = 0;
    worker->identifier_count = 0;
    broker_subscriptions_match(worker->subscriptions, broker_message_topic(message),
                               &(struct subscriptions_finder){ on_found, &finding });
    for (size_t i = 0; i < worker->match_count; i++)
        broker_client_deliver(worker->matches[i].client, message, &worker->matches[i]);
}

static void route_to(struct worker *worker, struct worker *other, struct message *message)
{
    const struct broker_mail mail = { .kind = BROKER_MAIL_PUBLISH,
                                      .what = broker_message_hold(message) };

    if (broker_post_send(worker->door->post, worker->party, other->party, &mail) == RC_OK)
        return;
    broker_message_release(message);
    broker_metric_add(BROKER_DROPPED, 1);
}

void broker_route(struct worker *worker, struct message *message, struct client *from)
{
    struct broker_door *door = worker->door;

    if (atomic_load_explicit(&worker->subscribed, memory_order_relaxed) > 0)
        route_here(worker, message, from);
    for (size_t i = 0; from != NULL && i < door->setup.workers; i++)
        if (&door->workers[i] != worker && atomic_load(&door->workers[i].subscribed) > 0)
            route_to(worker, &door->workers[i], message);
}
