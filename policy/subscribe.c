#include "policy/walk.h"

/* Of a filter all topics count that it matches: none may be denied, each must be allowed. */

static bool is_denied(struct policy_walk *walk, const struct policy_posting *posting)
{
    return posting->effect == POLICY_DENY && posting->actions & walk->wanted &&
           posting->rule < walk->verdict.rule[POLICY_DENY] &&
           policy_walk_applies(walk, posting);
}

static void meet_denials(struct policy_walk *walk, uint32_t start)
{
    if (start == POLICY_NONE)
        return;
    const struct policy_posting *posting = &walk->trie->postings[start];
    for (bool last = false; !last; last = (posting++)->last)
        if (is_denied(walk, posting))
            walk->verdict.rule[POLICY_DENY] = posting->rule;
}

/* ---- Overlap with denials ---- */

/* Only what can still name an earlier denial is worth a look; POLICY_NONE never is. */
static bool is_worth(const struct policy_walk *walk, uint32_t at)
{
    return at != POLICY_NONE && walk->trie->nodes[at].denied < walk->verdict.rule[POLICY_DENY];
}

/* [MQTT-4.7.3-1]: a topic has at least one character, so one level that is empty is none. Is
 * there no topic of just the filter's first so many levels? */
static bool is_no_topic(const struct policy_path *filter, size_t levels)
{
    return levels == 0 || (levels == 1 && filter->at[0].text.len == 0);
}

static void overlap_all(struct policy_walk *walk, uint32_t at);

static void overlap_list(struct policy_walk *walk, uint32_t child)
{
    for (; child != POLICY_NONE; child = walk->trie->nodes[child].next_sibling)
        overlap_all(walk, child);
}

/* All there is at and below this node. If its first denial has no condition, that is it; or
 * else each is asked. */
static void overlap_all(struct policy_walk *walk, uint32_t at)
{
    const struct policy_node *node = &walk->trie->nodes[at];

    if (!is_worth(walk, at))
        return;
    if (node->sure) {
        walk->verdict.rule[POLICY_DENY] = node->denied;
        return;
    }
    meet_denials(walk, node->below);
    meet_denials(walk, node->exact);
    if (node->plus != POLICY_NONE)
        overlap_all(walk, node->plus);
    overlap_list(walk, node->first_denied);
    overlap_list(walk, node->first_fact);
}

static void overlap(struct policy_walk *walk, uint32_t at, size_t depth);

/* The child takes the filter's level at this depth; under # all there is below it counts. */
static void overlap_child(struct policy_walk *walk, uint32_t child, size_t depth)
{
    if (!is_worth(walk, child))
        return;
    if (policy_topic_is_hash(walk->path.at[depth].text))
        overlap_all(walk, child);
    else
        overlap(walk, child, depth + 1);
}

/* At the first level, + and # stand for no $SYS, and + alone not for the empty level. */
static bool is_open_to_wildcard(const struct policy_walk *walk, struct bytes level,
                                size_t depth)
{
    if (depth > 0)
        return true;
    return !policy_trie_is_system(level) && (level.len > 0 || walk->path.count > 1 ||
                                             policy_topic_is_hash(walk->path.at[0].text));
}

static void overlap_wildcard(struct policy_walk *walk, const struct policy_node *node,
                             size_t depth)
{
    uint32_t lists[] = { node->first_denied, node->first_fact };

    for (size_t i = 0; i < 2; i++)
        for (uint32_t child = lists[i]; child != POLICY_NONE;
             child = walk->trie->nodes[child].next_sibling)
            if (is_open_to_wildcard(walk, policy_trie_level(&walk->trie->nodes[child]), depth))
                overlap_child(walk, child, depth);
}

/* Set of the effects that apply behind a level with a fact. */
static unsigned fact_is(const struct policy_walk *walk, uint32_t child,
                        const struct policy_level *level)
{
    struct bytes pattern = policy_trie_level(&walk->trie->nodes[child]);
    enum policy_truth is = policy_view_level_is(&walk->view, pattern, level->text);

    return is == POLICY_NO ? 0 : ~policy_walk_doubt(walk, pattern, is);
}

