/* Target: policy_decide, policy_decide_subscribe */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static struct bytes line_of(struct bytes *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct bytes line = { rest->at, end == NULL ? rest->len : (size_t)(end - rest->at) };
    size_t used = line.len + (end != NULL);

    if (used > 0) /* an empty input is at NULL */
        *rest = (struct bytes){ rest->at + used, rest->len - used };
    return line;
}

/* A decision says itself which rule it is of, one without a rule is a no, and what is limited
 * has a clock. */
static void explain(const struct policy_session *session, struct policy_decision decision)
{
    AUTO_BUF(text, 256);
    struct bytes all;

    policy_explain(&decision, &text);
    if (buf_done(&text, &all) != RC_OK || (decision.allowed && !decision.by_rule) ||
        (decision.by_rule && decision.rule >= policy_rule_count(session->policy)) ||
        (decision.by_rule && decision.line == 0) ||
        (decision.limit_key != 0) != (decision.obligations.rate > 0))
        abort();
}

static void judge_all(const struct policy_session *session, struct bytes topic)
{
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (action != POLICY_SUBSCRIBE)
            explain(session, policy_decide(session, action, topic));
}

/* What may be subscribed to may be received: one permits no more than the other. */
static void judge(const struct policy_session *session, struct bytes topic, struct bytes filter)
{
    struct policy_decision wide = { 0 };

    if (policy_topic_check_filter(filter) == RC_OK)
        wide = policy_decide_subscribe(session, filter);
    explain(session, wide);
    if (policy_topic_check_name(topic) != RC_OK)
        return;
    judge_all(session, topic);
    struct policy_decision receive = policy_decide(session, POLICY_RECEIVE, topic);
    struct policy_decision same = policy_decide_subscribe(session, topic);
    if (same.allowed && !receive.allowed && !receive.by_rule)
        abort();
    if (wide.allowed && policy_topic_match(filter, topic) && !same.allowed)
        abort();
}

/* A line each: device id, topic, filter; the rest is the policy. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes rest = { at, len };
    struct bytes id = line_of(&rest), topic = line_of(&rest), filter = line_of(&rest);
    const struct bytes groups[] = { BYTES("g") };
    struct policy_facts facts = { .device_id = id, .groups = groups, .group_count = 1 };
    struct policy_session session;
    struct policy_errors errors;
    AUTO_OF(policy) *policy = NULL;

    if (policy_compile(rest, 1, &errors, &policy) == RC_OK &&
        policy_bind(policy, &facts, &session) == RC_OK)
        judge(&session, topic, filter);
    return 0;
}
