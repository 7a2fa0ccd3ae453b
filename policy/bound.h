/* A compiled policy, as its parts see it; inside policy/ only. */
#pragma once

#include "policy/trie.h"

enum { POLICY_NO_SLOT = UINT8_MAX };

struct policy {
    unsigned references;
    uint64_t version;
    uint8_t *text;
    size_t text_len;
    struct policy_rules rules; /* members sorted by device, each once */
    struct policy_trie trie;
    uint32_t open_roots[POLICY_PRINCIPALS]; /* tries of anyone and of all of a kind */
    struct policy_named {
        enum policy_principal principal;
        struct bytes name;
        uint32_t root;
    } * named; /* tries of who is named, sorted */
    size_t named_count;
    struct policy_told *told; /* of each of rules.at */

    uint8_t *tests;   /* how many each condition has */
    uint8_t *slot_of; /* of each condition: where sessions keep what it comes to */
    uint32_t slots[POLICY_SLOTS_MAX]; /* the conditions that have one */
    size_t slot_count;
    bool timed;
    uint32_t asked; /* facts that any rule asks for, payload limits included; a set */
};

/* As policy_compile(); what it takes is told in effort. */
enum rc policy_bound_compile(struct bytes text, uint64_t version, struct policy_effort *effort,
                             struct policy_errors *errors, struct policy **policy);
/* A principal's trie, or POLICY_NONE. */
uint32_t policy_bound_root(const struct policy *policy, enum policy_principal principal,
                           struct bytes name);
/* Sorts the members of the policy's own groups, and adds rules for those that are resources;
 * RC_MALFORMED with an error if a device is in too many. RC_LIMIT, RC_CLOSED, RC_NOMEM. */
enum rc policy_bound_members(struct policy *policy, struct policy_errors *errors);
/* Works out what conditions cost and which are worked out when a session is bound. RC_NOMEM. */
enum rc policy_bound_conditions(struct policy *policy);
/* As policy_bind(), with what a test takes as given. */
enum rc policy_bound_bind(const struct policy *policy, const struct policy_facts *facts,
                          const struct policy_given *given, uint32_t given_count,
                          struct policy_session *session);
/* The policy's own tests; RC_MALFORMED with errors; RC_LIMIT, RC_CLOSED. */
enum rc policy_expect_all(const struct policy *policy, struct policy_effort *effort,
                          struct policy_errors *errors);
/* Of a test that was accepted: that it is denied, does that rest on no rule's allowing it,
 * while what judges it in earnest may ask a role instead? */
enum rc policy_expect_rests_on_roles(const struct policy *policy,
                                     const struct policy_expectation *expectation, bool *does);
