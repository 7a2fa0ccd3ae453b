/* What a question to a policy is about: ACTION [TOPIC] of a command line. */
#pragma once

#include "cli/command.h"
#include "cli/outcome.h"

struct cli_asked {
    enum policy_action action;
    struct bytes resource; /* borrowed from the words; empty if the action is done to nothing */
};
/* The words from this place on. RC_MALFORMED: no action, a topic too few or too many, a topic
 * that is none, or no filter, or what devices never ask for. */
enum rc cli_asked_read(const struct cli_call *call, size_t place, struct cli_asked *asked);
/* Is the action one that a device must be connected for? */
bool cli_asked_connects(enum policy_action action);
/* Is it one of which roles, certificates and tokens say who may, and of the policy only denials
 * count (docs/policy-language.md)? */
bool cli_asked_is_act(enum policy_action action);
enum cli_outcome cli_asked_outcome(enum policy_action action,
                                   const struct policy_derivation *derivation);
