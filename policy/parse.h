/* What the parser's parts share; inside policy/parse*.c only. */
#pragma once

#include "policy/bundle.h"
#include "policy/condition.h"
#include "policy/effort.h"
#include "policy/literal.h"

enum {
    POLICY_SETS_MAX = 1024,
    POLICY_EXPECTATIONS_MAX = 10000,
    POLICY_MEMBERS_MAX = 100000, /* of all sets together */
    POLICY_IMPORTS_MAX = 16,     /* imports within imports */
    POLICY_NODES_OF_RULE_MAX = 64,
    POLICY_VALUES_MAX = 1000000,
    POLICY_LIST_MAX = 1024, /* principals or resources of one rule */
};

/* Values of policy_rules.values. */
struct policy_range {
    uint32_t first, count;
};
/* All that conditions compare with, each but once. */
struct policy_values {
    struct policy_range_at {
        uint64_t hash;
        struct policy_range range;
    } * at;
    size_t count, room;
    uint32_t *slots; /* hash table of places of at */
    size_t slot_count;
};

/* `set pumps = { "a", "b" }`: its members are read for the fact that each use wants, once. */
struct policy_set {
    struct bytes name;
    size_t first, count;                  /* of members */
    struct policy_range of[POLICY_FACTS]; /* as it was read; count 0: it was not, so far */
};

/* Of the rule that is read: it is for each of these, done to each of those. */
struct policy_principals {
    size_t count;
    struct policy_who {
        enum policy_principal kind;
        struct bytes name;
    } at[POLICY_LIST_MAX];
};
struct policy_resources {
    size_t count;
    struct bytes at[POLICY_LIST_MAX];
    struct bytes groups[POLICY_LIST_MAX]; /* whose devices these are; empty: it is no group */
};

struct policy_parser {
    struct policy_tokens tokens;
    struct policy_rules *rules;
    struct policy_effort *effort;
    size_t rule_room, condition_room, value_room, expectation_room, given_room, member_room;
    struct policy_bundle *bundle;
    struct policy_set sets[POLICY_SETS_MAX];
    size_t set_count;
    struct policy_token *members;
    size_t members_count, members_room;
    struct policy_principals principals;
    struct policy_resources resources;
    struct policy_values shared;
    uint32_t *consed; /* hash table of conditions */
    size_t consed_count;
    unsigned nodes;          /* of this rule's condition */
    unsigned depth, imports; /* of parentheses; within each other */
    enum rc rc;              /* what ends all parsing: RC_NOMEM, RC_LIMIT, RC_CLOSED */
};

/* One more at the end of a growing array; NULL after parser->rc is set. */
void *policy_parse_grow(struct policy_parser *parser, void *array, size_t size, size_t *count,
                        size_t *room, size_t most, const char *what);
#define POLICY_PARSE_ADD(parser, array, count, room, most, what)                               \
    policy_parse_grow(parser, &(array), sizeof *(array), &(count), &(room), most, what)

/* As policy_effort_spend(); false after parser->rc is set. */
bool policy_parse_spend(struct policy_parser *parser, uint64_t steps);

/* As policy_token_complain(), of a place in any file. */
bool policy_parse_complain(struct policy_parser *parser, const struct policy_place *at,
                           enum rc rc);
/* Of a member of the set whose name is next: what is wrong with it is so only for this use, so
 * both places are told. */
bool policy_parse_complain_member(struct policy_parser *parser, const struct policy_place *at,
                                  enum rc rc);

/* A name of letters, digits and . _ : - between quotes. False: told. */
bool policy_parse_name(struct policy_parser *parser, struct bytes *name);
struct policy_set *policy_parse_find_set(struct policy_parser *parser, struct bytes name);

/* The test's values, the last of policy_rules.values: at the place that equal ones have, which
 * is theirs or another. False: parser->rc. */
bool policy_parse_share(struct policy_parser *parser, struct policy_condition *test);

/* A condition behind `when`. False: told. */
bool policy_parse_condition(struct policy_parser *parser, uint32_t *condition);
/* `fact = value, ...` behind `with` of an expectation. */
bool policy_parse_given(struct policy_parser *parser, struct policy_expectation *expectation);
/* limit, payload, lease, until, log; adds `until` to the condition. */
bool policy_parse_obligations(struct policy_parser *parser, struct policy_rule *rule);
/* time.now < until, written at that place */
bool policy_parse_until(struct policy_parser *parser, const struct policy_place *at,
                        int64_t until_ms, uint32_t *condition);
/* target in group "x", and the condition */
bool policy_parse_in_group(struct policy_parser *parser, const struct policy_place *at,
                           struct bytes group, uint32_t *condition);

/* The list of a rule, or none where the action needs none. */
bool policy_parse_resources(struct policy_parser *parser, enum policy_resource kind);
/* One that fits the actions. */
bool policy_parse_resource(struct policy_parser *parser, enum policy_resource kind,
                           struct bytes *filter);
/* One statement that begins with allow, deny or expect. */
bool policy_parse_rule(struct policy_parser *parser);
bool policy_parse_expectation(struct policy_parser *parser);
