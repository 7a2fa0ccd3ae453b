/* What ends at a place of a trie: rules, with their conditions; inside policy/ only. */
#pragma once

#include "policy/rules.h"

enum { POLICY_NONE = UINT32_MAX };

/* Of one place, in the order of the text, one behind the other up to the last. */
struct policy_posting {
    uint32_t rule;      /* place in policy_rules.at */
    uint32_t condition; /* or POLICY_ALWAYS */
    uint16_t actions;
    uint8_t effect;
    bool last : 1, obliged : 1; /* has obligations */
};

/* While they are collected. */
struct policy_postings {
    struct policy_link {
        struct policy_posting posting;
        uint32_t next;
    } * links;
    size_t count, room;
    struct policy_place_of_ends {
        uint32_t first, last, weight;
    } * ends;
    size_t end_count, end_room;
};

/* A new place without rules. RC_NOMEM. */
enum rc policy_posting_place(struct policy_postings *postings, uint32_t *place);
/*
 * The rule with its number in rules->at, and how many tests its condition has. A rule that says
 * nothing new behind those before it is left out, so what it costs to read a place's rules is
 * at most a constant and its weight; once that is above POLICY_STEPS_MAX (which compiling
 * refuses) no more are added. RC_NOMEM; RC_LIMIT, RC_CLOSED (policy_effort_spend()).
 */
enum rc policy_posting_add(struct policy_postings *postings, struct policy_effort *effort,
                           const struct policy_rules *rules, uint32_t place, uint32_t number,
                           uint32_t tests);
/* All places behind each other, as decisions read them; starts has one number for each place.
 * The caller's to free(). RC_NOMEM. */
enum rc policy_posting_pack(const struct policy_postings *postings,
                            struct policy_posting **packed, uint32_t **starts);
void policy_posting_clear(struct policy_postings *postings);

/* Does it ask for anything? */
bool policy_posting_obliges(const struct policy_obligations *obligations);
/* What of more is now among the obligations, or equals what is there. */
enum {
    POLICY_LIMIT_STRICTER = 1,
    POLICY_LIMIT_ALIKE = 2,
    POLICY_PAYLOAD_STRICTER = 4,
    POLICY_PAYLOAD_ALIKE = 8,
};
/* The strictest of both; a set of these. */
unsigned policy_posting_merge(struct policy_obligations *obligations,
                              const struct policy_obligations *more);
