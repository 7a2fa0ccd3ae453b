#include "policy/meter.h"

#include "policy/duty.h"
#include "policy/language_states.h"
#include "policy/posting.h"

#include <stdlib.h>
#include <string.h>

/* A rule with a limit, as the text has it. */
struct limited {
    const struct policy_obligations *limit;
    size_t side, first, end; /* places in its rules */
    uint32_t guard;
    struct bytes *filters; /* sorted, once each */
    size_t filter_count;
    uint64_t self; /* a hash of all of it */
    uint32_t what, order;
};

struct metering {
    struct policy_study *study;
    const struct policy_rules *const *rules;
    size_t sides;
    struct policy_meters *meters;
    struct limited *at; /* by side, in the order of the texts */
    size_t count, room, counts[POLICY_METERED];
};

/* ---- What each counts ---- */

static int compare_filters(const void *left, const void *right)
{
    const struct bytes *a = left, *b = right;

    return bytes_compare(*a, *b);
}

/* Each principal of the rule has all of its resources. */
static enum rc find_filters(struct metering *m, struct limited *one)
{
    const struct policy_rule *rules = m->rules[one->side]->at;
    size_t count = one->first, kept = 0;
    void *at = NULL;

    while (count < one->end && rules[count].principal == rules[one->first].principal &&
           bytes_equal(rules[count].name, rules[one->first].name))
        count++;
    count -= one->first;
    TRY(policy_arena_take(&m->study->arena, count * sizeof *one->filters, &at));
    one->filters = at;
    for (size_t i = 0; i < count; i++)
        one->filters[i] = rules[one->first + i].filter;
    qsort(one->filters, count, sizeof *one->filters, compare_filters);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !bytes_equal(one->filters[kept - 1], one->filters[i]))
            one->filters[kept++] = one->filters[i];
    one->filter_count = kept;
    return RC_OK;
}

static uint64_t hash_text(uint64_t hash, struct bytes text)
{
    hash = policy_language_hash(hash, text.len);
    for (size_t i = 0; i < text.len; i++)
        hash = policy_language_hash(hash, text.at[i]);
    return hash;
}

static uint64_t hash_rule(const struct metering *m, const struct limited *one)
{
    const struct policy_rule *rules = m->rules[one->side]->at;
    uint64_t hash = policy_language_hash(one->guard, rules[one->first].actions);

    hash = policy_language_hash(hash, (uint64_t)one->limit->rate << 32 | one->limit->burst);
    hash = policy_language_hash(hash, (uint64_t)one->limit->rate_ms);
    for (size_t i = one->first; i < one->end; i++) {
        hash = policy_language_hash(hash, rules[i].principal);
        hash = hash_text(hash, rules[i].name);
        hash = hash_text(hash, rules[i].filter);
    }
    return hash;
}

static enum rc add_limited(struct metering *m, size_t side, size_t first, size_t end)
{
    const struct policy_rule *rule = &m->rules[side]->at[first];
    const struct policy_guard guard = { .rules = m->rules[side], .condition = rule->condition };
    struct limited made = {
        .limit = &rule->obligations, .side = side, .first = first, .end = end
    };

    if (rule->obligations.rate == 0)
        return RC_OK;
    TRY(find_filters(m, &made));
    if (rule->condition != POLICY_ALWAYS)
        TRY(policy_verdicts_guard(m->study->verdicts, &guard, &made.guard));
    made.self = hash_rule(m, &made);
    TRY(policy_language_grow(&m->at, sizeof *m->at, m->count, &m->room));
    m->at[m->count++] = made;
    m->counts[side]++;
    return RC_OK;
}

static enum rc find_limited(struct metering *m)
{
    for (size_t side = 0; side < m->sides; side++) {
        const struct policy_rules *rules = m->rules[side];
        for (size_t first = 0, end; first < rules->count; first = end) {
            for (end = first + 1; end < rules->count; end++)
                if (rules->at[end].number != rules->at[first].number)
                    break;
            TRY(add_limited(m, side, first, end));
        }
    }
    return RC_OK;
}

/* ---- Which count the same ---- */

static int compare_words(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_counted(const void *left, const void *right, void *with)
{
    const struct metering *m = with;
    const struct limited *a = *(const struct limited *const *)left;
    const struct limited *b = *(const struct limited *const *)right;
    int order = compare_words(m->rules[a->side]->at[a->first].actions,
                              m->rules[b->side]->at[b->first].actions);

    order = order != 0 ? order : compare_words(a->guard, b->guard);
    order = order != 0 ? order : compare_words(a->filter_count, b->filter_count);
    for (size_t i = 0; order == 0 && i < a->filter_count; i++)
        order = bytes_compare(a->filters[i], b->filters[i]);
    return order;
}

static void number_counted(struct metering *m, struct limited **sorted)
{
    uint32_t what = 0;

    for (size_t i = 0; i < m->count; i++)
        sorted[i] = &m->at[i];
    if (m->count > 1)
        qsort_r(sorted, m->count, sizeof *sorted, compare_counted, m);
    for (size_t i = 0; i < m->count; i++) {
        what += i == 0 || compare_counted(&sorted[i - 1], &sorted[i], m) != 0;
        sorted[i]->what = what;
    }
}

/* ---- In which order ---- */

/* Only that of alike limits matters. */
static int compare_order(const void *left, const void *right)
{
    const struct limited *a = *(const struct limited *const *)left;
    const struct limited *b = *(const struct limited *const *)right;

    if (!policy_duty_is_alike(a->limit, b->limit))
        return policy_duty_is_slower(a->limit, b->limit) ? -1 : 1;
    return compare_words(a->first, b->first);
}

static int compare_selves(const void *left, const void *right)
{
    const struct limited *a = *(const struct limited *const *)left;
    const struct limited *b = *(const struct limited *const *)right;

    return a->self != b->self ? compare_words(a->self, b->self)
                              : compare_words(a->order, b->order);
}

/* The first of the same rules that has this place at least; none: NULL. */
static struct limited *find_self(struct limited **selves, size_t count,
                                 const struct limited *wanted, uint32_t from)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct limited *one = selves[middle];
        if (one->self < wanted->self || (one->self == wanted->self && one->order < from))
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && selves[low]->self == wanted->self ? selves[low] : NULL;
}

