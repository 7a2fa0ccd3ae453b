#include "policy/bound.h"
#include "policy/describe.h"

/* ---- One action ---- */

struct reaching {
    const struct policy_rules *rules;
    struct policy_study *study;
    struct policy_class class;
    enum policy_action action;
    struct policy_topics map, senses; /* of this action */
    struct policy_reach *reach;
};

static enum rc sense_of(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)right;
    return policy_verdicts_sense(with, left, made);
}

static bool is_same_rules(const struct policy_reach_entry *a,
                          const struct policy_reach_entry *b)
{
    if (a->rule_count != b->rule_count)
        return false;
    for (size_t i = 0; i < a->rule_count; i++)
        if (a->rules[i].rule != b->rules[i].rule)
            return false;
    return true;
}

/* One entry for several actions, if all else is the same. */
static enum rc add_entry(struct reaching *r, const struct policy_reach_entry *entry)
{
    struct policy_reach *reach = r->reach;

    for (size_t i = 0; i < reach->count; i++) {
        struct policy_reach_entry *there = &reach->at[i];
        if (bytes_equal(there->condition, entry->condition) &&
            policy_describe_is_same_area(&there->area, &entry->area) &&
            is_same_rules(there, entry)) {
            there->actions |= entry->actions;
            return RC_OK;
        }
    }
    TRY(policy_arena_grow(&r->study->arena, &reach->at, sizeof *reach->at, reach->count));
    reach->at[reach->count++] = *entry;
    return RC_OK;
}

static enum rc add_area(struct reaching *r, const struct policy_area *area, uint32_t sense,
                        struct bytes condition)
{
    struct policy_reach_entry entry = {
        .actions = 1U << r->action,
        .area = *area,
        .sure = policy_verdicts_is_sure(r->study->verdicts, sense),
        .condition = condition,
    };
    struct policy_topics set, part;

    TRY(policy_describe_set(r->study, area, r->class.asker, r->class.name, &set));
    TRY(policy_language_restrict(r->study->language, set, r->map, &part));
    TRY(policy_describe_rules(r->study, r->rules, part, &entry.rules, &entry.rule_count));
    return add_entry(r, &entry);
}

static enum rc is_this(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)right;
    *made = left == *(const uint32_t *)with;
    return RC_OK;
}

/* All topics that are allowed in the same sense. */
static enum rc add_sense(void *with, uint32_t sense)
{
    struct reaching *r = with;
    const struct policy_language_op op = { is_this, &sense, POLICY_ZERO_STAYS,
                                           POLICY_ZERO_ASKED, POLICY_SAME_ASKED };
    struct policy_topics set;
    struct policy_area *areas = NULL;
    struct bytes condition;
    size_t count = 0;

    TRY(policy_language_apply(r->study->language, &op, r->senses, policy_language_none(),
                              &set));
    TRY(policy_describe_sense(r->study, sense, &condition));
    TRY(policy_describe_areas(r->study, set, r->action, &areas, &count));
    for (size_t i = 0; i < count; i++)
        TRY(add_area(r, &areas[i], sense, condition));
    return RC_OK;
}

static enum rc add_action(struct reaching *r, struct policy_parts *parts)
{
    const struct policy_language_op op = { sense_of, r->study->verdicts, POLICY_ZERO_STAYS,
                                           POLICY_ZERO_ASKED, POLICY_SAME_ASKED };

    TRY(policy_parts_map(parts, &r->class, policy_subject_of(r->action), &r->map));
    TRY(policy_language_apply(r->study->language, &op, r->map, policy_language_none(),
                              &r->senses));
    return policy_language_colours(r->study->language, r->senses, add_sense, r);
}

/* ---- All of them ---- */

static enum rc reach(const struct policy *policy, const struct policy_facts *facts,
                     struct policy_study *study, struct policy_reach *reach)
{
    AUTO_OF(policy_parts) *parts = NULL;
    struct policy_view view;
    struct reaching r = { .rules = &policy->rules, .study = study, .reach = reach };

    TRY(policy_view_check(facts));
    r.class = policy_class_of(facts, &view);
    TRY(policy_parts_new(
        &policy->rules, NULL,
        (struct policy_workshop){ study->language, study->verdicts, true, NULL }, &parts));
    for (r.action = 0; r.action < POLICY_ACTIONS; r.action++)
        TRY(add_action(&r, parts));
    return RC_OK;
}

enum rc policy_reach(const struct policy *policy, const struct policy_facts *facts,
                     struct policy_reach *made)
{
    struct policy_study study;
    struct policy_reach result = { 0 };
    enum rc rc = policy_study_open(&study);

    if (rc == RC_OK)
        rc = reach(policy, facts, &study, &result);
    if (rc == RC_OK) {
        result.arena = TAKE(study.arena);
        *made = result;
    }
    policy_study_close(&study);
    return rc;
}

void policy_reach_clear(struct policy_reach *reach)
{
    policy_arena_free(reach->arena);
    *reach = (struct policy_reach){ 0 };
}

void policy_reach_write(const struct policy_reach *reach, struct buf *out)
{
    for (size_t i = 0; i < reach->count; i++) {
        const struct policy_reach_entry *entry = &reach->at[i];
        policy_describe_write_actions(entry->actions, out);
        policy_describe_write_area(&entry->area, out);
        if (!entry->sure)
            buf_addf(out, " %.*s", BYTES_FMT(entry->condition));
        buf_addf(out, " (");
        policy_describe_write_rules(entry->rules, entry->rule_count, out);
        buf_addf(out, ")\n");
    }
}
