#include "policy/check.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "policy/told.h"

/* Rules that wait in vain: their condition is never met, or asks for a fact that nobody tells
 * where they are asked, or for a value that it never has. Of a denial that is graver than of a
 * permit: what is not known does not spare, so it denies all, or it denies nobody. */

enum { TEXT_MAX = 8 * 1024, REASONS_MAX = 1024 };

struct waiting {
    struct policy_checker *checker;
    uint32_t place;
    const struct policy_rule *rule;
    unsigned askers, situations;
    unsigned facts; /* set of 1 << enum policy_fact, of its condition */
    bool by_name;   /* which of them asks who it is that asks */
    bool again; /* another name of the rule had its turn: only what is of this one is told */
    struct policy_outcomes outcomes;
};

static enum rc tell(const struct waiting *w, enum policy_concern concern, struct buf *text)
{
    if (w->again && concern == POLICY_UNTOLD)
        return RC_OK;
    return policy_check_add(w->checker, concern, true, w->place, (struct bytes){ NULL, 0 },
                            text);
}

/* ---- Facts that are not told ---- */

static_assert(POLICY_FACTS <= 32);

static void collect(const struct policy_rules *rules, uint32_t condition, unsigned *facts)
{
    const struct policy_condition *c = &rules->conditions[condition];

    if (c->kind == POLICY_TEST) {
        *facts |= 1U << c->fact;
        return;
    }
    collect(rules, c->left, facts);
    if (c->kind != POLICY_NOT)
        collect(rules, c->right, facts);
}

/* Those that are known in none of the situations. */
static unsigned untold(unsigned facts, unsigned situations)
{
    unsigned found = 0;

    for (unsigned fact = 0; fact < POLICY_FACTS; fact++) {
        const struct policy_told *told = policy_told((enum policy_fact)fact);
        if (facts & 1U << fact && !((told->always | told->perhaps) & situations))
            found |= 1U << fact;
    }
    return found;
}

static void add_facts(unsigned facts, struct buf *text)
{
    const char *before = "";

    for (unsigned fact = 0; fact < POLICY_FACTS; fact++) {
        if (!(facts & 1U << fact))
            continue;
        facts &= ~(1U << fact);
        buf_addf(text, "%s%s", before, policy_fact_get((enum policy_fact)fact)->name);
        before = (facts & (facts - 1)) == 0 ? " and " : ", ";
    }
}

/* Who asks in these situations for something that the rule is about. */
static unsigned askers_in(const struct waiting *w, unsigned situations)
{
    unsigned askers = 0;

    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++)
        if (w->askers & 1U << asker &&
            policy_told_situations(1U << asker, w->rule->actions) & situations)
            askers |= 1U << asker;
    return askers;
}

/* "nobody tells attestation.verdict yet", "line.id is not known where devices ask for publish"
 */
static void add_why(const struct waiting *w, unsigned facts, unsigned situations,
                    struct buf *text)
{
    if (untold(facts, ~0U) == facts) {
        buf_addf(text, "nobody tells ");
        add_facts(facts, text);
        buf_addf(text, " yet");
        return;
    }
    add_facts(facts, text);
    buf_addf(text, " %s not known where ", (facts & (facts - 1)) == 0 ? "is" : "are");
    policy_told_write_askers(askers_in(w, situations), text);
    buf_addf(text, " ask for ");
    policy_describe_write_actions(policy_told_actions(w->rule->actions, situations), text);
}

/* ---- Facts in the resource ---- */

static unsigned facts_of(struct bytes filter)
{
    unsigned facts = 0;

    for (size_t i = 0; i + 1 < filter.len; i++) {
        const uint8_t *end = filter.at[i] == '$' && filter.at[i + 1] == '{'
                                 ? memchr(filter.at + i, '}', filter.len - i)
                                 : NULL;
        if (end != NULL)
            facts |= 1U << policy_fact_by_name((struct bytes){
                         filter.at + i + 2, (size_t)(end - filter.at) - i - 2 });
    }
    return facts;
}

static enum rc check_resource(const struct waiting *w)
{
    const unsigned facts = untold(facts_of(w->rule->filter), w->situations);
    AUTO_BUF(text, TEXT_MAX);

