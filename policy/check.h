/* Between the parts of policy_check(); inside policy/check*.c only. */
#pragma once

#include "policy/meter.h"

struct policy_checker {
    struct policy_study study;
    const struct policy_rules *rules;
    struct policy_parts *parts; /* by rule */
    struct policy_meters meters;
    bool *gone;           /* rules that would not be missed */
    uint64_t steps, most; /* of looking for them */
    struct policy_name_list {
        struct bytes *at;
        size_t count;
    } empty; /* groups that nobody is in, sorted */
    struct policy_findings findings;
};

enum rc policy_check_add(struct policy_checker *checker, enum policy_concern concern,
                         bool grave, uint32_t rule, struct bytes resource, struct buf *text);
/* What nobody asks for, or holds. */
enum rc policy_check_idle(struct policy_checker *checker, uint32_t place, bool first_of_rule,
                          bool first_of_name);
/* What each rule does that others do not. */
enum rc policy_check_shadows(struct policy_checker *checker);
/* Is there nothing that could be known, or not known, by which the rule applies? Tried with all
 * values that its condition tells apart; false where these are too many. */
bool policy_check_is_impossible(const struct policy_rules *rules,
                                const struct policy_rule *rule);
