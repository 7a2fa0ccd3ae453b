#include "policy/explain.h"

#include "base/text.h"
#include "policy/bound.h"
#include "policy/view.h"

#include <inttypes.h>

/* ---- What was decided ---- */

static void add_line(unsigned line, struct bytes file, struct buf *out)
{
    buf_addf(out, "line %u", line);
    if (file.len > 0)
        buf_addf(out, " of \"%.*s\"", BYTES_FMT(file));
}

void policy_explain_rule(const struct policy_decision *decision, struct buf *out)
{
    buf_addf(out, "%s by ", decision->allowed ? "allowed" : "denied");
    add_line(decision->line, decision->file, out);
}

static void explain_version(const struct policy_decision *decision, struct buf *out)
{
    if (decision->version != 0)
        buf_addf(out, " of version %" PRIu64, decision->version);
}

void policy_explain(const struct policy_decision *decision, struct buf *out)
{
    if (!decision->by_rule) {
        buf_addf(out, "no rule");
        explain_version(decision, out);
        buf_addf(out, " allows it");
        return;
    }
    policy_explain_rule(decision, out);
    explain_version(decision, out);
    if (decision->too_large)
        buf_addf(out, ": a message has %" PRIu64 " octets at most",
                 decision->obligations.payload);
}

/* ---- The rule that came nearest ---- */

/* What a rule lacks, the least first. */
enum lack { LACKS_CONDITION, LACKS_ACTION, LACKS_PRINCIPAL, LACKS_TOPIC, LACKS_TOO_MUCH };

struct near {
    enum lack lack;
    size_t levels; /* LACKS_TOPIC: that it has in common with what was asked */
    const struct policy_rule *rule;
};

struct question {
    const struct policy_session *session;
    const struct policy_request *request;
    struct policy_view view;
};

/* In what was asked for, `${...}` is a word like any other. */
static bool is_system(struct bytes level)
{
    return level.len > 0 && level.at[0] == '$';
}

/* Does the level of a rule hold that of the topic or filter that was asked for? */
static bool holds_level(const struct question *q, struct bytes pattern, struct bytes level,
                        bool first)
{
    if (policy_topic_is_plus(pattern))
        return !policy_topic_is_hash(level) && !(first && is_system(level));
    return policy_view_level_is(&q->view, pattern, level) == POLICY_YES;
}

/* All that was asked for, or so many levels of it. */
static bool holds(const struct question *q, struct bytes filter, size_t *levels)
{
    struct policy_levels f = policy_topic_levels(filter);
    struct policy_levels asked = policy_topic_levels(q->request->resource);

    *levels = 0;
    if (policy_action_resource(q->request->action) == POLICY_NOTHING)
        return true;
    for (bool first = true; f.more; first = false, ++*levels) {
        struct bytes pattern = policy_topic_next(&f);
        if (policy_topic_is_hash(pattern))
            return !(first && is_system(policy_topic_next(&asked)));
        if (!asked.more || !holds_level(q, pattern, policy_topic_next(&asked), first))
            return false;
    }
    return !asked.more;
}

static bool concerns(const struct question *q, const struct policy_rule *rule)
{
    uint32_t root = policy_bound_root(q->session->policy, rule->principal, rule->name);

    for (uint32_t i = 0; i < q->session->root_count; i++)
        if (q->session->roots[i] == root)
            return true;
    return false;
}

/* All actions of a rule are done to the same kind of thing. */
static bool is_about(const struct policy_rule *rule, enum policy_action action)
{
    enum policy_action one = (enum policy_action)__builtin_ctz(rule->actions);

    return policy_action_resource(one) == policy_action_resource(action);
}

static struct near look_at(const struct question *q, const struct policy_rule *rule)
{
    unsigned wanted = 1U << q->request->action;
    struct near near = { .rule = rule };
    bool topic = is_about(rule, q->request->action) && holds(q, rule->filter, &near.levels);

