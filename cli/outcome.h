/* How a request is decided of which not all is known that the door knew. */
#pragma once

#include "policy/analysis.h"

enum cli_outcome { CLI_ALLOWED, CLI_DENIED, CLI_UNDECIDABLE };
const char *cli_outcome_name(enum cli_outcome outcome); /* "allowed", "denied", "perhaps" */
/* Of an act that takes both. */
enum cli_outcome cli_outcome_both(enum cli_outcome one, enum cli_outcome other);
enum cli_outcome cli_outcome_read(enum policy_answer allowed);

/*
 * CLI_UNDECIDABLE: some value of what is untold (policy_facts.untold: registry_judged_untold())
 * would be allowed and another one denied, as far as single tests can tell, or its size may be
 * above a payload limit. What is allowed or denied is that at the door as well. *decision: the
 * engine's, with what is known.
 */
enum rc cli_outcome_of(const struct policy_session *session,
                       const struct policy_request *request, enum cli_outcome *outcome,
                       struct policy_decision *decision);