    if (facts == 0 || w->checker->untold == w->rule->number + 1)
        return RC_OK;
    w->checker->untold = w->rule->number + 1;
    if (w->rule->effect == POLICY_ALLOW) {
        buf_addf(&text, "it never applies: ");
    } else {
        buf_addf(&text, "it denies whatever ");
        add_facts(facts, &text);
        buf_addf(&text, " could be: ");
    }
    add_why(w, facts, w->situations, &text);
    return policy_check_add(w->checker, POLICY_UNTOLD, true, w->place, w->rule->filter, &text);
}

/* ---- Values that a fact never has ---- */

static bool is_word(const struct waiting *w, const struct policy_condition *test,
                    struct bytes text)
{
    const struct policy_told *told = policy_told(test->fact);
    const size_t count = policy_told_word_count(told);

    for (size_t i = 0; i < count; i++) {
        struct bytes word = bytes_of_text(told->words[i].text);
        if (told->words[i].situations & w->situations &&
            (test->operator== POLICY_STARTS_WITH ? bytes_start_with(word, text)
                                                 : bytes_equal(word, text)))
            return true;
    }
    return count == 0;
}

/* Just above the greatest may stand as what it is below: time.of_day < 24:00. */
static bool is_in_range(const struct policy_condition *test, int64_t number)
{
    const struct policy_told *told = policy_told(test->fact);
    bool end =
        test->operator== POLICY_BELOW || test->operator== POLICY_AT_MOST || test->operator==
        POLICY_BETWEEN;

    return !told->ranged || (number >= told->low && number - end <= told->high);
}

static void add_range(const struct waiting *w, enum policy_fact fact, struct buf *text)
{
    const struct policy_told *told = policy_told(fact);
    struct policy_value end = { .type = policy_fact_get(fact)->type, .number = told->low };
    const char *before = "";

    for (size_t i = 0; i < policy_told_word_count(told); i++)
        if (told->words[i].situations & w->situations) {
            buf_addf(text, "%s\"%s\"", before, told->words[i].text);
            before = ", ";
        }
    if (!told->ranged)
        return;
    policy_condition_write_value(fact, &end, text);
    end.number = told->high;
    if (told->high == INT64_MAX) {
        buf_addf(text, " or more");
        return;
    }
    buf_addf(text, end.type == POLICY_BOOLEAN ? " or " : " to ");
    policy_condition_write_value(fact, &end, text);
}

/* ---- Tests that come out the same whatever the fact is ---- */

/* Adds how the test comes out for this number, if the fact can be it. */
static void try_number(const struct waiting *w, const struct policy_condition *test,
                       int64_t number, unsigned *truths)
{
    const struct policy_told *told = policy_told(test->fact);
    const struct policy_value value = { .type = policy_fact_get(test->fact)->type,
                                        .number = number };

    if (number >= told->low && number <= told->high)
        *truths |= 1U << policy_condition_test(w->checker->rules, test, &value);
}

/* Of a day of the week: each; of a number, of each side of what it is compared with one. */
static unsigned truths_of(const struct waiting *w, const struct policy_condition *test)
{
    const struct policy_told *told = policy_told(test->fact);
    unsigned truths = 0;

    for (size_t i = 0; !told->ranged && i < policy_told_word_count(told); i++) {
        const struct policy_value word = { .type = POLICY_STRING,
                                           .text = bytes_of_text(told->words[i].text) };
        truths |= 1U << policy_condition_test(w->checker->rules, test, &word);
    }
    if (!told->ranged)
        return truths;
    try_number(w, test, told->low, &truths);
    try_number(w, test, told->high, &truths);
    for (uint32_t i = 0; i < test->value_count; i++) {
        int64_t number = w->checker->rules->values[test->first_value + i].number;
        try_number(w, test, number, &truths);
        if (number > told->low)
            try_number(w, test, number - 1, &truths);
        if (number < told->high)
            try_number(w, test, number + 1, &truths);
    }
    return truths;
}

/* False: it may come out either way. Of words that depend on who asks, what is always so may
 * well be meant: they are not looked at. */
