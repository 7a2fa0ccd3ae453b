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

static const char *const MEANT[POLICY_EFFECTS] = {
    [POLICY_ALLOW] = "allowed", [POLICY_DENY] = "denied"
};

static enum rc run(const struct policy *policy, const struct policy_expectation *expectation)
{
    AUTO_BUF(why, 1024);
    struct policy_facts facts = facts_of(expectation);
    const struct policy_request request = { .action = expectation->action,
                                            .resource = expectation->resource };
    const char *text = "?";
    struct policy_session session;

    const struct policy_given *given =
        expectation->given_count == 0 ? NULL : &policy->rules.given[expectation->first_given];

    TRY(policy_bound_bind(policy, &facts, given, expectation->given_count, &session));
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

enum rc policy_expect_all(const struct policy *policy, struct policy_errors *errors)
{
    const struct policy_rules *rules = &policy->rules;

    /* What is not told is not worked out, either: why not may take a look at every rule. */
    for (size_t i = 0; i < rules->expectation_count && errors->count < POLICY_ERRORS_MAX; i++) {
        const struct policy_expectation *expectation = &rules->expectations[i];
        enum rc rc = run(policy, expectation);
        if (rc != RC_OK)
            policy_source_add(errors, rules->files[expectation->at.file], expectation->at.line,
                              expectation->at.column, rc);
    }
    return errors->count > 0 ? policy_source_fault(errors) : RC_OK;
}
