/*
 * The engine against a naive interpreter of docs/policy-language.md on random policies, facts
 * and requests. The interpreter has the rules from where they were made up, not from the
 * parser; it goes through all of them for every request, and knows no tree. Subscriptions are
 * judged by the product of the filters' automata: level by level over all words that occur, and
 * one that does not.
 *
 * test_policy_differential [SEED] looks elsewhere; TOUCHMARK_POLICIES=N (./dev policies), at N
 * times as many policies.
 */
#include "tests/support/check.h"
#include "tests/support/policy_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

/* Connect, and all that is done to topics. */
enum { ACTIONS = POLICY_DELIVER + 1 };
enum { RULES = 9, LEVELS = POLICY_LEVELS_MAX + 2, WORD = 40, STATES = 4096, FILTER = RULES };

static uint64_t seed = 20261127;
static unsigned rounds = 20000;
static uint64_t dice;

struct path {
    size_t count;
    char at[LEVELS][WORD];
};

struct rule {
    bool deny;
    const char *who, *name; /* "device" or "group", and NULL or a name */
    unsigned actions, line;
    struct path filter, bound; /* as written, and with the device's id in it */
};

struct question {
    struct rule rules[RULES];
    size_t count;
    struct buf text;
    const char *id;
    struct bytes groups[3];
    size_t group_count;
    unsigned action;
    struct path topic; /* or filter */
};

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

#define PICK(list) ((list)[roll(sizeof(list) / sizeof *(list))])

/* ---- The interpreter ---- */

