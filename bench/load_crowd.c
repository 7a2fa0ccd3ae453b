#include "bench/load_crowd.h"

#include <stdlib.h>

static const int64_t TURN_NS = 2000000, PATIENCE_NS = 30000000000;

void load_crowd_count_live(struct load_crowd *crowd, struct load_client *client)
{
    crowd->live++;
    crowd->resumed += client->resumed;
    if (crowd->outer.live != NULL)
        crowd->outer.live(crowd->outer.with, client);
}

static void count_live(void *with, struct load_client *client)
{
    load_crowd_count_live(with, client);
}

static void take_nothing(void *with, struct load_client *client, const struct load_frame *frame)
{
    (void)with;
    (void)client;
    (void)frame;
}

void load_crowd_count_ended(struct load_crowd *crowd, struct load_client *client,
                            const char *why, unsigned code)
{
    if (crowd->ended++ == 0) {
        crowd->why = why;
        crowd->code = code;
    }
    if (crowd->outer.ended != NULL)
        crowd->outer.ended(crowd->outer.with, client, why, code);
}

static void count_ended(void *with, struct load_client *client, const char *why, unsigned code)
{
    load_crowd_count_ended(with, client, why, code);
}

enum rc load_crowd_check(const struct load_crowd *crowd)
{
    if (crowd->ended > 0 && crowd->outer.ended == NULL)
        return fault(RC_CLOSED, "%zu of %zu connections ended, the first: %s %u", crowd->ended,
                     crowd->count, crowd->why, crowd->code);
    return RC_OK;
}

enum rc load_crowd_open(struct load *load, const struct load_identities *identities,
                        size_t count, struct load_crowd *crowd)
{
    if (identities->count < count)
        return fault(RC_NOT_FOUND, "%zu clients, but %zu identities", count, identities->count);
    *crowd = (struct load_crowd){ .load = load, .count = count };
    crowd->clients = calloc(count, sizeof *crowd->clients);
    if (crowd->clients == NULL)
        return fault(RC_NOMEM, "clients");
    for (size_t i = 0; i < count; i++)
        crowd->clients[i] =
            (struct load_client){ .load = load, .who = &identities->all[i], .fd = -1 };
    return RC_OK;
}

void load_crowd_close(struct load_crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        load_client_clear(&crowd->clients[i]);
    free(crowd->clients);
    *crowd = (struct load_crowd){ 0 };
}

static size_t due(const struct load_crowd *crowd, const struct load_pace *pace, int64_t since)
{
    size_t most = crowd->count;

    if (pace->rate > 0) {
        double by_now = (double)(load_clock_ns() - since) / 1e9 * pace->rate + 1;
        most = by_now < (double)most ? (size_t)by_now : most;
    }
    size_t room = crowd->live + crowd->ended + pace->at_once;
    return room < most ? room : most;
}

/* From outside the handlers: a client is not closed under its own feet. */
static void stop_live(struct load_crowd *crowd, size_t *first)
{
    for (size_t i = *first; i < crowd->started; i++)
        if (crowd->clients[i].state == LOAD_LIVE)
            load_stop(&crowd->clients[i]);
    while (*first < crowd->started && crowd->clients[*first].state == LOAD_IDLE)
        (*first)++;
}

static enum rc connect_all(struct load_crowd *crowd, const struct load_pace *pace)
{
    int64_t since = load_clock_ns(), progress = since;
    size_t first = 0, seen = 0;

    while (crowd->live + crowd->ended < crowd->count) {
        while (crowd->started < due(crowd, pace, since))
            TRY(load_start(&crowd->clients[crowd->started++]));
        TRY(load_turn(crowd->load, TURN_NS));
        if (pace->stop_when_live)
            stop_live(crowd, &first);
        if (crowd->live + crowd->ended > seen || pace->rate > 0)
            progress = load_clock_ns();
        seen = crowd->live + crowd->ended;
        if (load_clock_ns() - progress > PATIENCE_NS)
            return fault(RC_BUSY, "%zu of %zu connected, then nothing", crowd->live,
                         crowd->count);
    }
    return RC_OK;
}

enum rc load_crowd_connect(struct load_crowd *crowd, const struct load_pace *pace)
{
    const struct load_handler handler = { count_live, take_nothing, count_ended, crowd };

    load_set_handler(crowd->load, &handler);
    crowd->started = crowd->live = crowd->ended = crowd->resumed = 0;
    TRY(connect_all(crowd, pace));
    return load_crowd_check(crowd);
}
