#include "broker/limit.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/topic_hash.h"

enum { MS_US = 1000, CHAINS = 1 << 12, ROOM_MIN = 4 };

struct limit_clock {
    uint64_t key; /* 0: a free place */
    int64_t ahead_us;
};

struct broker_limit {
    struct broker_limit *next;
    size_t holders;
    pthread_mutex_t lock;       /* of the clocks */
    struct limit_clock *clocks; /* a hash table, at most half full; NULL: no room */
    size_t clock_count, room;   /* the room is a power of two */
    size_t len;
    uint8_t id[];
};

struct broker_limits {
    pthread_mutex_t lock; /* of all that follows, and of holders */
    size_t count, sweep;
    struct broker_limit *chains[CHAINS];
};

/* ---- Clocks ---- */

/* Its own place, or a free one, which there is. Keys are hashes. */
static struct limit_clock *find_place(struct limit_clock *clocks, size_t room, uint64_t key)
{
    size_t at = key & (room - 1);

    while (clocks[at].key != 0 && clocks[at].key != key)
        at = (at + 1) & (room - 1);
    return &clocks[at];
}

/* How many are ahead, and which of them is the least. */
static size_t count_ahead(const struct broker_limit *limit, int64_t now_us,
                          const struct limit_clock **least)
{
    size_t count = 0;

    *least = NULL;
    for (size_t i = 0; i < limit->room; i++) {
        const struct limit_clock *one = &limit->clocks[i];
        if (one->key == 0 || one->ahead_us <= now_us)
            continue;
        count++;
        if (*least == NULL || one->ahead_us < (*least)->ahead_us)
            *least = one;
    }
    return count;
}

/* For one more, and as many again as are ahead; the others go. Without memory all is as it
 * was. */
static bool make_room(struct broker_limit *limit, int64_t now_us)
{
    const struct limit_clock *least;
    size_t kept = count_ahead(limit, now_us, &least), room = ROOM_MIN, count = 0;
    bool full = kept == BROKER_LIMIT_CLOCKS;

    while (room < 4 * (kept + 1) && room < 2 * BROKER_LIMIT_CLOCKS)
        room *= 2;
    struct limit_clock *made = calloc(room, sizeof *made);
    if (made == NULL)
        return false;
    for (size_t i = 0; i < limit->room; i++) {
        const struct limit_clock *one = &limit->clocks[i];
        if (one->key == 0 || one->ahead_us <= now_us || (full && one == least))
            continue;
        *find_place(made, room, one->key) = *one;
        count++;
    }
    free(limit->clocks);
    limit->clocks = made;
    limit->room = room;
    limit->clock_count = count;
    return true;
}

/* NULL: no memory. */
static struct limit_clock *find_clock(struct broker_limit *limit, uint64_t key, int64_t now_us)
{
    assert(key != 0);
    if (limit->room == 0 && !make_room(limit, now_us))
        return NULL;
    struct limit_clock *place = find_place(limit->clocks, limit->room, key);
    if (place->key == key)
        return place;
    if (2 * limit->clock_count >= limit->room) {
        if (!make_room(limit, now_us))
            return NULL;
        place = find_place(limit->clocks, limit->room, key);
    }
    *place = (struct limit_clock){ key, now_us };
    limit->clock_count++;
    return place;
}

/* Behind the first of a burst; so long that it is for ever rather than more than fits. */
static int64_t burst_us(const struct policy_obligations *o, int64_t interval_us)
{
    int64_t burst = (int64_t)o->burst - 1;

    return interval_us > 0 && burst > INT64_MAX / 4 / interval_us ? INT64_MAX / 4
                                                                  : burst * interval_us;
}

