#include "policy/check.h"

#include <string.h>

/*
 * A condition is tried with values of which each way to answer its tests has one: what is
 * compared with, just below and just above it; of texts, each one, each beginning alone and
 * with more behind, and one that is like none; and that nobody knows. Facts are taken as if
 * each could be anything whatever the others are, so a condition may be impossible and not be
 * found so; never the other way round.
 */
enum { FACTS_MAX = 8, VALUES_MAX = 40, TRIES_MAX = 20000, TEXT_MAX = 80 };

struct tried {
    enum policy_fact fact;
    size_t count, now;
    struct policy_value at[VALUES_MAX];
    uint8_t texts[VALUES_MAX][TEXT_MAX]; /* of beginnings with more behind */
};
struct trial {
    const struct policy_rules *rules;
    const struct policy_rule *rule;
    bool too_many;
    size_t count;
    struct tried facts[FACTS_MAX];
};

/* ---- Values ---- */

static void add_value(struct trial *trial, struct tried *tried,
                      const struct policy_value *value)
{
    for (size_t i = 0; i < tried->count; i++)
        if (tried->at[i].type == value->type &&
            (value->type == POLICY_UNKNOWN || policy_value_equal(&tried->at[i], value)))
            return;
    if (tried->count == VALUES_MAX)
        trial->too_many = true;
    else
        tried->at[tried->count++] = *value;
}

static bool may_be(enum policy_fact fact, int64_t number)
{
    static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;

    if (fact == POLICY_MESSAGE_QOS)
        return number >= 0 && number <= 2;
    if (fact == POLICY_MESSAGE_RETAIN)
        return number == 0 || number == 1;
    if (fact == POLICY_TIME_OF_DAY)
        return number >= 0 && number < DAY_MS;
    return fact != POLICY_MESSAGE_SIZE || number >= 0;
}

static void add_number(struct trial *trial, struct tried *tried,
                       const struct policy_value *value, int64_t more)
{
    struct policy_value made = *value;

    if (!__builtin_add_overflow(value->number, more, &made.number) &&
        may_be(tried->fact, made.number))
        add_value(trial, tried, &made);
}

/* The text with a letter behind that no name and no sensible text has. */
static void add_longer(struct trial *trial, struct tried *tried,
                       const struct policy_value *value)
{
    struct policy_value made = *value;
    uint8_t *text = tried->texts[tried->count < VALUES_MAX ? tried->count : 0];

    if (tried->count == VALUES_MAX || value->text.len + 1 > TEXT_MAX) {
        trial->too_many = true;
        return;
    }
    if (value->text.len > 0)
        memcpy(text, value->text.at, value->text.len);
    text[value->text.len] = 0x7f;
    made.text = (struct bytes){ text, value->text.len + 1 };
    add_value(trial, tried, &made);
}

static void add_values(struct trial *trial, struct tried *tried,
                       const struct policy_value *value)
{
    switch (value->type) {
    case POLICY_STRING:
        add_value(trial, tried, value);
        if (tried->fact != POLICY_TIME_WEEKDAY)
            add_longer(trial, tried, value);
        break;
    case POLICY_NUMBER:
    case POLICY_BOOLEAN:
    case POLICY_TIME:
    case POLICY_DURATION:
        for (int64_t more = -1; more <= 1; more++)
            add_number(trial, tried, value, more);
        break;
    case POLICY_ADDRESS:
    case POLICY_VERSION:
    case POLICY_UNKNOWN:
    case POLICY_TYPES:
        trial->too_many = true; /* what lies between two of them is not tried */
    }
}

/* ---- Facts ---- */

static void add_days(struct trial *trial, struct tried *tried)
{
    static const struct bytes DAYS[] = { BYTES("monday"),    BYTES("tuesday"),
                                         BYTES("wednesday"), BYTES("thursday"),
                                         BYTES("friday"),    BYTES("saturday"),
                                         BYTES("sunday") };

    for (size_t i = 0; i < sizeof DAYS / sizeof *DAYS; i++) {
        const struct policy_value day = { .type = POLICY_STRING, .text = DAYS[i] };
        add_value(trial, tried, &day);
    }
}

static bool is_own(const struct policy_rule *rule, enum policy_fact fact)
{
    return fact != POLICY_FACTS && policy_fact_of(rule->principal) == fact;
}

/* Who is named is known by that name; all else may be not known, or like nothing that is
 * written. */
static struct tried *find_fact(struct trial *trial, enum policy_fact fact)
{
    static const struct policy_value UNKNOWN = { .type = POLICY_UNKNOWN };
    struct policy_value first = { .type = policy_fact_get(fact)->type };

    for (size_t i = 0; i < trial->count; i++)
        if (trial->facts[i].fact == fact)
            return &trial->facts[i];
    if (trial->count == FACTS_MAX) {
        trial->too_many = true;
        return &trial->facts[0];
    }
    struct tried *tried = &trial->facts[trial->count++];
    *tried = (struct tried){ .fact = fact };
    if (is_own(trial->rule, fact)) {
        first.text = trial->rule->name;
        add_value(trial, tried, &first);
        return tried;
    }
    add_value(trial, tried, &UNKNOWN);
    if (fact == POLICY_TIME_WEEKDAY)
        add_days(trial, tried);
    else if (first.type == POLICY_STRING)
        add_longer(trial, tried, &first);
    else if (first.type == POLICY_NUMBER || first.type == POLICY_BOOLEAN)
        add_value(trial, tried, &first);
    return tried;
}

static void add_tests(struct trial *trial, uint32_t condition)
{
    const struct policy_condition *c = &trial->rules->conditions[condition];

    if (c->kind != POLICY_TEST) {
        add_tests(trial, c->left);
        if (c->kind != POLICY_NOT)
            add_tests(trial, c->right);
        return;
    }
    struct tried *tried = find_fact(trial, c->fact);
    if (c->operator== POLICY_IS_KNOWN && c->value_count == 0 && policy_fact_get(c->fact)->type >
        POLICY_BOOLEAN)
        trial->too_many = true; /* a known value would have to be made up */
    for (uint32_t i = 0; !is_own(trial->rule, c->fact) && i < c->value_count; i++)
        add_values(trial, tried, &trial->rules->values[c->first_value + i]);
}

/* ---- Trying ---- */

static struct policy_value know(void *with, enum policy_fact fact)
{
    const struct trial *trial = with;
    size_t i = 0;

    while (trial->facts[i].fact != fact)
        i++;
    return trial->facts[i].at[trial->facts[i].now];
}

/* The next of all ways to choose a value for each fact; false after the last. */
static bool choose(struct trial *trial)
{
    for (size_t i = 0; i < trial->count; i++) {
        if (++trial->facts[i].now < trial->facts[i].count)
            return true;
        trial->facts[i].now = 0;
    }
    return false;
}

static bool is_met(struct trial *trial)
{
    const struct policy_knowledge knowledge = { know, trial };
    enum policy_truth truth =
        policy_condition_truth(trial->rules, trial->rule->condition, &knowledge);

    return policy_condition_applies(truth, trial->rule->effect);
}

bool policy_check_is_impossible(const struct policy_rules *rules,
                                const struct policy_rule *rule)
{
    struct trial trial = { .rules = rules, .rule = rule };
    size_t ways = 1;

    add_tests(&trial, rule->condition);
    for (size_t i = 0; i < trial.count && ways <= TRIES_MAX; i++)
        ways *= trial.facts[i].count;
    if (trial.too_many || ways > TRIES_MAX)
        return false;
    do {
        if (is_met(&trial))
            return false;
    } while (choose(&trial));
    return true;
}
