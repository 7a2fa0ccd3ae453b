#include "policy/bound.h"
#include "policy/explain.h"
#include "policy/source.h"

/* Tests that stand in a policy: it does not load unless all of them come out as they say. */

static struct policy_facts facts_of(const struct policy_expectation *expectation)
{
    struct policy_facts facts = { .groups = expectation->groups,
                                  .group_count = expectation->group_count };
    struct bytes *name = &facts.device_id;

    if (expectation->principal == POLICY_ONE_OPERATOR) {
        facts.asker = POLICY_BY_OPERATOR;
        name = &facts.operator_id;
    } else if (expectation->principal == POLICY_ONE_LINE) {
        facts.asker = POLICY_BY_LINE;
        name = &facts.line_id;
    } else if (expectation->principal == POLICY_ONE_SINK) {
        facts.asker = POLICY_BY_SINK;
        name = &facts.sink_name;
    }
    *name = expectation->name;
    return facts;
}

/* ---- What it may cost ---- */

enum { TEST = 4 /* steps */, VALUE_AT_ONCE = 128 /* octets */, TOPIC_AT_ONCE = 16 };

static uint64_t cost_of(const struct policy_rules *rules, uint32_t condition)
{
    const struct policy_condition *c = &rules->conditions[condition];
    uint64_t cost = TEST;

    if (c->kind == POLICY_NOT)
        return cost_of(rules, c->left);
    if (c->kind != POLICY_TEST)
        return cost_of(rules, c->left) + cost_of(rules, c->right);
    for (uint32_t left = c->value_count; left > 0; left /= 2)
        cost++;
    return cost;
}

/* A session that is bound answers all the conditions that have slots. */
static uint64_t cost_of_binding(const struct policy *policy)
{
    uint64_t cost = 1;

    for (size_t slot = 0; slot < policy->slot_count; slot++)
        cost += cost_of(&policy->rules, policy->slots[slot]);
    return cost;
}

/* What compares texts takes longer with long ones. */
static size_t longest_value(const struct policy *policy,
                            const struct policy_expectation *expectation)
{
    size_t longest = expectation->name.len;

    for (uint32_t i = 0; i < expectation->given_count; i++) {
        const struct policy_given *given = &policy->rules.given[expectation->first_given + i];
        if (given->value.text.len > longest)
            longest = given->value.text.len;
    }
    return longest;
}

/* The worst topic or filter that there is for these rules. */
static uint64_t cost_of_decision(const struct policy_session *session)
{
    uint64_t cost = 0;

    for (uint32_t i = 0; i < session->root_count; i++) {
        const struct policy_cost *root = &session->policy->trie.costs[session->roots[i]];
        cost += root->steps + (uint64_t)root->denials;
    }
    return cost;
}

/* ---- Each by itself ---- */

static const char *const MEANT[POLICY_EFFECTS] = {
    [POLICY_ALLOW] = "allowed", [POLICY_DENY] = "denied"
};

static enum rc run(const struct policy *policy, const struct policy_expectation *expectation,
                   uint64_t binding, struct policy_effort *effort)
{
    AUTO_BUF(why, 1024);
    struct policy_facts facts = facts_of(expectation);
    const struct policy_request request = { .action = expectation->action,
                                            .resource = expectation->resource };
    const uint64_t values = 1 + longest_value(policy, expectation) / VALUE_AT_ONCE;
    const uint64_t topic = 1 + expectation->resource.len / TOPIC_AT_ONCE;
    const char *text = "?";
    struct policy_session session;

    const struct policy_given *given =
        expectation->given_count == 0 ? NULL : &policy->rules.given[expectation->first_given];

    TRY(policy_effort_spend(effort, values * binding));
    TRY(policy_bound_bind(policy, &facts, given, expectation->given_count, &session));
    TRY(policy_effort_spend(effort, values * topic * cost_of_decision(&session)));
    struct policy_decision decision = policy_decide_request(&session, &request);
    if (decision.allowed == (expectation->effect == POLICY_ALLOW))
        return RC_OK;
    buf_addf(&why, "expected that it is %s, but ", MEANT[expectation->effect]);
    if (decision.by_rule)
        policy_explain_rule(&decision, &why);
    else
        buf_addf(&why, "no rule allows it");
    if (!decision.allowed)
        policy_explain_more(&session, &request, &decision, "; ", &why);
    return fault(RC_MALFORMED, "%s", buf_text(&why, &text) == RC_OK ? text : "it is not");
}

enum rc policy_expect_all(const struct policy *policy, struct policy_effort *effort,
                          struct policy_errors *errors)
{
    const struct policy_rules *rules = &policy->rules;
    const uint64_t binding = cost_of_binding(policy);

    /* What is not told is not worked out, either: why not may take a look at every rule. */
    for (size_t i = 0; i < rules->expectation_count && errors->count < POLICY_ERRORS_MAX; i++) {
        const struct policy_expectation *expectation = &rules->expectations[i];
        enum rc rc = run(policy, expectation, binding, effort);
        if (rc == RC_LIMIT || rc == RC_CLOSED)
            return fault_while(rc, "line %u", expectation->at.line);
        if (rc != RC_OK)
            policy_source_add(errors, rules->files[expectation->at.file], expectation->at.line,
                              expectation->at.column, rc);
    }
    return errors->count > 0 ? policy_source_fault(errors) : RC_OK;
}
