#include "policy/bound.h"
#include "policy/source.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Which trie a named principal has: an entry of a sorted array. */
struct named {
    enum policy_principal principal;
    struct bytes name;
    uint32_t root;
};

struct policy {
    unsigned references;
    uint64_t version;
    uint8_t *text;
    size_t text_len;
    struct policy_rules rules;
    struct policy_trie trie;
    uint32_t any_device;
    struct named *named;
    size_t named_count;
};

static int compare_named(const void *left, const void *right)
{
    const struct named *a = left, *b = right;

    if (a->principal != b->principal)
        return a->principal < b->principal ? -1 : 1;
    return bytes_compare(a->name, b->name);
}

static const struct named *find_named(const struct policy *policy,
                                      enum policy_principal principal, struct bytes name)
{
    struct named key = { principal, name, 0 };

    if (policy->named_count == 0)
        return NULL;
    return bsearch(&key, policy->named, policy->named_count, sizeof key, compare_named);
}

/* One entry a principal that some rule names, sorted, each with a trie of its own. */
static enum rc make_roots(struct policy *policy)
{
    const struct policy_rules *rules = &policy->rules;

    TRY(policy_trie_root(&policy->trie, &policy->any_device));
    policy->named = calloc(rules->count + 1, sizeof *policy->named);
    if (policy->named == NULL)
        return fault(RC_NOMEM, "policy principals");
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].principal != POLICY_ANY_DEVICE)
            policy->named[policy->named_count++] =
                (struct named){ rules->at[i].principal, rules->at[i].name, 0 };
    qsort(policy->named, policy->named_count, sizeof *policy->named, compare_named);

    size_t kept = 0;
    for (size_t i = 0; i < policy->named_count; i++)
        if (kept == 0 || compare_named(&policy->named[kept - 1], &policy->named[i]) != 0)
            policy->named[kept++] = policy->named[i];
    policy->named_count = kept;
    for (size_t i = 0; i < kept; i++)
        TRY(policy_trie_root(&policy->trie, &policy->named[i].root));
    return RC_OK;
}

static enum rc index_rules(struct policy *policy)
{
    TRY(make_roots(policy));
    for (uint32_t i = 0; i < policy->rules.count; i++) {
        const struct policy_rule *rule = &policy->rules.at[i];
        uint32_t root = policy->any_device;
        if (rule->principal != POLICY_ANY_DEVICE)
            root = find_named(policy, rule->principal, rule->name)->root;
        enum rc rc = policy_trie_add(&policy->trie, root, rule, i);
        if (rc != RC_OK)
            return fault_while(rc, "line %u", rule->line);
    }
    return policy_trie_close(&policy->trie);
}

/* Where the rules of a root begin, for a message about all of them. */
static unsigned first_line(const struct policy *policy, const struct named *whose)
{
    const struct policy_rule *rule = policy->rules.at;

    while (rule->principal != whose->principal || !bytes_equal(rule->name, whose->name))
        rule++;
    return rule->line;
}

static enum rc check_cost(const struct policy *policy, const struct named *whose,
                          struct policy_errors *errors)
{
    const struct policy_cost *root = &policy->trie.costs[whose->root];
    enum rc rc = RC_OK;

    if (root->steps > POLICY_STEPS_MAX)
        rc = fault(RC_MALFORMED,
                   "one topic takes %u steps through the rules from here on, limit %d: fewer "
                   "+ beside spelt-out levels, fewer ${device.id} beside each other",
                   root->steps, POLICY_STEPS_MAX);
    else if (root->denials > POLICY_DENIALS_MAX)
        rc = fault(RC_MALFORMED,
                   "one subscription has %u levels of denials to compare with from here on, "
                   "limit %d: deny to subscribe by wider filters",
                   root->denials, POLICY_DENIALS_MAX);
    if (rc != RC_OK)
        policy_source_add(errors, first_line(policy, whose), 1, rc);
    return rc;
}

static enum rc check_costs(const struct policy *policy, struct policy_errors *errors)
{
    const struct named any = { POLICY_ANY_DEVICE, { NULL, 0 }, policy->any_device };
    enum rc rc = check_cost(policy, &any, errors);

    for (size_t i = 0; i < policy->named_count; i++)
        if (check_cost(policy, &policy->named[i], errors) != RC_OK)
            rc = RC_MALFORMED;
    if (rc != RC_OK)
        rc = fault(rc, "line %u column %u: %s", errors->at[0].line, errors->at[0].column,
                   errors->at[0].text);
    return rc;
}

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
    AUTO_OF(policy) *made = calloc(1, sizeof *made);

    errors->count = 0;
    if (made == NULL)
        return fault(RC_NOMEM, "policy");
    made->references = 1;
    if (text.len > POLICY_TEXT_MAX)
        return fault(RC_LIMIT, "policy of %zu bytes, limit %d", text.len, POLICY_TEXT_MAX);
    made->version = version;
    TRY(copy_text(made, text));
    TRY(policy_parse(policy_text(made), errors, &made->rules));
    TRY(index_rules(made));
    TRY(check_costs(made, errors));
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
    free(policy->rules.at);
    free(policy->named);
    free(policy->text);
    free(policy);
}

uint64_t policy_version(const struct policy *policy)
{
    return policy->version;
}

size_t policy_rule_count(const struct policy *policy)
{
    return policy->rules.count;
}

struct bytes policy_text(const struct policy *policy)
{
    return (struct bytes){ policy->text, policy->text_len };
}

const struct policy_trie *policy_bound_trie(const struct policy *policy)
{
    return &policy->trie;
}

unsigned policy_bound_line(const struct policy *policy, uint32_t rule)
{
    assert(rule < policy->rules.count);
    return policy->rules.at[rule].line;
}

/* One level, nothing that a filter gives a meaning to, and no second ${...}. */
static enum rc check_device_id(struct bytes id)
{
    size_t good = policy_parse_id_len(id);

    if (id.len == 0 || id.len > POLICY_NAME_MAX)
        return fault(RC_DENIED, "device.id has %zu bytes, 1 to %d are allowed", id.len,
                     POLICY_NAME_MAX);
    if (good < id.len)
        return fault(RC_DENIED,
                     "device.id has the byte 0x%02x at %zu, letters, digits and . _ : - are "
                     "allowed",
                     id.at[good], good);
    return RC_OK;
}

static void add_root(struct policy_session *session, enum policy_principal principal,
                     struct bytes name)
{
    const struct named *named = find_named(session->policy, principal, name);

    if (named != NULL)
        session->roots[session->root_count++] = named->root;
}

enum rc policy_bind(const struct policy *policy, const struct policy_facts *facts,
                    struct policy_session *session)
{
    struct policy_session bound = { .policy = policy, .device_id = facts->device_id };

    TRY(check_device_id(facts->device_id));
    if (facts->group_count > POLICY_GROUPS_MAX)
        return fault(RC_LIMIT, "%zu groups, limit %d", facts->group_count, POLICY_GROUPS_MAX);
    bound.roots[bound.root_count++] = policy->any_device;
    add_root(&bound, POLICY_ONE_DEVICE, facts->device_id);
    for (size_t i = 0; i < facts->group_count; i++)
        add_root(&bound, POLICY_GROUP, facts->groups[i]);
    *session = bound;
    return RC_OK;
}