/* ${device.id} becomes the id; nothing that the id holds is looked at again. */
static void bind_level(const char *written, const char *id, char *bound)
{
    static const char FACT[] = "${device.id}";
    size_t n = 0;

    while (*written != '\0') {
        bool fact = strncmp(written, FACT, strlen(FACT)) == 0;
        for (const char *from = fact ? id : written; *from != '\0'; from++) {
            bound[n++] = *from;
            if (!fact)
                break;
        }
        written += fact ? strlen(FACT) : 1;
    }
    bound[n] = '\0';
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Does this level of a filter match that level of a topic, both at this depth? */
static bool matches_level(const char *wanted, const char *level, size_t depth)
{
    if (same(wanted, "+") || same(wanted, "#"))
        return depth > 0 || level[0] != '$';
    return same(wanted, level);
}

static bool matches(const struct path *filter, const struct path *topic)
{
    for (size_t i = 0; i < filter->count; i++) {
        if (same(filter->at[i], "#"))
            return i > 0 || matches_level("#", topic->at[0], 0);
        if (i == topic->count || !matches_level(filter->at[i], topic->at[i], i))
            return false;
    }
    return filter->count == topic->count;
}

static bool concerns(const struct rule *rule, const struct question *q,
                     enum policy_action action)
{
    if (!(rule->actions & 1U << action))
        return false;
    if (rule->name == NULL || same(rule->who, "device"))
        return rule->name == NULL || same(rule->name, q->id);
    for (size_t i = 0; i < q->group_count; i++)
        if (bytes_equal_text(q->groups[i], rule->name))
            return true;
    return false;
}

static bool fits(const struct rule *rule, const struct question *q)
{
    if (q->action == POLICY_CONNECT)
        return concerns(rule, q, POLICY_CONNECT);
    if (!concerns(rule, q, q->action) &&
        !(q->action == POLICY_RECEIVE && concerns(rule, q, POLICY_SUBSCRIBE)))
        return false;
    return matches(&rule->bound, &q->topic);
}

static struct policy_decision by(const struct question *q, size_t rule)
{
    return (struct policy_decision){ .allowed = !q->rules[rule].deny,
                                     .by_rule = true,
                                     .rule = (uint32_t)rule,
                                     .line = q->rules[rule].line,
                                     .version = 7 };
}

static struct policy_decision interpret(const struct question *q)
{
    for (unsigned deny = 2; deny-- > 0;)
        for (size_t i = 0; i < q->count; i++)
            if (q->rules[i].deny == deny && fits(&q->rules[i], q))
                return by(q, i);
    return (struct policy_decision){ .version = 7 };
}

/* ---- The interpreter's subscriptions ---- */

/* What the topics of so many levels that took the same way have in common: which filters are
 * still on their way, and which are in their # (bits by rule; FILTER is the one asked for). */
struct state {
    unsigned alive, inside;
    bool empty; /* the one level that is empty: no topic, but the beginning of some */
};

struct product {
    const struct path *filters[RULES + 1];
    unsigned used;
    char words[RULES * LEVELS + LEVELS + 1][WORD];
    size_t word_count, depth;
    struct state now[STATES];
    size_t count;
};

/* What is found of the rules, as bits. */
struct found {
    unsigned overlap, alone, deep;
    bool whole;
};

static void add_word(struct product *p, const char *word)
{
    for (size_t i = 0; i < p->word_count; i++)
        if (same(p->words[i], word))
            return;
    memcpy(p->words[p->word_count++], word, strlen(word) + 1);
}

static void add_filter(struct product *p, unsigned bit, const struct path *filter)
{
    p->filters[bit] = filter;
    p->used |= 1U << bit;
    for (size_t i = 0; i < filter->count; i++)
        if (!same(filter->at[i], "+") && !same(filter->at[i], "#"))
            add_word(p, filter->at[i]);
    if (p->depth < filter->count + 1)
        p->depth = filter->count + 1;
}

static struct state step(const struct product *p, struct state from, const char *word,
                         size_t depth)
{
    struct state to = { .inside = from.inside, .empty = depth == 0 && word[0] == '\0' };

    for (unsigned bit = 0; bit <= FILTER; bit++) {
        if (!(from.alive & 1U << bit) || depth >= p->filters[bit]->count)
            continue;
        const char *wanted = p->filters[bit]->at[depth];
        if (!matches_level(wanted, word, depth))
            continue;
        if (same(wanted, "#"))
            to.inside |= 1U << bit;
        else
            to.alive |= 1U << bit;
    }
    return to;
}

/* Which filters match the topics of a state. */
static unsigned ends_in(const struct product *p, const struct state *state, size_t levels)
{
    unsigned ends = state->inside;

    for (unsigned bit = 0; bit <= FILTER; bit++) {
        if (!(state->alive & 1U << bit))
            continue;
        const struct path *filter = p->filters[bit];
        if (filter->count == levels ||
            (filter->count == levels + 1 && same(filter->at[levels], "#")))
            ends |= 1U << bit;
    }
    return ends;
}

static void look(const struct product *p, size_t levels, unsigned permits, struct found *found)
{
    for (size_t i = 0; i < p->count; i++) {
        unsigned ends = ends_in(p, &p->now[i], levels);
        if (p->now[i].empty || !(ends & 1U << FILTER))
            continue;
        found->overlap |= ends;
        found->alone &= ends;
        found->whole = found->whole && (ends & permits) != 0;
        if (levels == p->depth)
            found->deep &= ends;
    }
}

static void advance(struct product *p, size_t depth)
{
    static struct state next[STATES];
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++)
        for (size_t word = 0; word < p->word_count; word++) {
            struct state to = step(p, p->now[i], p->words[word], depth);
            size_t at = 0;
            if (!((to.alive | to.inside) & 1U << FILTER))
                continue;
            while (at < count && (next[at].alive != to.alive || next[at].inside != to.inside ||
                                  next[at].empty != to.empty))
                at++;
            assert_true(at < STATES);
            next[at] = to;
            count += at == count;
        }
    memcpy(p->now, next, count * sizeof *next);
    p->count = count;
}

static struct found search(const struct question *q, unsigned permits, unsigned denials)
{
    static struct product p;
    struct found found = { 0, permits, permits, true };

    p.used = 0;
    p.count = p.depth = p.word_count = 0;
    for (unsigned i = 0; i < q->count; i++)
        if ((permits | denials) & 1U << i)
            add_filter(&p, i, &q->rules[i].bound);
    add_filter(&p, FILTER, &q->topic);
    add_word(&p, "fresh");
    p.now[p.count++] = (struct state){ .alive = p.used };
    for (size_t levels = 1; levels <= p.depth; levels++) {
        advance(&p, levels - 1);
        look(&p, levels, permits, &found);
    }
    return found;
}