static bool add_constant(const struct waiting *w, const struct policy_condition *test,
                         struct buf *reasons)
{
    if (test->operator== POLICY_IS_KNOWN ||(!policy_told(test->fact)->ranged &&
                                            test->fact != POLICY_TIME_WEEKDAY))
        return false;
    unsigned truths = truths_of(w, test);
    if (truths != 1U << POLICY_YES && truths != 1U << POLICY_NO)
        return false;
    buf_addf(reasons, "%s%s is here ", reasons->len > 0 ? "; " : "",
             policy_fact_get(test->fact)->name);
    add_range(w, test->fact, reasons);
    buf_addf(reasons, ": ");
    policy_condition_write(w->checker->rules, (uint32_t)(test - w->checker->rules->conditions),
                           reasons);
    buf_addf(reasons, " is %s so", truths == 1U << POLICY_YES ? "always" : "never");
    return true;
}

static bool is_order(enum policy_operator operator)
{
    return operator== POLICY_BELOW || operator== POLICY_AT_MOST || operator== POLICY_ABOVE ||
    operator== POLICY_AT_LEAST ||
    operator== POLICY_BETWEEN;
}

static void add_reason(const struct waiting *w, const struct policy_condition *test,
                       struct buf *reasons)
{
    const struct policy_rules *rules = w->checker->rules;

    if (is_order(test->operator) && add_constant(w, test, reasons))
        return;
    for (uint32_t i = 0; i < test->value_count; i++) {
        const struct policy_value *value = &rules->values[test->first_value + i];
        if (value->type == POLICY_STRING ? is_word(w, test, value->text)
                                         : is_in_range(test, value->number))
            continue;
        buf_addf(reasons, "%s%s is here ", reasons->len > 0 ? "; " : "",
                 policy_fact_get(test->fact)->name);
        add_range(w, test->fact, reasons);
        buf_addf(reasons, ", never ");
        policy_condition_write_value(test->fact, value, reasons);
        return; /* of a list, the first is enough to see what is wrong */
    }
    (void)add_constant(w, test, reasons);
}

static void add_reasons(const struct waiting *w, uint32_t condition, struct buf *reasons)
{
    const struct policy_condition *c = &w->checker->rules->conditions[condition];

    if (c->kind != POLICY_TEST) {
        add_reasons(w, c->left, reasons);
        if (c->kind != POLICY_NOT)
            add_reasons(w, c->right, reasons);
    } else if (untold(1U << c->fact, w->situations) == 0 && reasons->len < REASONS_MAX / 2) {
        add_reason(w, c, reasons);
    }
}

/* ---- Conditions that are never met, or always ---- */

/* All parts of the rule that are for the same, or for such of whom the condition asks nothing
 * else. */
static void set_gone(const struct waiting *w)
{
    const struct policy_rules *rules = w->checker->rules;

    for (uint32_t i = w->place; i < rules->count; i++) {
        const struct policy_rule *part = &rules->at[i];
        if (part->number != w->rule->number)
            break;
        if (part->principal == w->rule->principal &&
            (!w->by_name || bytes_equal(part->name, w->rule->name)))
            w->checker->gone[i] = true;
    }
}

/* Has the rule other parts? */
static bool is_listed(const struct waiting *w)
{
    const struct policy_rules *rules = w->checker->rules;

    return w->again ||
           (w->place + 1 < rules->count && rules->at[w->place + 1].number == w->rule->number);
}

static enum rc tell_never(const struct waiting *w, struct bytes reasons)
{
    const int64_t until_ms = w->rule->obligations.until_ms;
    const unsigned facts = untold(w->facts, w->situations);
    AUTO_BUF(text, TEXT_MAX);

    if (until_ms > 0 && until_ms <= w->checker->now_ms) {
        buf_addf(&text, "it has ended: until ");
        clock_add_rfc3339(&text, until_ms);
        buf_addf(&text, " is past");
    } else if (facts != 0) {
        buf_addf(&text, "it never applies: ");
        add_why(w, facts, w->situations, &text);
        return tell(w, POLICY_UNTOLD, &text);
    } else {
        buf_addf(&text, "nothing can meet its condition");
        if (w->by_name && is_listed(w)) {
            buf_addf(&text, " of \"");
            text_add_shown(&text, w->rule->name);
            buf_addf(&text, "\"");
        }
        buf_addf(&text, ": ");
        policy_condition_write(w->checker->rules, w->rule->condition, &text);
        buf_addf(&text, "%s", reasons.len > 0 ? "; " : "");
        buf_add(&text, reasons);
    }
    set_gone(w);
    if (w->by_name && w->checker->vain == w->rule->number + 1) /* told of another name */
        return RC_OK;
    w->checker->vain = w->rule->number + 1;
    return tell(w, POLICY_NEVER, &text);
}

