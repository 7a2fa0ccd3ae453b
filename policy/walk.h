/* One request on its way through the tries of a session; inside policy/ only. */
#pragma once

#include "policy/bound.h"
#include "policy/view.h"

/* What was met. */
struct policy_verdict {
    uint32_t rule[POLICY_EFFECTS];         /* the lowest number, or POLICY_NONE */
    struct policy_obligations obligations; /* of all that allow */
    uint32_t limit_rule, payload_rule;     /* places of the rules that they are of */
};
void policy_walk_forget(struct policy_verdict *verdict);
/* An allowing rule that applies. */
void policy_walk_allow(struct policy_verdict *verdict, const struct policy_rules *rules,
                       const struct policy_posting *posting);

struct policy_walk {
    const struct policy_session *session;
    const struct policy_trie *trie;
    struct policy_view view;
    struct policy_path path;
    bool system;     /* of the topic or filter: wildcards at the first level are not for it */
    unsigned wanted; /* set of actions: rules for subscribe are for receive, too */
    struct policy_verdict verdict;
    const struct policy_leaf *leaf; /* the last that applied, or NULL */
};

/* False: nothing can match, which is a no. The path is big and filled in place. */
bool policy_walk_begin(struct policy_walk *walk, const struct policy_session *session,
                       const struct policy_request *request);
/* The effects of rules that do not apply behind a level that is what the topic says, or may be:
 * a set of 1 << enum policy_effect. */
unsigned policy_walk_doubt(const struct policy_walk *walk, struct bytes pattern,
                           enum policy_truth is);
/* Does the rule apply, as far as its condition goes? */
bool policy_walk_applies(struct policy_walk *walk, const struct policy_posting *posting);
struct policy_decision policy_walk_conclude(const struct policy_walk *walk);

/* The answer about a filter. */
struct policy_decision policy_walk_subscribe(const struct policy_session *session,
                                             const struct policy_request *request);
