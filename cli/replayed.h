/* One act of a device that its door judged once, judged by another policy. */
#pragma once

#include "cli/outcome.h"

/* As a record of the audit log tells it. */
struct cli_replayed {
    enum policy_action action;
    struct bytes target;
    const struct policy_facts *facts;
    int64_t first_ms, last_ms; /* of the acts that it tells of together */
    int64_t opened_ms;         /* its session; 0: not known */
    bool allowed;              /* by the policy, whatever became of it */
    bool limited;              /* it was denied by a limit of rate */
    bool of_any_session;       /* they were counted together whatever the connection */
    bool changed;              /* false: the new policy judges the act itself as before */
    const char *nameless;      /* why the log does not have the target; NULL: it has */
};

enum cli_change { CLI_SAME, CLI_NEWLY_ALLOWED, CLI_NEWLY_DENIED, CLI_UNDECIDED };

/*
 * Beside the act the door asks others: a session is there only if it may connect, and what is
 * retained is published, too. So what falls with these is newly denied with them. A limit of
 * rate that is not that of the old policy is not replayed, nor what comes after a shorter
 * lease: CLI_UNDECIDED, if nothing else denies the act. why: in words, but of CLI_SAME.
 */
enum rc cli_replayed_judge(const struct policy *old, const struct policy *new,
                           const struct cli_replayed *act, enum cli_change *change,
                           struct buf *why);
/* The actions that are asked beside this one: a set of 1 << enum policy_action. */
unsigned cli_replayed_besides(enum policy_action action);
