#include "policy/trie.h"

#include "policy/room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64, WALKED_AHEAD = 3 };

void policy_trie_clear(struct policy_trie *trie)
{
    free(trie->nodes);
    policy_posting_clear(&trie->collected);
    free(trie->postings);
    free(trie->slots);
    free(trie->costs);
    free(trie->leaves);
    *trie = (struct policy_trie){ 0 };
}

/* All of the level counts: words that are alike for long would otherwise share a place, and
 * one of them as a topic be slow. Eight bytes at a time, as a level may have 64 KiB. */
static uint64_t hash_level(struct bytes level)
{
    uint64_t sum = 0xcbf29ce484222325 ^ level.len;

    for (; level.len >= sizeof(uint64_t);
         level = (struct bytes){ level.at + sizeof(uint64_t), level.len - sizeof(uint64_t) }) {
        uint64_t eight;
        memcpy(&eight, level.at, sizeof eight);
        sum = (sum ^ eight) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
    }
    for (size_t i = 0; i < level.len; i++)
        sum = (sum ^ level.at[i]) * 0x100000001b3;
    return sum;
}

bool policy_trie_split(struct bytes topic, struct policy_path *path)
{
    struct policy_levels levels = policy_topic_levels(topic);

    for (path->count = 0; levels.more && path->count < POLICY_LEVELS_MAX; path->count++) {
        struct bytes level = policy_topic_next(&levels);
        path->at[path->count] = (struct policy_level){ level, hash_level(level) };
    }
    return !levels.more;
}

static bool is_child(const struct policy_node *child, uint32_t node,
                     const struct policy_level *level)
{
    return child->parent == node && bytes_equal(policy_trie_level(child), level->text);
}

