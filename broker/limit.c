#include "broker/limit.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/topic_hash.h"

enum { MS_US = 1000, CHAINS = 1 << 12 };

struct broker_limit {
    struct broker_limit *next;
    size_t holders;
    _Atomic int64_t ahead_us[BROKER_LIMIT_CLOCKS];
    size_t len;
    uint8_t id[];
};

struct broker_limits {
    pthread_mutex_t lock; /* of all that follows, and of holders */
    size_t count, sweep;
    struct broker_limit *chains[CHAINS];
};

/* ---- Clocks ---- */

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

    if (o->rate == 0)
        return true;
    int64_t interval_us = o->rate_ms * MS_US / o->rate, from_us;
    _Atomic int64_t *clock = &limit->ahead_us[decided->limit_rule % BROKER_LIMIT_CLOCKS];
    int64_t ahead_us = atomic_load(clock);

    do {
        from_us = ahead_us > now_us ? ahead_us : now_us;
        if (from_us - now_us > burst_us(o, interval_us))
            return false;
    } while (!atomic_compare_exchange_weak(clock, &ahead_us, from_us + interval_us));
    return true;
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
    if (limit->holders > 0)
        return false;
    for (size_t i = 0; i < BROKER_LIMIT_CLOCKS; i++)
        if (atomic_load(&limit->ahead_us[i]) > now_ms * MS_US)
            return false;
    return true;
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
        free(one);
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

    if (made == NULL)
        return NULL;
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
