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
    uint32_t *permits;          /* places of the rules that allow it, or may */
    size_t permit_count;
    bool open;                    /* of a rule nobody can say whether it applies */
    bool fits;                    /* by all that apply; else too large for sure, or */
    bool may_fit;                 /* by those that may apply */
    enum policy_answer permitted; /* by any rule, at least some of it */
    struct policy_derivation made;
};

/* Does a rule have to do with what is asked for? */
struct match {
    enum policy_truth truth;
    unsigned may; /* set of 1 << enum policy_truth: with what is untold */
    uint32_t untold;
    bool in_part; /* of a subscription */
};

static enum policy_answer answer_of(enum policy_truth truth)
{
    return truth == POLICY_PERHAPS ? POLICY_IS_OPEN
           : truth == POLICY_YES   ? POLICY_IS_SO
                                   : POLICY_IS_NOT;
}

/* ---- Does the rule have to do with it? ---- */

/* What is quickly seen is looked at first: of a fleet's rules most are for others. */
static bool concerns(const struct deriving *d, const struct policy_rule *rule)
{
    enum policy_fact who = policy_fact_of(rule->principal);
    uint32_t i = 0;

    if (!(rule->actions & policy_subject_of(d->request->action).actions))
        return false;
    if (who != POLICY_FACTS && !bytes_equal(rule->name, policy_view_fact(&d->view, who).text))
        return false;
    uint32_t root = policy_bound_root(d->session->policy, rule->principal, rule->name);
    while (i < d->session->root_count && d->session->roots[i] != root)
        i++;
    return i < d->session->root_count;
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

/* Those of the subscription's topics that the rule is for. */
static enum rc share(struct deriving *d, const struct policy_rule *rule,
                     struct policy_topics *shared, bool *open)
{
    AUTO_BUF(resource, 2 * POLICY_TOPIC_MAX);
    struct policy_language *language = d->study.language;
    struct policy_topics topics;

    TRY(policy_parts_bind(rule, &d->class, &resource, open));
    TRY(policy_language_filter(language, buf_bytes(&resource), true, 1, &topics));
    return policy_language_intersect(language, d->asked, topics, shared);
}

/* All topics of a subscription, or some of them. */
static enum rc overlaps(struct deriving *d, const struct policy_rule *rule, struct match *match)
{
    struct policy_language *language = d->study.language;
    struct policy_mark mark = policy_language_mark(language);
    struct policy_topics shared;
    bool open = false;

    TRY(share(d, rule, &shared, &open));
    bool none = policy_language_is_empty(shared) || (open && !could_meet(d, rule->filter));
    match->truth = none ? POLICY_NO : open ? POLICY_PERHAPS : POLICY_YES;
    match->in_part = !policy_language_equal(shared, d->asked);
    policy_language_return(language, mark);
    return RC_OK;
}

static enum rc match(struct deriving *d, const struct policy_rule *rule, struct match *match)
{
    *match = (struct match){ .truth = POLICY_YES };
    if (!concerns(d, rule))
        match->truth = POLICY_NO;
    else if (d->request->action == POLICY_SUBSCRIBE)
        TRY(overlaps(d, rule, match));
    else if (policy_action_resource(d->request->action) != POLICY_NOTHING)
        match->truth = matches(d, rule->filter);
    match->may = 1U << match->truth;
    if (match->truth == POLICY_PERHAPS) {
        match->untold = policy_view_untold(&d->view, rule->filter);
        match->may = match->untold != 0 ? POLICY_ANY_TRUTH : match->may;
    }
    return RC_OK;
}

/* ---- Its condition ---- */

static enum policy_answer invert(enum policy_answer answer)
{
    return answer == POLICY_IS_OPEN ? answer
           : answer == POLICY_IS_SO ? POLICY_IS_NOT
                                    : POLICY_IS_SO;
}

static enum rc add_test(struct deriving *d, uint32_t condition, bool negated,
                        struct policy_derived_rule *rule)
{
    const struct policy_condition *test = &d->rules->conditions[condition];
    struct policy_value fact = policy_view_fact(&d->view, test->fact);
    struct policy_arena **arena = &d->study.arena;
    enum policy_answer answer = answer_of(policy_condition_test(d->rules, test, &fact));
    struct policy_derived_test made = {
        .answer = negated ? invert(answer) : answer,
        .untold = fact.untold,
    };
    AUTO_BUF(text, TEXT_MAX);
    AUTO_BUF(value, TEXT_MAX);

    policy_condition_write_test(d->rules, condition, negated, &text);
    if (fact.type == POLICY_UNKNOWN)
        buf_addf(&value, fact.untold ? "not told" : "not known");
    else
        policy_condition_write_value(test->fact, &fact, &value);
    TRY(policy_arena_copy(arena, buf_bytes(&text), &made.test));
    TRY(policy_arena_copy(arena, buf_bytes(&value), &made.fact));
    TRY(policy_arena_grow(arena, &rule->tests, sizeof made, rule->test_count));
    rule->tests[rule->test_count++] = made;
    return RC_OK;
}

/* The parser bounds how deep, and how many. */
static enum rc add_tests(struct deriving *d, uint32_t condition, bool negated,
                         struct policy_derived_rule *rule)
{
    const struct policy_condition *c = &d->rules->conditions[condition];

    if (c->kind == POLICY_TEST)
        return add_test(d, condition, negated, rule);
    if (c->kind == POLICY_NOT)
        return add_tests(d, c->left, !negated, rule);
    TRY(add_tests(d, c->left, negated, rule));
    return add_tests(d, c->right, negated, rule);
}

/* ---- The rule ---- */

static bool can_be(unsigned may, enum policy_effect effect, bool applies)
{
    for (enum policy_truth truth = POLICY_NO; truth <= POLICY_PERHAPS; truth++)
        if (may >> truth & 1 && policy_condition_applies(truth, effect) == applies)
            return true;
    return false;
}

static enum policy_answer applies(enum policy_effect effect, unsigned matches, unsigned holds)
{
    if (!can_be(matches, effect, true) || !can_be(holds, effect, true))
        return POLICY_IS_NOT;
    return can_be(matches, effect, false) || can_be(holds, effect, false) ? POLICY_IS_OPEN
                                                                          : POLICY_IS_SO;
}

static void say(enum policy_answer one, enum policy_answer *all)
{
    if (one == POLICY_IS_SO || *all == POLICY_IS_NOT)
        *all = one;
}

/* False: if the rule applies, the message is too large. */
static bool weigh_payload(struct deriving *d, const struct policy_rule *rule,
                          enum policy_answer applies)
{
    struct policy_value size = policy_view_fact(&d->view, POLICY_MESSAGE_SIZE);
    bool fits = !rule->obligations.payload_limited || size.type == POLICY_UNKNOWN ||
                (uint64_t)size.number <= rule->obligations.payload;

    d->made.limits_payload = d->made.limits_payload || rule->obligations.payload_limited;
    d->fits = d->fits && (fits || applies != POLICY_IS_SO);
    d->may_fit = d->may_fit && fits;
    return fits;
}

/* What the rule means for the whole. */
static enum rc weigh(struct deriving *d, uint32_t place, const struct match *match,
                     enum policy_answer applies)
{
    const struct policy_rule *rule = &d->rules->at[place];
    bool subscription = d->request->action == POLICY_SUBSCRIBE;
    /* What stands for a fact that nobody knows is more than it can be. */
    bool doubtful = subscription && match->truth == POLICY_PERHAPS;

    d->open = d->open || applies == POLICY_IS_OPEN;
    if (rule->effect == POLICY_DENY) {
        say(applies == POLICY_IS_SO && doubtful ? POLICY_IS_OPEN : applies, &d->made.denied);
        return RC_OK;
    }
    if (applies != POLICY_IS_NOT && weigh_payload(d, rule, applies))
        say(applies, &d->permitted);
    if (applies == POLICY_IS_NOT || !subscription)
        return RC_OK;
    TRY(policy_arena_grow(&d->study.arena, &d->permits, sizeof place, d->permit_count));
    d->permits[d->permit_count++] = place;
    return RC_OK;
}

static bool obliges(const struct policy_obligations *o)
{
    return o->rate > 0 || o->payload_limited || o->lease_ms > 0;
}

static uint32_t untold_tests(const struct deriving *d, uint32_t condition)
{
    if (condition == POLICY_ALWAYS)
        return 0;
    const struct policy_condition *c = &d->rules->conditions[condition];
    if (c->kind == POLICY_TEST)
        return policy_view_fact(&d->view, c->fact).untold ? 1U << c->fact : 0;
    return untold_tests(d, c->left) | (c->kind == POLICY_NOT ? 0 : untold_tests(d, c->right));
}

static enum rc add_rule(struct deriving *d, uint32_t place, const struct match *found)
{
    const struct policy_rule *rule = &d->rules->at[place];
    const struct policy_knowledge knowledge = policy_view_knowledge(&d->view);
    struct policy_arena **arena = &d->study.arena;
    const struct policy_decision *decision = &d->made.decision;
    struct policy_derived_rule made = {
        .where = policy_describe_rule(d->rules, place),
        .allows = rule->effect == POLICY_ALLOW,
        .in_part = found->in_part,
        .matches = answer_of(found->truth),
        .condition = answer_of(policy_condition_truth(d->rules, rule->condition, &knowledge)),
        .applies = applies(rule->effect, found->may,
                           policy_condition_may(d->rules, rule->condition, &knowledge)),
        .obliges = obliges(&rule->obligations),
        .lease_ms = rule->obligations.lease_ms,
        .limit_key = rule->limit_key,
    };

    made.decides =
        made.applies == POLICY_IS_SO && decision->by_rule && decision->rule == rule->number;
    if (made.applies == POLICY_IS_OPEN)
        d->made.untold |= found->untold | untold_tests(d, rule->condition);
    TRY(weigh(d, place, found, made.applies));
    TRY(policy_arena_copy(arena, rule->filter, &made.resource));
    TRY(policy_arena_copy(arena, made.where.file, &made.where.file));
    if (rule->condition != POLICY_ALWAYS)
        TRY(add_tests(d, rule->condition, false, &made));
    TRY(policy_arena_grow(arena, &d->made.at, sizeof made, d->made.count));
    d->made.at[d->made.count++] = made;
    return RC_OK;
}

static enum rc look_at(struct deriving *d, uint32_t place)
{
    struct match found;

    TRY(match(d, &d->rules->at[place], &found));
    return found.truth == POLICY_NO ? RC_OK : add_rule(d, place, &found);
}

/* ---- The answer ---- */

/* Are all topics of the subscription allowed by the rules that apply or may? */
static enum rc cover(struct deriving *d, bool *covered)
{
    struct policy_language *language = d->study.language;
    struct policy_topics all = policy_language_none(), shared;
    bool open = false;

    for (size_t i = 0; i < d->permit_count; i++) {
        TRY(share(d, &d->rules->at[d->permits[i]], &shared, &open));
        TRY(policy_language_union(language, all, shared, &all));
    }
    *covered = policy_language_equal(all, d->asked);
    return RC_OK;
}

/* With what is known it is not allowed: can it be with what is untold? */
static enum rc reconsider(struct deriving *d)
{
    bool covered = true;

    if (!d->open || !d->fits || d->made.denied == POLICY_IS_SO || d->permitted == POLICY_IS_NOT)
        return RC_OK;
    if (d->request->action == POLICY_SUBSCRIBE)
        TRY(cover(d, &covered));
    d->made.allowed = covered ? POLICY_IS_OPEN : POLICY_IS_NOT;
    return RC_OK;
}

static enum rc conclude(struct deriving *d)
{
    if (!d->made.decision.allowed)
        return reconsider(d);
    d->made.allowed = d->may_fit ? POLICY_IS_SO : POLICY_IS_OPEN;
    return RC_OK;
}

bool policy_asks_untold(const struct policy_session *session,
                        const struct policy_request *request)
{
    const struct policy_view view = policy_view_of(session, request);
    uint32_t asked = session->policy->asked & session->facts->untold;

    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++)
        if (asked >> fact & 1 && policy_view_fact(&view, fact).untold)
            return true;
    return false;
}

