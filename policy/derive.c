#include "base/text.h"
#include "policy/bound.h"
#include "policy/describe.h"

#include <stdlib.h>

enum { TEXT_MAX = 4096 };

struct deriving {
    const struct policy_session *session;
    const struct policy_request *request;
    const struct policy_rules *rules;
    struct policy_study study;
    struct policy_view view;
    struct policy_class class;
    struct policy_topics asked; /* of a subscription */
    struct policy_derivation made;
};

static enum policy_answer answer_of(enum policy_truth truth)
{
    return truth == POLICY_PERHAPS ? POLICY_IS_OPEN
           : truth == POLICY_YES   ? POLICY_IS_SO
                                   : POLICY_IS_NOT;
}

/* ---- Does the rule have to do with it? ---- */

static bool concerns(const struct deriving *d, const struct policy_rule *rule)
{
    uint32_t root = policy_bound_root(d->session->policy, rule->principal, rule->name);
    uint32_t i = 0;

    while (i < d->session->root_count && d->session->roots[i] != root)
        i++;
    return i < d->session->root_count &&
           rule->actions & policy_subject_of(d->request->action).actions;
}

static enum policy_truth level_is(const struct deriving *d, struct bytes pattern,
                                  struct bytes level, bool first)
{
    if (policy_topic_is_plus(pattern) || policy_topic_is_hash(pattern))
        return first && level.len > 0 && level.at[0] == '$' ? POLICY_NO : POLICY_YES;
    return policy_view_level_is(&d->view, pattern, level);
}

/* One name, level by level. */
static enum policy_truth matches(const struct deriving *d, struct bytes filter)
{
    struct policy_levels f = policy_topic_levels(filter);
    struct policy_levels asked = policy_topic_levels(d->request->resource);
    enum policy_truth all = POLICY_YES;

    for (bool first = true; f.more; first = false) {
        struct bytes pattern = policy_topic_next(&f);
        bool hash = policy_topic_is_hash(pattern);
        if (!asked.more)
            return hash ? all : POLICY_NO;
        enum policy_truth one = level_is(d, pattern, policy_topic_next(&asked), first);
        if (one == POLICY_NO || hash)
            return one == POLICY_NO ? one : all;
        all = one == POLICY_PERHAPS ? one : all;
    }
    return asked.more ? POLICY_NO : all;
}

/* A level with a fact that nobody knows is less than the + it is bound to. */
static bool could_meet(const struct deriving *d, struct bytes filter)
{
    struct policy_levels f = policy_topic_levels(filter);
    struct policy_levels asked = policy_topic_levels(d->request->resource);

    while (f.more && asked.more) {
        struct bytes pattern = policy_topic_next(&f), level = policy_topic_next(&asked);
        if (policy_topic_is_hash(pattern) || policy_topic_is_hash(level))
            return true;
        if (!policy_topic_is_plus(pattern) && !policy_topic_is_plus(level) &&
            policy_view_level_is(&d->view, pattern, level) == POLICY_NO)
            return false;
    }
    return true;
}

/* All topics of a subscription, or some of them. */
static enum rc overlaps(struct deriving *d, const struct policy_rule *rule,
                        enum policy_truth *truth, bool *in_part)
{
    AUTO_BUF(resource, 2 * POLICY_TOPIC_MAX);
    struct policy_language *language = d->study.language;
    struct policy_mark mark = policy_language_mark(language);
    struct policy_topics topics, shared;
    bool open = false;

    TRY(policy_parts_bind(rule, &d->class, &resource, &open));
    TRY(policy_language_filter(language, buf_bytes(&resource), true, 1, &topics));
    TRY(policy_language_intersect(language, d->asked, topics, &shared));
    bool none = policy_language_is_empty(shared) || (open && !could_meet(d, rule->filter));
    *truth = none ? POLICY_NO : open ? POLICY_PERHAPS : POLICY_YES;
    *in_part = !policy_language_equal(shared, d->asked);
    policy_language_return(language, mark);
    return RC_OK;
}

static enum rc match(struct deriving *d, const struct policy_rule *rule,
                     enum policy_truth *truth, bool *in_part)
{
    *truth = POLICY_YES;
    *in_part = false;
    if (!concerns(d, rule))
        *truth = POLICY_NO;
    else if (d->request->action == POLICY_SUBSCRIBE)
        return overlaps(d, rule, truth, in_part);
    else if (policy_action_resource(d->request->action) != POLICY_NOTHING)
        *truth = matches(d, rule->filter);
    return RC_OK;
}

/* ---- Its condition ---- */

static enum rc add_test(struct deriving *d, uint32_t condition,
                        struct policy_derived_rule *rule)
{
    const struct policy_condition *test = &d->rules->conditions[condition];
    struct policy_value fact = policy_view_fact(&d->view, test->fact);
    struct policy_arena **arena = &d->study.arena;
    struct policy_derived_test made = {
        .answer = answer_of(policy_condition_test(d->rules, test, &fact)),
    };
    AUTO_BUF(text, TEXT_MAX);
    AUTO_BUF(value, TEXT_MAX);

    policy_condition_write(d->rules, condition, &text);
    if (fact.type == POLICY_UNKNOWN)
        buf_addf(&value, "not known");
    else
        policy_condition_write_value(test->fact, &fact, &value);
    TRY(policy_arena_copy(arena, buf_bytes(&text), &made.test));
    TRY(policy_arena_copy(arena, buf_bytes(&value), &made.fact));
    TRY(policy_arena_grow(arena, &rule->tests, sizeof made, rule->test_count));
    rule->tests[rule->test_count++] = made;
    return RC_OK;
}

