#include "policy/bound.h"

/* The first rules that a walk has met, for one action and its stand-in. */
struct verdict {
    enum policy_action action, also; /* receive is also allowed and denied by subscribe */
    uint32_t rule[POLICY_EFFECTS];   /* lowest number met */
};

struct walk {
    const struct policy_trie *trie;
    struct bytes device_id;
    struct policy_path path;
    bool system; /* of the topic or filter: wildcards at the first level are not for it */
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

/* Nodes passed: policy_trie's steps, which compiling bounds. */
static void descend(struct walk *walk, uint32_t at, size_t depth)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    const struct policy_level *level = &walk->path.at[depth];
    bool system = walk->system && depth == 0;

    if (!system)
        meet(walk, node->below);
    if (depth == walk->path.count) {
        meet(walk, node->exact);
        return;
    }
    uint32_t child = policy_trie_child(walk->trie, at, level);
    if (child != POLICY_NONE)
        descend(walk, child, depth + 1);
    if (node->plus != POLICY_NONE && !system)
        descend(walk, node->plus, depth + 1);
    for (child = node->first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(policy_trie_level(&walk->trie->nodes[child]), walk->device_id,
                                level->text))
            descend(walk, child, depth + 1);
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

/* False: nothing can match, which is a no. The path is big and filled in place. */
static bool begin(struct walk *walk, const struct policy_session *session,
                  enum policy_action action, struct bytes topic)
{
    walk->trie = policy_bound_trie(session->policy);
    walk->device_id = session->device_id;
    walk->system = topic.len > 0 && topic.at[0] == '$';
    walk->verdict = (struct verdict){
        .action = action,
        .also = action == POLICY_RECEIVE ? POLICY_SUBSCRIBE : action,
        .rule = { POLICY_NONE, POLICY_NONE },
    };
    return policy_trie_split(topic, &walk->path);
}

struct policy_decision policy_decide(const struct policy_session *session,
                                     enum policy_action action, struct bytes topic)
{
    struct walk walk;
    bool fits = begin(&walk, session, action, topic);

    for (size_t i = 0; i < session->root_count; i++) {
        if (action == POLICY_CONNECT)
            meet(&walk, walk.trie->nodes[session->roots[i]].exact);
        else if (fits)
            descend(&walk, session->roots[i], 0);
    }
    return conclude(session, &walk.verdict);
}

/* ---- Filters: overlap with denials ---- */

/* Only what can still name an earlier denial is worth a look; POLICY_NONE never is. */
static bool is_worth(const struct walk *walk, uint32_t at)
{
    return at != POLICY_NONE && walk->trie->nodes[at].denied < walk->verdict.rule[POLICY_DENY];
}

static void meet_denied(struct walk *walk, uint32_t at)
{
    if (is_worth(walk, at))
        walk->verdict.rule[POLICY_DENY] = walk->trie->nodes[at].denied;
}

/* [MQTT-4.7.3-1]: a topic has at least one character, so one level that is empty is none. Is
 * there no topic of just the filter's first so many levels? */
static bool is_no_topic(const struct policy_path *filter, size_t levels)
{
    return levels == 0 || (levels == 1 && filter->at[0].text.len == 0);
}

static void overlap(struct walk *walk, uint32_t at, size_t depth);

/* The child takes the filter's level at this depth; under # all there is below it counts. */
static void overlap_child(struct walk *walk, uint32_t child, size_t depth)
{
    if (policy_topic_is_hash(walk->path.at[depth].text))
        meet_denied(walk, child);
    else if (is_worth(walk, child))
        overlap(walk, child, depth + 1);
}

/* At the first level, + and # stand for no $SYS, and + alone not for the empty level. */
static bool is_open_to_wildcard(const struct walk *walk, struct bytes level, size_t depth)
{
    if (depth > 0)
        return true;
    return !policy_trie_is_system(level) && (level.len > 0 || walk->path.count > 1 ||
                                             policy_topic_is_hash(walk->path.at[0].text));
}

static void overlap_wildcard(struct walk *walk, const struct policy_node *node, size_t depth)
{
    uint32_t lists[] = { node->first_denied, node->first_fact };

    for (size_t i = 0; i < 2; i++)
        for (uint32_t child = lists[i]; child != POLICY_NONE;
             child = walk->trie->nodes[child].next_sibling)
            if (is_open_to_wildcard(walk, policy_trie_level(&walk->trie->nodes[child]), depth))
                overlap_child(walk, child, depth);
}

static void overlap_literal(struct walk *walk, uint32_t at, size_t depth)
{
    const struct policy_level *level = &walk->path.at[depth];
    uint32_t child = policy_trie_child(walk->trie, at, level);

    overlap_child(walk, child, depth);
    for (child = walk->trie->nodes[at].first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(policy_trie_level(&walk->trie->nodes[child]), walk->device_id,
                                level->text))
            overlap_child(walk, child, depth);
}

/* Meets the first denial that shares at least one topic with the filter. Nodes passed:
 * policy_trie's denials, which compiling bounds. */
static void overlap(struct walk *walk, uint32_t at, size_t depth)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    bool system = walk->system && depth == 0;