static struct policy_decision first_of(const struct question *q, unsigned rules)
{
    for (size_t i = 0; i < q->count; i++)
        if (rules & 1U << i)
            return by(q, i);
    fail_msg("a subscription is allowed by permits none of which goes on");
    return (struct policy_decision){ 0 };
}

static unsigned turns; /* allowed by several permits together */

static struct policy_decision interpret_subscribe(const struct question *q)
{
    unsigned permits = 0, denials = 0;

    for (unsigned i = 0; i < q->count; i++)
        if (concerns(&q->rules[i], q, POLICY_SUBSCRIBE))
            *(q->rules[i].deny ? &denials : &permits) |= 1U << i;
    struct found found = search(q, permits, denials);
    if (found.overlap & denials)
        return first_of(q, found.overlap & denials);
    if (!found.whole)
        return (struct policy_decision){ .version = 7 };
    turns += found.alone == 0;
    return first_of(q, found.alone ? found.alone : found.deep);
}

/* ---- Made-up policies and requests ---- */

static const char *const IDS[] = { "d1", "d1", "d1", "a", "xd1", "x", "z:1" };
static const char *const RULE_WORDS[] = { "",
                                          "a",
                                          "a",
                                          "b",
                                          "d1",
                                          "xd1",
                                          "d1x",
                                          "$s",
                                          "+",
                                          "+",
                                          "+",
                                          "${device.id}",
                                          "x${device.id}",
                                          "${device.id}x",
                                          "${device.id}${device.id}",
                                          "$${device.id}",
                                          "$d1" };
static const char *const ASKED_WORDS[] = {
    "", "a", "a", "b", "d1", "xd1", "d1x", "d1d1", "$s", "$d1", "x", "z:1", "${device.id}", "q"
};
static const char *const SPACES[] = { " ", " ", " ", "\t", "  ", "\n ", "\r\n\t", " # ?\n " };

static void make_path(struct path *path, const char *const *words, size_t word_count,
                      unsigned plus_in, unsigned hash_in)
{
    path->count = 0;
    for (unsigned n = 1 + roll(4); path->count < n; path->count++) {
        const char *word =
            plus_in && roll(plus_in) == 0 ? "+" : words[roll((unsigned)word_count)];
        memcpy(path->at[path->count], word, strlen(word) + 1);
    }
    if (hash_in && roll(hash_in) == 0)
        memcpy(path->at[roll(4) == 0 ? path->count++ : path->count - 1], "#", 2);
    if (path->count == 1 && path->at[0][0] == '\0')
        memcpy(path->at[0], "a", 2);
}

/* Filters on the edge of POLICY_LEVELS_MAX. */
static void make_deep(struct path *path, bool filter)
{
    unsigned odd = roll(3) == 0 ? roll(POLICY_LEVELS_MAX) : 0;

    path->count = POLICY_LEVELS_MAX - roll(3);
    for (size_t i = 0; i < path->count; i++)
        memcpy(path->at[i], filter && roll(40) > 0 ? "+" : "a", 2);
    if (odd)
        memcpy(path->at[odd < path->count ? odd : 0], roll(2) && filter ? "+" : "b", 2);
    if (filter && roll(2) == 0) {
        path->count -= roll(2) ? roll(POLICY_LEVELS_MAX - 2) : 0;
        memcpy(path->at[path->count - 1], "#", 2);
    }
}

static void add_path(struct buf *text, const struct path *path)
{
    for (size_t i = 0; i < path->count; i++)
        buf_addf(text, "%s%s", i > 0 ? "/" : "", path->at[i]);
}

static unsigned lines_in(const struct buf *text)
{
    unsigned lines = 1;

    for (size_t i = 0; i < text->len; i++)
        lines += text->at[i] == '\n';
    return lines;
}

