/* All filters of a policy as tries of levels, one for each set of principals; inside policy/
 * only. */
#pragma once

#include "policy/posting.h"
#include "policy/topic.h"

#include <assert.h>

/*
 * Nodes lie in one flat array. A node's only literal child is named in it and mostly lies
 * behind it; where there are more, those of all such nodes share one hash table keyed by (node,
 * level), so a step costs one probe however many rules there are. A level with a fact in it is
 * an edge of its own, compared with the bound value when walked.
 *
 * Where a child in the table leads to one rule alone, a leaf has all that a decision asks: the
 * rest of the filter, the posting and what is told. So among 100,000 rules a decision reads the
 * slot and the leaf, where node by node it would read six lines, each waited for.
 *
 * A filter ends at a node either exactly or by `#` below it. What ends there are postings.
 */
enum { POLICY_MANY = UINT32_MAX - 1, POLICY_NODES_MAX = 1000000 };

enum policy_edge { POLICY_EDGE_ROOT, POLICY_EDGE_LITERAL, POLICY_EDGE_PLUS, POLICY_EDGE_FACT };

enum { POLICY_NEAR_MAX = 24 };

/* A cache line: among 100,000 rules, what a step costs is the lines that it touches. */
struct policy_node {
    union {
        uint8_t near[POLICY_NEAR_MAX];
        const uint8_t *far; /* borrowed from the text */
    } level;                /* of the edge that leads here: policy_trie_level() */
    uint16_t level_len;     /* near if it fits there */
    uint8_t edge;           /* enum policy_edge */
    bool sure;              /* denied has no condition */
    uint32_t parent;
    uint32_t plus;         /* child by +, or POLICY_NONE */
    uint32_t literal;      /* the only literal child, POLICY_NONE, or POLICY_MANY: in slots */
    uint32_t first_fact;   /* children by levels with a fact, linked by next_sibling */
    uint32_t first_denied; /* literal children with a denial, linked by next_sibling */
    uint32_t next_sibling;
    /* Filters that end here, and here by #: once closed the first posting, or POLICY_NONE. */
    uint32_t exact, below;
    uint32_t denied; /* once closed: first rule at or below that denies to subscribe */
};
static_assert(sizeof(struct policy_node) == 64);

/* Known once the trie is closed. */
struct policy_cost {
    uint32_t denials;       /* nodes and tests at or below that a wildcard may have to ask */
    uint32_t steps;         /* nodes and tests at or below that the worst topic passes */
    uint32_t literal_steps; /* the share of its worst literal child in steps */
};

/* Of the hash table: four in a cache line. */
struct policy_slot {
    uint32_t child;   /* POLICY_NONE: free */
    uint32_t mark;    /* of its hash: another's child is mostly passed without a look at it */
    uint32_t leaf;    /* once closed: place in leaves, or POLICY_NONE */
    uint32_t posting; /* once closed: the leaf's, for who walks the nodes nevertheless */
};
static_assert(sizeof(struct policy_slot) == 16);

/* What decisions tell of each rule: together, for a decision touches few lines of memory. */
struct policy_told {
    uint32_t number, line, file, text_line;
};

enum { POLICY_LEAF_UNIT = 64, POLICY_LEAF_TEXT_MAX = 222 };

/* Begins at a unit, and takes as many as its text asks for: mostly one, a cache line. */
struct policy_leaf {
    uint32_t parent; /* node above its first level */
    struct policy_posting posting;
    struct policy_told told;
    uint8_t text_len;
    bool wild;      /* text has + or # */
    uint8_t text[]; /* the rule's filter from its first level on */
};

struct policy_trie {
    struct policy_node *nodes;
    size_t count, room;
    struct policy_postings collected; /* until it is closed */
    struct policy_posting *postings;  /* from then on */
    struct policy_slot *slots;
    size_t slot_count, slots_used;
    const struct policy_told *told; /* of policy_rules.at, borrowed */
    uint8_t *leaves;                /* in units */
    size_t leaf_units;
    struct policy_cost *costs; /* one a node, once closed */
    struct policy_effort *effort;
};

/* A topic or filter taken apart once for all the tries of a session. */
struct policy_path {
    size_t count;
    struct policy_level {
        struct bytes text;
        uint64_t hash;
    } at[POLICY_LEVELS_MAX];
};

/* False: more levels than any rule can have. */
bool policy_trie_split(struct bytes topic, struct policy_path *path);

void policy_trie_clear(struct policy_trie *trie);
/* A new root. RC_NOMEM, RC_LIMIT. */
enum rc policy_trie_root(struct policy_trie *trie, uint32_t *root);
/* The filter of the rule with this number from this root; its condition has so many tests.
 * Connect rules end at the root itself. In the order of the text. RC_NOMEM, RC_LIMIT, RC_CLOSED
 * (policy_effort_spend()); RC_MALFORMED: one topic would take too many steps. */
enum rc policy_trie_add(struct policy_trie *trie, uint32_t root,
                        const struct policy_rules *rules, uint32_t number, uint32_t tests);
/* After the last rule: works out denied and the costs; tests: of each condition. RC_NOMEM. */
enum rc policy_trie_close(struct policy_trie *trie, const uint8_t *tests);

/* Borrowed from the node. */
struct bytes policy_trie_level(const struct policy_node *node);
/* The child by this very level, or POLICY_NONE. */
uint32_t policy_trie_child(const struct policy_trie *trie, uint32_t node,
                           const struct policy_level *level);
/* Where this level of a topic leads; rest: the topic from this level on. The child, or
 * POLICY_NONE: then the leaf, or NULL, stands for all there is at and below it. */
struct policy_step {
    uint32_t child;
    const struct policy_leaf *leaf;
};
struct policy_step policy_trie_step(const struct policy_trie *trie, uint32_t node,
                                    const struct policy_level *level, struct bytes rest);
/* As a first level, is it out of reach of wildcards [MQTT-4.7.2-1]? No id starts with `$`. */
bool policy_trie_is_system(struct bytes level);
