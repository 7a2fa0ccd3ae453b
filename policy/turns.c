#include "policy/analysis.h"
#include "policy/bound.h"

/* Does what time makes of a condition change between two moments? */

static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;

struct span {
    int64_t first_ms, last_ms; /* both included */
    int64_t certificate_ends_ms;
};

static int64_t of_day(int64_t ms)
{
    int64_t rest = ms % DAY_MS;

    return rest < 0 ? rest + DAY_MS : rest;
}

static bool has(const struct span *span, int64_t ms)
{
    return span->first_ms <= ms && ms <= span->last_ms;
}

/* Times of day begin anew then, and so does a weekday. */
static bool has_midnight(const struct span *span)
{
    return span->last_ms - span->first_ms >= DAY_MS - of_day(span->first_ms);
}

static bool has_hour(const struct span *span, int64_t hour_ms)
{
    return of_day(hour_ms - of_day(span->first_ms)) <= span->last_ms - span->first_ms;
}

/* A test changes only where its fact reaches one of its values. */
static bool reaches(const struct span *span, enum policy_fact fact,
                    const struct policy_value *value)
{
    int64_t at_ms = 0;

    if (fact == POLICY_TIME_NOW)
        return has(span, value->number);
    if (fact == POLICY_TIME_OF_DAY)
        return has_hour(span, value->number);
    if (fact == POLICY_CERTIFICATE_LEFT && span->certificate_ends_ms != 0)
        return !__builtin_sub_overflow(span->certificate_ends_ms, value->number, &at_ms) &&
               has(span, at_ms);
    return false;
}

static bool turns(const struct policy_rules *rules, const struct policy_condition *test,
                  const struct span *span)
{
    bool daily = test->fact == POLICY_TIME_OF_DAY || test->fact == POLICY_TIME_WEEKDAY;

    if (test->value_count > 0 && daily && has_midnight(span))
        return true;
    for (uint32_t i = 0; i < test->value_count; i++)
        if (reaches(span, test->fact, &rules->values[test->first_value + i]))
            return true;
    return false;
}

bool policy_turns(const struct policy *policy, int64_t certificate_ends_ms, int64_t first_ms,
                  int64_t last_ms)
{
    const struct policy_rules *rules = &policy->rules;
    const struct span span = { first_ms, last_ms, certificate_ends_ms };

    if (!policy->timed || last_ms <= first_ms)
        return false;
    for (size_t i = 0; i < rules->condition_count; i++)
        if (rules->conditions[i].kind == POLICY_TEST &&
            turns(rules, &rules->conditions[i], &span))
            return true;
    return false;
}
