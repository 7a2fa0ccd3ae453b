#include "policy/limit.h"

#include <stdlib.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 32;
}

static uint64_t mix_text(uint64_t hash, struct bytes text)
{
    hash = mix(hash, text.len);
    for (size_t i = 0; i < text.len; i++)
        hash = mix(hash, text.at[i]);
    return hash;
}

/* ---- Conditions ---- */

/* All that policy_value_compare() looks at. */
static uint64_t mix_value(uint64_t hash, const struct policy_value *value)
{
    hash = mix(mix(hash, value->type), (uint64_t)value->number);
    if (value->type == POLICY_STRING)
        hash = mix_text(hash, value->text);
    if (value->type == POLICY_ADDRESS)
        hash = mix_text(mix(hash, value->prefix), BYTES_OF(value->address));
    if (value->type != POLICY_VERSION)
        return hash;
    for (size_t i = 0; i < sizeof value->version / sizeof *value->version; i++)
        hash = mix(hash, value->version[i]);
    return mix_text(hash, value->pre);
}

/* By content: numbers of conditions are this text's own. Children come before parents. */
static uint64_t hash_condition(const struct policy_rules *rules, const uint64_t *hashes,
                               const struct policy_condition *c)
{
    uint64_t hash = mix(1, c->kind);

    if (c->kind != POLICY_TEST)
        return mix(mix(hash, hashes[c->left]), c->kind == POLICY_NOT ? 0 : hashes[c->right]);
    hash = mix(mix(hash, c->fact), c->operator);
    for (uint32_t i = 0; i < c->value_count; i++)
        hash = mix_value(hash, &rules->values[c->first_value + i]);
    return mix(hash, c->value_count);
}

/* ---- Resources ---- */

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Of one written rule: its list begins anew, with the same text, for each of its principals. */
static uint64_t mix_filters(uint64_t hash, const struct policy_rule *first, size_t count,
                            uint64_t *scratch)
{
    size_t filters = 0;

    do {
        scratch[filters] = mix_text(2, first[filters].filter);
        filters++;
    } while (filters < count && first[filters].filter.at != first->filter.at);
    qsort(scratch, filters, sizeof *scratch, compare_hashes);
    for (size_t i = 0; i < filters; i++)
        if (i == 0 || scratch[i] != scratch[i - 1])
            hash = mix(hash, scratch[i]);
    return hash;
}

/* ---- Rules ---- */

static void give_key(struct policy_rule *first, size_t count, const uint64_t *conditions,
                     uint64_t *scratch)
{
    const struct policy_obligations *o = &first->obligations;
    uint64_t key = mix(mix(mix(3, o->rate), (uint64_t)o->rate_ms), o->burst);

    key = mix(key, first->actions);
    if (first->condition != POLICY_ALWAYS)
        key = mix(key, conditions[first->condition]);
    key = mix_filters(key, first, count, scratch);
    for (size_t i = 0; i < count; i++)
        first[i].limit_key = key == 0 ? 1 : key; /* 0: has no limit */
}

static bool has_limits(const struct policy_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].obligations.rate > 0)
            return true;
    return false;
}

enum rc policy_limit_keys(struct policy_rules *rules)
{
    if (!has_limits(rules))
        return RC_OK;
    uint64_t *conditions = malloc((rules->condition_count + rules->count) * sizeof *conditions);
    if (conditions == NULL)
        return fault(RC_NOMEM, "policy limits");
    for (size_t i = 0; i < rules->condition_count; i++)
        conditions[i] = hash_condition(rules, conditions, &rules->conditions[i]);
    for (size_t first = 0, end; first < rules->count; first = end) {
        for (end = first + 1; end < rules->count; end++)
            if (rules->at[end].number != rules->at[first].number)
                break;
        if (rules->at[first].obligations.rate > 0)
            give_key(&rules->at[first], end - first, conditions,
                     conditions + rules->condition_count);
    }
    free(conditions);
    return RC_OK;
}
