#include "policy/bound.h"
#include "policy/limit.h"
#include "policy/room.h"
#include "policy/source.h"

#include <stdlib.h>
#include <string.h>

/* ---- A trie for each set of principals ---- */

static int compare_named(const void *left, const void *right)
{
    const struct policy_named *a = left, *b = right;

    if (a->principal != b->principal)
        return a->principal < b->principal ? -1 : 1;
    return bytes_compare(a->name, b->name);
}

static bool has_name(enum policy_principal principal)
{
    return principal == POLICY_GROUP || policy_fact_of(principal) != POLICY_FACTS;
}

uint32_t policy_bound_root(const struct policy *policy, enum policy_principal principal,
                           struct bytes name)
{
    struct policy_named key = { principal, name, 0 };

    if (!has_name(principal))
        return policy->open_roots[principal];
    if (policy->named_count == 0)
        return POLICY_NONE;
    const struct policy_named *found =
        bsearch(&key, policy->named, policy->named_count, sizeof key, compare_named);
    return found == NULL ? POLICY_NONE : found->root;
}

/* One entry a principal that some rule names, sorted. */
static void collect_named(struct policy *policy)
{
    const struct policy_rules *rules = &policy->rules;
    size_t count = 0, kept = 0;

    for (size_t i = 0; i < rules->count; i++)
        if (has_name(rules->at[i].principal))
            policy->named[count++] =
                (struct policy_named){ rules->at[i].principal, rules->at[i].name, POLICY_NONE };
    qsort(policy->named, count, sizeof *policy->named, compare_named);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_named(&policy->named[kept - 1], &policy->named[i]) != 0)
            policy->named[kept++] = policy->named[i];
    policy->named_count = kept;
}

static enum rc make_roots(struct policy *policy)
{
    const struct policy_rules *rules = &policy->rules;

    policy->named = calloc(rules->count + 1, sizeof *policy->named);
    if (policy->named == NULL)
        return fault(RC_NOMEM, "policy principals");
    collect_named(policy);
    for (size_t i = 0; i < policy->named_count; i++)
        TRY(policy_trie_root(&policy->trie, &policy->named[i].root));
    for (size_t i = 0; i < rules->count; i++) {
        enum policy_principal principal = rules->at[i].principal;
        if (!has_name(principal) && policy->open_roots[principal] == POLICY_NONE)
            TRY(policy_trie_root(&policy->trie, &policy->open_roots[principal]));
    }
    return RC_OK;
}

static enum rc note_told(struct policy *policy)
{
    const struct policy_rules *rules = &policy->rules;

    policy->told = policy_room((rules->count + 1) * sizeof *policy->told);
    if (policy->told == NULL)
        return fault(RC_NOMEM, "policy rules");
    for (size_t i = 0; i < rules->count; i++) {
        const struct policy_place *at = &rules->at[i].at;
        policy->told[i] = (struct policy_told){ rules->at[i].number, at->line, at->file,
                                                rules->before[at->file] + at->line };
    }
    policy->trie.told = policy->told;
    return RC_OK;
}

static enum rc index_rules(struct policy *policy, struct policy_errors *errors)
{
    TRY(note_told(policy));
    TRY(make_roots(policy));
    for (uint32_t i = 0; i < policy->rules.count; i++) {
        const struct policy_rule *rule = &policy->rules.at[i];
        uint32_t root = policy_bound_root(policy, rule->principal, rule->name);
        uint32_t tests = rule->condition == POLICY_ALWAYS ? 0 : policy->tests[rule->condition];
        enum rc rc = policy_trie_add(&policy->trie, root, &policy->rules, i, tests);
        if (rc == RC_MALFORMED) {
            policy_source_add(errors, policy->rules.files[rule->at.file], rule->at.line, 1, rc);
            return policy_source_fault(errors);
        }
        if (rc != RC_OK)
            return fault_while(rc, "line %u", rule->at.line);
    }
    return policy->trie.count > 0 ? policy_trie_close(&policy->trie, policy->tests) : RC_OK;
}

/* ---- What the worst request would cost ---- */