/* The parser bounds how deep, and how many. */
static enum rc add_tests(struct deriving *d, uint32_t condition,
                         struct policy_derived_rule *rule)
{
    const struct policy_condition *c = &d->rules->conditions[condition];

    if (c->kind == POLICY_TEST)
        return add_test(d, condition, rule);
    TRY(add_tests(d, c->left, rule));
    return c->kind == POLICY_NOT ? RC_OK : add_tests(d, c->right, rule);
}

/* ---- The rule ---- */

static enum rc add_rule(struct deriving *d, uint32_t place)
{
    const struct policy_rule *rule = &d->rules->at[place];
    const struct policy_knowledge knowledge = policy_view_knowledge(&d->view);
    struct policy_arena **arena = &d->study.arena;
    const struct policy_decision *decision = &d->made.decision;
    struct policy_derived_rule made = { .where = policy_describe_rule(d->rules, place),
                                        .allows = rule->effect == POLICY_ALLOW };
    enum policy_truth truth;

    TRY(match(d, rule, &truth, &made.in_part));
    if (truth == POLICY_NO)
        return RC_OK;
    enum policy_truth condition = policy_condition_truth(d->rules, rule->condition, &knowledge);
    made.matches = answer_of(truth);
    made.condition = answer_of(condition);
    made.applies = policy_condition_applies(condition, rule->effect) &&
                   policy_condition_applies(truth, rule->effect);
    made.decides = made.applies && decision->by_rule && decision->rule == rule->number;
    TRY(policy_arena_copy(arena, rule->filter, &made.resource));
    TRY(policy_arena_copy(arena, made.where.file, &made.where.file));
    if (rule->condition != POLICY_ALWAYS)
        TRY(add_tests(d, rule->condition, &made));
    TRY(policy_arena_grow(arena, &d->made.at, sizeof made, d->made.count));
    d->made.at[d->made.count++] = made;
    return RC_OK;
}

static enum rc add_nearest(struct deriving *d)
{
    AUTO_BUF(text, TEXT_MAX);

    if (d->made.decision.allowed)
        return RC_OK;
    policy_explain_denial(d->session, d->request, &text);
    return policy_arena_copy(&d->study.arena, buf_bytes(&text), &d->made.nearest);
}

static enum rc derive(struct deriving *d)
{
    TRY(policy_study_open(&d->study));
    d->rules = &d->session->policy->rules;
    d->class = policy_class_of(d->session->facts, &d->view);
    d->view = policy_view_of(d->session, d->request);
    if (d->request->action == POLICY_SUBSCRIBE)
        TRY(policy_language_filter(d->study.language, d->request->resource, false, 1,
                                   &d->asked));
    d->made.decision = policy_decide_request(d->session, d->request);
    for (uint32_t place = 0; place < d->rules->count; place++)
        TRY(add_rule(d, place));
    return add_nearest(d);
}

enum rc policy_derive(const struct policy_session *session,
                      const struct policy_request *request,
                      struct policy_derivation *derivation)
{
    struct deriving d = { .session = session, .request = request };
    enum rc rc = derive(&d);

    if (rc == RC_OK) {
        *derivation = d.made;
        derivation->arena = TAKE(d.study.arena);
    }
    policy_study_close(&d.study);
    return rc;
}

void policy_derivation_clear(struct policy_derivation *derivation)
{
    policy_arena_free(derivation->arena);
    *derivation = (struct policy_derivation){ 0 };
}

/* ---- In words ---- */

static void write_tests(const struct policy_derived_rule *rule, struct buf *out)
{
    static const char *const ANSWERS[] = {
        [POLICY_IS_NOT] = "no",
        [POLICY_IS_SO] = "yes",
        [POLICY_IS_OPEN] = "not known",
    };

    for (size_t i = 0; i < rule->test_count; i++) {
        const struct policy_derived_test *test = &rule->tests[i];
        buf_addf(out, "    %.*s: %s", BYTES_FMT(test->test), ANSWERS[test->answer]);
        if (test->answer != POLICY_IS_OPEN)
            buf_addf(out, ", it is %.*s", BYTES_FMT(test->fact));
        buf_addf(out, "\n");
    }
}

static void write_rule(const struct policy_derived_rule *rule, struct buf *out)
{
    policy_describe_write_where(&rule->where, out);
    buf_addf(out, " %s", rule->allows ? "allows" : "denies");
    if (rule->resource.len > 0) {
        buf_addf(out, " \"");
        text_add_escaped(out, rule->resource);
        buf_addf(out, "\"");
    }
    if (rule->in_part)
        buf_addf(out, ", which is some of it");
    if (rule->matches == POLICY_IS_OPEN)
        buf_addf(out, ", which rests on a fact that is not known");
    buf_addf(out, ": %s\n",
             rule->decides   ? "it decides"
             : rule->applies ? "it applies"
                             : "it does not apply");
    write_tests(rule, out);
}

void policy_derivation_write(const struct policy_derivation *derivation, struct buf *out)
{
    policy_explain(&derivation->decision, out);
    buf_addf(out, "\n");
    for (size_t i = 0; i < derivation->count; i++)
        write_rule(&derivation->at[i], out);
    if (derivation->nearest.len > 0)
        buf_addf(out, "%.*s\n", BYTES_FMT(derivation->nearest));
}