/* A fact that nobody knows may be what the level says. */
static void overlap_literal(struct policy_walk *walk, uint32_t at, size_t depth)
{
    const struct policy_level *level = &walk->path.at[depth];

    overlap_child(walk, policy_trie_child(walk->trie, at, level), depth);
    for (uint32_t child = walk->trie->nodes[at].first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        if (fact_is(walk, child, level) >> POLICY_DENY & 1)
            overlap_child(walk, child, depth);
}

/* Meets the first denial that shares at least one topic with the filter. Nodes passed:
 * policy_trie's denials, which compiling bounds. */
static void overlap(struct policy_walk *walk, uint32_t at, size_t depth)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    bool system = walk->system && depth == 0;

    if (!system)
        meet_denials(walk, node->below);
    if (depth == walk->path.count) {
        meet_denials(walk, node->exact);
        return;
    }
    struct bytes level = walk->path.at[depth].text;
    bool hash = policy_topic_is_hash(level);
    if (hash && !is_no_topic(&walk->path, depth))
        meet_denials(walk, node->exact);
    if (node->plus != POLICY_NONE && !system)
        overlap_child(walk, node->plus, depth);
    if (hash || policy_topic_is_plus(level))
        overlap_wildcard(walk, node, depth);
    else
        overlap_literal(walk, at, depth);
}

/* ---- Containment in permits ---- */

/*
 * What a filter's final # asks: at each number of further levels, is there a permit that ends
 * just there, or one that goes on for ever? Permits of several rules may take turns.
 */
struct tail {
    bool ends[POLICY_LEVELS_MAX + 1];
    uint32_t goes_on[POLICY_LEVELS_MAX + 1]; /* rule, or POLICY_NONE */
    size_t start;                            /* the fewest further levels of a topic */
};

struct cover {
    struct policy_walk walk;     /* its permits: each for all of the filter */
    struct policy_verdict turns; /* all that permit it for some number of further levels */
    struct tail tail;
    bool has_tail;
};

static bool is_permit(struct policy_walk *walk, const struct policy_posting *posting)
{
    return posting->effect == POLICY_ALLOW && posting->actions & walk->wanted &&
           policy_walk_applies(walk, posting);
}

/* A permit at so many further levels. */
static void take_turn(struct cover *cover, const struct policy_posting *posting, bool below,
                      size_t further)
{
    const struct policy_rules *rules = &cover->walk.session->policy->rules;
    struct tail *tail = &cover->tail;

    if (below && further <= tail->start)
        policy_walk_allow(&cover->walk.verdict, rules, posting);
    if (below && posting->rule < tail->goes_on[further])
        tail->goes_on[further] = posting->rule;
    if (!below)
        tail->ends[further] = true;
    if (below || further >= tail->start)
        policy_walk_allow(&cover->turns, rules, posting);
}

static void take_turns(struct cover *cover, uint32_t start, bool below, size_t further)
{
    if (start == POLICY_NONE)
        return;
    const struct policy_posting *posting = &cover->walk.trie->postings[start];
    for (bool last = false; !last; last = (posting++)->last)
        if (is_permit(&cover->walk, posting))
            take_turn(cover, posting, below, further);
}

static void begin_tail(struct cover *cover)
{
    const struct policy_path *path = &cover->walk.path;

    cover->has_tail = true;
    policy_walk_forget(&cover->turns);
    for (size_t i = 0; i <= POLICY_LEVELS_MAX; i++) {
        cover->tail.ends[i] = false;
        cover->tail.goes_on[i] = POLICY_NONE;
    }
    cover->tail.start = is_no_topic(path, path->count - 1) ? 1 : 0;
}

/*
 * Only + can match a level that is free, since names without end exist that no rule spells out:
 * so containment follows the one edge, and is exact.
 */
