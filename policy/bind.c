#include "policy/bound.h"
#include "policy/source.h"
#include "policy/view.h"

#include <stdlib.h>
#include <string.h>

/* ---- Groups that the policy itself has ---- */

static int compare_members(const void *left, const void *right)
{
    const struct policy_member *a = left, *b = right;
    int order = bytes_compare(a->device, b->device);

    return order != 0 ? order : bytes_compare(a->group, b->group);
}

static void sort_members(struct policy_rules *rules)
{
    size_t kept = 0;

    if (rules->member_count > 0)
        qsort(rules->members, rules->member_count, sizeof *rules->members, compare_members);
    for (size_t i = 0; i < rules->member_count; i++)
        if (kept == 0 || compare_members(&rules->members[kept - 1], &rules->members[i]) != 0)
            rules->members[kept++] = rules->members[i];
    rules->member_count = kept;
}

/* ---- Groups as resources ---- */

static size_t count_members(const struct policy_rules *rules, struct bytes group)
{
    size_t count = 0;

    for (size_t i = 0; i < rules->member_count; i++)
        count += bytes_equal(rules->members[i].group, group);
    return count;
}

/* What the rule asks for besides the group: policy_parse_in_group(). */
static uint32_t condition_besides(const struct policy_rules *rules,
                                  const struct policy_rule *rule)
{
    const struct policy_condition *c = &rules->conditions[rule->condition];

    return c->kind == POLICY_AND ? c->right : POLICY_ALWAYS;
}

static struct policy_rule *add_members(const struct policy_rules *rules,
                                       const struct policy_rule *rule, struct policy_rule *to)
{
    for (size_t i = 0; i < rules->member_count; i++) {
        if (!bytes_equal(rules->members[i].group, rule->group))
            continue;
        *to = *rule;
        to->filter = rules->members[i].device;
        to->group = (struct bytes){ NULL, 0 };
        to->condition = condition_besides(rules, rule);
        to++;
    }
    return to;
}

/* The policy's own members of a group are named one by one, behind the rule that is for those
 * of the registry: who is in it is in the text, so analysis has it, too. */
static enum rc expand(struct policy *policy)
{
    struct policy_rules *rules = &policy->rules;
    size_t more = 0;

    for (size_t i = 0; i < rules->count; i++) {
        if (rules->at[i].group.len == 0)
            continue;
        TRY(policy_effort_spend(policy->trie.effort, 1 + rules->member_count));
        more += count_members(rules, rules->at[i].group);
    }
    if (more > POLICY_RULES_MAX - rules->count)
        return fault(RC_LIMIT, "more than %d rules, with those of groups", POLICY_RULES_MAX);
    if (more == 0)
        return RC_OK;
    struct policy_rule *made = malloc((rules->count + more) * sizeof *made), *to = made;
    if (made == NULL)
        return fault(RC_NOMEM, "policy rules");
    for (size_t i = 0; i < rules->count; i++) {
        *to++ = rules->at[i];
        if (rules->at[i].group.len > 0)
            to = add_members(rules, &rules->at[i], to);
    }
    free(rules->at);
    rules->at = made;
    rules->count += more;
    return RC_OK;
}

enum rc policy_bound_members(struct policy *policy, struct policy_errors *errors)
{
    struct policy_rules *rules = &policy->rules;

    sort_members(rules);
    for (size_t i = POLICY_GROUPS_MAX; i < rules->member_count; i++) {
        const struct policy_member *member = &rules->members[i];
        if (!bytes_equal(member[-POLICY_GROUPS_MAX].device, member->device))
            continue;
        policy_source_add(errors, rules->files[member->at.file], member->at.line,
                          member->at.column,
                          fault(RC_MALFORMED, "\"%.*s\" is in more than %d groups",
                                BYTES_FMT(member->device), POLICY_GROUPS_MAX));
        return policy_source_fault(errors);
    }
    return expand(policy);
}

