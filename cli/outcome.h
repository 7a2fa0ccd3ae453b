/* How a request is decided of which not all is known that the door knew. */
#pragma once

#include "policy/analysis.h"

enum cli_outcome { CLI_ALLOWED, CLI_DENIED, CLI_UNDECIDABLE };

/*
 * Session facts are those of the door; what the request does not know of a message, the door
 * knew. CLI_UNDECIDABLE: some value of it would be allowed and another one denied, as far as
 * single conditions can tell. *decision: the engine's, with what is known.
 */
enum rc cli_outcome_of(const struct policy_session *session,
                       const struct policy_request *request, enum cli_outcome *outcome,
                       struct policy_decision *decision);
