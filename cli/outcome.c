#include "cli/outcome.h"

const char *cli_outcome_name(enum cli_outcome outcome)
{
    static const char *const NAMES[] = {
        [CLI_ALLOWED] = "allowed",
        [CLI_DENIED] = "denied",
        [CLI_UNDECIDABLE] = "perhaps",
    };

    return NAMES[outcome];
}

enum cli_outcome cli_outcome_both(enum cli_outcome one, enum cli_outcome other)
{
    if (one == CLI_DENIED || other == CLI_DENIED)
        return CLI_DENIED;
    return one == CLI_ALLOWED ? other : one;
}

enum cli_outcome cli_outcome_read(enum policy_answer allowed)
{
    return allowed == POLICY_IS_OPEN ? CLI_UNDECIDABLE
           : allowed == POLICY_IS_SO ? CLI_ALLOWED
                                     : CLI_DENIED;
}

static bool knows_size(const struct policy_session *session,
                       const struct policy_request *request)
{
    return request->known & POLICY_KNOWS_SIZE ||
           !(session->facts->untold >> POLICY_MESSAGE_SIZE & 1);
}

enum rc cli_outcome_of(const struct policy_session *session,
                       const struct policy_request *request, enum cli_outcome *outcome,
                       struct policy_decision *decision)
{
    struct policy_derivation derivation = { 0 };

    *decision = policy_decide_request(session, request);
    *outcome = decision->allowed ? CLI_ALLOWED : CLI_DENIED;
    if (!policy_asks_untold(session, request))
        return RC_OK;
    TRY(policy_derive(session, request, &derivation));
    *outcome = cli_outcome_read(derivation.allowed);
    if (*outcome == CLI_ALLOWED && derivation.limits_payload && !knows_size(session, request))
        *outcome = CLI_UNDECIDABLE;
    policy_derivation_clear(&derivation);
    return RC_OK;
}