static size_t first_member(const struct policy_rules *rules, struct bytes device)
{
    size_t low = 0, high = rules->member_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(rules->members[middle].device, device) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- What rules ask for ---- */

static uint32_t asked_by(const struct policy_rule *rule)
{
    uint32_t asked = rule->obligations.payload_limited ? 1U << POLICY_MESSAGE_SIZE : 0;
    struct bytes resource = rule->filter;
    enum policy_fact fact;

    while (policy_fact_next(&resource, &fact))
        asked |= 1U << fact;
    return asked;
}

/* ---- Conditions that a session answers once ---- */

static void give_slot(struct policy *policy, uint32_t condition)
{
    if (policy->slot_of[condition] != POLICY_NO_SLOT || policy->slot_count == POLICY_SLOTS_MAX)
        return;
    policy->slot_of[condition] = (uint8_t)policy->slot_count;
    policy->slots[policy->slot_count++] = condition;
}

/* The largest parts that ask for nothing but facts of the session. */
static void give_slots(struct policy *policy, uint32_t condition)
{
    const struct policy_condition *c = &policy->rules.conditions[condition];

    if (c->scopes == 1U << POLICY_OF_SESSION) {
        give_slot(policy, condition);
    } else if (c->kind != POLICY_TEST) {
        give_slots(policy, c->left);
        if (c->kind != POLICY_NOT)
            give_slots(policy, c->right);
    }
}

enum rc policy_bound_conditions(struct policy *policy)
{
    const struct policy_rules *rules = &policy->rules;

    policy->tests = calloc(rules->condition_count + 1, 1);
    policy->slot_of = malloc(rules->condition_count + 1);
    if (policy->tests == NULL || policy->slot_of == NULL)
        return fault(RC_NOMEM, "policy conditions");
    memset(policy->slot_of, POLICY_NO_SLOT, rules->condition_count + 1);
    for (size_t i = 0; i < rules->condition_count; i++) {
        const struct policy_condition *c = &rules->conditions[i];
        unsigned tests = c->kind == POLICY_TEST ? 1
                         : c->kind == POLICY_NOT
                             ? policy->tests[c->left]
                             : policy->tests[c->left] + policy->tests[c->right];
        policy->tests[i] = (uint8_t)tests; /* the parser allows no more of one rule */
        policy->timed = policy->timed || c->scopes & 1U << POLICY_OF_CLOCK;
        policy->asked |= c->kind == POLICY_TEST ? 1U << c->fact : 0;
    }
    for (size_t i = 0; i < rules->count; i++) {
        policy->asked |= asked_by(&rules->at[i]);
        if (rules->at[i].condition != POLICY_ALWAYS)
            give_slots(policy, rules->at[i].condition);
    }
    return RC_OK;
}

static void work_out(struct policy_session *session)
{
    const struct policy *policy = session->policy;
    struct policy_view view = policy_view_of(session, NULL);
    const struct policy_knowledge knowledge = policy_view_knowledge(&view);

    for (size_t slot = 0; slot < policy->slot_count; slot++) {
        enum policy_truth truth =
            policy_condition_truth(&policy->rules, policy->slots[slot], &knowledge);
        uint64_t bit = UINT64_C(1) << (slot % 64);
        if (truth == POLICY_YES)
            session->yes[slot / 64] |= bit;
        if (truth == POLICY_PERHAPS)
            session->perhaps[slot / 64] |= bit;
    }
}

/* ---- The rules that concern a session ---- */

static void add_root(struct policy_session *session, uint32_t root)
{
    for (uint32_t i = 0; i < session->root_count; i++)
        if (session->roots[i] == root)
            return;
    if (root != POLICY_NONE)
        session->roots[session->root_count++] = root;
}

static void add_named(struct policy_session *session, enum policy_principal principal,
                      struct bytes name)
{
    add_root(session, policy_bound_root(session->policy, principal, name));
}

static void add_device(struct policy_session *session, const struct policy_facts *facts)
{
    const struct policy_rules *rules = &session->policy->rules;

    for (size_t i = 0; i < facts->group_count; i++)
        add_named(session, POLICY_GROUP, facts->groups[i]);
    for (size_t i = first_member(rules, facts->device_id);
         i < rules->member_count && bytes_equal(rules->members[i].device, facts->device_id);
         i++)
        add_named(session, POLICY_GROUP, rules->members[i].group);
}

static void add_roots(struct policy_session *session, const struct policy_facts *facts)
{
    static const struct {
        enum policy_principal any, one;
    } KINDS[] = {
        [POLICY_BY_DEVICE] = { POLICY_ANY_DEVICE, POLICY_ONE_DEVICE },
        [POLICY_BY_OPERATOR] = { POLICY_ANY_OPERATOR, POLICY_ONE_OPERATOR },
        [POLICY_BY_LINE] = { POLICY_ANY_LINE, POLICY_ONE_LINE },
        [POLICY_BY_SINK] = { POLICY_ANY_SINK, POLICY_ONE_SINK },
    };
    const struct policy_view view = policy_view_of(session, NULL);
    enum policy_principal one = KINDS[facts->asker].one;

    add_root(session, session->policy->open_roots[POLICY_ANYONE]);
    add_root(session, session->policy->open_roots[KINDS[facts->asker].any]);
    add_named(session, one, policy_view_fact(&view, policy_fact_of(one)).text);
    if (facts->asker == POLICY_BY_DEVICE)
        add_device(session, facts);
    if (facts->asker == POLICY_BY_OPERATOR)
        add_named(session, POLICY_ROLE, policy_view_fact(&view, POLICY_OPERATOR_ROLE).text);
}

enum rc policy_bound_bind(const struct policy *policy, const struct policy_facts *facts,
                          const struct policy_given *given, uint32_t given_count,
                          struct policy_session *session)
{
    struct policy_session bound = {
        .policy = policy, .facts = facts, .given = given, .given_count = given_count
    };

    TRY(policy_view_check(facts));
    if (facts->group_count > POLICY_GROUPS_MAX)
        return fault(RC_LIMIT, "%zu groups, limit %d", facts->group_count, POLICY_GROUPS_MAX);
    add_roots(&bound, facts);
    work_out(&bound);
    *session = bound;
    return RC_OK;
}

enum rc policy_bind(const struct policy *policy, const struct policy_facts *facts,
                    struct policy_session *session)
{
    return policy_bound_bind(policy, facts, NULL, 0, session);
}
