#include "tests/support/policy_naive.h"

#include "tests/support/check.h"

#include <string.h>

/*
 * A subscription is judged by all topics that it matches. They are gone through level by level,
 * over all words that stand in some filter and one that stands in none; topics that took the
 * same way so far are one state. Longer than the longest filter, all topics are alike.
 */
enum { STATES = 4096, WORDS = NAIVE_RULES_MAX * NAIVE_LEVELS_MAX + 1, ASKED = NAIVE_RULES_MAX };

/* Sets of rules, and ASKED: whose filter is still on its way, and whose # was reached. */
struct state {
    uint32_t going, rest;
    bool nothing; /* one level that is empty: no topic, but the beginning of some */
};

struct search {
    const struct naive_world *world;
    uint32_t permits, denials;
    struct naive_path filters[ASKED + 1];
    char words[WORDS][NAIVE_LEVEL_MAX];
    size_t word_count, longest;
    struct state now[STATES], next[STATES];
    size_t count;
    /* found: rules that match some topic, all topics, all of the most levels, all of some
     * number of levels */
    uint32_t some, all, last, turns;
    bool covered;
};

/* A hole stands for a name that no rule has. */
static void add_word(struct search *s, const char *level)
{
    char word[NAIVE_LEVEL_MAX];
    size_t i = 0;

    if (strcmp(level, "+") == 0 || strcmp(level, "#") == 0)
        return;
    memcpy(word, level, strlen(level) + 1);
    for (char *hole = word; *hole != '\0'; hole++)
        *hole = *hole == HOLE ? 'Z' : *hole;
    while (i < s->word_count && strcmp(s->words[i], word) != 0)
        i++;
    memcpy(s->words[i], word, strlen(word) + 1);
    s->word_count += i == s->word_count;
}

static void add_filter(struct search *s, const struct naive_world *world, size_t which,
                       struct bytes text)
{
    struct naive_path *filter = &s->filters[which];

    memset(filter, 0, sizeof *filter);
    naive_bind(world, text, filter);
    for (size_t i = 0; i < filter->count; i++)
        add_word(s, filter->at[i]);
    if (s->longest < filter->count + 1)
        s->longest = filter->count + 1;
}

static struct state step(const struct search *s, const struct state *from, const char *word,
                         size_t depth)
{
    struct state to = { .rest = from->rest, .nothing = depth == 0 && word[0] == '\0' };

    for (size_t which = 0; which <= ASKED; which++) {
        uint32_t bit = 1U << which;
        if (!(from->going & bit) || depth >= s->filters[which].count)
            continue;
        const char *wanted = s->filters[which].at[depth];
        enum naive_truth is = naive_level(wanted, word, depth);
        if (is == NAIVE_FALSE || (is == NAIVE_UNKNOWN && !(s->denials & bit)))
            continue;
        if (strcmp(wanted, "#") == 0)
            to.rest |= bit;
        else
            to.going |= bit;
    }
    return to;
}

static void advance(struct search *s, size_t depth)
{
    size_t count = 0;

    for (size_t i = 0; i < s->count * s->word_count; i++) {
        struct state to =
            step(s, &s->now[i / s->word_count], s->words[i % s->word_count], depth);
        size_t at = 0;
        if (!((to.going | to.rest) >> ASKED & 1))
            continue;
        for (; at < count; at++)
            if (s->next[at].going == to.going && s->next[at].rest == to.rest &&
                s->next[at].nothing == to.nothing)
                break;
        assert_true(at < STATES);
        s->next[at] = to;
        count += at == count;
    }
    memcpy(s->now, s->next, count * sizeof *s->next);
    s->count = count;
}

/* Whose filter matches a topic that ends after so many levels. */
static uint32_t ending(const struct search *s, const struct state *state, size_t levels)
{
    uint32_t ends = state->rest;

    for (size_t which = 0; which <= ASKED; which++) {
        const struct naive_path *filter = &s->filters[which];
        bool hash = filter->count == levels + 1 && strcmp(filter->at[levels], "#") == 0;
        if (state->going >> which & 1 && (filter->count == levels || hash))
            ends |= 1U << which;
    }
    return ends;
}

static void look(struct search *s, size_t levels)
{
    uint32_t here = UINT32_MAX;
    bool any = false;

    for (size_t i = 0; i < s->count; i++) {
        uint32_t ends = ending(s, &s->now[i], levels);
        if (s->now[i].nothing || !(ends >> ASKED & 1))
            continue;
        any = true;
        here &= ends;
        s->some |= ends;
        s->covered = s->covered && (ends & s->permits) != 0;
    }
    if (!any)
        return;
    s->all &= here;
    s->turns |= here;
    if (levels == s->longest)
        s->last = here;
}

static void gather(struct search *s)
{
    const struct policy_rules *rules = s->world->rules;
    uint32_t going = 1U << ASKED;

    for (size_t i = 0; i < rules->count; i++) {
        const struct policy_rule *rule = &rules->at[i];
        enum naive_truth condition = naive_condition(s->world, rule->condition);
        if (!naive_concerns(s->world, rule))
            continue;
        if (rule->effect == POLICY_DENY && condition != NAIVE_FALSE)
            s->denials |= 1U << i;
        if (rule->effect == POLICY_ALLOW && condition == NAIVE_TRUE)
            s->permits |= 1U << i;
        if ((s->denials | s->permits) >> i & 1)
            add_filter(s, s->world, i, rule->filter);
    }
    add_filter(s, NULL, ASKED, s->world->request->resource);
    add_word(s, "~");
    s->now[0] = (struct state){ .going = going | s->denials | s->permits };
    s->count = 1;
}

struct policy_decision naive_decide_subscribe(const struct naive_world *world)
{
    static struct search s;

    s.world = world;
    s.permits = s.denials = s.some = s.last = s.turns = 0;
    s.word_count = s.longest = 0;
    s.all = UINT32_MAX;
    s.covered = true;
    gather(&s);
    for (size_t levels = 1; levels <= s.longest; levels++) {
        advance(&s, levels - 1);
        look(&s, levels);
    }
    if (s.some & s.denials)
        return naive_tell(world, (size_t)__builtin_ctz(s.some & s.denials), 0);
    if (!s.covered || s.permits == 0)
        return (struct policy_decision){ .version = world->version };
    if (s.all & s.permits)
        return naive_tell(world, (size_t)__builtin_ctz(s.all & s.permits), s.all & s.permits);
    assert_true(s.last & s.permits);
    return naive_tell(world, (size_t)__builtin_ctz(s.last & s.permits), s.turns & s.permits);
}
