#include "policy/check.h"

#include "base/text.h"
#include "policy/bound.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8 * 1024 };

enum rc policy_check_add_at(struct policy_checker *checker, enum policy_concern concern,
                            bool grave, const struct policy_where *where, struct bytes resource,
                            struct buf *text)
{
    struct policy_findings *findings = &checker->findings;
    struct policy_arena **arena = &checker->study.arena;
    struct policy_finding made = { .concern = concern, .grave = grave, .where = *where };
    struct bytes done;

    if (buf_done(text, &done) != RC_OK)
        done = BYTES("too much to tell");
    TRY(policy_arena_copy(arena, done, &made.text));
    TRY(policy_arena_copy(arena, resource, &made.resource));
    TRY(policy_arena_copy(arena, made.where.file, &made.where.file));
    TRY(policy_arena_grow(arena, &findings->at, sizeof made, findings->count));
    findings->at[findings->count++] = made;
    return RC_OK;
}

enum rc policy_check_add(struct policy_checker *checker, enum policy_concern concern,
                         bool grave, uint32_t rule, struct bytes resource, struct buf *text)
{
    const struct policy_where where = policy_describe_rule(checker->rules, rule);

    return policy_check_add_at(checker, concern, grave, &where, resource, text);
}

/* ---- One rule by itself ---- */

static bool has_wildcard(struct bytes filter)
{
    struct policy_levels levels = policy_topic_levels(filter);

    while (filter.len > 0 && levels.more) {
        struct bytes level = policy_topic_next(&levels);
        if (policy_topic_is_plus(level) || policy_topic_is_hash(level))
            return true;
    }
    return false;
}

static bool begins_wild(struct bytes filter)
{
    struct policy_levels levels = policy_topic_levels(filter);
    struct bytes first = policy_topic_next(&levels);

    return policy_topic_is_plus(first) || policy_topic_is_hash(first);
}

static bool is_open(const struct policy_rule *rule)
{
    return rule->principal == POLICY_ANYONE || rule->principal == POLICY_ANY_DEVICE;
}

/* Does the resource or the condition tell one device from another? */
static bool is_told_apart(const struct policy_rules *rules, const struct policy_rule *rule)
{
    if (rule->filter.len > 1 && memmem(rule->filter.at, rule->filter.len, "${", 2) != NULL)
        return true;
    return rule->condition != POLICY_ALWAYS &&
           rules->conditions[rule->condition].scopes & 1U << POLICY_OF_SESSION;
}

static enum rc check_open(struct policy_checker *checker, uint32_t place)
{
    const struct policy_rule *rule = &checker->rules->at[place];
    bool grave = rule->principal == POLICY_ANYONE || rule->actions != 1U << POLICY_CONNECT;
    AUTO_BUF(text, TEXT_MAX);

    if (!is_open(rule) || is_told_apart(checker->rules, rule))
        return RC_OK;
    buf_addf(&text, "%s may ",
             rule->principal == POLICY_ANYONE ? "everyone: operators, lines and sinks, too,"
                                              : "every device");
    policy_describe_write_actions(rule->actions, &text);
    buf_addf(&text, "%s, one like another", rule->filter.len == 0 ? "" : " it");
    return policy_check_add(checker, POLICY_OPEN, grave, place, rule->filter, &text);
}

/* Who writes under a wildcard may write as others do. */
static enum rc check_wide(struct policy_checker *checker, uint32_t place)
{
    const unsigned writes =
        1U << POLICY_PUBLISH | 1U << POLICY_RETAIN | 1U << POLICY_WILL | 1U << POLICY_INGEST;
    const struct policy_rule *rule = &checker->rules->at[place];
    bool group = rule->principal == POLICY_GROUP || is_open(rule);
    AUTO_BUF(text, TEXT_MAX);