/* Situations in which it never allows, or denies all; by facts that are not told in any. Of
 * `anyone` a permit may well be meant for some alone. */
static unsigned failing(const struct waiting *w, unsigned *facts)
{
    const bool allow = w->rule->effect == POLICY_ALLOW;
    const bool one_kind = (w->askers & (w->askers - 1)) == 0;
    unsigned found = 0;

    for (unsigned i = 0; i < POLICY_SITUATIONS; i++) {
        unsigned bit = w->situations & 1U << i;
        unsigned fine = allow ? w->outcomes.applies : w->outcomes.spares;
        unsigned here = bit == 0 || fine & bit ? 0 : untold(w->facts, bit);
        found |= here != 0 ? bit : 0;
        *facts |= here;
    }
    return allow && !one_kind ? 0 : found;
}

static enum rc tell_untold(const struct waiting *w)
{
    unsigned missing = 0, where = failing(w, &missing);
    const unsigned facts = untold(w->facts, w->situations);
    AUTO_BUF(text, TEXT_MAX);

    if (where == 0 && facts == 0)
        return RC_OK;
    if (where == 0) {
        buf_addf(&text, "it asks in vain: ");
        add_why(w, facts, w->situations, &text);
    } else if (w->rule->effect == POLICY_ALLOW) {
        buf_addf(&text, "it never allows ");
        policy_describe_write_actions(policy_told_actions(w->rule->actions, where), &text);
        buf_addf(&text, ": ");
        add_why(w, missing, where, &text);
    } else {
        buf_addf(&text, "it denies whatever ");
        add_facts(missing, &text);
        buf_addf(&text, " could be: ");
        add_why(w, missing, where, &text);
        if (where != w->situations)
            buf_addf(&text, "; \"%s is known and ...\" spares these",
                     policy_fact_get((enum policy_fact)__builtin_ctz(missing))->name);
    }
    return tell(w, POLICY_UNTOLD, &text);
}

static enum rc tell_tired(const struct waiting *w)
{
    AUTO_BUF(text, TEXT_MAX);

    if (w->checker->tired)
        return RC_OK;
    w->checker->tired = true;
    buf_addf(
        &text,
        "whether the conditions of this and of what stands below can be met was not looked "
        "for: it takes more than %llu tries",
        (unsigned long long)w->checker->most);
    return tell(w, POLICY_UNFINISHED, &text);
}

static enum rc check_condition(struct waiting *w)
{
    const struct policy_rules *rules = w->checker->rules;
    AUTO_BUF(reasons, REASONS_MAX);

    if (w->checker->tries > w->checker->most)
        return tell_tired(w);
    w->outcomes =
        policy_check_try(rules, w->rule, w->situations, w->checker->now_ms, &w->checker->tries);
    add_reasons(w, w->rule->condition, &reasons);
    if (w->outcomes.applies == 0)
        return tell_never(w, buf_bytes(&reasons));
    TRY(tell_untold(w));
    return reasons.len > 0 ? tell(w, POLICY_UNTOLD, &reasons) : RC_OK;
}

/* Parts of a rule have one condition: it is looked at once, but by name where it asks for that.
 */
static bool is_due(struct waiting *w, enum policy_first first)
{
    if (w->rule->condition == POLICY_ALWAYS || first == POLICY_NOT_FIRST)
        return false;
    collect(w->checker->rules, w->rule->condition, &w->facts);
    for (unsigned fact = 0; fact < POLICY_FACTS; fact++)
        w->by_name = w->by_name || (w->facts & 1U << fact &&
                                    policy_check_is_own(w->rule, (enum policy_fact)fact));
    w->again = first < POLICY_FIRST_OF_KIND;
    return w->by_name || !w->again;
}

enum rc policy_check_told(struct policy_checker *checker, uint32_t place,
                          enum policy_first first)
{
    const struct policy_rule *rule = &checker->rules->at[place];
    struct waiting w = { .checker = checker,
                         .place = place,
                         .rule = rule,
                         .askers = policy_told_askers(rule->principal) };

    w.situations = policy_told_situations(w.askers, rule->actions);
    if (w.situations == 0) /* nobody asks: policy_check_idle() says so */
        return RC_OK;
    TRY(check_resource(&w));
    return is_due(&w, first) ? check_condition(&w) : RC_OK;
}
