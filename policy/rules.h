/* A policy as it was read: rules, conditions, obligations, tests; inside policy/ only. The
 * parser makes it, the compiler, the analysis and the tests' interpreter read it. */
#pragma once

#include "policy/effort.h"
#include "policy/fact.h"
#include "policy/policy.h"

enum policy_effect { POLICY_ALLOW, POLICY_DENY };
enum { POLICY_EFFECTS = 2 };

enum policy_principal {
    POLICY_ANYONE,
    POLICY_ANY_DEVICE,
    POLICY_ONE_DEVICE,
    POLICY_GROUP, /* devices of the registry's group */
    POLICY_ANY_OPERATOR,
    POLICY_ONE_OPERATOR,
    POLICY_ROLE,
    POLICY_ANY_LINE,
    POLICY_ONE_LINE,
    POLICY_ANY_SINK,
    POLICY_ONE_SINK,
    POLICY_PRINCIPALS
};

/* ---- Conditions ---- */

enum policy_operator {
    POLICY_EQUAL,
    POLICY_NOT_EQUAL,
    POLICY_BELOW,
    POLICY_AT_MOST,
    POLICY_ABOVE,
    POLICY_AT_LEAST,
    POLICY_IN,          /* any of the values; of addresses: in any of the networks */
    POLICY_BETWEEN,     /* two values, both included; times of day may go over midnight */
    POLICY_STARTS_WITH, /* STRING */
    POLICY_IN_GROUP,    /* GROUPED, one of the registry's */
    POLICY_IS_KNOWN,    /* no value; never unknown itself */
};

enum policy_node_kind { POLICY_TEST, POLICY_AND, POLICY_OR, POLICY_NOT };

/* Hash-consed: equal conditions are one, whoever wrote them; children come before parents. A
 * condition is a number of policy_rules.conditions; POLICY_ALWAYS: none was written. */
enum { POLICY_ALWAYS = UINT32_MAX };
struct policy_condition {
    enum policy_node_kind kind;
    uint32_t left, right; /* of AND, OR; NOT: left */
    enum policy_fact fact;
    enum policy_operator operator;
    uint32_t first_value, value_count; /* of policy_rules.values */
    unsigned scopes;                   /* set of 1 << enum policy_scope, of all below, too */
    bool claimed;                      /* asks for a fact that is the client's own word */
    struct policy_place at;            /* where it was written first */
};

/* ---- Rules ---- */

/* One principal, one resource: a rule with lists is several of these with one number. Texts are
 * borrowed from the policy's text. */
struct policy_rule {
    enum policy_effect effect;
    enum policy_principal principal;
    struct bytes name;   /* of ONE_*, GROUP, ROLE */
    unsigned actions;    /* set of 1 << enum policy_action */
    struct bytes filter; /* as written, with ${fact} in it; empty where actions have none */
    struct bytes group;  /* whose devices it is done to: of the condition; or empty */
    uint32_t condition;
    struct policy_obligations obligations; /* of an ALLOW; log full and until of both */
    uint32_t number;    /* of the written rule, from 0: what decisions tell */
    uint64_t limit_key; /* once compiled: policy/limit.h; 0: has no limit */
    struct policy_place at;
};

/* `expect allow device "x" in "g" publish "a/b" with message.qos = 1` */
struct policy_expectation {
    enum policy_effect effect;
    enum policy_principal principal;
    struct bytes name;
    struct bytes groups[POLICY_GROUPS_MAX]; /* of a device that asks; else of the revoked one */
    size_t group_count;
    enum policy_action action;
    struct bytes resource;
    uint32_t first_given, given_count; /* of policy_rules.given */
    struct policy_place at;
};
struct policy_given {
    enum policy_fact fact;
    struct policy_value value;
};

/* `group "pumps" = { "pump-1", "pump-2" }`: devices that are in a group whatever the registry
 * says. */
struct policy_member {
    struct bytes device, group;
    struct policy_place at;
};

struct policy_rules {
    struct policy_rule *at;
    size_t count, written; /* simple ones, and as the text has them */
    struct policy_condition *conditions;
    size_t condition_count;
    struct policy_value *values;
    size_t value_count;
    struct policy_expectation *expectations;
    size_t expectation_count;
    struct policy_given *given;
    size_t given_count;
    struct policy_member *members;
    size_t member_count;
    struct bytes files[POLICY_FILES_MAX + 1]; /* names; the first has none */
    unsigned before[POLICY_FILES_MAX + 1]; /* lines of all the text before each one's first */
    size_t file_count;
};
void policy_rules_clear(struct policy_rules *rules);

/* How many of the first bytes may stand in a name (of a device, group, set): letters, digits
 * and . _ : - as in registry/. */
size_t policy_name_len(struct bytes text);
bool policy_name_is(struct bytes text); /* all of it, 1 to POLICY_NAME_MAX */

/* RC_MALFORMED, which says what to write, if the fact is never such a text; whole: else it is
 * how one begins. */
enum rc policy_form_check(enum policy_fact fact, const struct policy_value *value, bool whole);

/* The fact that says who a principal of this kind is (POLICY_ONE_DEVICE: device.id), or
 * POLICY_FACTS. */
enum policy_fact policy_fact_of(enum policy_principal principal);

/* RC_MALFORMED with errors; RC_NOMEM, RC_LIMIT, RC_CLOSED. Everything points into text. */
enum rc policy_parse(struct bytes text, struct policy_effort *effort,
                     struct policy_errors *errors, struct policy_rules *rules);
