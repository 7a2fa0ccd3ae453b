/* What rules say of a topic, as colours of a language's maps; inside policy/ only. */
#pragma once

#include "policy/language.h"
#include "policy/rules.h"

/*
 * A colour is a set of voices: each allows or denies, always or under a condition. Sets that
 * are equal have one number; 0 is the empty one, of which nothing comes but a no.
 *
 * Conditions are the same if they are written the same, whichever policy wrote them. A
 * resource with a fact that nobody knows is a condition, too: the voice is of all that the
 * level might be, and a guard with the resource says so.
 */
struct policy_verdicts;

enum { POLICY_SURE = 0, POLICY_NO_RULE = UINT32_MAX };

/* Number POLICY_SURE: neither condition nor resource. Borrowed. */
struct policy_guard {
    const struct policy_rules *rules;
    uint32_t condition;    /* of rules, or POLICY_ALWAYS */
    struct bytes resource; /* with facts that nobody knows; or empty */
};

struct policy_voice {
    enum policy_effect effect;
    uint32_t guard;
    uint32_t rule; /* place in its rules, or POLICY_NO_RULE where it does not matter whose */
    uint32_t duties;
};

enum rc policy_verdicts_new(struct policy_verdicts **verdicts);
void policy_verdicts_free(struct policy_verdicts *verdicts); /* NULL is fine */
AUTO_STRUCT(policy_verdicts, policy_verdicts_free)

enum rc policy_verdicts_guard(struct policy_verdicts *verdicts,
                              const struct policy_guard *guard, uint32_t *number);
struct policy_guard policy_verdicts_get_guard(const struct policy_verdicts *verdicts,
                                              uint32_t guard);

/* Under whose limit an act is counted, and with what others: policy/meter.h. Borrowed. */
struct policy_meter {
    uint32_t what;       /* number of what is counted together; 0: nothing is */
    uint32_t order;      /* of limits that are alike the one with the lowest counts */
    struct bytes filter; /* of subscriptions, where it matters which rules allow all of one */
};
struct policy_duties {
    struct policy_obligations asked;
    struct policy_meter meter;
};
/* 0: none. */
enum rc policy_verdicts_duties(struct policy_verdicts *verdicts,
                               const struct policy_duties *duties, uint32_t *number);
struct policy_duties policy_verdicts_get_duties(const struct policy_verdicts *verdicts,
                                                uint32_t duties);

/* The colour of one voice. */
enum rc policy_verdicts_voice(struct policy_verdicts *verdicts,
                              const struct policy_voice *voice, uint32_t *colour);
/* In order; borrowed until the next colour is made. */
struct policy_voices {
    const struct policy_voice *at;
    size_t count;
};
struct policy_voices policy_verdicts_get(const struct policy_verdicts *verdicts,
                                         uint32_t colour);
/* A colour is made voice by voice, in whatever order, one at a time. */
void policy_verdicts_begin(struct policy_verdicts *verdicts);
enum rc policy_verdicts_put(struct policy_verdicts *verdicts, const struct policy_voice *voice);
enum rc policy_verdicts_finish(struct policy_verdicts *verdicts, uint32_t *colour);
/* All voices of two maps. */
struct policy_language_op policy_verdicts_both(struct policy_verdicts *verdicts);

bool policy_verdicts_has(const struct policy_voices *voices, enum policy_effect effect,
                         uint32_t guard);
/* Can it ever allow? What is denied under the same condition is never allowed under it; nor is
 * anything that is always denied. */
bool policy_verdicts_is_live(const struct policy_voices *voices,
                             const struct policy_voice *voice);

/*
 * What it comes to: the conditions under which it is allowed and those under which it is
 * denied, in a form that is equal if these are; 0 is never. Rules and duties are left out.
 */
enum rc policy_verdicts_sense(struct policy_verdicts *verdicts, uint32_t colour,
                              uint32_t *sense);
bool policy_verdicts_is_sure(const struct policy_verdicts *verdicts, uint32_t sense);

/* May a request be allowed: never, if some conditions hold, always? */
enum policy_may { POLICY_MAY_NOT, POLICY_MAY_IF, POLICY_MAY };
/* All of the topics asked for, which are a set. */
enum rc policy_verdicts_may(struct policy_verdicts *verdicts, struct policy_language *language,
                            struct policy_topics asked, struct policy_topics map,
                            enum policy_may *may);