/* Both orders in one: what stands in both, in the same order, is there once. */
static void merge(struct metering *m, struct limited **old, struct limited **new,
                  struct limited **selves)
{
    size_t olds = m->counts[0], taken = 0;
    uint32_t order = 0;

    for (size_t i = 0; i < olds; i++)
        old[i]->order = (uint32_t)i; /* until it is taken */
    memcpy(selves, old, olds * sizeof *selves);
    if (olds > 1)
        qsort(selves, olds, sizeof *selves, compare_selves);
    uint32_t *places = (uint32_t *)(void *)(selves + olds);
    for (size_t i = 0; i < m->counts[1]; i++) {
        struct limited *same = find_self(selves, olds, new[i], (uint32_t)taken);
        m->meters->moved =
            m->meters->moved || (same == NULL && find_self(selves, olds, new[i], 0) != NULL);
        while (same != NULL && taken < same->order)
            places[taken++] = ++order;
        new[i]->order = ++order;
        if (same != NULL)
            places[taken++] = order;
    }
    while (taken < olds)
        places[taken++] = ++order;
    for (size_t i = 0; i < olds; i++)
        old[i]->order = places[i];
}

static enum rc number_orders(struct metering *m, struct limited **sorted)
{
    struct limited **sides[POLICY_METERED] = { sorted, sorted + m->counts[0] };
    void *selves = NULL;

    for (size_t i = 0; i < m->count; i++)
        sorted[i] = &m->at[i];
    for (size_t side = 0; side < POLICY_METERED; side++)
        if (m->counts[side] > 1)
            qsort(sides[side], m->counts[side], sizeof *sorted, compare_order);
    TRY(policy_arena_take(&m->study->arena,
                          m->counts[0] * (sizeof *sorted + sizeof(uint32_t)) + 1, &selves));
    merge(m, sides[0], sides[1], selves);
    return RC_OK;
}

/* ---- Of each rule ---- */

static bool goes_on(struct bytes filter)
{
    const struct bytes end = BYTES("+/#");

    return filter.len >= end.len &&
           bytes_equal((struct bytes){ filter.at + filter.len - end.len, end.len }, end);
}

static void look_at_subscriptions(struct metering *m)
{
    for (size_t side = 0; side < m->sides; side++)
        for (size_t i = 0; i < m->rules[side]->count; i++) {
            const struct policy_rule *rule = &m->rules[side]->at[i];
            if (rule->effect != POLICY_ALLOW || !(rule->actions & 1U << POLICY_SUBSCRIBE))
                continue;
            if (policy_posting_obliges(&rule->obligations))
                m->meters->subscriptions = true;
            if (goes_on(rule->filter))
                m->meters->turns = true;
        }
}

static enum rc write_meters(struct metering *m)
{
    void *taken = NULL;

    for (size_t side = 0; side < m->sides; side++) {
        const struct policy_rules *rules = m->rules[side];
        TRY(policy_arena_take(&m->study->arena, (rules->count + 1) * sizeof *m->meters->of[0],
                              &taken));
        struct policy_meter *of = m->meters->of[side] = taken;
        for (size_t i = 0; m->meters->subscriptions && i < rules->count; i++)
            if (rules->at[i].effect == POLICY_ALLOW &&
                rules->at[i].actions & 1U << POLICY_SUBSCRIBE)
                of[i].filter = rules->at[i].filter;
    }
    for (size_t i = 0; i < m->count; i++)
        for (size_t place = m->at[i].first; place < m->at[i].end; place++) {
            m->meters->of[m->at[i].side][place].what = m->at[i].what;
            m->meters->of[m->at[i].side][place].order = m->at[i].order;
        }
    return RC_OK;
}

static enum rc make(struct metering *m)
{
    void *sorted = NULL;

    TRY(find_limited(m));
    TRY(policy_arena_take(&m->study->arena, (m->count + 1) * sizeof(struct limited *),
                          &sorted));
    number_counted(m, sorted);
    TRY(number_orders(m, sorted));
    look_at_subscriptions(m);
    return write_meters(m);
}

enum rc policy_meters_make(struct policy_study *study, const struct policy_rules *const *rules,
                           size_t count, struct policy_meters *meters)
{
    struct metering m = { .study = study, .rules = rules, .sides = count, .meters = meters };

    *meters = (struct policy_meters){ .moved = false };
    enum rc rc = make(&m);
    free(m.at);
    return rc;
}
