/* A language's states; inside policy/language*.c only. */
#pragma once

#include "policy/language.h"

enum { POLICY_SELF = UINT32_MAX };

/* What is left of topics after some levels. Equal states are one. */
struct policy_state {
    uint32_t colour;       /* of the topic that ends here */
    uint32_t other;        /* by every level that has no edge; POLICY_SELF: all topics that go
                            * on from here have this colour, too, and there are no edges */
    uint32_t first, count; /* of edges, by level */
    uint32_t next;         /* in its slot of the index */
};
struct policy_edge_to {
    uint32_t level, to;
};
/* Words, and symbols of rules, by the order in which they came. */
struct policy_word {
    struct bytes text;
    bool symbol;
    uint32_t next;
};

/* Pairs of states that were joined by this op already. */
struct policy_memo {
    uint32_t left, right, made, run;
};

struct policy_language {
    struct policy_state *states;
    size_t count, room, most;
    struct policy_edge_to *edges;
    size_t edge_count, edge_room;
    uint32_t *slots;
    size_t slot_count;
    struct policy_word *words;
    size_t word_count, word_room;
    uint32_t *word_slots;
    size_t word_slot_count;
    struct policy_edge_to *scratch; /* edges of states that are being made */
    size_t scratch_count, scratch_room;
    struct policy_memo *memo;
    size_t memo_count, memo_used;
    uint32_t run;
    uint64_t steps;
};

/* One more at the end of a growing array of a language. */
enum rc policy_language_grow(void *array, size_t size, size_t count, size_t *room);
uint64_t policy_language_hash(uint64_t hash, uint64_t word);

/* The number of a word or symbol, made if there is none. */
enum rc policy_language_word(struct policy_language *language, struct bytes text, bool symbol,
                             uint32_t *word);
/* The state of which all topics have this colour. */
enum rc policy_language_all(struct policy_language *language, uint32_t colour, uint32_t *state);
/* The state with the edges that lie in scratch from there on, by level; they are used up. */
enum rc policy_language_state(struct policy_language *language, uint32_t colour, uint32_t other,
                              size_t scratch, uint32_t *state);
enum rc policy_language_push(struct policy_language *language, uint32_t level, uint32_t to);
/* Where a level leads. */
uint32_t policy_language_step(const struct policy_language *language, uint32_t state,
                              uint32_t level);
/* The same for all levels without an edge. */
static inline uint32_t policy_language_other(const struct policy_language *language,
                                             uint32_t state)
{
    uint32_t other = language->states[state].other;

    return other == POLICY_SELF ? state : other;
}
static inline bool policy_language_is_all(const struct policy_language *language,
                                          uint32_t state)
{
    return language->states[state].other == POLICY_SELF;
}
/* policy_language_apply() of what is left after the same levels. */
enum rc policy_language_join(struct policy_language *language,
                             const struct policy_language_op *op, uint32_t left, uint32_t right,
                             uint32_t *made);
extern const struct policy_language_op policy_language_or, policy_language_and,
    policy_language_not;