static void write_rule(struct buf *text, struct rule *rule)
{
    const char *comma = "";

    buf_addf(text, "%s", roll(4) == 0 ? "\n# a remark\n" : "");
    rule->line = lines_in(text);
    buf_addf(text, "%s%s%s", rule->deny ? "deny" : "allow", PICK(SPACES), rule->who);
    if (rule->name != NULL)
        buf_addf(text, "%s\"%s\"", PICK(SPACES), rule->name);
    for (unsigned i = 0; i < ACTIONS; i++)
        if (rule->actions & 1U << i) {
            buf_addf(text, "%s%s%s", comma, PICK(SPACES), policy_action_name(i));
            comma = ",";
        }
    if (rule->filter.count > 0) {
        buf_addf(text, "%s\"", PICK(SPACES));
        add_path(text, &rule->filter);
        buf_addf(text, "\"");
    }
    buf_addf(text, "\n");
}

static void make_rule(struct question *q, struct rule *rule, bool deep)
{
    static const char *const NAMES[] = { "d1", "d1", "a", "nobody" }, *const GROUPS[] = { "g",
                                                                                          "h" };

    *rule = (struct rule){ .deny = roll(3) == 0, .who = "device", .actions = 1 };
    if (roll(8) > 0)
        rule->actions =
            roll(2) ? 1U << POLICY_SUBSCRIBE : (1 + roll((1U << (ACTIONS - 1)) - 1)) << 1;
    if (roll(3) == 0)
        rule->name = PICK(NAMES);
    if (roll(4) == 0) {
        rule->who = "group";
        rule->name = PICK(GROUPS);
    }
    if (rule->actions != 1U << POLICY_CONNECT && deep)
        make_deep(&rule->filter, true);
    else if (rule->actions != 1U << POLICY_CONNECT)
        make_path(&rule->filter, RULE_WORDS, sizeof RULE_WORDS / sizeof *RULE_WORDS, 3, 3);
    rule->bound.count = rule->filter.count;
    for (size_t i = 0; i < rule->filter.count; i++)
        bind_level(rule->filter.at[i], q->id, rule->bound.at[i]);
    write_rule(&q->text, rule);
}

static void make_policy(struct question *q, bool deep)
{
    static const struct bytes GROUPS[] = { BYTES("g"), BYTES("h"), BYTES("+"), BYTES("") };

    buf_reset(&q->text);
    q->id = PICK(IDS);
    for (q->group_count = 0; q->group_count < 3 && roll(2) == 0; q->group_count++)
        q->groups[q->group_count] = PICK(GROUPS);
    q->count = roll(RULES + 1);
    for (size_t i = 0; i < q->count; i++)
        make_rule(q, &q->rules[i], deep);
}

/* A rule for who asks, if dice find one. */
static const struct rule *find_rule(const struct question *q)
{
    for (unsigned tries = 0; q->count > 0 && tries < RULES; tries++) {
        const struct rule *rule = &q->rules[roll((unsigned)q->count)];
        for (unsigned action = 0; action < ACTIONS; action++)
            if (rule->bound.count > 0 && concerns(rule, q, (enum policy_action)action))
                return rule;
    }
    return NULL;
}

static void add_level(struct path *path, const char *level)
{
    memcpy(path->at[path->count++], level, strlen(level) + 1);
}

/* Something that the rule's filter matches, or nearly: most of what dice alone make is of no
 * rule. */
static void make_like(struct question *q, const struct rule *rule)
{
    q->action = roll(ACTIONS);
    while (!concerns(rule, q, q->action))
        q->action = (q->action + 1) % ACTIONS;
    bool filter = q->action == POLICY_SUBSCRIBE;
    q->topic.count = 0;
    for (size_t i = 0; i < rule->bound.count; i++) {
        const char *level = rule->bound.at[i];
        if (filter && roll(2) == 0)
            add_level(&q->topic, level);
        else if (same(level, "#"))
            for (unsigned n = roll(3); n > 0; n--)
                add_level(&q->topic, PICK(ASKED_WORDS));
        else
            add_level(&q->topic, same(level, "+") ? PICK(ASKED_WORDS) : level);
    }
    if (q->topic.count == 0 || (q->topic.count == 1 && q->topic.at[0][0] == '\0')) {
        q->topic.count = 0;
        add_level(&q->topic, "a");
    }
}

