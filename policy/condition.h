/* Conditions of rules: written once however often they occur, and what they come to; inside
 * policy/ only. */
#pragma once

#include "policy/rules.h"

/* Kleene's three values: what rests on a fact that is not there is neither. */
enum policy_truth { POLICY_NO, POLICY_YES, POLICY_PERHAPS };
enum { POLICY_ANY_TRUTH = 1 << POLICY_NO | 1 << POLICY_YES | 1 << POLICY_PERHAPS };

/* A fact's value as somebody knows it; type POLICY_UNKNOWN if nobody does. */
struct policy_knowledge {
    struct policy_value (*value)(void *with, enum policy_fact fact);
    void *with;
};
enum policy_truth policy_condition_truth(const struct policy_rules *rules, uint32_t condition,
                                         const struct policy_knowledge *knowledge);
/* All that it may come to where what is untold is known: a set of 1 << enum policy_truth. Tests
 * are taken each by itself, so it may be more than there is, and never less. */
unsigned policy_condition_may(const struct policy_rules *rules, uint32_t condition,
                              const struct policy_knowledge *knowledge);
/* The test that decided against it (or that nobody knew): what a refusal names. A number of
 * rules->conditions, a POLICY_TEST. Negated: it stands under a not, and was wanted not to be
 * so.
 */
uint32_t policy_condition_blame(const struct policy_rules *rules, uint32_t condition,
                                const struct policy_knowledge *knowledge, bool *negated);
/* One test with what its fact is. */
enum policy_truth policy_condition_test(const struct policy_rules *rules,
                                        const struct policy_condition *test,
                                        const struct policy_value *fact);

/* Does a condition, once it did not come to yes, keep the rule from applying? Unknown is no
 * for who allows and yes for who denies. */
static inline bool policy_condition_applies(enum policy_truth truth, enum policy_effect effect)
{
    return truth == POLICY_YES || (truth == POLICY_PERHAPS && effect == POLICY_DENY);
}

/* The values of an `in`, sorted, without those that another one holds; how many are left. */
size_t policy_condition_sort(struct policy_value *values, size_t count);

enum { POLICY_SHOWN_MAX = 8 };
/* Append as a policy would write it; of a long `in` its first values and how many there are. */
void policy_condition_write(const struct policy_rules *rules, uint32_t condition,
                            struct buf *out);
/* A test as it counts: `not (...)` where it stands under a not. */
void policy_condition_write_test(const struct policy_rules *rules, uint32_t test, bool negated,
                                 struct buf *out);
void policy_condition_write_value(enum policy_fact fact, const struct policy_value *value,
                                  struct buf *out);
