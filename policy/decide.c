#include "policy/bound.h"

/* The best of what a walk has met, for one action and its stand-in. */
struct verdict {
    enum policy_action action, also; /* receive is also allowed and denied by subscribe */
    uint32_t rule[POLICY_EFFECTS];   /* lowest number met */
};

struct walk {
    const struct policy_trie *trie;
    struct bytes device_id;
    struct verdict verdict;
};

static void meet_action(struct verdict *verdict, const struct policy_ends *ends,
                        enum policy_action action)
{
    for (unsigned effect = 0; effect < POLICY_EFFECTS; effect++)
        if (ends->rule[action][effect] < verdict->rule[effect])
            verdict->rule[effect] = ends->rule[action][effect];
}

static void meet(struct walk *walk, uint32_t ends)
{
    if (ends == POLICY_NONE)
        return;
    meet_action(&walk->verdict, &walk->trie->ends[ends], walk->verdict.action);
    if (walk->verdict.also != walk->verdict.action)
        meet_action(&walk->verdict, &walk->trie->ends[ends], walk->verdict.also);
}

/* Depth is at most POLICY_LEVELS_MAX; breadth is what the policy's author wrote. */
static void descend(struct walk *walk, uint32_t at, struct policy_levels levels, bool first)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    bool system = first && levels.left.len > 0 && levels.left.at[0] == '$';

    if (!system)
        meet(walk, node->below);
    if (!levels.more) {
        meet(walk, node->exact);
        return;
    }
    struct bytes level = policy_topic_next(&levels);
    uint32_t child = policy_trie_child(walk->trie, at, level);
    if (child != POLICY_NONE)
        descend(walk, child, levels, false);
    if (node->plus != POLICY_NONE && !system)
        descend(walk, node->plus, levels, false);
    for (child = node->first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(walk->trie->nodes[child].level, walk->device_id, level))
            descend(walk, child, levels, false);
}

static struct policy_decision conclude(const struct policy_session *session,
                                       const struct verdict *verdict)
{
    uint32_t deny = verdict->rule[POLICY_DENY], allow = verdict->rule[POLICY_ALLOW];
    uint32_t rule = deny != POLICY_NONE ? deny : allow;
    struct policy_decision decision = {
        .allowed = deny == POLICY_NONE && allow != POLICY_NONE,
        .by_rule = rule != POLICY_NONE,
        .version = policy_version(session->policy),
    };

    if (decision.by_rule) {
        decision.rule = rule;
        decision.line = policy_bound_line(session->policy, rule);
    }
    return decision;
}

static struct walk begin(const struct policy_session *session, enum policy_action action)
{
    return (struct walk){
        .trie = policy_bound_trie(session->policy),
        .device_id = session->device_id,
        .verdict = { .action = action,
                     .also = action == POLICY_RECEIVE ? POLICY_SUBSCRIBE : action,
                     .rule = { POLICY_NONE, POLICY_NONE } },
    };
}

struct policy_decision policy_decide(const struct policy_session *session,
                                     enum policy_action action, struct bytes topic)
{
    struct walk walk = begin(session, action);

    for (size_t i = 0; i < session->root_count; i++) {
        if (action == POLICY_CONNECT)
            meet(&walk, walk.trie->nodes[session->roots[i]].exact);
        else
            descend(&walk, session->roots[i], policy_topic_levels(topic), true);
    }
    return conclude(session, &walk.verdict);
}

/* ---- Filters: overlap with denials ---- */

static void meet_subtree(struct walk *walk, uint32_t at, bool not_system)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    uint32_t lists[] = { node->first_child, node->first_fact };

    meet(walk, node->exact);
    meet(walk, node->below);
    if (node->plus != POLICY_NONE)
        meet_subtree(walk, node->plus, false);
    for (size_t i = 0; i < 2; i++)
        for (uint32_t child = lists[i]; child != POLICY_NONE;
             child = walk->trie->nodes[child].next_sibling) {
            struct bytes level = walk->trie->nodes[child].level;
            bool system = level.len > 0 && level.at[0] == '$' && lists[i] == node->first_child;
            if (!(not_system && system))
                meet_subtree(walk, child, false);
        }
}

static void overlap(struct walk *walk, uint32_t at, struct policy_levels filter, bool first);

static void overlap_every_child(struct walk *walk, const struct policy_node *node,
                                struct policy_levels rest, bool first)
{
    for (uint32_t child = node->first_child; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling) {
        struct bytes level = walk->trie->nodes[child].level;
        if (!(first && level.len > 0 && level.at[0] == '$'))
            overlap(walk, child, rest, false);
    }
    for (uint32_t child = node->first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        overlap(walk, child, rest, false);
}

static void overlap_one_child(struct walk *walk, uint32_t at, struct bytes level,
                              struct policy_levels rest)
{
    uint32_t child = policy_trie_child(walk->trie, at, level);

    if (child != POLICY_NONE)
        overlap(walk, child, rest, false);
    for (child = walk->trie->nodes[at].first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(walk->trie->nodes[child].level, walk->device_id, level))
            overlap(walk, child, rest, false);
}

/* Meets every rule that shares at least one topic with the filter. */
static void overlap(struct walk *walk, uint32_t at, struct policy_levels filter, bool first)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    bool system = first && filter.left.len > 0 && filter.left.at[0] == '$';

