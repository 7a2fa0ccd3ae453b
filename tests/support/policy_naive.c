#include "tests/support/policy_naive.h"

#include "tests/support/check.h"

#include <string.h>

/* ---- Topics ---- */

static struct bytes known_text(const struct naive_world *world, struct bytes name)
{
    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++)
        if (bytes_equal_text(name, policy_fact_get(fact)->name))
            return naive_fact(world, fact).text;
    fail_msg("a fact that is none");
    return name;
}

/* What a fact holds is put in as it is and not looked at again. */
void naive_bind(const struct naive_world *world, struct bytes text, struct naive_path *path)
{
    char *out = path->at[0];

    path->count = 1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '/') {
            *out = '\0';
            assert_true(path->count < NAIVE_LEVELS_MAX);
            out = path->at[path->count++];
        } else if (world != NULL && text.at[i] == '$' && i + 1 < text.len &&
                   text.at[i + 1] == '{') {
            const uint8_t *end = memchr(text.at + i, '}', text.len - i);
            struct bytes name = { text.at + i + 2, (size_t)(end - text.at) - i - 2 };
            struct bytes value = known_text(world, name);
            for (size_t j = 0; j < value.len; j++)
                *out++ = (char)value.at[j];
            if (value.at == NULL)
                *out++ = HOLE;
            i = (size_t)(end - text.at);
        } else {
            *out++ = (char)text.at[i];
        }
        assert_true(out < path->at[path->count - 1] + NAIVE_LEVEL_MAX - 80);
    }
    *out = '\0';
}

static bool is_name_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || (letter != '\0' && strchr("._:-", letter));
}

/* A hole is any name. */
static bool could_be(const char *pattern, const char *level)
{
    if (*pattern == '\0')
        return *level == '\0';
    if (*level == '\0')
        return false;
    if (*pattern == HOLE)
        return is_name_letter(*level) &&
               (could_be(pattern + 1, level + 1) || could_be(pattern, level + 1));
    return *pattern == *level && could_be(pattern + 1, level + 1);
}

enum naive_truth naive_level(const char *wanted, const char *level, size_t depth)
{
    if (strcmp(wanted, "+") == 0 || strcmp(wanted, "#") == 0)
        return depth > 0 || level[0] != '$' ? NAIVE_TRUE : NAIVE_FALSE;
    if (!could_be(wanted, level))
        return NAIVE_FALSE;
    return strchr(wanted, HOLE) == NULL ? NAIVE_TRUE : NAIVE_UNKNOWN;
}

static enum naive_truth matches(const struct naive_world *world, struct bytes filter)
{
    enum naive_truth all = NAIVE_TRUE;
    struct naive_path f = { 0 }, topic = { 0 };

    naive_bind(world, filter, &f);
    naive_bind(NULL, world->request->resource, &topic);
    for (size_t i = 0; i < f.count; i++) {
        bool hash = strcmp(f.at[i], "#") == 0;
        if (i == topic.count)
            return hash ? all : NAIVE_FALSE;
        enum naive_truth one = naive_level(f.at[i], topic.at[i], i);
        all = one < all ? one : all;
        if (hash)
            return all;
    }
    return f.count == topic.count ? all : NAIVE_FALSE;
}

/* ---- Principals ---- */

static bool is_in_group(const struct naive_world *world, struct bytes group)
{
    const struct policy_facts *facts = world->facts;
    const struct policy_rules *rules = world->rules;

    for (size_t i = 0; i < facts->group_count; i++)
        if (bytes_equal(facts->groups[i], group))
            return true;
    for (size_t i = 0; i < rules->member_count; i++)
        if (bytes_equal(rules->members[i].group, group) &&
            bytes_equal(rules->members[i].device, facts->device_id))
            return true;
    return false;
}

static bool is_principal(const struct naive_world *world, const struct policy_rule *rule)
{
    const struct policy_facts *facts = world->facts;
    enum policy_asker asker = facts->asker;

    switch ((int)rule->principal) {
    case POLICY_ANYONE:
        return true;
    case POLICY_ANY_DEVICE:
        return asker == POLICY_BY_DEVICE;
    case POLICY_ONE_DEVICE:
        return asker == POLICY_BY_DEVICE && bytes_equal(rule->name, facts->device_id);
    case POLICY_GROUP:
        return asker == POLICY_BY_DEVICE && is_in_group(world, rule->name);
    case POLICY_ANY_OPERATOR:
        return asker == POLICY_BY_OPERATOR;
    case POLICY_ONE_OPERATOR:
        return asker == POLICY_BY_OPERATOR && bytes_equal(rule->name, facts->operator_id);
    case POLICY_ROLE:
        return asker == POLICY_BY_OPERATOR && bytes_equal(rule->name, facts->operator_role);
    case POLICY_ANY_LINE:
        return asker == POLICY_BY_LINE;
    case POLICY_ONE_LINE:
        return asker == POLICY_BY_LINE && bytes_equal(rule->name, facts->line_id);
    case POLICY_ANY_SINK:
        return asker == POLICY_BY_SINK;
    default:
        return asker == POLICY_BY_SINK && bytes_equal(rule->name, facts->sink_name);
    }
}