    if (rule->filter.len == 0 || !has_wildcard(rule->filter) ||
        policy_action_resource((enum policy_action)__builtin_ctz(rule->actions)) !=
            POLICY_TOPIC)
        return RC_OK;
    if (begins_wild(rule->filter))
        buf_addf(&text,
                 "its first level is a wildcard: it is not held to any branch of topics");
    else if (group && rule->actions & writes && !is_told_apart(checker->rules, rule))
        buf_addf(&text, "each of many devices may write under the same wildcard, so in the "
                        "name of the others, too: ${device.id} would hold it to its own");
    else
        return RC_OK;
    return policy_check_add(checker, POLICY_WIDE, group, place, rule->filter, &text);
}

/* The client id is no evasion: the door takes none but the device's own, and who leaves it out
 * is not spared. */
static bool is_claim(const struct policy_rule *rule, enum policy_fact fact)
{
    return policy_fact_get(fact)->claimed &&
           (rule->effect == POLICY_ALLOW || fact != POLICY_CLIENT_ID);
}

static void add_claims(const struct policy_rules *rules, const struct policy_rule *rule,
                       uint32_t condition, struct buf *text)
{
    const struct policy_condition *c = &rules->conditions[condition];
    const char *name = policy_fact_get(c->fact)->name;

    if (c->kind != POLICY_TEST) {
        add_claims(rules, rule, c->left, text);
        if (c->kind != POLICY_NOT)
            add_claims(rules, rule, c->right, text);
    } else if (is_claim(rule, c->fact) &&
               (text->len == 0 || memmem(text->at, text->len, name, strlen(name)) == NULL)) {
        buf_addf(text, "%s%s",
                 text->len > 0                  ? " and "
                 : rule->effect == POLICY_ALLOW ? "it lets in by "
                                                : "it denies by ",
                 name);
    }
}

static enum rc check_claims(struct policy_checker *checker, uint32_t place)
{
    const struct policy_rule *rule = &checker->rules->at[place];
    AUTO_BUF(text, TEXT_MAX);

    if (rule->condition == POLICY_ALWAYS ||
        !checker->rules->conditions[rule->condition].claimed)
        return RC_OK;
    add_claims(checker->rules, rule, rule->condition, &text);
    if (text.len == 0)
        return RC_OK;
    buf_addf(&text, ", which the client says of itself%s",
             rule->effect == POLICY_ALLOW ? "" : ": who says otherwise is not denied");
    return policy_check_add(checker, POLICY_CLAIMED, true, place, (struct bytes){ NULL, 0 },
                            &text);
}

/* ---- Groups ---- */

static int compare_names(const void *left, const void *right)
{
    const struct bytes *a = left, *b = right;

    return bytes_compare(*a, *b);
}

static bool has_name(const struct policy_name_list *list, struct bytes name)
{
    return list->count > 0 &&
           bsearch(&name, list->at, list->count, sizeof name, compare_names) != NULL;
}

static enum rc add_name(struct policy_checker *checker, struct policy_name_list *list,
                        struct bytes name)
{
    TRY(policy_arena_grow(&checker->study.arena, &list->at, sizeof name, list->count));
    list->at[list->count++] = name;
    return RC_OK;
}

struct grouping {
    struct policy_checker *checker;
    const struct policy_groups *groups;
    struct policy_name_list inhabited; /* by the policy's own members */
};

/* They come sorted, each once. */
static void sort_names(struct policy_name_list *list)
{
    if (list->count > 1)
        qsort(list->at, list->count, sizeof *list->at, compare_names);
}

static enum rc ask_size(void *with, struct bytes group)
{
    const struct grouping *grouping = with;
    uint64_t devices = 0;

    if (has_name(&grouping->inhabited, group))
        return RC_OK;
    TRY(grouping->groups->size(grouping->groups->with, group, &devices));
    return devices > 0 ? RC_OK : add_name(grouping->checker, &grouping->checker->empty, group);
}

static enum rc find_empty_groups(struct policy_checker *checker,
                                 const struct policy_groups *groups)
{
    struct grouping g = { .checker = checker, .groups = groups };

    for (size_t i = 0; i < checker->rules->member_count; i++)
        TRY(add_name(checker, &g.inhabited, checker->rules->members[i].group));
    sort_names(&g.inhabited);
    TRY(policy_parts_names(checker->parts, POLICY_GROUP, ask_size, &g));
    for (size_t i = 0; i < checker->rules->count; i++)
        if (checker->rules->at[i].group.len > 0)
            TRY(ask_size(&g, checker->rules->at[i].group));
    sort_names(&checker->empty);
    return RC_OK;
}

