/* What doors and the authority ask, what they tell with it, and what that can be: for `policy
 * check`, which says what a rule waits for in vain. The engine takes whatever it is told.
 * docs/policy-language.md, "What is asked today". */
#pragma once

#include "policy/rules.h"

/* Who asks for what, as far as others facts are known: bits of a set. */
enum policy_situation {
    POLICY_AT_SESSION = 1, /* a device: connect, subscribe */
    POLICY_AT_MESSAGE = 2, /* a device: publish, receive, retain, will */
    POLICY_AT_DEVICE_ISSUE = 4,
    POLICY_AT_OPERATOR_ACT = 8, /* call, revoke */
    POLICY_AT_OPERATOR_ISSUE = 16,
    POLICY_AT_LINE_ACT = 32,
    POLICY_AT_LINE_ISSUE = 64,
    POLICY_SITUATIONS = 7
};

/* Sets of 1 << enum policy_asker: whom the principal is; who asks for an action at all. */
unsigned policy_told_askers(enum policy_principal principal);
unsigned policy_told_who_asks(enum policy_action action);
void policy_told_write_askers(unsigned askers, struct buf *out); /* "devices and lines" */
/* In which some of the actions are asked for by some of the askers. */
unsigned policy_told_situations(unsigned askers, unsigned actions);
/* The actions of these that are asked for in a situation. */
unsigned policy_told_actions(unsigned actions, unsigned situations);

enum { POLICY_WORDS_MAX = 7 };
struct policy_told {
    unsigned always, perhaps; /* situations in which it is known; in no other */
    /* All that it can be, and where; none: any text of its form, or any value. */
    struct policy_word {
        const char *text;
        unsigned situations;
    } words[POLICY_WORDS_MAX];
    bool ranged;
    int64_t low, high; /* of a number, if ranged */
};
const struct policy_told *policy_told(enum policy_fact fact);
size_t policy_told_word_count(const struct policy_told *told);

/* The profiles that some of the askers ask certificates of, by some of the actions: names for
 * as long as `which` is below their number; else NULL. */
const char *policy_told_profile(unsigned askers, unsigned actions, unsigned which);
