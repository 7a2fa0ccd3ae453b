/* What the server made a proposal of, instead of doing it: found in an answer, and told. */
#pragma once

#include "cli/show.h"

/* Is it the answer to something that waits now? */
bool cli_proposals_is(const json_t *answer);
/* Says so, of what ("plant.policy"), and that the command exits with CLI_EXIT_PROPOSED. */
enum rc cli_proposals_tell(const struct cli_call *call, const char *what, const json_t *answer);
json_int_t cli_proposals_number(const json_t *answer);
/* Nothing for NULL. RC_MALFORMED: not UTF-8. */
enum rc cli_proposals_add_why(json_t *body, const char *why);
/* For a row's check: RC_MALFORMED if there is none, or a blank one. */
enum rc cli_proposals_need_why(const char *option, const char *why);