static enum rc check_cost(const struct policy_cost *root)
{
    if (root->steps > POLICY_STEPS_MAX)
        return fault(RC_MALFORMED,
                     "one topic takes %u steps through the rules from here on, limit %d: fewer "
                     "+ or ${...} beside spelt-out levels, fewer conditions for one topic",
                     root->steps, POLICY_STEPS_MAX);
    if (root->denials > POLICY_DENIALS_MAX)
        return fault(RC_MALFORMED,
                     "one subscription has %u levels of denials to compare with from here on, "
                     "limit %d: deny to subscribe by wider filters",
                     root->denials, POLICY_DENIALS_MAX);
    return RC_OK;
}

/* Told once for each root, where its rules begin. */
static enum rc check_costs(struct policy *policy, struct policy_errors *errors)
{
    for (size_t i = 0; i < policy->rules.count; i++) {
        const struct policy_rule *rule = &policy->rules.at[i];
        uint32_t root = policy_bound_root(policy, rule->principal, rule->name);
        enum rc rc = check_cost(&policy->trie.costs[root]);
        if (rc == RC_OK)
            continue;
        policy->trie.costs[root] = (struct policy_cost){ 0 };
        policy_source_add(errors, policy->rules.files[rule->at.file], rule->at.line, 1, rc);
    }
    return errors->count > 0 ? policy_source_fault(errors) : RC_OK;
}

/* ---- The whole ---- */

static enum rc copy_text(struct policy *policy, struct bytes text)
{
    policy->text = malloc(text.len + 1);
    if (policy->text == NULL)
        return fault(RC_NOMEM, "policy text");
    if (text.len > 0)
        memcpy(policy->text, text.at, text.len);
    policy->text_len = text.len;
    return RC_OK;
}

enum rc policy_compile(struct bytes text, uint64_t version, struct policy_errors *errors,
                       struct policy **policy)
{
    return policy_compile_until(NULL, text, version, errors, policy);
}

enum rc policy_compile_until(const atomic_bool *stop, struct bytes text, uint64_t version,
                             struct policy_errors *errors, struct policy **policy)
{
    struct policy_effort effort = { .most = POLICY_EFFORT_MAX, .stop = stop };

    return policy_bound_compile(text, version, &effort, errors, policy);
}

enum rc policy_bound_compile(struct bytes text, uint64_t version, struct policy_effort *effort,
                             struct policy_errors *errors, struct policy **policy)
{
    AUTO_OF(policy) *made = calloc(1, sizeof *made);

    errors->count = 0;
    if (made == NULL)
        return fault(RC_NOMEM, "policy");
    made->references = 1;
    for (size_t i = 0; i < POLICY_PRINCIPALS; i++)
        made->open_roots[i] = POLICY_NONE;
    if (text.len > POLICY_TEXT_MAX)
        return fault(RC_LIMIT, "policy of %zu bytes, limit %d", text.len, POLICY_TEXT_MAX);
    made->version = version;
    made->trie.effort = effort;
    TRY(copy_text(made, text));
    TRY(policy_parse(policy_text(made), effort, errors, &made->rules));
    TRY(policy_limit_keys(&made->rules));
    TRY(policy_bound_members(made, errors));
    TRY(policy_bound_conditions(made));
    TRY(index_rules(made, errors));
    TRY(check_costs(made, errors));
    TRY(policy_expect_all(made, effort, errors));
    made->trie.effort = NULL;
    *policy = TAKE(made);
    return RC_OK;
}

struct policy *policy_ref(struct policy *policy)
{
    policy->references++;
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (policy == NULL || --policy->references > 0)
        return;
    policy_trie_clear(&policy->trie);
    policy_rules_clear(&policy->rules);
    free(policy->told);
    free(policy->tests);
    free(policy->slot_of);
    free(policy->named);
    free(policy->text);
    free(policy);
}

void policy_set_version(struct policy *policy, uint64_t version)
{
    policy->version = version;
}

uint64_t policy_version(const struct policy *policy)
{
    return policy->version;
}

size_t policy_rule_count(const struct policy *policy)
{
    return policy->rules.written;
}

struct bytes policy_text(const struct policy *policy)
{
    return (struct bytes){ policy->text, policy->text_len };
}

bool policy_is_timed(const struct policy *policy)
{
    return policy->timed;
}