static enum rc add_nearest(struct deriving *d)
{
    AUTO_BUF(text, TEXT_MAX);

    if (d->made.allowed != POLICY_IS_NOT)
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
        TRY(look_at(d, place));
    TRY(conclude(d));
    return add_nearest(d);
}

enum rc policy_derive(const struct policy_session *session,
                      const struct policy_request *request,
                      struct policy_derivation *derivation)
{
    struct deriving d = {
        .session = session, .request = request, .fits = true, .may_fit = true
    };
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
        [POLICY_IS_NOT] = "no, it is ",
        [POLICY_IS_SO] = "yes, it is ",
        [POLICY_IS_OPEN] = "",
    };

    for (size_t i = 0; i < rule->test_count; i++) {
        const struct policy_derived_test *test = &rule->tests[i];
        buf_addf(out, "    %.*s: %s%.*s\n", BYTES_FMT(test->test), ANSWERS[test->answer],
                 BYTES_FMT(test->fact));
    }
}

static void write_rule(const struct policy_derived_rule *rule, struct buf *out)
{
    static const char *const APPLIES[] = {
        [POLICY_IS_NOT] = "it does not apply",
        [POLICY_IS_SO] = "it applies",
        [POLICY_IS_OPEN] = "it may apply",
    };

    policy_describe_write_where(&rule->where, out);
    buf_addf(out, " %s", rule->allows ? "allows" : "denies");
    if (rule->resource.len > 0) {
        buf_addf(out, " \"");
        text_add_shown(out, rule->resource);
        buf_addf(out, "\"");
    }
    if (rule->in_part)
        buf_addf(out, ", which is some of it");
    if (rule->matches == POLICY_IS_OPEN)
        buf_addf(out, ", which rests on a fact that is not %s",
                 rule->applies == POLICY_IS_OPEN ? "told" : "known");
    buf_addf(out, ": %s\n", rule->decides ? "it decides" : APPLIES[rule->applies]);
    write_tests(rule, out);
}

