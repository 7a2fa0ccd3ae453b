#include "policy/walk.h"

/* ---- Conditions ---- */

static enum policy_truth truth_of(struct policy_walk *walk, uint32_t condition);

static enum policy_truth join(enum policy_node_kind kind, enum policy_truth left,
                              enum policy_truth right)
{
    enum policy_truth decides = kind == POLICY_AND ? POLICY_NO : POLICY_YES;

    if (left == decides || right == decides)
        return decides;
    return left == POLICY_PERHAPS ? left : right;
}

static enum policy_truth work_out(struct policy_walk *walk, uint32_t condition)
{
    const struct policy_rules *rules = &walk->session->policy->rules;
    const struct policy_condition *c = &rules->conditions[condition];

    if (c->kind == POLICY_TEST) {
        struct policy_value fact = policy_view_fact(&walk->view, c->fact);
        return policy_condition_test(rules, c, &fact);
    }
    enum policy_truth left = truth_of(walk, c->left);
    if (c->kind == POLICY_NOT)
        return left == POLICY_PERHAPS ? left : left == POLICY_YES ? POLICY_NO : POLICY_YES;
    return join(c->kind, left, truth_of(walk, c->right));
}

/* What the session worked out when it was bound is looked up. */
static enum policy_truth truth_of(struct policy_walk *walk, uint32_t condition)
{
    unsigned slot = walk->session->policy->slot_of[condition];

    if (slot == POLICY_NO_SLOT)
        return work_out(walk, condition);
    if (walk->session->yes[slot / 64] >> slot % 64 & 1)
        return POLICY_YES;
    return walk->session->perhaps[slot / 64] >> slot % 64 & 1 ? POLICY_PERHAPS : POLICY_NO;
}

/* What allows may apply, and what denies need not. */
static bool applies_in_hope(struct policy_walk *walk, const struct policy_posting *posting)
{
    const struct policy_knowledge knowledge = policy_view_knowledge(&walk->view);
    unsigned may =
        policy_condition_may(&walk->session->policy->rules, posting->condition, &knowledge);

    return posting->effect == POLICY_ALLOW ? (may >> POLICY_YES & 1) != 0
                                           : (may >> POLICY_NO & 1) == 0;
}

bool policy_walk_applies(struct policy_walk *walk, const struct policy_posting *posting)
{
    if (posting->condition == POLICY_ALWAYS)
        return true;
    if (walk->session->hopes)
        return applies_in_hope(walk, posting);
    return policy_condition_applies(truth_of(walk, posting->condition), posting->effect);
}

/* A fact that nobody knows allows nothing; one that is untold may be what is hoped for. */
unsigned policy_walk_doubt(const struct policy_walk *walk, struct bytes pattern,
                           enum policy_truth is)
{
    if (is != POLICY_PERHAPS)
        return 0;
    bool hopeful = walk->session->hopes && policy_view_untold(&walk->view, pattern) != 0;
    return 1U << (hopeful ? POLICY_DENY : POLICY_ALLOW);
}

/* ---- Rules met ---- */

/* Of rules with the same obligation the first is told. */
static bool is_told(unsigned taken, unsigned stricter, unsigned alike, uint32_t rule,
                    uint32_t told)
{
    return (taken & stricter) != 0 || ((taken & alike) != 0 && rule < told);
}

void policy_walk_forget(struct policy_verdict *verdict)
{
    *verdict = (struct policy_verdict){ .rule = { POLICY_NONE, POLICY_NONE },
                                        .limit_rule = POLICY_NONE,
                                        .payload_rule = POLICY_NONE };
}