static enum rc check_group(struct policy_checker *checker, uint32_t place)
{
    const struct policy_rule *rule = &checker->rules->at[place];
    AUTO_BUF(text, TEXT_MAX);

    struct bytes group = rule->principal == POLICY_GROUP ? rule->name : rule->group;
    if (group.len == 0 || !has_name(&checker->empty, group))
        return RC_OK;
    buf_addf(&text, "no device is in the group \"%.*s\"", BYTES_FMT(group));
    return policy_check_add(checker, POLICY_EMPTY_GROUP, rule->effect == POLICY_DENY, place,
                            (struct bytes){ NULL, 0 }, &text);
}

/* ---- Groups of expectations ---- */

/* Those that rules are for, and the policy's own. */
static enum rc find_named_groups(struct policy_checker *checker, struct policy_name_list *named)
{
    const struct policy_rules *rules = checker->rules;

    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].principal == POLICY_GROUP)
            TRY(add_name(checker, named, rules->at[i].name));
        else if (rules->at[i].group.len > 0)
            TRY(add_name(checker, named, rules->at[i].group));
    for (size_t i = 0; i < rules->member_count; i++)
        TRY(add_name(checker, named, rules->members[i].group));
    sort_names(named);
    return RC_OK;
}

/* Without a registry it may be one of its groups: worth a look. */
static enum rc check_tested_group(struct policy_checker *checker,
                                  const struct policy_groups *groups,
                                  const struct policy_expectation *expectation,
                                  struct bytes group)
{
    const struct policy_rules *rules = checker->rules;
    const struct policy_where where = { UINT32_MAX, expectation->at.line,
                                        expectation->at.column,
                                        rules->files[expectation->at.file] };
    uint64_t devices = 0;
    AUTO_BUF(text, TEXT_MAX);

    if (groups != NULL)
        TRY(groups->size(groups->with, group, &devices));
    if (devices > 0)
        return RC_OK;
    buf_addf(&text, "no rule is for the group \"%.*s\" of this expectation%s", BYTES_FMT(group),
             groups != NULL ? ", and no device is in it" : "");
    return policy_check_add_at(checker, POLICY_EMPTY_GROUP, groups != NULL, &where,
                               (struct bytes){ NULL, 0 }, &text);
}

static enum rc check_expectations(struct policy_checker *checker,
                                  const struct policy_groups *groups)
{
    const struct policy_rules *rules = checker->rules;
    struct policy_name_list named = { 0 };

    if (rules->expectation_count > 0)
        TRY(find_named_groups(checker, &named));
    for (size_t i = 0; i < rules->expectation_count; i++) {
        const struct policy_expectation *expectation = &rules->expectations[i];
        for (size_t k = 0; k < expectation->group_count; k++)
            if (!has_name(&named, expectation->groups[k]))
                TRY(check_tested_group(checker, groups, expectation, expectation->groups[k]));
    }
    return RC_OK;
}

/* ---- All rules ---- */

static enum policy_first first_of(const struct policy_rules *rules, uint32_t place)
{
    const struct policy_rule *rule = &rules->at[place], *before = rule;
    enum policy_first first = POLICY_FIRST_OF_RULE;

    while (before > rules->at && before[-1].number == rule->number) {
        before--;
        if (before->principal != rule->principal && first == POLICY_FIRST_OF_RULE)
            first = POLICY_FIRST_OF_KIND;
        else if (before->principal == rule->principal)
            first = POLICY_FIRST_OF_NAME;
        if (before->principal == rule->principal && bytes_equal(before->name, rule->name))
            return POLICY_NOT_FIRST;
    }
    return first;
}