/* Who knows more may be told an earlier rule, and that it is denied by another one, or none. */
static bool may_be_told_otherwise(const struct policy_derivation *derivation)
{
    const struct policy_decision *decision = &derivation->decision;

    for (size_t i = 0; i < derivation->count; i++) {
        const struct policy_derived_rule *rule = &derivation->at[i];
        if (rule->applies == POLICY_IS_OPEN && rule->allows == decision->allowed &&
            decision->by_rule && rule->where.rule <= decision->rule)
            return true;
    }
    return false;
}

static void write_untold(uint32_t untold, struct buf *out)
{
    const char *comma = "";

    buf_addf(out, "perhaps: it rests on what is not told here: ");
    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++)
        if (untold >> fact & 1) {
            buf_addf(out, "%s%s", comma, policy_fact_get(fact)->name);
            comma = ", ";
        }
}

void policy_derivation_write_answer(const struct policy_derivation *derivation, struct buf *out)
{
    if (derivation->allowed == POLICY_IS_OPEN) {
        write_untold(derivation->untold, out);
    } else {
        policy_explain(&derivation->decision, out);
        if (may_be_told_otherwise(derivation))
            buf_addf(out, derivation->decision.allowed ? ", or by an earlier rule"
                                                       : ", or for another reason");
    }
}

void policy_derivation_write(const struct policy_derivation *derivation, struct buf *out)
{
    policy_derivation_write_answer(derivation, out);
    buf_addf(out, "\n");
    for (size_t i = 0; i < derivation->count; i++)
        write_rule(&derivation->at[i], out);
    if (derivation->nearest.len > 0)
        buf_addf(out, "%.*s\n", BYTES_FMT(derivation->nearest));
}