    if (!system)
        meet(walk, node->below);
    if (!filter.more) {
        meet(walk, node->exact);
        return;
    }
    struct bytes level = policy_topic_next(&filter);
    if (policy_topic_is_hash(level)) {
        meet_subtree(walk, at, first);
        return;
    }
    if (node->plus != POLICY_NONE && !system)
        overlap(walk, node->plus, filter, false);
    if (policy_topic_is_plus(level))
        overlap_every_child(walk, node, filter, first);
    else
        overlap_one_child(walk, at, level, filter);
}
/* ---- Filters: containment in permits ---- */

/*
 * What a filter's final # asks: at each number of further levels, is there a permit that ends
 * just there, or one that goes on for ever? Permits of several rules may take turns.
 */
struct tail {
    bool ends[POLICY_LEVELS_MAX + 1];
    uint32_t goes_on[POLICY_LEVELS_MAX + 1]; /* rule, or POLICY_NONE */
};

struct cover {
    struct walk walk;
    struct tail tail;
    bool has_tail;
};

static uint32_t permit(const struct walk *walk, uint32_t ends)
{
    return ends == POLICY_NONE ? POLICY_NONE
                               : walk->trie->ends[ends].rule[POLICY_SUBSCRIBE][POLICY_ALLOW];
}

/*
 * Only + can match a level that is free, since names without end exist that no rule spells out:
 * so containment follows the one edge, and is exact.
 */
static void cover_tail(struct cover *cover, uint32_t at)
{
    const struct policy_trie *trie = cover->walk.trie;

    cover->has_tail = true;
    for (size_t further = 0; at != POLICY_NONE && further <= POLICY_LEVELS_MAX; further++) {
        const struct policy_node *node = &trie->nodes[at];
        uint32_t rule = permit(&cover->walk, node->below);
        if (permit(&cover->walk, node->exact) != POLICY_NONE)
            cover->tail.ends[further] = true;
        if (rule < cover->tail.goes_on[further])
            cover->tail.goes_on[further] = rule;
        at = node->plus;
    }
}

static void meet_permit(struct cover *cover, uint32_t ends)
{
    uint32_t rule = permit(&cover->walk, ends);

    if (rule < cover->walk.verdict.rule[POLICY_ALLOW])
        cover->walk.verdict.rule[POLICY_ALLOW] = rule;
}

static void cover_filter(struct cover *cover, uint32_t at, struct policy_levels filter,
                         bool first)
{
    const struct policy_trie *trie = cover->walk.trie;
    const struct policy_node *node = &trie->nodes[at];
    bool system = first && filter.left.len > 0 && filter.left.at[0] == '$';

    if (!system)
        meet_permit(cover, node->below);
    if (!filter.more) {
        meet_permit(cover, node->exact);
        return;
    }
    struct bytes level = policy_topic_next(&filter);
    if (policy_topic_is_hash(level)) {
        cover_tail(cover, at);
        return;
    }
    if (node->plus != POLICY_NONE && !system)
        cover_filter(cover, node->plus, filter, false);
    if (policy_topic_is_plus(level))
        return;
    uint32_t child = policy_trie_child(trie, at, level);
    if (child != POLICY_NONE)
        cover_filter(cover, child, filter, false);
    for (child = node->first_fact; child != POLICY_NONE;
         child = trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(trie->nodes[child].level, cover->walk.device_id, level))
            cover_filter(cover, child, filter, false);
}

/* No topic has no levels: behind the root, # starts at one. */
static void conclude_tail(struct cover *cover, bool whole_filter)
{
    for (size_t further = 0; further <= POLICY_LEVELS_MAX; further++) {
        uint32_t rule = cover->tail.goes_on[further];
        if (rule != POLICY_NONE) {
            if (rule < cover->walk.verdict.rule[POLICY_ALLOW])
                cover->walk.verdict.rule[POLICY_ALLOW] = rule;
            return;
        }
        if (!cover->tail.ends[further] && !(whole_filter && further == 0))
            return;
    }
}

struct policy_decision policy_decide_subscribe(const struct policy_session *session,
                                               struct bytes filter)
{
    struct cover cover = { .walk = begin(session, POLICY_SUBSCRIBE) };
    struct walk denials = begin(session, POLICY_SUBSCRIBE);

    for (size_t i = 0; i <= POLICY_LEVELS_MAX; i++)
        cover.tail.goes_on[i] = POLICY_NONE;
    for (size_t i = 0; i < session->root_count; i++) {
        cover_filter(&cover, session->roots[i], policy_topic_levels(filter), true);
        overlap(&denials, session->roots[i], policy_topic_levels(filter), true);
    }
    if (cover.has_tail)
        conclude_tail(&cover, filter.len == 1);
    cover.walk.verdict.rule[POLICY_DENY] = denials.verdict.rule[POLICY_DENY];
    return conclude(session, &cover.walk.verdict);
}

void policy_explain(const struct policy_decision *decision, struct buf *out)
{
    if (decision->by_rule)
        buf_addf(out, "%s by line %u of version %llu", decision->allowed ? "allowed" : "denied",
                 decision->line, (unsigned long long)decision->version);
    else
        buf_addf(out, "no rule of version %llu allows it",
                 (unsigned long long)decision->version);
}
