#include "tests/support/policy_world.h"

#include "tests/support/check.h"

#include <string.h>

/* ---- What a limit counts together, as the rule is written ---- */

static const struct policy_rule *rule_of(const struct world_policy *made, uint32_t number)
{
    const struct policy_rule *rule = made->rules.at;

    while (rule->number != number)
        rule++;
    return rule;
}

/* From `when` to the limit; nothing if it has no condition. */
static struct bytes condition_of(const struct world_policy *made, uint32_t number)
{
    const char *line = made->text, *found = NULL;

    for (unsigned i = 1; i < rule_of(made, number)->at.line; i++)
        line = strchr(line, '\n') + 1;
    const char *end = strstr(line, " limit ");
    struct bytes whole = { (const uint8_t *)line, (size_t)(end - line) };
    found = memmem(whole.at, whole.len, " when ", strlen(" when "));
    return found == NULL ? BYTES("")
                         : (struct bytes){ (const uint8_t *)found, (size_t)(end - found) };
}

static bool has_filters(const struct world_policy *made, uint32_t number,
                        const struct world_policy *of, uint32_t other)
{
    for (size_t i = 0; i < of->rules.count; i++) {
        bool found = of->rules.at[i].number != other;
        for (size_t j = 0; !found && j < made->rules.count; j++)
            found = made->rules.at[j].number == number &&
                    bytes_equal(made->rules.at[j].filter, of->rules.at[i].filter);
        if (!found)
            return false;
    }
    return true;
}

static bool counts_the_same(const struct world_policy *a, uint32_t x,
                            const struct world_policy *b, uint32_t y)
{
    return rule_of(a, x)->actions == rule_of(b, y)->actions &&
           bytes_equal(condition_of(a, x), condition_of(b, y)) && has_filters(a, x, b, y) &&
           has_filters(b, y, a, x);
}

/* ---- Obligations ---- */

static bool is_same_limit(const struct policy_obligations *x,
                          const struct policy_obligations *y)
{
    return (uint64_t)x->rate * (uint64_t)y->rate_ms ==
               (uint64_t)y->rate * (uint64_t)x->rate_ms &&
           x->burst == y->burst;
}

bool world_asks_the_same(const struct policy_decision *a, const struct policy_decision *b)
{
    const struct policy_obligations *x = &a->obligations, *y = &b->obligations;

    return (x->rate == 0) == (y->rate == 0) && is_same_limit(x, y) &&
           x->payload_limited == y->payload_limited && x->payload == y->payload &&
           x->lease_ms == y->lease_ms && x->until_ms == y->until_ms &&
           x->log_full == y->log_full;
}

bool world_is_same_duty(const struct world_policy *old, const struct policy_decision *a,
                        const struct world_policy *new, const struct policy_decision *b)
{
    return world_asks_the_same(a, b) &&
           (a->obligations.rate == 0 ||
            counts_the_same(old, a->limit_rule, new, b->limit_rule));
}