static void cover_tail(struct cover *cover, uint32_t at)
{
    const struct policy_trie *trie = cover->walk.trie;

    if (!cover->has_tail)
        begin_tail(cover);
    for (size_t further = 0; at != POLICY_NONE && further <= POLICY_LEVELS_MAX; further++) {
        const struct policy_node *node = &trie->nodes[at];
        take_turns(cover, node->below, true, further);
        take_turns(cover, node->exact, false, further);
        at = node->plus;
    }
}

static void meet_permits(struct cover *cover, uint32_t start)
{
    const struct policy_rules *rules = &cover->walk.session->policy->rules;

    if (start == POLICY_NONE)
        return;
    const struct policy_posting *posting = &cover->walk.trie->postings[start];
    for (bool last = false; !last; last = (posting++)->last)
        if (is_permit(&cover->walk, posting))
            policy_walk_allow(&cover->walk.verdict, rules, posting);
}

static void cover_filter(struct cover *cover, uint32_t at, size_t depth)
{
    const struct policy_trie *trie = cover->walk.trie;
    const struct policy_node *node = &trie->nodes[at];
    const struct policy_level *level = &cover->walk.path.at[depth];
    bool system = cover->walk.system && depth == 0;

    if (depth == cover->walk.path.count) {
        meet_permits(cover, node->below);
        meet_permits(cover, node->exact);
        return;
    }
    if (policy_topic_is_hash(level->text)) {
        cover_tail(cover, at);
        return;
    }
    if (!system)
        meet_permits(cover, node->below);
    if (node->plus != POLICY_NONE && !system)
        cover_filter(cover, node->plus, depth + 1);
    if (policy_topic_is_plus(level->text))
        return;
    uint32_t child = policy_trie_child(trie, at, level);
    if (child != POLICY_NONE)
        cover_filter(cover, child, depth + 1);
    for (child = node->first_fact; child != POLICY_NONE;
         child = trie->nodes[child].next_sibling)
        if (fact_is(&cover->walk, child, level) >> POLICY_ALLOW & 1)
            cover_filter(cover, child, depth + 1);
}

/* Every number of further levels is permitted, up to one from which some permit goes on. */
static bool is_whole(const struct tail *tail)
{
    size_t further = tail->start;

    while (further <= POLICY_LEVELS_MAX && tail->goes_on[further] == POLICY_NONE)
        if (!tail->ends[further++])
            return false;
    return further <= POLICY_LEVELS_MAX;
}

/* One permit for all of it is told before those that only take turns; of these, one that goes
 * on for ever, with what all of them oblige to. */
static void conclude_tail(struct cover *cover)
{
    const struct tail *tail = &cover->tail;
    uint32_t *told = &cover->walk.verdict.rule[POLICY_ALLOW];

    if (*told != POLICY_NONE || !is_whole(tail))
        return;
    for (size_t further = tail->start; further <= POLICY_LEVELS_MAX; further++)
        *told = tail->goes_on[further] < *told ? tail->goes_on[further] : *told;
    cover->turns.rule[POLICY_ALLOW] = *told;
    cover->walk.verdict = cover->turns;
}

struct policy_decision policy_walk_subscribe(const struct policy_session *session,
                                             const struct policy_request *request)
{
    struct cover cover;
    bool fits = policy_walk_begin(&cover.walk, session, request);

    cover.has_tail = false;
    for (uint32_t i = 0; fits && i < session->root_count; i++)
        if (is_worth(&cover.walk, session->roots[i]))
            overlap(&cover.walk, session->roots[i], 0);
    fits = fits && cover.walk.verdict.rule[POLICY_DENY] == POLICY_NONE;
    for (uint32_t i = 0; fits && i < session->root_count; i++)
        cover_filter(&cover, session->roots[i], 0);
    if (cover.has_tail)
        conclude_tail(&cover);
    return policy_walk_conclude(&cover.walk);
}
