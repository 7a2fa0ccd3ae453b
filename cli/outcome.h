/* How a request is decided of which not all is known that the door knew. */
#pragma once

#include "policy/analysis.h"

enum cli_outcome { CLI_ALLOWED, CLI_DENIED, CLI_UNDECIDABLE };

/* Does the policy ask for a fact of a session that the door has, and neither log nor API tells?
 * What is allowed is allowed with it, too; what is denied may be allowed. */
bool cli_outcome_rests_on_unknown(const struct policy *policy);

/*
 * Session facts are those of the door; what the request does not know of a message, the door
 * knew. CLI_UNDECIDABLE: some value of it would be allowed and another one denied, as far as
 * single conditions can tell. *decision: the engine's, with what is known.
 */
enum rc cli_outcome_of(const struct policy_session *session,
                       const struct policy_request *request, enum cli_outcome *outcome,
                       struct policy_decision *decision);