bool naive_concerns(const struct naive_world *world, const struct policy_rule *rule)
{
    enum policy_action action = world->request->action;
    bool asked = rule->actions >> action & 1;

    if (action == POLICY_RECEIVE)
        asked = asked || (rule->actions >> POLICY_SUBSCRIBE & 1);
    return asked && is_principal(world, rule);
}

/* ---- Obligations ---- */

static bool is_lower_limit(const struct policy_obligations *a,
                           const struct policy_obligations *b)
{
    __int128 left = (__int128)a->rate * b->rate_ms, right = (__int128)b->rate * a->rate_ms;

    return a->rate > 0 &&
           (b->rate == 0 || left < right || (left == right && a->burst < b->burst));
}

static void earlier(int64_t *is, int64_t other)
{
    if (other != 0 && (*is == 0 || other < *is))
        *is = other;
}

static void oblige(const struct policy_rule *rule, struct policy_decision *decision,
                   uint32_t *smallest)
{
    const struct policy_obligations *more = &rule->obligations;
    struct policy_obligations *all = &decision->obligations;

    if (is_lower_limit(more, all)) {
        all->rate = more->rate;
        all->burst = more->burst;
        all->rate_ms = more->rate_ms;
        decision->limit_rule = rule->number;
    }
    if (more->payload_limited && (!all->payload_limited || more->payload < all->payload)) {
        all->payload_limited = true;
        all->payload = more->payload;
        *smallest = rule->number;
    }
    earlier(&all->lease_ms, more->lease_ms);
    earlier(&all->until_ms, more->until_ms);
    all->log_full = all->log_full || more->log_full;
}

static void name(const struct naive_world *world, uint32_t number,
                 struct policy_decision *decision)
{
    const struct policy_rule *rule = world->rules->at;

    while (rule->number != number)
        rule++;
    decision->by_rule = true;
    decision->rule = number;
    decision->line = rule->at.line;
    decision->file = world->rules->files[rule->at.file];
}

struct policy_decision naive_tell(const struct naive_world *world, size_t told,
                                  uint32_t obliged)
{
    const struct policy_rule *rule = &world->rules->at[told];
    struct policy_value size = naive_fact(world, POLICY_MESSAGE_SIZE);
    struct policy_decision decision = { .version = world->version };
    uint32_t smallest = 0;

    name(world, rule->number, &decision);
    decision.obligations.log_full = rule->effect == POLICY_DENY && rule->obligations.log_full;
    if (rule->effect == POLICY_DENY)
        return decision;
    for (size_t i = 0; i < world->rules->count; i++)
        if (obliged >> i & 1)
            oblige(&world->rules->at[i], &decision, &smallest);
    decision.too_large = decision.obligations.payload_limited && size.type == POLICY_NUMBER &&
                         (uint64_t)size.number > decision.obligations.payload;
    decision.allowed = !decision.too_large;
    if (decision.too_large)
        name(world, smallest, &decision);
    return decision;
}

/* ---- Decisions ---- */

/* A rule with what is not known: who allows must be sure, who denies need not be. */
static bool applies(const struct naive_world *world, const struct policy_rule *rule)
{
    enum naive_truth topic = NAIVE_TRUE, condition = naive_condition(world, rule->condition);

    if (!naive_concerns(world, rule))
        return false;
    if (world->request->action != POLICY_CONNECT)
        topic = matches(world, rule->filter);
    enum naive_truth both = topic < condition ? topic : condition;
    return rule->effect == POLICY_ALLOW ? both == NAIVE_TRUE : both != NAIVE_FALSE;
}

struct policy_decision naive_decide(const struct naive_world *world)
{
    const struct policy_rules *rules = world->rules;
    uint32_t allowing = 0;

    assert_true(rules->count <= NAIVE_RULES_MAX);
    if (world->request->action == POLICY_SUBSCRIBE)
        return naive_decide_subscribe(world);
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].effect == POLICY_DENY && applies(world, &rules->at[i]))
            return naive_tell(world, i, 0);
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].effect == POLICY_ALLOW && applies(world, &rules->at[i]))
            allowing |= 1U << i;
    if (allowing == 0)
        return (struct policy_decision){ .version = world->version };
    return naive_tell(world, (size_t)__builtin_ctz(allowing), allowing);
}
