/*
 * docs/policy-language.md, followed sentence by sentence: all rules are looked at for every
 * request, nothing is compiled, kept or left out. The judge of the engine in tests; it has the
 * rules from policy_parse() and shares nothing else with the engine but the order of versions.
 */
#pragma once

#include "policy/rules.h"

enum { NAIVE_RULES_MAX = 24, NAIVE_LEVELS_MAX = 12, NAIVE_LEVEL_MAX = 200 };

/* What is known: the groups in facts are the registry's. */
struct naive_world {
    const struct policy_rules *rules; /* at most NAIVE_RULES_MAX */
    const struct policy_facts *facts;
    const struct policy_request *request; /* of at most NAIVE_LEVELS_MAX levels */
    uint64_t version;
};

struct policy_decision naive_decide(const struct naive_world *world);

/* ---- Between the parts of the interpreter ---- */

enum naive_truth { NAIVE_FALSE, NAIVE_UNKNOWN, NAIVE_TRUE };

/* A filter or topic with its facts put in: level by level. HOLE: a fact that nobody knows. */
enum { HOLE = 1 };
struct naive_path {
    size_t count;
    char at[NAIVE_LEVELS_MAX + 1][NAIVE_LEVEL_MAX];
};

struct policy_value naive_fact(const struct naive_world *world, enum policy_fact fact);
enum naive_truth naive_condition(const struct naive_world *world, uint32_t condition);
/* World NULL: a plain topic or filter, in which ${...} is a word like any other. */
void naive_bind(const struct naive_world *world, struct bytes text, struct naive_path *path);
/* Does this level of a filter match that of a topic, both at this depth? */
enum naive_truth naive_level(const char *wanted, const char *level, size_t depth);
/* Does the rule concern who asks, and this action? */
bool naive_concerns(const struct naive_world *world, const struct policy_rule *rule);

/* Told: this rule; obliged: all of these. Sets of places in rules->at. */
struct policy_decision naive_tell(const struct naive_world *world, size_t told,
                                  uint32_t obliged);
struct policy_decision naive_decide_subscribe(const struct naive_world *world);
