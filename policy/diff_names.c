#include "policy/coincide.h"
#include "policy/diff.h"

#include <stdlib.h>
#include <string.h>

/* ---- Names once each ---- */

struct gathering {
    struct policy_differ *d;
    struct policy_special *at;
    size_t count;
    bool coincides; /* those that are added now */
};

static enum rc add_name(void *with, struct bytes name)
{
    struct gathering *g = with;
    struct policy_arena **arena = &g->d->study.arena;
    struct policy_special made = { .coincides = g->coincides };

    TRY(policy_arena_copy(arena, name, &made.name));
    TRY(policy_arena_grow(arena, &g->at, sizeof *g->at, g->count));
    g->at[g->count++] = made;
    return RC_OK;
}

static int compare(const void *left, const void *right)
{
    const struct policy_special *a = left, *b = right;

    return bytes_compare(a->name, b->name);
}

static void sort(struct gathering *g)
{
    size_t kept = 0;

    if (g->count > 1)
        qsort(g->at, g->count, sizeof *g->at, compare);
    for (size_t i = 0; i < g->count; i++) {
        if (kept > 0 && bytes_equal(g->at[kept - 1].name, g->at[i].name))
            g->at[kept - 1].coincides = g->at[kept - 1].coincides || g->at[i].coincides;
        else
            g->at[kept++] = g->at[i];
    }
    g->count = kept;
}

const struct policy_special *policy_diff_find_special(const struct policy_specials *specials,
                                                      struct bytes name)
{
    const struct policy_special wanted = { .name = name };

    if (specials->count == 0)
        return NULL;
    return bsearch(&wanted, specials->at, specials->count, sizeof *specials->at, compare);
}

/* ---- Groups ---- */

enum rc policy_diff_groups(struct policy_differ *d, enum policy_asker asker,
                           struct policy_names *groups)
{
    const struct policy_kind kind = policy_kind_of(asker);
    struct gathering g = { .d = d };
    void *at = NULL;

    if (kind.group == POLICY_PRINCIPALS)
        return RC_OK;
    for (size_t side = 0; side < POLICY_SIDES; side++)
        TRY(policy_parts_names(d->parts[side], kind.group, add_name, &g));
    sort(&g);
    TRY(policy_arena_take(&d->study.arena, g.count * sizeof *groups->at, &at));
    groups->at = at;
    for (size_t i = 0; i < g.count; i++)
        groups->at[groups->count++] = g.at[i].name;
    return RC_OK;
}

/* ---- Levels that become equal ---- */

/* A level of some rule, at its depth. */
struct level {
    size_t depth;
    struct bytes text;
};
struct levels {
    struct level *at;
    size_t count;
};

static int compare_levels(const void *left, const void *right)
{
    const struct level *a = left, *b = right;

    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    return bytes_compare(a->text, b->text);
}

static void sort_levels(struct levels *levels)
{
    size_t kept = 0;

    if (levels->count > 1)
        qsort(levels->at, levels->count, sizeof *levels->at, compare_levels);
    for (size_t i = 0; i < levels->count; i++)
        if (kept == 0 || compare_levels(&levels->at[kept - 1], &levels->at[i]) != 0)
            levels->at[kept++] = levels->at[i];
    levels->count = kept;
}

struct sorted {
    struct policy_differ *d;
    enum policy_fact fact;
    struct levels symbols, words;
};

static bool has_fact(struct bytes level)
{
    return level.len > 1 && memmem(level.at, level.len, "${", 2) != NULL;
}

static enum rc add_levels(struct sorted *s, struct bytes filter)
{
    struct policy_levels levels = policy_topic_levels(filter);

    for (size_t depth = 0; filter.len > 0 && levels.more; depth++) {
        const struct level level = { depth, policy_topic_next(&levels) };
        bool symbol = policy_coincide_is_about(level.text, s->fact);
        struct levels *to = symbol ? &s->symbols : &s->words;
        if (!symbol && (has_fact(level.text) || policy_topic_is_plus(level.text) ||
                        policy_topic_is_hash(level.text)))
            continue;
        TRY(policy_arena_grow(&s->d->study.arena, &to->at, sizeof *to->at, to->count));
        to->at[to->count++] = level;
    }
    return RC_OK;
}

/* Of who is named, the rules have no symbols, and what they have concerns that one only. */
static bool is_for_many(const struct policy_rule *rule, enum policy_asker asker)
{
    const struct policy_kind kind = policy_kind_of(asker);

    return rule->principal == POLICY_ANYONE || rule->principal == kind.any ||
           rule->principal == kind.group;
}

static enum rc add_coincidences(struct sorted *s, struct gathering *g)
{
    for (size_t i = 0; i < s->symbols.count; i++) {
        const struct level *symbol = &s->symbols.at[i];
        for (size_t j = 0; j < s->words.count; j++)
            if (s->words.at[j].depth == symbol->depth)
                TRY(policy_coincide(symbol->text, s->words.at[j].text, add_name, g));
        for (size_t j = i + 1; j < s->symbols.count; j++)
            if (s->symbols.at[j].depth == symbol->depth)
                TRY(policy_coincide(symbol->text, s->symbols.at[j].text, add_name, g));
    }
    return RC_OK;
}

/* ---- Members of the policy's own groups ---- */

static bool has_member(struct policy_members members, struct bytes group)
{
    for (size_t i = 0; i < members.count; i++)
        if (bytes_equal(members.at[i].group, group))
            return true;
    return false;
}

static bool is_elsewhere(const struct policy_differ *d, struct bytes device)
{
    struct policy_members old = policy_parts_members(d->rules[POLICY_OLD], device);
    struct policy_members new = policy_parts_members(d->rules[POLICY_NEW], device);

    for (size_t i = 0; i < old.count; i++)
        if (!has_member(new, old.at[i].group))
            return true;
    for (size_t i = 0; i < new.count; i++)
        if (!has_member(old, new.at[i].group))
            return true;
    return false;
}

static enum rc add_members(struct policy_differ *d, struct gathering *g)
{
    for (size_t side = 0; side < POLICY_SIDES; side++)
        for (size_t i = 0; i < d->rules[side]->member_count; i++)
            if (is_elsewhere(d, d->rules[side]->members[i].device))
                TRY(add_name(g, d->rules[side]->members[i].device));
    return RC_OK;
}

enum rc policy_diff_specials(struct policy_differ *d, enum policy_asker asker,
                             struct policy_specials *specials)
{
    const struct policy_kind kind = policy_kind_of(asker);
    struct gathering g = { .d = d };
    struct sorted s = { .d = d, .fact = policy_fact_of(kind.one) };

    for (size_t side = 0; side < POLICY_SIDES; side++) {
        TRY(policy_parts_names(d->parts[side], kind.one, add_name, &g));
        for (size_t i = 0; i < d->rules[side]->count; i++)
            if (is_for_many(&d->rules[side]->at[i], asker))
                TRY(add_levels(&s, d->rules[side]->at[i].filter));
    }
    if (asker == POLICY_BY_DEVICE)
        TRY(add_members(d, &g));
    sort_levels(&s.symbols);
    sort_levels(&s.words);
    g.coincides = true;
    TRY(add_coincidences(&s, &g));
    sort(&g);
    *specials = (struct policy_specials){ g.at, g.count };
    return RC_OK;
}