static enum rc check_rule(struct policy_checker *checker, uint32_t place)
{
    const struct policy_rule *rule = &checker->rules->at[place];
    const enum policy_first first = first_of(checker->rules, place);

    TRY(policy_check_told(checker, place, first));
    if (first >= POLICY_FIRST_OF_NAME || rule->group.len > 0)
        TRY(check_group(checker, place));
    TRY(policy_check_idle(checker, place, first));
    if (first == POLICY_FIRST_OF_RULE)
        TRY(check_claims(checker, place));
    if (rule->effect != POLICY_ALLOW)
        return RC_OK;
    TRY(check_open(checker, place));
    return check_wide(checker, place);
}

static int compare(const void *left, const void *right)
{
    const struct policy_finding *a = left, *b = right;

    if (a->where.rule != b->where.rule)
        return a->where.rule < b->where.rule ? -1 : 1;
    if (a->concern != b->concern)
        return a->concern < b->concern ? -1 : 1;
    if (a->where.line != b->where.line)
        return a->where.line < b->where.line ? -1 : 1;
    return bytes_compare(a->resource, b->resource);
}

static enum rc check(struct policy_checker *checker, const struct policy_groups *groups)
{
    const struct policy_rules *rules = checker->rules;

    TRY(policy_study_open(&checker->study));
    checker->gone = calloc(rules->count + 1, sizeof *checker->gone);
    if (checker->gone == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    TRY(policy_parts_new(rules, NULL,
                         (struct policy_workshop){ checker->study.language,
                                                   checker->study.verdicts, true, NULL },
                         &checker->parts));
    TRY(policy_meters_make(&checker->study, &checker->rules, 1, &checker->meters));
    if (groups != NULL)
        TRY(find_empty_groups(checker, groups));
    for (uint32_t place = 0; place < rules->count; place++)
        TRY(check_rule(checker, place));
    TRY(policy_check_tests(checker));
    TRY(policy_check_shadows(checker));
    TRY(check_expectations(checker, groups));
    if (checker->findings.count > 1)
        qsort(checker->findings.at, checker->findings.count, sizeof *checker->findings.at,
              compare);
    return RC_OK;
}

static enum rc run(struct policy_checker checker, const struct policy_groups *groups,
                   struct policy_findings *findings)
{
    enum rc rc = check(&checker, groups);

    if (rc == RC_OK) {
        *findings = checker.findings;
        findings->arena = TAKE(checker.study.arena);
    }
    policy_parts_free(checker.parts);
    free(checker.gone);
    policy_study_close(&checker.study);
    return rc;
}

enum rc policy_check(const struct policy *policy, const struct policy_groups *groups,
                     struct policy_findings *findings)
{
    return policy_check_within(policy, groups, POLICY_CHECK_STEPS, findings);
}

enum rc policy_check_within(const struct policy *policy, const struct policy_groups *groups,
                            uint64_t steps, struct policy_findings *findings)
{
    return run(
        (struct policy_checker){ .policy = policy, .rules = &policy->rules, .most = steps },
        groups, findings);
}

enum rc policy_check_at(const struct policy *policy, const struct policy_groups *groups,
                        int64_t now_ms, struct policy_findings *findings)
{
    return run((struct policy_checker){ .policy = policy,
                                        .rules = &policy->rules,
                                        .most = POLICY_CHECK_STEPS,
                                        .now_ms = now_ms },
               groups, findings);
}

void policy_findings_clear(struct policy_findings *findings)
{
    policy_arena_free(findings->arena);
    *findings = (struct policy_findings){ 0 };
}

void policy_findings_write(const struct policy_findings *findings, struct buf *out)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct policy_finding *finding = &findings->at[i];
        policy_describe_write_where(&finding->where, out);
        buf_addf(out, ", column %u: %s: ", finding->where.column,
                 finding->grave ? "warning" : "note");
        if (finding->resource.len > 0) {
            buf_addf(out, "\"");
            text_add_shown(out, finding->resource);
            buf_addf(out, "\": ");
        }
        buf_addf(out, "%.*s\n", BYTES_FMT(finding->text));
    }
}