void policy_walk_allow(struct policy_verdict *verdict, const struct policy_rules *rules,
                       const struct policy_posting *posting)
{
    if (posting->rule < verdict->rule[POLICY_ALLOW])
        verdict->rule[POLICY_ALLOW] = posting->rule;
    if (!posting->obliged)
        return;
    const struct policy_obligations *more = &rules->at[posting->rule].obligations;
    unsigned taken = policy_posting_merge(&verdict->obligations, more);
    if (is_told(taken, POLICY_LIMIT_STRICTER, POLICY_LIMIT_ALIKE, posting->rule,
                verdict->limit_rule)) {
        verdict->limit_rule = posting->rule;
        verdict->obligations.rate = more->rate; /* 10/s and 600/m are alike */
        verdict->obligations.rate_ms = more->rate_ms;
    }
    if (is_told(taken, POLICY_PAYLOAD_STRICTER, POLICY_PAYLOAD_ALIKE, posting->rule,
                verdict->payload_rule))
        verdict->payload_rule = posting->rule;
}

/* Is it worth a look at its condition? Of a denial only an earlier one is; what allows is of no
 * use beside a denial, and behind an earlier one only with obligations. */
static bool is_worth(const struct policy_walk *walk, const struct policy_posting *posting)
{
    if (!(posting->actions & walk->wanted))
        return false;
    if (posting->effect == POLICY_DENY)
        return posting->rule < walk->verdict.rule[POLICY_DENY];
    return walk->verdict.rule[POLICY_DENY] == POLICY_NONE &&
           (posting->obliged || posting->rule < walk->verdict.rule[POLICY_ALLOW]);
}

/* skipped: set of effects that facts on the way do not let apply. */
static bool meet_one(struct policy_walk *walk, const struct policy_posting *posting,
                     unsigned skipped)
{
    if (skipped >> posting->effect & 1 || !is_worth(walk, posting) ||
        !policy_walk_applies(walk, posting))
        return false;
    if (posting->effect == POLICY_DENY)
        walk->verdict.rule[POLICY_DENY] = posting->rule;
    else
        policy_walk_allow(&walk->verdict, &walk->session->policy->rules, posting);
    return true;
}

static void meet(struct policy_walk *walk, uint32_t start, unsigned skipped)
{
    if (start == POLICY_NONE)
        return;
    const struct policy_posting *posting = &walk->trie->postings[start];
    for (bool last = false; !last; last = (posting++)->last)
        if (meet_one(walk, posting, skipped))
            __builtin_prefetch(&walk->session->policy->told[posting->rule]); /* at the end */
}

static void meet_leaf(struct policy_walk *walk, const struct policy_leaf *leaf,
                      unsigned skipped)
{
    if (leaf != NULL && meet_one(walk, &leaf->posting, skipped))
        walk->leaf = leaf;
}

/* ---- Topics ---- */

/* The topic from this level on. */
static struct bytes rest_of(const struct policy_walk *walk, size_t depth)
{
    struct bytes first = walk->path.at[depth].text,
                 last = walk->path.at[walk->path.count - 1].text;

    return (struct bytes){ first.at, (size_t)(last.at - first.at) + last.len };
}

/* Nodes passed: policy_trie's steps, which compiling bounds. */
static void descend(struct policy_walk *walk, uint32_t at, size_t depth, unsigned skipped)
{
    const struct policy_node *node = &walk->trie->nodes[at];
    const struct policy_level *level = &walk->path.at[depth];
    bool system = walk->system && depth == 0;

    if (!system)
        meet(walk, node->below, skipped);
    if (depth == walk->path.count) {
        meet(walk, node->exact, skipped);
        return;
    }
    struct policy_step step = policy_trie_step(walk->trie, at, level, rest_of(walk, depth));
    meet_leaf(walk, step.leaf, skipped);
    if (step.child != POLICY_NONE)
        descend(walk, step.child, depth + 1, skipped);
    if (node->plus != POLICY_NONE && !system)
        descend(walk, node->plus, depth + 1, skipped);
    for (uint32_t child = node->first_fact; child != POLICY_NONE;
         child = walk->trie->nodes[child].next_sibling) {
        struct bytes pattern = policy_trie_level(&walk->trie->nodes[child]);
        enum policy_truth is = policy_view_level_is(&walk->view, pattern, level->text);
        if (is != POLICY_NO)
            descend(walk, child, depth + 1, skipped | policy_walk_doubt(walk, pattern, is));
    }
}