    if (!system)
        meet(walk, node->below);
    if (depth == walk->path.count) {
        meet(walk, node->exact);
        return;
    }
    struct bytes level = walk->path.at[depth].text;
    bool hash = policy_topic_is_hash(level);
    if (hash && !is_no_topic(&walk->path, depth))
        meet(walk, node->exact);
    if (node->plus != POLICY_NONE && !system)
        overlap_child(walk, node->plus, depth);
    if (hash || policy_topic_is_plus(level))
        overlap_wildcard(walk, node, depth);
    else
        overlap_literal(walk, at, depth);
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

static void cover_filter(struct cover *cover, uint32_t at, size_t depth)
{
    const struct policy_trie *trie = cover->walk.trie;
    const struct policy_node *node = &trie->nodes[at];
    const struct policy_level *level = &cover->walk.path.at[depth];
    bool system = cover->walk.system && depth == 0;

    if (!system)
        meet_permit(cover, node->below);
    if (depth == cover->walk.path.count) {
        meet_permit(cover, node->exact);
        return;
    }
    if (policy_topic_is_hash(level->text)) {
        cover_tail(cover, at);
        return;
    }
    if (node->plus != POLICY_NONE && !system)
        cover_filter(cover, node->plus, depth + 1);
    if (policy_topic_is_plus(level->text))
        return;
    uint32_t child = policy_trie_child(trie, at, level);
    if (child != POLICY_NONE)
        cover_filter(cover, child, depth + 1);
    for (child = node->first_fact; child != POLICY_NONE;
         child = trie->nodes[child].next_sibling)
        if (policy_trie_fact_is(policy_trie_level(&trie->nodes[child]), cover->walk.device_id,
                                level->text))
            cover_filter(cover, child, depth + 1);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Every number of further levels is permitted, up to one from which some permit goes on. */
static bool is_whole(const struct tail *tail, size_t further)
{
    while (further <= POLICY_LEVELS_MAX && tail->goes_on[further] == POLICY_NONE)
        if (!tail->ends[further++])
            return false;
    return further <= POLICY_LEVELS_MAX;
}

/* One permit for all of it is told before those that only take turns; of these, one that goes
 * on for ever. */
static void conclude_tail(struct cover *cover)
{
    const struct tail *tail = &cover->tail;
    size_t start = is_no_topic(&cover->walk.path, cover->walk.path.count - 1) ? 1 : 0;
    uint32_t *told = &cover->walk.verdict.rule[POLICY_ALLOW];

    for (size_t further = 0; further <= start; further++)
        *told = least(*told, tail->goes_on[further]);
    if (*told != POLICY_NONE || !is_whole(tail, start))
        return;
    for (size_t further = start; further <= POLICY_LEVELS_MAX; further++)
        *told = least(*told, tail->goes_on[further]);
}

struct policy_decision policy_decide_subscribe(const struct policy_session *session,
                                               struct bytes filter)
{
    struct cover cover = { .has_tail = false };
    bool fits = begin(&cover.walk, session, POLICY_SUBSCRIBE, filter);

    for (size_t i = 0; i <= POLICY_LEVELS_MAX; i++)
        cover.tail.goes_on[i] = POLICY_NONE;
    for (size_t i = 0; fits && i < session->root_count; i++)
        overlap(&cover.walk, session->roots[i], 0);
    cover.walk.verdict.rule[POLICY_ALLOW] = POLICY_NONE; /* that they overlap is not enough */
    for (size_t i = 0; fits && i < session->root_count; i++)
        cover_filter(&cover, session->roots[i], 0);
    if (cover.has_tail)
        conclude_tail(&cover);
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