bool broker_limit_take(struct broker_limit *limit, const struct policy_decision *decided,
                       int64_t now_ms)
{
    const struct policy_obligations *o = &decided->obligations;
    const int64_t now_us = now_ms * MS_US;
    bool taken = false;

    if (o->rate == 0)
        return true;
    int64_t interval_us = o->rate_ms * MS_US / o->rate;
    pthread_mutex_lock(&limit->lock);
    struct limit_clock *clock = find_clock(limit, decided->limit_key, now_us);
    if (clock != NULL) {
        int64_t from_us = clock->ahead_us > now_us ? clock->ahead_us : now_us;
        taken = from_us - now_us <= burst_us(o, interval_us);
        if (taken)
            clock->ahead_us = from_us + interval_us;
    }
    pthread_mutex_unlock(&limit->lock);
    return taken;
}

/* ---- Of all devices ---- */

enum rc broker_limits_new(struct broker_limits **limits)
{
    struct broker_limits *made = calloc(1, sizeof *made);

    if (made != NULL && pthread_mutex_init(&made->lock, NULL) == 0) {
        *limits = made;
        return RC_OK;
    }
    free(made);
    return fault(RC_NOMEM, "limits of devices");
}

static bool is_over(const struct broker_limit *limit, int64_t now_ms)
{
    const struct limit_clock *least;

    return limit->holders == 0 && count_ahead(limit, now_ms * MS_US, &least) == 0;
}

static void free_limit(struct broker_limit *limit)
{
    pthread_mutex_destroy(&limit->lock);
    free(limit->clocks);
    free(limit);
}

static void sweep_chain(struct broker_limits *limits, size_t which, int64_t now_ms)
{
    struct broker_limit **at = &limits->chains[which];

    while (*at != NULL) {
        struct broker_limit *one = *at;
        if (!is_over(one, now_ms)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        limits->count--;
        free_limit(one);
    }
}

static struct broker_limit *find_limit(struct broker_limits *limits, size_t which,
                                       struct bytes id)
{
    struct broker_limit *one = limits->chains[which];

    while (one != NULL && !bytes_equal((struct bytes){ one->id, one->len }, id))
        one = one->next;
    return one;
}

static struct broker_limit *add_limit(struct broker_limits *limits, size_t which,
                                      struct bytes id)
{
    struct broker_limit *made = calloc(1, sizeof *made + id.len);

    if (made == NULL || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return NULL;
    }
    made->len = id.len;
    memcpy(made->id, id.at, id.len);
    made->next = limits->chains[which];
    limits->chains[which] = made;
    limits->count++;
    return made;
}

/* A key that is fixed does: nobody chooses ids so that they collide. Who comes sweeps one chain
 * besides, so that none is left for good. */
enum rc broker_limits_hold(struct broker_limits *limits, struct bytes id, int64_t now_ms,
                           struct broker_limit **limit)
{
    static const struct topic_hash_key KEY = { 0, 0 };
    const size_t which = broker_topic_hash(&KEY, id) % CHAINS;

    pthread_mutex_lock(&limits->lock);
    sweep_chain(limits, limits->sweep++ % CHAINS, now_ms);
    struct broker_limit *found = find_limit(limits, which, id);
    if (found == NULL)
        found = add_limit(limits, which, id);
    if (found != NULL)
        found->holders++;
    pthread_mutex_unlock(&limits->lock);
    *limit = found;
    return found != NULL ? RC_OK : fault(RC_NOMEM, "limit of a device");
}

void broker_limits_release(struct broker_limits *limits, struct broker_limit *limit)
{
    if (limit == NULL)
        return;
    pthread_mutex_lock(&limits->lock);
    limit->holders--;
    pthread_mutex_unlock(&limits->lock);
}

size_t broker_limits_count(struct broker_limits *limits)
{
    pthread_mutex_lock(&limits->lock);
    size_t count = limits->count;
    pthread_mutex_unlock(&limits->lock);
    return count;
}

void broker_limits_free(struct broker_limits *limits)
{
    if (limits == NULL)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        sweep_chain(limits, i, INT64_MAX / MS_US);
    assert(limits->count == 0);
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}
