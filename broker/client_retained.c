/* Retained messages for a new subscription (MQTT 5.0 section 3.3.1.3): as many as there are, a
 * bounded piece in a turn, as the client makes room. */
#include <stdlib.h>
#include <string.h>

#include "broker/client_state.h"
#include "broker/metrics.h"

enum {
    STEPS = 4096, /* places of the store that a turn looks at, and that others wait for */
    FOUND = 512   /* messages in a turn */
};

/* What a subscription still waits for. There are no more than the client has subscriptions. */
struct retained_walk {
    struct retained_walk *next;
    bool long_one;  /* it did not fit into one step: from place on through the whole store */
    uint32_t place; /* of the store */
    uint32_t identifier;
    uint8_t qos;
    size_t filter_len;
    uint8_t filter[];
};

static struct bytes filter_of(const struct retained_walk *walk)
{
    return (struct bytes){ walk->filter, walk->filter_len };
}

static void remove_walk(struct client *client, struct retained_walk **at)
{
    struct retained_walk *gone = *at;

    *at = gone->next;
    if (gone->next == NULL)
        client->walks_end = at;
    free(gone);
}

void broker_client_forget_walk(struct client *client, struct bytes filter)
{
    for (struct retained_walk **at = &client->walks; *at != NULL; at = &(*at)->next)
        if (bytes_equal(filter_of(*at), filter)) {
            remove_walk(client, at);
            return;
        }
}

void broker_client_forget_walks(struct client *client)
{
    while (client->walks != NULL)
        remove_walk(client, &client->walks);
}

/* Retain handling: 0 always, 1 if the subscription is new, 2 never. */
void broker_client_want_retained(struct client *client, const struct broker_wanted *wanted)
{
    const struct subscription *subscription = &wanted->subscription;

    if (subscription->options.retain_handling == 2 ||
        (subscription->options.retain_handling == 1 && wanted->replaced))
        return;
    broker_client_forget_walk(client, wanted->filter); /* that one begins anew */
    struct retained_walk *made = malloc(sizeof *made + wanted->filter.len);
    if (made == NULL) {
        broker_metric_add(BROKER_DROPPED, 1);
        return;
    }
    *made = (struct retained_walk){ .identifier = subscription->identifier,
                                    .qos = subscription->options.qos,
                                    .filter_len = wanted->filter.len };
    memcpy(made->filter, wanted->filter.at, wanted->filter.len);
    *client->walks_end = made;
    client->walks_end = &made->next;
}

/* ---- A step: found under the keeper's lock, delivered after it ---- */

struct found {
    struct message *at[FOUND];
    size_t count;
    struct mqtt_room room;
    struct message_delivery how;
};

static size_t cost_of(const struct found *found, const struct message *message)
{
    size_t kept = broker_message_bytes(message);
    size_t sent = broker_message_size(message, &found->how);

    return kept > sent ? kept : sent;
}

/* With all the room that there is the first is taken in any case: if it does not fit now it
 * never will, and is dropped as any other. */
static bool take_found(void *with, struct message *message)
{
    struct found *found = with;
    size_t cost = cost_of(found, message);

    if (found->count == FOUND || found->room.messages == 0 ||
        (cost > found->room.bytes && !found->room.whole))
        return false;
    found->room.whole = false;
    found->room.messages--;
    found->room.bytes -= cost < found->room.bytes ? cost : found->room.bytes;
    found->at[found->count++] = broker_message_hold(message);
    return true;
}

static void let_go(struct found *found)
{
    while (found->count > 0)
        broker_message_release(found->at[--found->count]);
}

/* True when it has found all. Most filters match little: they are looked up in the tree. */
static bool step(const struct worker *worker, struct retained_walk *walk, size_t *steps,
                 struct found *found)
{
    struct broker_keeper *keeper = worker->door->setup.keeper;
    const struct retained_finder finder = { take_found, found };
    const struct mqtt_room room = found->room;

    if (!walk->long_one) {
        if (broker_keeper_match(keeper, filter_of(walk), found->how.now_ms, steps, &finder))
            return true;
        let_go(found);
        found->room = room;
        walk->long_one = true;
    }
    return broker_keeper_walk(keeper, filter_of(walk), found->how.now_ms, steps, &walk->place,
                              &finder);
}

static void deliver(struct client *client, struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        broker_client_hand_over(client, found->at[i], &found->how);
    let_go(found);
}

bool broker_client_may_go_on(const struct client *client)
{
    return client->walks != NULL && broker_mqtt_session_room(client->session).whole;
}

void broker_client_go_on(struct client *client)
{
    struct worker *worker = client->connection->worker;
    struct mqtt_room room = broker_mqtt_session_room(client->session);
    size_t steps = STEPS;
    bool all = true;

    while (all && client->walks != NULL && steps > 0 && room.messages > 0) {
        struct retained_walk *walk = client->walks;
        struct found found = { .room = room,
                               .how = { .version = broker_mqtt_session_version(client->session),
                                        .qos = walk->qos,
                                        .retain = true,
                                        .identifiers = &walk->identifier,
                                        .identifier_count = walk->identifier != 0,
                                        .now_ms = loop_now_ms(worker->loop) } };
        all = step(worker, walk, &steps, &found);
        room = found.room;
        deliver(client, &found);
        if (all)
            remove_walk(client, &client->walks);
    }
}
