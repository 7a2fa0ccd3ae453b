#include "policy/parse.h"

#include <stdlib.h>
#include <string.h>

/* Values that conditions compare with: equal ones have one place, so that where they are says
 * what they are. */

enum { FIRST_ROOM = 64 };

static bool is_equal(const struct policy_values *shared, const struct policy_rules *rules,
                     const struct policy_range *range, uint32_t place, uint64_t hash)
{
    const struct policy_range *other = &shared->at[place].range;

    if (shared->at[place].hash != hash || other->count != range->count)
        return false;
    for (uint32_t i = 0; i < range->count; i++) {
        const struct policy_value *left = &rules->values[range->first + i];
        const struct policy_value *right = &rules->values[other->first + i];
        if (left->type != right->type || !policy_value_equal(left, right))
            return false;
    }
    return true;
}

static bool make_room(struct policy_parser *parser)
{
    struct policy_values *shared = &parser->shared;

    if (shared->count * 2 < shared->slot_count)
        return true;
    size_t count = shared->slot_count == 0 ? FIRST_ROOM : shared->slot_count * 2;
    uint32_t *slots = malloc(count * sizeof *slots);
    if (slots == NULL) {
        parser->rc = fault(RC_NOMEM, "policy values");
        return false;
    }
    memset(slots, 0xff, count * sizeof *slots);
    free(shared->slots);
    shared->slots = slots;
    shared->slot_count = count;
    for (uint32_t i = 0; i < shared->count; i++) {
        size_t slot = shared->at[i].hash & (count - 1);
        while (slots[slot] != UINT32_MAX)
            slot = (slot + 1) & (count - 1);
        slots[slot] = i;
    }
    return true;
}

static uint64_t hash_of(const struct policy_rules *rules, const struct policy_range *range)
{
    uint64_t hash = range->count;

    for (uint32_t i = 0; i < range->count; i++)
        hash = policy_value_mix(hash, &rules->values[range->first + i]);
    return hash;
}

/* Where it is, or would go. */
static bool find(struct policy_parser *parser, const struct policy_range *range, uint64_t hash,
                 size_t *slot)
{
    const struct policy_values *shared = &parser->shared;

    for (*slot = hash & (shared->slot_count - 1); shared->slots[*slot] != UINT32_MAX;
         *slot = (*slot + 1) & (shared->slot_count - 1)) {
        if (is_equal(shared, parser->rules, range, shared->slots[*slot], hash))
            return true;
        if (!policy_parse_spend(parser, 1))
            return false;
    }
    return true;
}

bool policy_parse_share(struct policy_parser *parser, struct policy_condition *test)
{
    struct policy_values *shared = &parser->shared;
    struct policy_range range = { test->first_value, test->value_count };
    uint64_t hash = hash_of(parser->rules, &range);
    size_t slot = 0;

    if (!make_room(parser) || !find(parser, &range, hash, &slot))
        return false;
    if (shared->slots[slot] != UINT32_MAX) {
        parser->rules->value_count -= range.count;
        test->first_value = shared->at[shared->slots[slot]].range.first;
        return true;
    }
    struct policy_range_at *made = POLICY_PARSE_ADD(parser, shared->at, shared->count,
                                                    shared->room, POLICY_VALUES_MAX, "values");
    if (made == NULL)
        return false;
    *made = (struct policy_range_at){ hash, range };
    shared->slots[slot] = (uint32_t)(shared->count - 1);
    return true;
}