static void make_request(struct question *q, bool deep)
{
    const struct rule *rule = deep || roll(6) == 0 ? NULL : find_rule(q);

    if (rule != NULL) {
        make_like(q, rule);
        return;
    }
    q->action = roll(2) ? POLICY_SUBSCRIBE : roll(ACTIONS);
    bool filter = q->action == POLICY_SUBSCRIBE;
    if (deep)
        make_deep(&q->topic, filter);
    else
        make_path(&q->topic, ASKED_WORDS, sizeof ASKED_WORDS / sizeof *ASKED_WORDS,
                  filter ? 3 : 0, filter ? 3 : 0);
}

/* ---- The comparison ---- */

struct tally {
    unsigned allowed, denied, none;
};

static void compare(const struct question *q, const struct policy_session *session,
                    struct tally *tally)
{
    AUTO_BUF(topic, 8192);

    add_path(&topic, &q->topic);
    bool filter = q->action == POLICY_SUBSCRIBE;
    assert_int_equal(filter ? policy_topic_check_filter(buf_bytes(&topic))
                            : policy_topic_check_name(buf_bytes(&topic)),
                     RC_OK);
    struct policy_decision want = filter ? interpret_subscribe(q) : interpret(q);
    struct policy_decision got = filter ? policy_decide_subscribe(session, buf_bytes(&topic))
                                        : policy_decide(session, q->action, buf_bytes(&topic));
    if (got.allowed != want.allowed || got.by_rule != want.by_rule || got.rule != want.rule ||
        got.line != want.line || got.version != want.version)
        fail_msg("seed %llu: device %s, %zu groups, %s \"%.*s\": the engine says %s by rule %d "
                 "line %u, the interpreter %s by rule %d line %u, of\n%.*s",
                 (unsigned long long)seed, q->id, q->group_count, policy_action_name(q->action),
                 (int)topic.len, (const char *)topic.at, got.allowed ? "yes" : "no",
                 got.by_rule ? (int)got.rule : -1, got.line, want.allowed ? "yes" : "no",
                 want.by_rule ? (int)want.rule : -1, want.line, (int)q->text.len,
                 (const char *)q->text.at);
    tally->allowed += got.allowed;
    tally->denied += !got.allowed && got.by_rule;
    tally->none += !got.by_rule;
}

static void run(bool deep, unsigned policies, struct tally *tally)
{
    static struct question q;

    q.text = BUF_MAX(1 << 16);
    dice = seed;
    for (unsigned round = 0; round < policies; round++) {
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        struct policy_session session;
        make_policy(&q, deep);
        struct policy_facts facts = { .device_id = bytes_of_text(q.id),
                                      .groups = q.groups,
                                      .group_count = q.group_count };
        if (policy_compile(buf_bytes(&q.text), 7, &errors, &policy) != RC_OK)
            fail_msg("%s\n%.*s", fault_text(), (int)q.text.len, (const char *)q.text.at);
        assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
        for (unsigned i = 0; i < 4; i++) {
            make_request(&q, deep);
            compare(&q, &session, tally);
        }
    }
    buf_clear(&q.text);
    world_tell_shares(tally->allowed, tally->denied, tally->none);
}

/* One that never says yes, or never no, has compared nothing. */
static void assert_mixed(const struct tally *tally)
{
    assert_true(tally->allowed > rounds / 2);
    assert_true(tally->denied > rounds / 2);
    assert_true(tally->none < rounds * 2); /* half of them */
}

static void decides_as_the_document_says(void **state)
{
    struct tally tally = { 0 };

    (void)state;
    turns = 0;
    run(false, rounds, &tally);
    assert_mixed(&tally);
    assert_true(turns > 0);
}

static void decides_as_the_document_says_at_the_deepest_levels(void **state)
{
    struct tally tally = { 0 };

    (void)state;
    run(true, rounds / 20, &tally);
    assert_true(tally.allowed > 0 && tally.denied > 0 && tally.none > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_the_document_says),
        cmocka_unit_test(decides_as_the_document_says_at_the_deepest_levels),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    rounds *= world_times();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
