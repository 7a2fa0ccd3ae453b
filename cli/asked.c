#include "cli/asked.h"

enum { NAMES_MAX = 256 };

static enum rc read_action(const char *word, enum policy_action *action)
{
    AUTO_BUF(names, NAMES_MAX);
    const char *text = NULL;

    *action = policy_action_by_name(bytes_of_text(word));
    if (*action != POLICY_ACTIONS)
        return RC_OK;
    for (enum policy_action one = 0; one < POLICY_ACTIONS; one++)
        buf_addf(&names, "%s%s", one == 0 ? "" : ", ", policy_action_name(one));
    TRY(buf_text(&names, &text));
    return fault(RC_MALFORMED, "%s is no action; there are %s", word, text);
}

static enum rc read_resource(const char *word, struct cli_asked *asked)
{
    asked->resource = bytes_of_text(word);
    if (asked->action == POLICY_SUBSCRIBE &&
        bytes_start_with(asked->resource, BYTES("$share/")))
        return fault(RC_MALFORMED,
                     "%s: no door has shared subscriptions; ask for the filter "
                     "behind $share/NAME/",
                     word);
    enum rc rc = asked->action == POLICY_SUBSCRIBE ? policy_topic_check_filter(asked->resource)
                                                   : policy_topic_check_name(asked->resource);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", word);
}

enum rc cli_asked_read(const struct cli_call *call, size_t place, struct cli_asked *asked)
{
    const char *action = call->words[place];
    const char *topic = call->word_count > place + 1 ? call->words[place + 1] : NULL;

    *asked = (struct cli_asked){ .resource = BYTES("") };
    TRY(read_action(action, &asked->action));
    if (asked->action == POLICY_CALL || asked->action == POLICY_REVOKE)
        return fault(RC_MALFORMED, "no device asks for %s: operators and lines do", action);
    bool nothing = policy_action_resource(asked->action) == POLICY_NOTHING;
    if (nothing && topic != NULL)
        return fault(RC_MALFORMED, "%s is done to nothing: leave out %s", action, topic);
    if (!nothing && topic == NULL)
        return fault(RC_MALFORMED, "%s what? The topic, or what else it is done to, is missing",
                     action);
    return nothing ? RC_OK : read_resource(topic, asked);
}

bool cli_asked_connects(enum policy_action action)
{
    return action == POLICY_PUBLISH || action == POLICY_SUBSCRIBE || action == POLICY_RECEIVE ||
           action == POLICY_RETAIN || action == POLICY_WILL;
}

bool cli_asked_is_act(enum policy_action action)
{
    return action == POLICY_CALL || action == POLICY_ENROLL || action == POLICY_RENEW ||
           action == POLICY_REVOKE;
}

enum cli_outcome cli_asked_outcome(enum policy_action action,
                                   const struct policy_derivation *derivation)
{
    enum cli_outcome said = cli_outcome_read(derivation->allowed);

    if (!cli_asked_is_act(action) || said == CLI_ALLOWED)
        return said;
    return derivation->denied == POLICY_IS_NOT  ? CLI_ALLOWED
           : derivation->denied == POLICY_IS_SO ? CLI_DENIED
                                                : CLI_UNDECIDABLE;
}
