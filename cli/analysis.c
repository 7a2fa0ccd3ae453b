#include "cli/analysis.h"

#include "audit/json.h"

static json_t *text_or_null(struct bytes text)
{
    return text.len == 0 ? json_null() : audit_json_text(text);
}

static json_t *number_or_null(uint64_t number)
{
    return number == 0 ? json_null() : audit_json_number(number);
}

/* The object, or NULL if something of it is missing. */
static json_t *with_place(json_t *object, const struct policy_where *where)
{
    if (object == NULL || json_object_set_new(object, "file", text_or_null(where->file)) != 0 ||
        json_object_set_new(object, "line", json_integer(where->line)) != 0 ||
        json_object_set_new(object, "column", json_integer(where->column)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *cli_analysis_findings(const struct policy_findings *findings)
{
    static const char *const CONCERNS[] = {
        [POLICY_SHADOWED] = "shadowed",
        [POLICY_NEVER] = "never",
        [POLICY_EMPTY_GROUP] = "empty-group",
        [POLICY_OPEN] = "open",
        [POLICY_WIDE] = "wide",
        [POLICY_CLAIMED] = "claimed",
        [POLICY_IDLE] = "idle",
        [POLICY_UNTOLD] = "untold",
        [POLICY_UNFINISHED] = "unfinished",
    };
    json_t *list = json_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct policy_finding *one = &findings->at[i];
        json_t *made =
            json_pack("{s:s, s:b, s:o, s:o}", "concern", CONCERNS[one->concern], "warning",
                      (int)one->grave, "resource", text_or_null(one->resource), "text",
                      audit_json_text(one->text));
        (void)json_array_append_new(list, with_place(made, &one->where));
    }
    return list;
}

static json_t *obligations_of(const struct policy_obligations *o)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "rate", number_or_null(o->rate),
                     "rate_ms", number_or_null((uint64_t)o->rate_ms), "burst",
                     number_or_null(o->burst), "payload",
                     o->payload_limited ? audit_json_number(o->payload) : json_null(),
                     "lease_ms", number_or_null((uint64_t)o->lease_ms), "until",
                     o->until_ms == 0 ? json_null() : audit_json_time(o->until_ms), "log_full",
                     (int)o->log_full);
}

json_t *cli_analysis_decision(const struct policy_decision *decision)
{
    bool by_rule = decision->by_rule;

    return json_pack(
        "{s:b, s:b, s:o, s:o, s:o, s:b, s:o}", "allowed", (int)decision->allowed, "by_rule",
        (int)by_rule, "file", by_rule ? text_or_null(decision->file) : json_null(), "line",
        by_rule ? json_integer(decision->line) : json_null(), "version",
        number_or_null(decision->version), "too_large", (int)decision->too_large, "obligations",
        decision->allowed || decision->obligations.log_full
            ? obligations_of(&decision->obligations)
            : json_null());
}

static const char *const ANSWERS[] = {
    [POLICY_IS_NOT] = "no",
    [POLICY_IS_SO] = "yes",
    [POLICY_IS_OPEN] = "not known",
};

static json_t *tests_of(const struct policy_derived_rule *rule)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rule->test_count; i++) {
        const struct policy_derived_test *test = &rule->tests[i];
        (void)json_array_append_new(
            list, json_pack("{s:o, s:s, s:o}", "test", audit_json_text(test->test), "answer",
                            test->untold ? "not told" : ANSWERS[test->answer], "fact",
                            test->answer == POLICY_IS_OPEN ? json_null()
                                                           : audit_json_text(test->fact)));
    }
    return list;
}

json_t *cli_analysis_derivation(const struct policy_derivation *derivation)
{
    json_t *list = json_array();

    for (size_t i = 0; i < derivation->count; i++) {
        const struct policy_derived_rule *rule = &derivation->at[i];
        json_t *applies = rule->applies == POLICY_IS_OPEN
                              ? json_null()
                              : json_boolean(rule->applies == POLICY_IS_SO);
        json_t *made = json_pack("{s:b, s:o, s:b, s:s, s:s, s:o, s:o, s:b}", "allows",
                                 (int)rule->allows, "resource", text_or_null(rule->resource),
                                 "part", (int)rule->in_part, "matches", ANSWERS[rule->matches],
                                 "holds", ANSWERS[rule->condition], "tests", tests_of(rule),
                                 "applies", applies, "decides", (int)rule->decides);
        (void)json_array_append_new(list, with_place(made, &rule->where));
    }
    return list;
}

static json_t *actions_of(unsigned actions)
{
    json_t *list = json_array();

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (actions & 1U << action)
            (void)json_array_append_new(list, json_string(policy_action_name(action)));
    return list;
}

static json_t *texts_of(const struct bytes *texts, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, audit_json_text(texts[i]));
    return list;
}

json_t *cli_analysis_rules(const struct policy_where *rules, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, with_place(json_object(), &rules[i]));
    return list;
}

json_t *cli_analysis_reach(const struct policy_reach *reach)
{
    json_t *list = json_array();

    for (size_t i = 0; i < reach->count; i++) {
        const struct policy_reach_entry *entry = &reach->at[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "actions", actions_of(entry->actions),
                      "filter", text_or_null(entry->area.filter), "except",
                      texts_of(entry->area.except, entry->area.except_count), "sure",
                      (int)entry->sure, "condition",
                      entry->sure ? json_null() : text_or_null(entry->condition), "rules",
                      cli_analysis_rules(entry->rules, entry->rule_count)));
    }
    return list;
}

static json_t *areas_of(const struct policy_diff_entry *entry)
{
    json_t *list = json_array();

    for (size_t i = 0; i < entry->area_count; i++)
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o}", "filter", text_or_null(entry->areas[i].filter), "except",
                      texts_of(entry->areas[i].except, entry->areas[i].except_count)));
    return list;
}

static json_t *change_of(const struct policy_diff_entry *entry, bool counted)
{
    static const char *const CHANGES[] = {
        [POLICY_NEWLY_ALLOWED] = "newly-allowed", [POLICY_NEWLY_DENIED] = "newly-denied",
        [POLICY_MORE_ALLOWED] = "may-be-allowed", [POLICY_MORE_DENIED] = "may-be-denied",
        [POLICY_MAY_DIFFER] = "may-differ",       [POLICY_MAY_OBLIGE] = "may-oblige",
        [POLICY_OTHER_DUTIES] = "obligations",    [POLICY_OTHER_METERS] = "limits",
    };
    static const char *const ASKERS[] = {
        [POLICY_BY_DEVICE] = "device",
        [POLICY_BY_OPERATOR] = "operator",
        [POLICY_BY_LINE] = "line",
        [POLICY_BY_SINK] = "sink",
    };
    bool device = entry->asker == POLICY_BY_DEVICE;

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "change", CHANGES[entry->change],
        "who", ASKERS[entry->asker], "name", text_or_null(entry->name), "groups",
        texts_of(entry->groups, entry->group_count), "actions", actions_of(entry->actions),
        "areas", areas_of(entry), "example", text_or_null(entry->example), "before",
        text_or_null(entry->before), "after", text_or_null(entry->after), "devices",
        counted && device ? audit_json_number(entry->devices) : json_null());
}

json_t *cli_analysis_diff(const struct policy_diff *diff)
{
    json_t *list = json_array();

    for (size_t i = 0; i < diff->count; i++)
        (void)json_array_append_new(list, change_of(&diff->at[i], diff->counted));
    return list;
}
