#include "policy/describe.h"

#include "base/text.h"

#include <string.h>

enum { TEXT_MAX = 64 * 1024 };

enum rc policy_study_open(struct policy_study *study)
{
    *study = (struct policy_study){ .areas = POLICY_AREAS_MAX };
    TRY(policy_language_new(POLICY_STATES_MAX, &study->language));
    return policy_verdicts_new(&study->verdicts);
}

void policy_study_close(struct policy_study *study)
{
    policy_language_free(study->language);
    policy_verdicts_free(study->verdicts);
    policy_arena_free(study->arena);
    *study = (struct policy_study){ 0 };
}

/* ---- Areas ---- */

struct areas {
    struct policy_study *study;
    struct policy_area *at;
    size_t count;
};

static enum rc add_area(void *with, const struct policy_piece *piece)
{
    struct areas *areas = with;
    struct policy_arena **arena = &areas->study->arena;
    struct policy_area made = { .except_count = piece->except_count };
    void *except = NULL;

    if (areas->study->areas < 1 + piece->except_count)
        return fault(RC_LIMIT, "more than %d filters are to be told", POLICY_AREAS_MAX);
    areas->study->areas -= 1 + piece->except_count;
    TRY(policy_arena_copy(arena, piece->filter, &made.filter));
    TRY(policy_arena_take(arena, piece->except_count * sizeof *made.except, &except));
    made.except = except;
    for (size_t i = 0; i < piece->except_count; i++)
        TRY(policy_arena_copy(arena, piece->except[i], &made.except[i]));
    TRY(policy_arena_grow(arena, &areas->at, sizeof *areas->at, areas->count));
    areas->at[areas->count++] = made;
    return RC_OK;
}

enum rc policy_describe_areas(struct policy_study *study, struct policy_topics set,
                              enum policy_action action, struct policy_area **areas,
                              size_t *count)
{
    static const struct policy_piece NOTHING = { 0 };
    struct areas made = { .study = study };

    if (policy_action_resource(action) == POLICY_NOTHING)
        TRY(add_area(&made, &NOTHING));
    else
        TRY(policy_language_describe(study->language, set, POLICY_AREAS_MAX, add_area, &made));
    *areas = made.at;
    *count = made.count;
    return RC_OK;
}

static enum rc make_set(struct policy_study *study, struct bytes filter,
                        const struct policy_class *class, struct policy_topics *set)
{
    AUTO_BUF(bound, 2 * POLICY_TOPIC_MAX);
    const struct policy_rule rule = { .filter = filter };
    bool open = false;

    TRY(policy_parts_bind(&rule, class, &bound, &open));
    return policy_language_filter(study->language, buf_bytes(&bound), true, 1, set);
}

enum rc policy_describe_set(struct policy_study *study, const struct policy_area *area,
                            enum policy_asker asker, struct bytes name,
                            struct policy_topics *set)
{
    const struct policy_class class = { .asker = asker, .name = name };
    struct policy_topics whole, off;

    TRY(make_set(study, area->filter, &class, &whole));
    for (size_t i = 0; i < area->except_count; i++) {
        TRY(make_set(study, area->except[i], &class, &off));
        TRY(policy_language_subtract(study->language, whole, off, &whole));
    }
    *set = whole;
    return RC_OK;
}

bool policy_describe_is_same_area(const struct policy_area *a, const struct policy_area *b)
{
    if (!bytes_equal(a->filter, b->filter) || a->except_count != b->except_count)
        return false;
    for (size_t i = 0; i < a->except_count; i++)
        if (!bytes_equal(a->except[i], b->except[i]))
            return false;
    return true;
}

/* ---- Conditions ---- */

static void add_guard(const struct policy_guard *guard, struct buf *text)
{
    if (guard->resource.len > 0) {
        buf_addf(text, "\"");
        text_add_shown(text, guard->resource);
        buf_addf(text, "\" is meant%s", guard->condition == POLICY_ALWAYS ? "" : " and ");
    }
    policy_condition_write(guard->rules, guard->condition, text);
}

