#include "broker/limit.h"

enum { MS_US = 1000 };

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

    if (o->rate == 0)
        return true;
    int64_t interval_us = o->rate_ms * MS_US / o->rate, now_us = now_ms * MS_US;
    int64_t *ahead = &limit->ahead_us[decided->limit_rule % BROKER_LIMIT_CLOCKS];
    int64_t from_us = *ahead > now_us ? *ahead : now_us;
    if (from_us - now_us > burst_us(o, interval_us))
        return false;
    *ahead = from_us + interval_us;
    return true;
}
