#include "policy/check.h"

#include <string.h>

#include "policy/told.h"

/*
 * A condition is tried with values of which each way to answer its tests has one: what is
 * compared with, just below and just above it; of texts, each one, each beginning alone and
 * with more behind, and one that is like none; and that nobody knows. Where a fact is always or
 * never told, or what it can be is a short list, by that (told.h). Facts are taken as if each
 * could be anything whatever the others are, so a condition may be impossible and not be found
 * so; never the other way round.
 */
enum { FACTS_MAX = 8, VALUES_MAX = 40, TRIES_MAX = 20000, TEXT_MAX = 80 };

struct tried {
    enum policy_fact fact;
    bool closed; /* it can be nothing else, whatever it is compared with */
    size_t count, now;
    struct policy_value at[VALUES_MAX];
    uint8_t texts[VALUES_MAX][TEXT_MAX]; /* of beginnings with more behind */
};
struct trial {
    uint64_t *tries; /* so far */
    const struct policy_rules *rules;
    const struct policy_rule *rule;
    unsigned situation;
    int64_t now_ms;
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

/* Time does not go back: what ended before now never comes. */
static bool may_be(const struct trial *trial, enum policy_fact fact, int64_t number)
{
    const struct policy_told *told = policy_told(fact);

    if (fact == POLICY_TIME_NOW)
        return number >= trial->now_ms;
    return !told->ranged || (number >= told->low && number <= told->high);
}

static void add_number(struct trial *trial, struct tried *tried,
                       const struct policy_value *value, int64_t more)
{
    struct policy_value made = *value;

    if (!__builtin_add_overflow(value->number, more, &made.number) &&
        may_be(trial, tried->fact, made.number))
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

/* One more or less, as a number of 128 bits; not beyond the ends. */
static bool step(uint8_t address[16], bool up)
{
    for (size_t i = 16; i-- > 0;) {
        address[i] = (uint8_t)(address[i] + (up ? 1 : -1));
        if (address[i] != (up ? 0 : 0xff))
            return true;
    }
    return false;
}

/* The ends of a network, and what is beside it. */
static void add_network(struct trial *trial, struct tried *tried,
                        const struct policy_value *network)
{
    struct policy_value first = *network, last = *network;

    first.prefix = last.prefix = 128;
    for (size_t bit = network->prefix; bit < 128; bit++) {
        first.address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        last.address[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    add_value(trial, tried, &first);
    add_value(trial, tried, &last);
    if (step(first.address, false))
        add_value(trial, tried, &first);
    if (step(last.address, true))
        add_value(trial, tried, &last);
}

static void add_values(struct trial *trial, struct tried *tried,
                       const struct policy_value *value)
{
    switch (value->type) {
    case POLICY_STRING:
        add_value(trial, tried, value);
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
        add_network(trial, tried, value);
        break;
    case POLICY_VERSION:
    case POLICY_UNKNOWN:
    case POLICY_GROUPED:
    case POLICY_TYPES:
        trial->too_many = true; /* what lies between two of them is not tried */
    }
}

/* ---- Facts ---- */

/* Who is named has that name, who has a role that role. */
static bool is_said(const struct policy_rule *rule, enum policy_fact fact)
{
    return (rule->principal == POLICY_ROLE && fact == POLICY_OPERATOR_ROLE) ||
           policy_fact_of(rule->principal) == fact;
}

/* No door takes a client id that is not the device's own; one may be left out. */
static bool is_client(const struct policy_rule *rule, enum policy_fact fact)
{
    return rule->principal == POLICY_ONE_DEVICE && fact == POLICY_CLIENT_ID;
}

bool policy_check_is_own(const struct policy_rule *rule, enum policy_fact fact)
{
    return is_said(rule, fact) || is_client(rule, fact);
}

static void add_text(struct trial *trial, struct tried *tried, struct bytes text)
{
    const struct policy_value value = { .type = POLICY_STRING, .text = text };

    add_value(trial, tried, &value);
    tried->closed = true;
}

/* The least that it can be, which no number that it is compared with need be beside. */
static void add_first(struct trial *trial, struct tried *tried)
{
    const struct policy_told *told = policy_told(tried->fact);
    struct policy_value first = { .type = policy_fact_get(tried->fact)->type, .prefix = 128 };

    if (first.type == POLICY_STRING)
        add_longer(trial, tried, &first);
    else if (first.type == POLICY_VERSION)
        trial->too_many = true;
    first.number = tried->fact == POLICY_TIME_NOW ? trial->now_ms : told->low;
    if (first.type != POLICY_STRING)
        add_value(trial, tried, &first);
}

static void add_known(struct trial *trial, struct tried *tried)
{
    const struct policy_told *told = policy_told(tried->fact);

    for (size_t i = 0; i < policy_told_word_count(told); i++)
        if (told->words[i].situations & trial->situation)
            add_text(trial, tried, bytes_of_text(told->words[i].text));
    if (is_client(trial->rule, tried->fact))
        add_text(trial, tried, trial->rule->name);
    if (!tried->closed)
        add_first(trial, tried);
}

static struct tried *find_fact(struct trial *trial, enum policy_fact fact)
{
    static const struct policy_value UNKNOWN = { .type = POLICY_UNKNOWN };
    const struct policy_told *told = policy_told(fact);

    for (size_t i = 0; i < trial->count; i++)
        if (trial->facts[i].fact == fact)
            return &trial->facts[i];
    if (trial->count == FACTS_MAX) {
        trial->too_many = true;
        return &trial->facts[0];
    }
    struct tried *tried = &trial->facts[trial->count++];
    tried->fact = fact;
    tried->count = tried->now = 0;
    tried->closed = false;
    if (is_said(trial->rule, fact)) {
        add_text(trial, tried, trial->rule->name);
        return tried;
    }
    if (!(told->always & trial->situation))
        add_value(trial, tried, &UNKNOWN);
    tried->closed = !((told->always | told->perhaps) & trial->situation);
    if (!tried->closed)
        add_known(trial, tried);
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
    if (c->operator== POLICY_IN_GROUP) {
        trial->too_many = true; /* a device may be in several groups, and in any */
        return;
    }
    struct tried *tried = find_fact(trial, c->fact);
    for (uint32_t i = 0; !tried->closed && i < c->value_count; i++)
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

/* In one situation; what is too much to be tried may be either. Of a permit that applies it
 * does not matter whether it always does. */
static void try_all(struct trial *trial, bool *applies, bool *spares)
{
    const bool denies = trial->rule->effect == POLICY_DENY;
    size_t ways = 1;

    add_tests(trial, trial->rule->condition);
    for (size_t i = 0; i < trial->count && ways <= TRIES_MAX; i++)
        ways *= trial->facts[i].count;
    *applies = *spares = trial->too_many || ways > TRIES_MAX;
    if (*applies)
        return;
    do {
        bool met = is_met(trial);
        ++*trial->tries;
        *applies = *applies || met;
        *spares = *spares || !met;
    } while ((!*applies || (denies && !*spares)) && choose(trial));
}

struct policy_outcomes policy_check_try(const struct policy_rules *rules,
                                        const struct policy_rule *rule, unsigned situations,
                                        int64_t now_ms, uint64_t *tries)
{
    struct policy_outcomes outcomes = { 0, 0 };
    struct trial trial; /* large: its facts are begun as they are found */

    trial.tries = tries;
    trial.rules = rules;
    trial.rule = rule;
    trial.now_ms = now_ms;
    for (unsigned i = 0; i < POLICY_SITUATIONS; i++) {
        bool applies = false, spares = false;
        if (!(situations & 1U << i))
            continue;
        trial.situation = 1U << i;
        trial.count = 0;
        trial.too_many = false;
        try_all(&trial, &applies, &spares);
        outcomes.applies |= (unsigned)applies << i;
        outcomes.spares |= (unsigned)spares << i;
    }
    return outcomes;
}
