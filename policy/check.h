/* Between the parts of policy_check(); inside policy/check*.c only. */
#pragma once

#include "policy/meter.h"

struct policy_checker {
    struct policy_study study;
    const struct policy *policy;
    const struct policy_rules *rules;
    struct policy_parts *parts; /* by rule */
    struct policy_meters meters;
    bool *gone;            /* rules that would not be missed */
    uint64_t steps, most;  /* of looking for them */
    uint64_t tries;        /* of conditions, as many at most */
    bool tired;            /* that they were too many was told */
    int64_t now_ms;        /* of all that is decided nothing is before; 0: not known */
    uint32_t untold, vain; /* 1 + the last rule told: facts in its resources; a condition */
    struct policy_name_list {
        struct bytes *at;
        size_t count;
    } empty; /* groups that nobody is in, sorted */
    struct policy_findings findings;
};

enum rc policy_check_add(struct policy_checker *checker, enum policy_concern concern,
                         bool grave, uint32_t rule, struct bytes resource, struct buf *text);
enum rc policy_check_add_at(struct policy_checker *checker, enum policy_concern concern,
                            bool grave, const struct policy_where *where, struct bytes resource,
                            struct buf *text);
/* Of a rule with lists, what is not of this part alone is said once: each of these is all that
 * stand above it, too. */
enum policy_first {
    POLICY_NOT_FIRST,
    POLICY_FIRST_OF_NAME, /* of a principal of the rule */
    POLICY_FIRST_OF_KIND, /* of its devices, of its groups ... */
    POLICY_FIRST_OF_RULE,
};
/* What nobody asks for, or holds. */
enum rc policy_check_idle(struct policy_checker *checker, uint32_t place,
                          enum policy_first first);
/* Tests that say less than they seem to. */
enum rc policy_check_tests(struct policy_checker *checker);
/* What each rule does that others do not. */
enum rc policy_check_shadows(struct policy_checker *checker);
/* What a rule waits for in vain: facts that nobody tells, or that are never so. */
enum rc policy_check_told(struct policy_checker *checker, uint32_t place,
                          enum policy_first first);
/* Is the fact one that the name or role that the rule is for says? */
bool policy_check_is_own(const struct policy_rule *rule, enum policy_fact fact);
/* Situations (told.h) in which something can be known, or not known, by which the rule applies;
 * by which it does not. Tried with all values that its condition tells apart; both where these
 * are too many. Adds how many to *tries. */
struct policy_outcomes {
    unsigned applies, spares;
};
struct policy_outcomes policy_check_try(const struct policy_rules *rules,
                                        const struct policy_rule *rule, unsigned situations,
                                        int64_t now_ms, uint64_t *tries);