static uint64_t mix(uint32_t node, const struct policy_level *level)
{
    return (level->hash + node * UINT64_C(0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
}

static size_t first_slot(const struct policy_trie *trie, uint64_t mixed)
{
    return (mixed ^ mixed >> 32) & (trie->slot_count - 1);
}

static uint32_t mark_of(uint64_t mixed)
{
    return (uint32_t)(mixed >> 32);
}

/* What is likely to be walked next comes while this one is compared: an only child mostly lies
 * behind its parent. */
static void fetch_ahead(const struct policy_trie *trie, const struct policy_slot *slot)
{
    for (uint32_t i = 0; i < WALKED_AHEAD && slot->child + i < trie->count; i++)
        __builtin_prefetch(&trie->nodes[slot->child + i]);
    if (slot->posting != POLICY_NONE)
        __builtin_prefetch(&trie->postings[slot->posting]);
}

/* Where the child by this level is, or would go. */
static size_t find_slot(const struct policy_trie *trie, uint32_t node,
                        const struct policy_level *level)
{
    uint64_t mixed = mix(node, level);
    size_t at = first_slot(trie, mixed);

    for (; trie->slots[at].child != POLICY_NONE; at = (at + 1) & (trie->slot_count - 1)) {
        const struct policy_slot *slot = &trie->slots[at];
        if (slot->mark != mark_of(mixed))
            continue;
        fetch_ahead(trie, slot);
        if (is_child(&trie->nodes[slot->child], node, level))
            break;
    }
    return at;
}

uint32_t policy_trie_child(const struct policy_trie *trie, uint32_t node,
                           const struct policy_level *level)
{
    uint32_t only = trie->nodes[node].literal;

    if (only == POLICY_MANY)
        return trie->slots[find_slot(trie, node, level)].child;
    if (only != POLICY_NONE && is_child(&trie->nodes[only], node, level))
        return only;
    return POLICY_NONE;
}

static const struct policy_leaf *leaf_at(const struct policy_trie *trie, uint32_t unit)
{
    return (const struct policy_leaf *)(trie->leaves + (size_t)unit * POLICY_LEAF_UNIT);
}

static bool leaf_matches(const struct policy_leaf *leaf, uint32_t node, struct bytes rest)
{
    struct bytes text = { leaf->text, leaf->text_len };

    return leaf->parent == node &&
           (leaf->wild ? policy_topic_match(text, rest) : bytes_equal(text, rest));
}

/* A leaf that does not match is passed like another's: who looks on finds a free slot soon. */
static struct policy_step find_step(const struct policy_trie *trie, uint32_t node,
                                    const struct policy_level *level, struct bytes rest)
{
    uint64_t mixed = mix(node, level);
    size_t at = first_slot(trie, mixed);

    for (; trie->slots[at].child != POLICY_NONE; at = (at + 1) & (trie->slot_count - 1)) {
        const struct policy_slot *slot = &trie->slots[at];
        if (slot->mark != mark_of(mixed))
            continue;
        if (slot->leaf == POLICY_NONE) {
            fetch_ahead(trie, slot);
            if (is_child(&trie->nodes[slot->child], node, level))
                return (struct policy_step){ slot->child, NULL };
        } else if (leaf_matches(leaf_at(trie, slot->leaf), node, rest)) {
            return (struct policy_step){ POLICY_NONE, leaf_at(trie, slot->leaf) };
        }
    }
    return (struct policy_step){ POLICY_NONE, NULL };
}

struct policy_step policy_trie_step(const struct policy_trie *trie, uint32_t node,
                                    const struct policy_level *level, struct bytes rest)
{
    if (trie->nodes[node].literal == POLICY_MANY)
        return find_step(trie, node, level, rest);
    return (struct policy_step){ policy_trie_child(trie, node, level), NULL };
}

/* Levels that share a place, by chance or made so, are passed one by one. */
static enum rc take_slot(const struct policy_trie *trie, uint32_t child)
{
    const struct policy_node *node = &trie->nodes[child];
    struct bytes text = policy_trie_level(node);
    struct policy_level level = { text, hash_level(text) };

    uint64_t mixed = mix(node->parent, &level);
    size_t at = find_slot(trie, node->parent, &level);
    trie->slots[at] = (struct policy_slot){ child, mark_of(mixed), POLICY_NONE, POLICY_NONE };
    return policy_effort_spend(trie->effort,
                               (at - first_slot(trie, mixed)) & (trie->slot_count - 1));
}

/* Half of them stay free. */
static enum rc grow_slots(struct policy_trie *trie)
{
    size_t count = trie->slot_count ? trie->slot_count * 2 : FIRST_ROOM;
    struct policy_slot *slots = malloc(count * sizeof *slots);

    if (slots == NULL)
        return fault(RC_NOMEM, "policy index");
    memset(slots, 0xff, count * sizeof *slots);
    free(trie->slots);
    trie->slots = slots;
    trie->slot_count = count;
    for (uint32_t i = 0; i < trie->count; i++) {
        const struct policy_node *node = &trie->nodes[i];
        if (node->edge == POLICY_EDGE_LITERAL &&
            trie->nodes[node->parent].literal == POLICY_MANY)
            TRY(take_slot(trie, i));
    }
    return RC_OK;
}

/* The second child brings the first along. */
static enum rc link_literal(struct policy_trie *trie, uint32_t parent, uint32_t child)
{
    uint32_t *only = &trie->nodes[parent].literal;

    if (*only == POLICY_NONE) {
        *only = child;
        return RC_OK;
    }
    if (*only != POLICY_MANY) {
        TRY(take_slot(trie, *only));
        trie->slots_used++;
    }
    *only = POLICY_MANY;
    trie->slots_used++;
    return take_slot(trie, child);
}

static enum rc add_node(struct policy_trie *trie, const struct policy_node *node,
                        uint32_t *place)
{
    if (trie->count == POLICY_NODES_MAX)
        return fault(RC_LIMIT, "the rules have more than %d levels together", POLICY_NODES_MAX);
    if (trie->count == trie->room) {
        size_t room = trie->room ? trie->room * 2 : FIRST_ROOM;
        struct policy_node *nodes = reallocarray(trie->nodes, room, sizeof *nodes);
        if (nodes == NULL)
            return fault(RC_NOMEM, "policy index");
        trie->nodes = nodes;
        trie->room = room;
    }
    *place = (uint32_t)trie->count;
    trie->nodes[trie->count++] = *node;
    return RC_OK;
}

static const struct policy_node FRESH = {
    .parent = POLICY_NONE,
    .plus = POLICY_NONE,
    .literal = POLICY_NONE,
    .first_fact = POLICY_NONE,
    .first_denied = POLICY_NONE,
    .next_sibling = POLICY_NONE,
    .exact = POLICY_NONE,
    .below = POLICY_NONE,
    .denied = POLICY_NONE,
};

enum rc policy_trie_root(struct policy_trie *trie, uint32_t *root)
{
    struct policy_node node = FRESH;

    node.edge = POLICY_EDGE_ROOT;
    return add_node(trie, &node, root);
}

static bool has_fact(struct bytes level)
{
    return level.len > 1 && memmem(level.at, level.len, "${", 2) != NULL;
}

static enum policy_edge edge_of(struct bytes level)
{
    if (policy_topic_is_plus(level))
        return POLICY_EDGE_PLUS;
    return has_fact(level) ? POLICY_EDGE_FACT : POLICY_EDGE_LITERAL;
}

/* Each is a step of the worst topic: more than it may take need not be looked through. */
static enum rc find_fact(const struct policy_trie *trie, uint32_t parent, struct bytes text,
                         uint32_t *place)
{
    unsigned passed = 0;

    for (*place = trie->nodes[parent].first_fact; *place != POLICY_NONE;
         *place = trie->nodes[*place].next_sibling) {
        if (bytes_equal(policy_trie_level(&trie->nodes[*place]), text))
            break;
        if (++passed > POLICY_STEPS_MAX)
            return fault(RC_MALFORMED,
                         "one topic takes more than %d steps through the rules: fewer levels "
                         "with ${...} beside each other",
                         POLICY_STEPS_MAX);
    }
    return policy_effort_spend(trie->effort, passed);
}

static enum rc find_child(const struct policy_trie *trie, uint32_t parent,
                          enum policy_edge edge, struct bytes text, uint32_t *place)
{
    struct policy_level level = { text, hash_level(text) };

    if (edge == POLICY_EDGE_FACT)
        return find_fact(trie, parent, text, place);
    *place = edge == POLICY_EDGE_PLUS ? trie->nodes[parent].plus
                                      : policy_trie_child(trie, parent, &level);
    return RC_OK;
}

struct bytes policy_trie_level(const struct policy_node *node)
{
    bool near = node->level_len <= POLICY_NEAR_MAX;

    return (struct bytes){ near ? node->level.near : node->level.far, node->level_len };
}

static struct policy_node make_node(uint32_t parent, enum policy_edge edge, struct bytes level)
{
    struct policy_node node = FRESH;

    node.parent = parent;
    node.edge = (uint8_t)edge;
    node.level_len = (uint16_t)level.len; /* POLICY_TOPIC_MAX */
    if (level.len > POLICY_NEAR_MAX)
        node.level.far = level.at;
    else if (level.len > 0)
        memcpy(node.level.near, level.at, level.len);
    return node;
}

static enum rc add_child(struct policy_trie *trie, uint32_t parent, struct bytes level,
                         uint32_t *place)
{
    struct policy_node node = make_node(parent, edge_of(level), level);

    TRY(policy_effort_spend(trie->effort, policy_effort_of(level.len)));
    TRY(find_child(trie, parent, (enum policy_edge)node.edge, level, place));
    if (*place != POLICY_NONE)
        return RC_OK;
    if (node.edge == POLICY_EDGE_LITERAL && (trie->slots_used + 2) * 2 > trie->slot_count)
        TRY(grow_slots(trie));
    if (node.edge == POLICY_EDGE_FACT)
        node.next_sibling = trie->nodes[parent].first_fact;
    TRY(add_node(trie, &node, place));
    if (node.edge == POLICY_EDGE_PLUS)
        trie->nodes[parent].plus = *place;
    else if (node.edge == POLICY_EDGE_FACT)
        trie->nodes[parent].first_fact = *place;
    else
        TRY(link_literal(trie, parent, *place));
    return RC_OK;
}

static enum rc end_here(struct policy_trie *trie, uint32_t *place,
                        const struct policy_rules *rules, uint32_t number, uint32_t tests)
{
    if (*place == POLICY_NONE)
        TRY(policy_posting_place(&trie->collected, place));
    return policy_posting_add(&trie->collected, trie->effort, rules, *place, number, tests);
}

enum rc policy_trie_add(struct policy_trie *trie, uint32_t root,
                        const struct policy_rules *rules, uint32_t number, uint32_t tests)
{
    struct policy_levels levels = policy_topic_levels(rules->at[number].filter);
    uint32_t at = root;

    levels.more = rules->at[number].filter.len > 0;
    while (levels.more) {
        struct bytes level = policy_topic_next(&levels);
        if (policy_topic_is_hash(level))
            return end_here(trie, &trie->nodes[at].below, rules, number, tests);
        TRY(add_child(trie, at, level, &at));
    }
    return end_here(trie, &trie->nodes[at].exact, rules, number, tests);
}

/* What wildcards meet here: the first denial, and how many tests of denials. */
static void close_denials(const struct policy_trie *trie, struct policy_node *node,
                          uint32_t start, const uint8_t *tests, struct policy_cost *cost)
{
    const struct policy_posting *posting = &trie->postings[start];

    for (bool last = false; !last; last = (posting++)->last) {
        if (posting->effect != POLICY_DENY || !(posting->actions & 1U << POLICY_SUBSCRIBE))
            continue;
        bool sure = posting->condition == POLICY_ALWAYS;
        if (posting->rule < node->denied) {
            node->denied = posting->rule;
            node->sure = sure;
        }
        cost->denials += sure ? 0 : tests[posting->condition];
    }
}

static void close_ends(const struct policy_trie *trie, struct policy_node *node,
                       uint32_t *place, const uint32_t *starts, const uint8_t *tests,
                       struct policy_cost *cost)
{
    if (*place == POLICY_NONE)
        return;
    cost->steps += trie->collected.ends[*place].weight;
    *place = starts[*place];
    close_denials(trie, node, *place, tests, cost);
}

/* A wildcard that comes to a node on the way to a denial looks at it and at its facts. */
static void close_node(const struct policy_trie *trie, struct policy_node *node,
                       const uint32_t *starts, const uint8_t *tests, struct policy_cost *cost)
{
    cost->steps += 1 + cost->literal_steps;
    close_ends(trie, node, &node->exact, starts, tests, cost);
    close_ends(trie, node, &node->below, starts, tests, cost);
    if (node->denied == POLICY_NONE)
        return;
    cost->denials++;
    for (uint32_t fact = node->first_fact; fact != POLICY_NONE;
         fact = trie->nodes[fact].next_sibling)
        cost->denials++;
}

/* The worst topic passes one literal child, + and all facts. */
static void add_cost(struct policy_cost *above, const struct policy_cost *cost,
                     enum policy_edge edge)
{
    above->denials += cost->denials;
    if (edge != POLICY_EDGE_LITERAL)
        above->steps += cost->steps;
    else if (above->literal_steps < cost->steps)
        above->literal_steps = cost->steps;
}

/* Where they stay, now that they grow no more. */
static enum rc settle(struct policy_trie *trie)
{
    size_t slots_bytes = trie->slot_count * sizeof *trie->slots;
    struct policy_node *nodes = policy_room_move(trie->nodes, trie->count * sizeof *nodes);

    if (nodes == NULL)
        return fault(RC_NOMEM, "policy index");
    trie->nodes = nodes;
    trie->room = trie->count;
    struct policy_slot *slots = policy_room_move(trie->slots, slots_bytes);
    if (slots == NULL)
        return fault(RC_NOMEM, "policy index");
    trie->slots = slots;
    return RC_OK;
}

static void tell_above(const struct policy_trie *trie, struct policy_node *node, uint32_t at)
{
    struct policy_node *above = &trie->nodes[node->parent];

    if (node->denied < above->denied) {
        above->denied = node->denied;
        above->sure = node->sure;
    }
    add_cost(&trie->costs[node->parent], &trie->costs[at], node->edge);
    if (node->edge == POLICY_EDGE_LITERAL && node->denied != POLICY_NONE) {
        node->next_sibling = above->first_denied;
        above->first_denied = at;
    }
}

/* ---- Leaves ---- */

/* What all below a child in the table comes to, if it is one rule. */
struct ending {
    uint32_t posting; /* POLICY_NONE: it is not */
    bool wild;
    size_t text_len;
    uint8_t text[POLICY_LEAF_TEXT_MAX];
};

static bool append(struct ending *ending, struct bytes level)
{
    size_t slash = ending->text_len > 0 ? 1 : 0;

    if (ending->text_len + slash + level.len > sizeof ending->text)
        return false;
    if (slash > 0)
        ending->text[ending->text_len] = '/';
    if (level.len > 0)
        memcpy(ending->text + ending->text_len + slash, level.at, level.len);
    ending->text_len += slash + level.len;
    return true;
}

/* The only child, POLICY_NONE if there is none, or POLICY_MANY. */
static uint32_t only_child(const struct policy_node *node)
{
    if (node->first_fact != POLICY_NONE ||
        (node->literal != POLICY_NONE && node->plus != POLICY_NONE))
        return POLICY_MANY;
    return node->literal != POLICY_NONE ? node->literal : node->plus;
}

/* The one posting here, if nothing else is at or below this node. */
static uint32_t only_posting(const struct policy_trie *trie, const struct policy_node *node)
{
    uint32_t posting = node->exact != POLICY_NONE ? node->exact : node->below;

    if (node->exact != POLICY_NONE && node->below != POLICY_NONE)
        return POLICY_NONE;
    return trie->postings[posting].last ? posting : POLICY_NONE;
}

/* Follows only children. The first level may be empty, which append() could not tell from
 * none: it gets no leaf. */
static void find_ending(const struct policy_trie *trie, uint32_t at, struct ending *ending)
{
    *ending = (struct ending){ .posting = POLICY_NONE };
    while (at < POLICY_MANY) {
        const struct policy_node *node = &trie->nodes[at];
        bool ends = node->exact != POLICY_NONE || node->below != POLICY_NONE;
        if (!append(ending, policy_trie_level(node)) || ending->text_len == 0)
            return;
        ending->wild = ending->wild || node->edge == POLICY_EDGE_PLUS;
        at = only_child(node);
        if (ends && at != POLICY_NONE)
            return;
        if (!ends)
            continue;
        if (node->below != POLICY_NONE && !append(ending, BYTES("#")))
            return;
        ending->wild = ending->wild || node->below != POLICY_NONE;
        ending->posting = only_posting(trie, node);
    }
}

static size_t units_of(const struct ending *ending)
{
    size_t bytes = offsetof(struct policy_leaf, text) + ending->text_len;

    return (bytes + POLICY_LEAF_UNIT - 1) / POLICY_LEAF_UNIT;
}

static void make_leaf(const struct policy_trie *trie, struct policy_slot *slot,
                      const struct ending *ending, size_t unit)
{
    struct policy_leaf *leaf = (struct policy_leaf *)(trie->leaves + unit * POLICY_LEAF_UNIT);
    const struct policy_posting *posting = &trie->postings[ending->posting];

    assert(leaf != NULL); /* room for as many was made before */
    *leaf = (struct policy_leaf){ .parent = trie->nodes[slot->child].parent,
                                  .posting = *posting,
                                  .told = trie->told[posting->rule],
                                  .text_len = (uint8_t)ending->text_len,
                                  .wild = ending->wild };
    memcpy(leaf->text, ending->text, ending->text_len);
    slot->posting = ending->posting;
    slot->leaf = (uint32_t)unit;
}

/* Counted first, so that they lie close. */
static enum rc make_leaves(struct policy_trie *trie)
{
    struct ending ending;
    size_t units = 0;

    for (size_t i = 0; i < trie->slot_count; i++) {
        find_ending(trie, trie->slots[i].child, &ending);
        units += ending.posting != POLICY_NONE ? units_of(&ending) : 0;
    }
    trie->leaves = units > 0 ? policy_room(units * POLICY_LEAF_UNIT) : NULL;
    if (units > 0 && trie->leaves == NULL)
        return fault(RC_NOMEM, "policy index");
    for (size_t i = 0; i < trie->slot_count; i++) {
        find_ending(trie, trie->slots[i].child, &ending);
        if (ending.posting == POLICY_NONE)
            continue;
        make_leaf(trie, &trie->slots[i], &ending, trie->leaf_units);
        trie->leaf_units += units_of(&ending);
    }
    return RC_OK;
}

/* Children stand behind their parents, so one pass from the end sees every child first. */
enum rc policy_trie_close(struct policy_trie *trie, const uint8_t *tests)
{
    uint32_t *starts = NULL;

    TRY(settle(trie));
    trie->costs = calloc(trie->count, sizeof *trie->costs);
    if (trie->costs == NULL)
        return fault(RC_NOMEM, "policy index");
    TRY(policy_posting_pack(&trie->collected, &trie->postings, &starts));
    for (size_t i = trie->count; i-- > 0;) {
        struct policy_node *node = &trie->nodes[i];
        close_node(trie, node, starts, tests, &trie->costs[i]);
        if (node->edge != POLICY_EDGE_ROOT)
            tell_above(trie, node, (uint32_t)i);
    }
    free(starts);
    policy_posting_clear(&trie->collected);
    return make_leaves(trie);
}

bool policy_trie_is_system(struct bytes level)
{
    return level.len > 0 && level.at[0] == '$' && !(level.len > 1 && level.at[1] == '{');
}
