#include <unistd.h>

#include "broker/door_state.h"
#include "broker/sockets.h"

/*
 * Whoever begins handshakes and does not end them keeps nobody out. A quarter of the places is
 * for handshakes, and each worker has its share of it, since none can end another's. While the
 * share is used up nothing is accepted, and connections wait in the kernel's backlog; what has
 * been at its handshake for long makes way. So a crowd that comes back all at once is
 * served as fast as it can be, and a flood of half handshakes costs others a second.
 */
enum {
    ACCEPTS = 64, /* of one listener in a turn */
    SHAKING_LEAST = 8,
    LONG_MS = 1000,
    BREATH_MS = 50
};

/* HTTPS lets strangers in: they do not get what the devices need. */
static bool has_place(const struct worker *worker, const struct listener *listener)
{
    const struct broker_door_limits *limits = &worker->door->setup.limits;

    return atomic_load(&worker->door->connections) < limits->connections &&
           (listener->mqtt || atomic_load(&worker->door->streams) < limits->streams);
}

static bool shakes_its_share(const struct worker *worker)
{
    const struct broker_door_setup *setup = &worker->door->setup;
    size_t share = setup->limits.connections / (4 * setup->workers);

    return worker->shaking_count >= (share < SHAKING_LEAST ? SHAKING_LEAST : share);
}

/* The longest at its handshake: one of HTTPS may make way for one of MQTT, never the other way
 * round. */
static struct connection *oldest_for(const struct worker *worker,
                                     const struct listener *listener)
{
    struct connection *oldest = worker->shaking[listener->mqtt];

    return oldest == NULL && listener->mqtt ? worker->shaking[false] : oldest;
}

static bool is_long(const struct worker *worker, const struct connection *connection)
{
    int64_t began_ms =
        connection->patience_ms - (int64_t)worker->door->setup.limits.handshake_ms;

    return loop_now_ms(worker->loop) - began_ms >= LONG_MS;
}

static bool must_wait(const struct worker *worker, const struct listener *listener)
{
    const struct connection *oldest = oldest_for(worker, listener);

    return shakes_its_share(worker) && (oldest == NULL || !is_long(worker, oldest));
}

static bool make_place(struct worker *worker, const struct listener *listener)
{
    if (has_place(worker, listener) && !shakes_its_share(worker))
        return true;
    struct connection *oldest = oldest_for(worker, listener);
    if (oldest != NULL)
        broker_connection_make_way(oldest);
    return oldest != NULL;
}

static enum rc accept_from(struct worker *worker, struct loop_watch *watch,
                           const struct listener *listener)
{
    for (size_t i = 0; i < ACCEPTS; i++) {
        char address[REGISTRY_PEER_MAX + 1];
        if (must_wait(worker, listener))
            return loop_want(watch, 0);
        int fd = broker_sockets_accept(watch->fd, address);
        if (fd < 0)
            return RC_OK;
        if (!make_place(worker, listener)) {
            broker_turned_away_count(worker, listener, AWAY_NO_PLACE, address);
            close(fd);
        } else if (broker_connection_accept(worker, listener, fd, address) != RC_OK) {
            broker_turned_away_count(worker, listener, AWAY_NOT_TAKEN, address);
        }
    }
    return RC_OK;
}

static enum rc on_mqtts(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = (void *)((char *)watch - offsetof(struct worker, mqtts));

    (void)ready;
    return accept_from(worker, watch, &worker->door->mqtts);
}

static enum rc on_https(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = (void *)((char *)watch - offsetof(struct worker, https));

    (void)ready;
    return accept_from(worker, watch, &worker->door->https);
}

static enum rc on_breather(struct loop_timer *timer)
{
    (void)timer; /* the end of this turn looks again */
    return RC_OK;
}

static enum rc look_again(struct worker *worker, struct loop_watch *watch,
                          const struct listener *listener)
{
    if (watch->loop == NULL || watch->wanted != 0)
        return RC_OK;
    if (must_wait(worker, listener))
        return loop_arm(worker->loop, &worker->breather, BREATH_MS);
    return loop_want(watch, LOOP_READ);
}

enum rc broker_accept_go_on(struct worker *worker)
{
    TRY(look_again(worker, &worker->mqtts, &worker->door->mqtts));
    return look_again(worker, &worker->https, &worker->door->https);
}

void broker_accept_prepare(struct worker *worker)
{
    worker->mqtts.ready = on_mqtts;
    worker->https.ready = on_https;
    worker->breather.due = on_breather;
}

enum rc broker_accept_open(struct worker *worker)
{
    const struct broker_door_setup *setup = &worker->door->setup;

    if (setup->mqtts != NULL)
        TRY(loop_add(worker->loop, &worker->mqtts,
                     setup->mqtts[worker->party - BROKER_POST_WORKER], LOOP_READ));
    if (setup->https >= 0)
        TRY(loop_add(worker->loop, &worker->https, setup->https, LOOP_READ));
    return RC_OK;
}

void broker_accept_close(struct worker *worker)
{
    loop_remove(&worker->mqtts);
    loop_remove(&worker->https);
    loop_disarm(&worker->breather);
}
