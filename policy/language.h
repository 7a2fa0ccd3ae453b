/* Sets of topics as regular languages over levels, exact; inside policy/ only. */
#pragma once

#include "policy/topic.h"

#include "base/buf.h"

/*
 * A map gives each topic a colour; a set is a map to 0 and 1. Filters, and all that is made of
 * them topic by topic, are automata that read one level at a step: some levels have ways of
 * their own, all others share one. Such automata are kept as diagrams in which equal parts are
 * one (as in a decision diagram): two maps are equal if and only if their numbers are.
 *
 * As in MQTT 5.0 section 4.7: a topic has one level or more; the one empty level is no topic
 * [MQTT-4.7.3-1]; a wildcard as the first level stands for none that begins with `$`
 * [MQTT-4.7.2-1]; `a/#` holds `a`. Topics may have any length and number of levels, as
 * policy_decide_request() has it for subscriptions.
 *
 * Every function that makes something may answer RC_NOMEM, or RC_LIMIT once the language has
 * more states, or took more steps, than it may; then it can only be freed.
 */
struct policy_language;

/* Plain data, of one language. */
struct policy_topics {
    uint32_t ordinary, system; /* topics that do not, and that do begin with `$` */
};

enum {
    POLICY_STATES_MAX = 4 * 1024 * 1024, /* states and ways between them, of one language */
    POLICY_LANGUAGE_STEPS = 200 * 1000 * 1000,
};

/* At most POLICY_STATES_MAX. */
enum rc policy_language_new(size_t states_max, struct policy_language **language);
void policy_language_free(struct policy_language *language); /* NULL is fine */
AUTO_STRUCT(policy_language, policy_language_free)

/* What was made after a mark is forgotten by going back to it. Names of levels stay. */
struct policy_mark {
    size_t nodes, edges;
};
struct policy_mark policy_language_mark(const struct policy_language *language);
void policy_language_return(struct policy_language *language, struct policy_mark mark);
/* The steps so far count no more: between pieces of work of which each is bounded. How many
 * they were. */
uint64_t policy_language_rest(struct policy_language *language);

/* ---- Making ---- */

struct policy_topics policy_language_none(void);
/*
 * What a filter (which passed its check) matches has this colour, all else 0. Of a rule:
 * levels with ${fact} in them are symbols, the same as themselves and different from every word
 * and every other symbol. Else they are words.
 */
enum rc policy_language_filter(struct policy_language *language, struct bytes filter,
                               bool of_rule, uint32_t colour, struct policy_topics *made);
/* As the first level of what is of a rule: each that begins with `$`. No filter that is checked
 * has it. */
#define POLICY_ANY_SYSTEM BYTES("$+")

/* Topic by topic, from two colours a third. */
enum policy_zero {
    POLICY_ZERO_ASKED, /* what a 0 makes of the other colour is asked for */
    POLICY_ZERO_STAYS, /* 0 */
    POLICY_ZERO_YIELDS /* the other colour */
};
struct policy_language_op {
    enum rc (*colour)(void *with, uint32_t left, uint32_t right, uint32_t *made);
    void *with;
    enum policy_zero left, right; /* what colour() makes of a 0 there; of two it makes 0 */
    enum policy_same { POLICY_SAME_ASKED, POLICY_SAME_STAYS, POLICY_SAME_ZERO } same;
};
enum rc policy_language_apply(struct policy_language *language,
                              const struct policy_language_op *op, struct policy_topics left,
                              struct policy_topics right, struct policy_topics *made);
/* All of them, in whatever order: for an op that knows none. They are used up. */
enum rc policy_language_fold(struct policy_language *language,
                             const struct policy_language_op *op, struct policy_topics *all,
                             size_t count, struct policy_topics *made);

enum rc policy_language_union(struct policy_language *language, struct policy_topics left,
                              struct policy_topics right, struct policy_topics *made);
enum rc policy_language_intersect(struct policy_language *language, struct policy_topics left,
                                  struct policy_topics right, struct policy_topics *made);
enum rc policy_language_subtract(struct policy_language *language, struct policy_topics left,
                                 struct policy_topics right, struct policy_topics *made);
/* Of a map: the colours of the topics that are in the set. */
enum rc policy_language_restrict(struct policy_language *language, struct policy_topics set,
                                 struct policy_topics map, struct policy_topics *made);

/* ---- Asking ---- */

static inline bool policy_language_equal(struct policy_topics a, struct policy_topics b)
{
    return a.ordinary == b.ordinary && a.system == b.system;
}
bool policy_language_is_empty(struct policy_topics topics);
/* Of a topic (no filter; its levels are words). */
enum rc policy_language_colour(struct policy_language *language, struct policy_topics map,
                               struct bytes topic, uint32_t *colour);
/* Is each topic of the inner set one of the outer? */
enum rc policy_language_contains(struct policy_language *language, struct policy_topics outer,
                                 struct policy_topics inner, bool *contains);
/* Each colour that some topic has, but 0, once. */
enum rc policy_language_colours(struct policy_language *language, struct policy_topics map,
                                enum rc (*each)(void *with, uint32_t colour), void *with);
/* A topic of the fewest levels whose colour is not 0: RC_NOT_FOUND. */
enum rc policy_language_witness(struct policy_language *language, struct policy_topics topics,
                                struct buf *topic);

/*
 * A set as filters: each piece is a filter, or all of it but what some others match. The pieces
 * are all of the set and nothing else; where the set is a union of filters, they are the fewest
 * such filters, and none has exceptions. RC_LIMIT for more than `most` filters, exceptions
 * counted. Texts and arrays are borrowed for the call. For sets of rules' filters.
 */
struct policy_piece {
    struct bytes filter;
    const struct bytes *except;
    size_t except_count;
};
enum rc policy_language_describe(struct policy_language *language, struct policy_topics set,
                                 size_t most,
                                 enum rc (*each)(void *with, const struct policy_piece *piece),
                                 void *with);