    if (q->request->action == POLICY_RECEIVE)
        wanted |= 1U << POLICY_SUBSCRIBE;
    bool action = (rule->actions & wanted) != 0, principal = concerns(q, rule);
    if (action && principal)
        near.lack = topic && rule->condition != POLICY_ALWAYS ? LACKS_CONDITION
                    : near.levels > 0                         ? LACKS_TOPIC
                                                              : LACKS_TOO_MUCH;
    else if (topic && (action || principal))
        near.lack = action ? LACKS_PRINCIPAL : LACKS_ACTION;
    else
        near.lack = LACKS_TOO_MUCH;
    return near;
}

static struct near find_nearest(const struct question *q)
{
    const struct policy_rules *rules = &q->session->policy->rules;
    struct near nearest = { .lack = LACKS_TOO_MUCH };

    for (size_t i = 0; i < rules->count; i++) {
        if (rules->at[i].effect != POLICY_ALLOW)
            continue;
        struct near near = look_at(q, &rules->at[i]);
        if (near.lack < nearest.lack ||
            (near.lack == nearest.lack && near.lack == LACKS_TOPIC &&
             near.levels > nearest.levels))
            nearest = near;
    }
    return nearest;
}

/* ---- In words ---- */

/* The test that decided, and what its fact is. */
static void add_test(struct question *q, uint32_t condition, struct buf *out)
{
    const struct policy_rules *rules = &q->session->policy->rules;
    const struct policy_knowledge knowledge = policy_view_knowledge(&q->view);
    bool negated = false;
    uint32_t test = policy_condition_blame(rules, condition, &knowledge, &negated);
    enum policy_fact fact = rules->conditions[test].fact;
    struct policy_value value = policy_view_fact(&q->view, fact);

    buf_addf(out, "asks for ");
    policy_condition_write_test(rules, test, negated, out);
    buf_addf(out, "; it is ");
    if (value.type == POLICY_UNKNOWN)
        buf_addf(out, value.untold ? "not told" : "not known");
    else
        policy_condition_write_value(fact, &value, out);
}

static void add_actions(unsigned actions, struct buf *out)
{
    const char *comma = "";

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (actions & 1U << action) {
            buf_addf(out, "%s%s", comma, policy_action_name(action));
            comma = ", ";
        }
}

void policy_explain_principal(const struct policy_rule *rule, struct buf *out)
{
    static const char *const WORDS[POLICY_PRINCIPALS] = {
        [POLICY_ANYONE] = "anyone",
        [POLICY_ANY_DEVICE] = "device",
        [POLICY_ONE_DEVICE] = "device",
        [POLICY_GROUP] = "group",
        [POLICY_ANY_OPERATOR] = "operator",
        [POLICY_ONE_OPERATOR] = "operator",
        [POLICY_ROLE] = "role",
        [POLICY_ANY_LINE] = "line",
        [POLICY_ONE_LINE] = "line",
        [POLICY_ANY_SINK] = "sink",
        [POLICY_ONE_SINK] = "sink",
    };

    buf_addf(out, "%s", WORDS[rule->principal]);
    if (rule->name.len > 0)
        buf_addf(out, " \"%.*s\"", BYTES_FMT(rule->name));
}

static void add_nearest(struct question *q, const char *lead, struct buf *out)
{
    struct near near = find_nearest(q);

    if (near.lack == LACKS_TOO_MUCH)
        return;
    buf_addf(out, "%snearest is ", lead);
    add_line(near.rule->at.line, q->session->policy->rules.files[near.rule->at.file], out);
    buf_addf(out, near.lack == LACKS_CONDITION ? ", which " : ", which is for ");
    if (near.lack == LACKS_CONDITION) {
        add_test(q, near.rule->condition, out);
    } else if (near.lack == LACKS_ACTION) {
        add_actions(near.rule->actions, out);
    } else if (near.lack == LACKS_PRINCIPAL) {
        policy_explain_principal(near.rule, out);
    } else {
        buf_addf(out, "\"");
        text_add_shown(out, near.rule->filter);
        buf_addf(out, "\"");
    }
}