static void add_guards(const struct policy_verdicts *verdicts, struct policy_voices voices,
                       enum policy_effect effect, const char *lead, struct buf *text)
{
    for (size_t i = 0; i < voices.count; i++) {
        if (voices.at[i].effect != effect || voices.at[i].guard == POLICY_SURE)
            continue;
        const struct policy_guard guard =
            policy_verdicts_get_guard(verdicts, voices.at[i].guard);
        buf_addf(text, "%s%s ", text->len == 0 ? "" : " ", lead);
        add_guard(&guard, text);
        lead = "or";
    }
}

enum rc policy_describe_sense(struct policy_study *study, uint32_t sense, struct bytes *text)
{
    AUTO_BUF(words, TEXT_MAX);
    struct policy_voices voices = policy_verdicts_get(study->verdicts, sense);
    struct bytes done;

    if (sense == 0)
        buf_addf(&words, "never");
    else if (policy_verdicts_is_sure(study->verdicts, sense))
        buf_addf(&words, "always");
    add_guards(study->verdicts, voices, POLICY_ALLOW, "if", &words);
    add_guards(study->verdicts, voices, POLICY_DENY, "unless", &words);
    if (buf_done(&words, &done) != RC_OK)
        done = BYTES("under conditions that are too long to tell");
    return policy_arena_copy(&study->arena, done, text);
}

/* ---- Two conditions ---- */

enum { LONG_MAX = 16 };

/* Tests for members of a set of which not all are told, in the order in which they are. */
struct sets {
    const struct policy_rules *rules[LONG_MAX];
    const struct policy_condition *at[LONG_MAX];
    size_t count;
};

static void find_sets(const struct policy_rules *rules, uint32_t condition, struct sets *sets)
{
    if (condition == POLICY_ALWAYS)
        return;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST) {
        if (c->value_count > POLICY_SHOWN_MAX && sets->count < LONG_MAX) {
            sets->rules[sets->count] = rules;
            sets->at[sets->count++] = c;
        }
        return;
    }
    find_sets(rules, c->left, sets);
    if (c->kind != POLICY_NOT)
        find_sets(rules, c->right, sets);
}

static struct sets sets_of(const struct policy_study *study, uint32_t sense)
{
    struct policy_voices voices = policy_verdicts_get(study->verdicts, sense);
    struct sets sets = { .count = 0 };

    for (unsigned effect = 0; effect < POLICY_EFFECTS; effect++)
        for (size_t i = 0; i < voices.count; i++) {
            if ((unsigned)voices.at[i].effect != effect || voices.at[i].guard == POLICY_SURE)
                continue;
            const struct policy_guard guard =
                policy_verdicts_get_guard(study->verdicts, voices.at[i].guard);
            find_sets(guard.rules, guard.condition, &sets);
        }
    return sets;
}

/* The first members of the one set that the other one lacks; both are in order. */
static void add_lacking(const struct sets *sets, const struct sets *others, size_t which,
                        struct buf *text)
{
    const struct policy_condition *test = sets->at[which], *other = others->at[which];
    const struct policy_value *value = &sets->rules[which]->values[test->first_value];
    const struct policy_value *than = &others->rules[which]->values[other->first_value];
    const char *lead = "; only here ";
    size_t told = 0;

    for (uint32_t i = 0, k = 0; i < test->value_count && told < POLICY_SHOWN_MAX; i++) {
        while (k < other->value_count && policy_value_compare(&than[k], &value[i]) < 0)
            k++;
        if (k < other->value_count && policy_value_equal(&than[k], &value[i]))
            continue;
        buf_addf(text, "%s", lead);
        policy_condition_write_value(test->fact, &value[i], text);
        lead = ", ";
        told++;
    }
}