static bool is_too_large(const struct policy_walk *walk)
{
    if (!walk->verdict.obligations.payload_limited)
        return false;
    struct policy_value size = policy_view_fact(&walk->view, POLICY_MESSAGE_SIZE);
    return size.type != POLICY_UNKNOWN &&
           (uint64_t)size.number > walk->verdict.obligations.payload;
}

/* A leaf has it at hand. */
static const struct policy_told *told_of(const struct policy_walk *walk, uint32_t rule)
{
    if (walk->leaf != NULL && walk->leaf->posting.rule == rule)
        return &walk->leaf->told;
    return &walk->session->policy->told[rule];
}

/* What is denied is told with the rule, and of what is allowed the rule and all that it obliges
 * to. */
struct policy_decision policy_walk_conclude(const struct policy_walk *walk)
{
    const struct policy *policy = walk->session->policy;
    uint32_t deny = walk->verdict.rule[POLICY_DENY], allow = walk->verdict.rule[POLICY_ALLOW];
    bool too_large = deny == POLICY_NONE && is_too_large(walk);
    uint32_t rule = deny != POLICY_NONE ? deny : too_large ? walk->verdict.payload_rule : allow;
    struct policy_decision decision = { .version = policy->version,
                                        .too_large = too_large,
                                        .by_rule = rule != POLICY_NONE };

    if (!decision.by_rule)
        return decision;
    const struct policy_told *told = told_of(walk, rule);
    decision.rule = told->number;
    decision.line = told->line;
    decision.file = policy->rules.files[told->file];
    decision.text_line = told->text_line;
    if (deny != POLICY_NONE) {
        decision.obligations.log_full = policy->rules.at[deny].obligations.log_full;
        return decision;
    }
    decision.obligations = walk->verdict.obligations;
    if (walk->verdict.obligations.rate > 0) {
        decision.limit_rule = policy->told[walk->verdict.limit_rule].number;
        decision.limit_key = policy->rules.at[walk->verdict.limit_rule].limit_key;
    }
    decision.allowed = !too_large;
    return decision;
}

bool policy_walk_begin(struct policy_walk *walk, const struct policy_session *session,
                       const struct policy_request *request)
{
    struct bytes topic = request->resource;

    walk->session = session;
    walk->trie = &session->policy->trie;
    walk->view = policy_view_of(session, request);
    walk->system = topic.len > 0 && topic.at[0] == '$';
    walk->wanted = 1U << request->action;
    if (request->action == POLICY_RECEIVE)
        walk->wanted |= 1U << POLICY_SUBSCRIBE;
    policy_walk_forget(&walk->verdict);
    walk->leaf = NULL;
    return policy_trie_split(topic, &walk->path);
}

struct policy_decision policy_decide_request(const struct policy_session *session,
                                             const struct policy_request *request)
{
    struct policy_walk walk;

    if (request->action == POLICY_SUBSCRIBE)
        return policy_walk_subscribe(session, request);
    bool fits = policy_walk_begin(&walk, session, request);
    for (uint32_t i = 0; i < session->root_count; i++) {
        if (request->action == POLICY_CONNECT)
            meet(&walk, walk.trie->nodes[session->roots[i]].exact, 0);
        else if (fits)
            descend(&walk, session->roots[i], 0, 0);
    }
    return policy_walk_conclude(&walk);
}

struct policy_decision policy_decide(const struct policy_session *session,
                                     enum policy_action action, struct bytes topic)
{
    const struct policy_request request = { .action = action, .resource = topic };

    return policy_decide_request(session, &request);
}

struct policy_decision policy_decide_subscribe(const struct policy_session *session,
                                               struct bytes filter)
{
    const struct policy_request request = { .action = POLICY_SUBSCRIBE, .resource = filter };

    return policy_walk_subscribe(session, &request);
}
