#include "cli/outcome.h"

#include <string.h>

bool cli_outcome_rests_on_unknown(const struct policy *policy)
{
    static const char *const FACTS[] = { "certificate.issuer", "client.id" };
    struct bytes text = policy_text(policy);

    for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS; i++)
        if (memmem(text.at, text.len, FACTS[i], strlen(FACTS[i])) != NULL)
            return true;
    return false;
}

/* The doors themselves know no message when they judge these. */
static bool has_message(enum policy_action action)
{
    return action != POLICY_CONNECT && action != POLICY_SUBSCRIBE;
}

/* Does the rule apply? POLICY_IS_OPEN: with some messages. */
static enum policy_answer applies(const struct policy_derived_rule *rule)
{
    if (rule->matches == POLICY_IS_NOT || rule->condition == POLICY_IS_NOT)
        return POLICY_IS_NOT;
    return rule->matches == POLICY_IS_SO && rule->condition == POLICY_IS_SO ? POLICY_IS_SO
                                                                            : POLICY_IS_OPEN;
}

/* The most that is said by the rules of one effect. */
static enum policy_answer sum(const struct policy_derivation *derivation, bool allows)
{
    enum policy_answer said = POLICY_IS_NOT;

    for (size_t i = 0; i < derivation->count; i++) {
        const struct policy_derived_rule *rule = &derivation->at[i];
        enum policy_answer one = rule->allows == allows ? applies(rule) : POLICY_IS_NOT;
        if (one == POLICY_IS_SO || (one == POLICY_IS_OPEN && said == POLICY_IS_NOT))
            said = one;
    }
    return said;
}

static enum cli_outcome judge(const struct policy_derivation *derivation,
                              const struct policy_request *request)
{
    enum policy_answer denied = sum(derivation, false), allowed = sum(derivation, true);

    if (denied == POLICY_IS_SO || allowed == POLICY_IS_NOT)
        return CLI_DENIED;
    if (denied == POLICY_IS_OPEN || allowed == POLICY_IS_OPEN)
        return CLI_UNDECIDABLE;
    if (derivation->decision.obligations.payload_limited &&
        (request->known & POLICY_KNOWS_SIZE) == 0)
        return CLI_UNDECIDABLE;
    return derivation->decision.allowed ? CLI_ALLOWED : CLI_DENIED;
}

enum rc cli_outcome_of(const struct policy_session *session,
                       const struct policy_request *request, enum cli_outcome *outcome,
                       struct policy_decision *decision)
{
    struct policy_derivation derivation = { 0 };

    *decision = policy_decide_request(session, request);
    *outcome = decision->allowed ? CLI_ALLOWED : CLI_DENIED;
    if (!has_message(request->action)) {
        if (!decision->allowed && cli_outcome_rests_on_unknown(session->policy))
            *outcome = CLI_UNDECIDABLE;
        return RC_OK;
    }
    TRY(policy_derive(session, request, &derivation));
    *outcome = judge(&derivation, request);
    policy_derivation_clear(&derivation);
    return RC_OK;
}