/* Whether a denial has to do with what was asked for: wildcards share topics with all there is.
 */
static enum policy_truth meets(const struct question *q, struct bytes filter)
{
    struct policy_levels f = policy_topic_levels(filter);
    struct policy_levels asked = policy_topic_levels(q->request->resource);
    enum policy_truth all = POLICY_YES;

    while (f.more && asked.more) {
        struct bytes pattern = policy_topic_next(&f), level = policy_topic_next(&asked);
        if (policy_topic_is_hash(pattern) || policy_topic_is_hash(level))
            return all;
        if (policy_topic_is_plus(pattern) || policy_topic_is_plus(level))
            continue;
        enum policy_truth is = policy_view_level_is(&q->view, pattern, level);
        if (is == POLICY_NO)
            return POLICY_NO;
        all = is == POLICY_PERHAPS ? is : all;
    }
    struct policy_levels *longer = f.more ? &f : &asked;
    return !longer->more || policy_topic_is_hash(policy_topic_next(longer)) ? all : POLICY_NO;
}

/* Of the rule that denies, as it is written, what denies only since nobody knows a fact in its
 * resource; NULL if that is not why. */
static const struct policy_rule *find_doubt(const struct question *q,
                                            const struct policy_rule *rule, size_t left)
{
    const struct policy_rule *doubtful = NULL;
    uint32_t number = rule->number;

    for (; left > 0 && rule->number == number; rule++, left--) {
        if (policy_action_resource(q->request->action) == POLICY_NOTHING || !concerns(q, rule))
            continue;
        enum policy_truth is = meets(q, rule->filter);
        if (is == POLICY_YES)
            return NULL;
        if (is == POLICY_PERHAPS && doubtful == NULL)
            doubtful = rule;
    }
    return doubtful;
}

static void add_unknown(const struct question *q, struct bytes resource, struct buf *out)
{
    enum policy_fact fact;

    buf_addf(out, "is for \"");
    text_add_shown(out, resource);
    buf_addf(out, "\"");
    while (policy_fact_next(&resource, &fact)) {
        struct policy_value value = policy_view_fact(&q->view, fact);
        if (value.type == POLICY_UNKNOWN)
            buf_addf(out, "; %s is not %s", policy_fact_get(fact)->name,
                     value.untold ? "told" : "known");
    }
}

/* A denial whose condition, or whose resource, nobody could answer denies, and says so. */
static void add_doubt(struct question *q, const struct policy_decision *decision,
                      const char *lead, struct buf *out)
{
    const struct policy_rules *rules = &q->session->policy->rules;
    const struct policy_knowledge knowledge = policy_view_knowledge(&q->view);
    size_t i = 0;

    while (rules->at[i].number < decision->rule)
        i++;
    uint32_t condition = rules->at[i].condition;
    bool asks = policy_condition_truth(rules, condition, &knowledge) == POLICY_PERHAPS;
    const struct policy_rule *doubt =
        asks ? NULL : find_doubt(q, &rules->at[i], rules->count - i);
    if (!asks && doubt == NULL)
        return;
    buf_addf(out, "%s", lead);
    add_line(decision->line, decision->file, out);
    buf_addf(out, " ");
    if (asks)
        add_test(q, condition, out);
    else
        add_unknown(q, doubt->filter, out);
}

void policy_explain_more(const struct policy_session *session,
                         const struct policy_request *request,
                         const struct policy_decision *decision, const char *lead,
                         struct buf *out)
{
    struct question q = { session, request, policy_view_of(session, request) };

    if (!decision->by_rule)
        add_nearest(&q, lead, out);
    else if (!decision->allowed && !decision->too_large)
        add_doubt(&q, decision, lead, out);
}

void policy_explain_denial(const struct policy_session *session,
                           const struct policy_request *request, struct buf *out)
{
    struct policy_decision decision = policy_decide_request(session, request);

    policy_explain_more(session, request, &decision, "", out);
}
