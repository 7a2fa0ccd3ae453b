#include "policy/bound.h"
#include "policy/describe.h"

#include <stdlib.h>
#include <string.h>

struct asking {
    const struct policy_rules *rules;
    struct policy_study study;
    struct policy_parts *parts;
    struct policy_subject subject;
    struct policy_topics asked;
    enum rc (*each)(void *with, const struct policy_who_entry *entry);
    void *with;
};

/* ---- Rules that could matter ---- */

/* Of one with a fact in it, what is left is seen for each device. */
static enum rc may_match(struct asking *asking, const struct policy_rule *rule, bool *may)
{
    struct policy_language *language = asking->study.language;
    struct policy_mark mark = policy_language_mark(language);
    bool nothing = rule->filter.len == 0;
    struct policy_topics topics, shared;

    *may = (rule->actions & asking->subject.actions) != 0;
    if (!*may || nothing || memmem(rule->filter.at, rule->filter.len, "${", 2) != NULL)
        return RC_OK;
    TRY(policy_language_filter(language, rule->filter, true, 1, &topics));
    TRY(policy_language_intersect(language, asking->asked, topics, &shared));
    *may = !policy_language_is_empty(shared);
    policy_language_return(language, mark);
    return RC_OK;
}

static enum rc find_rules(struct asking *asking, bool *only)
{
    for (size_t i = 0; i < asking->rules->count; i++)
        TRY(may_match(asking, &asking->rules->at[i], &only[i]));
    return policy_parts_new(
        asking->rules, only,
        (struct policy_workshop){ asking->study.language, asking->study.verdicts, true, NULL },
        &asking->parts);
}

/* ---- Devices ---- */

static enum rc tell_device(struct asking *asking, const struct policy_class *class)
{
    struct policy_study *study = &asking->study;
    struct policy_who_entry entry = { .device = class->name };
    struct policy_topics map, part;
    struct policy_where *rules = NULL;
    enum policy_may may = POLICY_MAY_NOT;

    TRY(policy_parts_map(asking->parts, class, asking->subject, &map));
    TRY(policy_language_restrict(study->language, asking->asked, map, &part));
    TRY(policy_verdicts_may(study->verdicts, study->language, asking->asked, part, &may));
    if (may == POLICY_MAY_NOT)
        return RC_OK;
    TRY(policy_describe_rules(study, asking->rules, part, &rules, &entry.rule_count));
    entry.rules = rules;
    entry.sure = may == POLICY_MAY;
    return asking->each(asking->with, &entry);
}

static enum rc visit(void *with, const struct policy_facts *device)
{
    struct asking *asking = with;
    struct policy_mark mark = policy_language_mark(asking->study.language);
    struct policy_view view;
    const struct policy_class class = policy_class_of(device, &view);

    TRY(policy_view_check(device));
    TRY(tell_device(asking, &class));
    policy_language_return(asking->study.language, mark);
    policy_language_rest(asking->study.language);
    policy_arena_free(TAKE(asking->study.arena));
    return RC_OK;
}

static enum rc ask(struct asking *asking, enum policy_action action, struct bytes resource,
                   const struct policy_fleet *fleet)
{
    bool nothing = policy_action_resource(action) == POLICY_NOTHING;
    bool *only = calloc(asking->rules->count + 1, sizeof *only);
    enum rc rc = only == NULL ? fault(RC_NOMEM, "rules of a policy") : RC_OK;

    asking->subject = policy_subject_of(action);
    if (rc == RC_OK)
        rc = policy_language_filter(asking->study.language, nothing ? BYTES("#") : resource,
                                    false, 1, &asking->asked);
    if (rc == RC_OK)
        rc = find_rules(asking, only);
    free(only);
    return rc == RC_OK ? fleet->each(fleet->with, visit, asking) : rc;
}

static enum rc check(enum policy_action action, struct bytes resource)
{
    if (policy_action_resource(action) == POLICY_NOTHING)
        return RC_OK;
    return action == POLICY_SUBSCRIBE ? policy_topic_check_filter(resource)
                                      : policy_topic_check_name(resource);
}

enum rc policy_who(const struct policy *policy, enum policy_action action,
                   struct bytes resource, const struct policy_fleet *fleet,
                   enum rc (*each)(void *with, const struct policy_who_entry *entry),
                   void *with)
{
    struct asking asking = { .rules = &policy->rules, .each = each, .with = with };

    TRY(check(action, resource));
    enum rc rc = policy_study_open(&asking.study);
    if (rc == RC_OK)
        rc = ask(&asking, action, resource, fleet);
    policy_parts_free(asking.parts);
    policy_study_close(&asking.study);
    return rc;
}

void policy_who_write(const struct policy_who_entry *entry, struct buf *out)
{
    buf_addf(out, "%.*s%s (", BYTES_FMT(entry->device), entry->sure ? "" : " under conditions");
    policy_describe_write_rules(entry->rules, entry->rule_count, out);
    buf_addf(out, ")\n");
}