static enum rc add_difference(struct policy_study *study, const struct sets *sets,
                              const struct sets *others, struct bytes *text)
{
    AUTO_BUF(words, TEXT_MAX);
    struct bytes done;

    buf_add(&words, *text);
    for (size_t i = 0; i < sets->count && i < others->count; i++)
        if (sets->at[i]->fact == others->at[i]->fact)
            add_lacking(sets, others, i, &words);
    return buf_done(&words, &done) != RC_OK ? RC_OK
                                            : policy_arena_copy(&study->arena, done, text);
}

enum rc policy_describe_senses(struct policy_study *study, uint32_t before, uint32_t after,
                               struct bytes texts[2])
{
    TRY(policy_describe_sense(study, before, &texts[0]));
    TRY(policy_describe_sense(study, after, &texts[1]));
    if (!bytes_equal(texts[0], texts[1]))
        return RC_OK;
    const struct sets were = sets_of(study, before), are = sets_of(study, after);
    TRY(add_difference(study, &were, &are, &texts[0]));
    return add_difference(study, &are, &were, &texts[1]);
}

/* ---- Rules ---- */

struct policy_where policy_describe_rule(const struct policy_rules *rules, uint32_t place)
{
    const struct policy_rule *rule = &rules->at[place];

    return (struct policy_where){ rule->number, rule->at.line, rule->at.column,
                                  rules->files[rule->at.file] };
}

struct listed {
    struct policy_study *study;
    const struct policy_rules *rules;
    struct policy_where *at;
    size_t count;
};

/* By number; a rule with lists is one. */
static enum rc add_where(struct listed *listed, const struct policy_where *where)
{
    size_t place = listed->count;

    while (place > 0 && listed->at[place - 1].rule >= where->rule)
        place--;
    if (place < listed->count && listed->at[place].rule == where->rule)
        return RC_OK;
    TRY(policy_arena_grow(&listed->study->arena, &listed->at, sizeof *listed->at,
                          listed->count));
    memmove(&listed->at[place + 1], &listed->at[place],
            (listed->count - place) * sizeof *listed->at);
    listed->at[place] = *where;
    listed->count++;
    return policy_arena_copy(&listed->study->arena, where->file, &listed->at[place].file);
}

static enum rc add_voices(void *with, uint32_t colour)
{
    struct listed *listed = with;
    struct policy_voices voices = policy_verdicts_get(listed->study->verdicts, colour);

    for (size_t i = 0; i < voices.count; i++) {
        if (voices.at[i].effect != POLICY_ALLOW)
            continue;
        const struct policy_where where =
            policy_describe_rule(listed->rules, voices.at[i].rule);
        TRY(add_where(listed, &where));
    }
    return RC_OK;
}

enum rc policy_describe_rules(struct policy_study *study, const struct policy_rules *rules,
                              struct policy_topics map, struct policy_where **where,
                              size_t *count)
{
    struct listed listed = { .study = study, .rules = rules };

    TRY(policy_language_colours(study->language, map, add_voices, &listed));
    *where = listed.at;
    *count = listed.count;
    return RC_OK;
}

/* ---- In words ---- */

void policy_describe_write_actions(unsigned actions, struct buf *out)
{
    const char *comma = "";

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (actions & 1U << action) {
            buf_addf(out, "%s%s", comma, policy_action_name(action));
            comma = ", ";
        }
}

void policy_describe_write_area(const struct policy_area *area, struct buf *out)
{
    if (area->filter.len == 0)
        return;
    buf_addf(out, " \"");
    text_add_shown(out, area->filter);
    buf_addf(out, "\"");
    for (size_t i = 0; i < area->except_count; i++) {
        buf_addf(out, i == 0 ? " except \"" : ", \"");
        text_add_shown(out, area->except[i]);
        buf_addf(out, "\"");
    }
}

void policy_describe_write_where(const struct policy_where *where, struct buf *out)
{
    buf_addf(out, "line %u", where->line);
    if (where->file.len > 0)
        buf_addf(out, " of \"%.*s\"", BYTES_FMT(where->file));
}

void policy_describe_write_rules(const struct policy_where *rules, size_t count,
                                 struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "%s", i == 0 ? "" : ", ");
        policy_describe_write_where(&rules[i], out);
    }
}
