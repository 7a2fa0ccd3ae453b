/* What is known while one request is judged: facts of the session, of the request, of the
 * clock; inside policy/ only. */
#pragma once

#include "policy/condition.h"

struct policy_view {
    const struct policy_facts *facts;
    const struct policy_request *request; /* NULL: none yet */
    const struct policy_given *given;     /* of a test: counts before all others */
    uint32_t given_count;
};

struct policy_view policy_view_of(const struct policy_session *session,
                                  const struct policy_request *request);
/* Type POLICY_UNKNOWN if nobody knows it; untold if that is so only here. */
struct policy_value policy_view_fact(const struct policy_view *view, enum policy_fact fact);
/* For policy_condition_truth(); it borrows the view. */
struct policy_knowledge policy_view_knowledge(struct policy_view *view);

/*
 * Is a topic's level what a level of a rule says, once facts are put in? What they hold is
 * compared, never read: it has no wildcard, no separator, no other fact. With facts that nobody
 * knows it is not known either, unless no name, of whatever length, could make it so; so none
 * makes a topic one that begins with `$`.
 */
enum policy_truth policy_view_level_is(const struct policy_view *view, struct bytes pattern,
                                       struct bytes level);

/* The facts in a rule's resource that are untold: a set of 1 << enum policy_fact. */
uint32_t policy_view_untold(const struct policy_view *view, struct bytes resource);

/* RC_DENIED names the fact: who asks has no name, or what may stand in topics is no name. */
enum rc policy_view_check(const struct policy_facts *facts);
