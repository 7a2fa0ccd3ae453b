#include "policy/parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- Actions ---- */

static const struct {
    const char *name;
    enum policy_resource resource;
} ACTIONS[POLICY_ACTIONS] = {
    [POLICY_CONNECT] = { "connect", POLICY_NOTHING },
    [POLICY_PUBLISH] = { "publish", POLICY_TOPIC },
    [POLICY_SUBSCRIBE] = { "subscribe", POLICY_TOPIC },
    [POLICY_RECEIVE] = { "receive", POLICY_TOPIC },
    [POLICY_RETAIN] = { "retain", POLICY_TOPIC },
    [POLICY_WILL] = { "will", POLICY_TOPIC },
    [POLICY_INGEST] = { "ingest", POLICY_TOPIC },
    [POLICY_READ] = { "read", POLICY_TOPIC },
    [POLICY_DELIVER] = { "deliver", POLICY_TOPIC },
    [POLICY_CALL] = { "call", POLICY_ROUTE },
    [POLICY_ENROLL] = { "enroll", POLICY_PROFILE },
    [POLICY_RENEW] = { "renew", POLICY_PROFILE },
    [POLICY_REVOKE] = { "revoke", POLICY_DEVICE },
};

const char *policy_action_name(enum policy_action action)
{
    return ACTIONS[action].name;
}

enum policy_resource policy_action_resource(enum policy_action action)
{
    return ACTIONS[action].resource;
}

enum policy_action policy_action_by_name(struct bytes name)
{
    unsigned action = 0;

    while (action < POLICY_ACTIONS && !bytes_equal_text(name, ACTIONS[action].name))
        action++;
    return (enum policy_action)action;
}

static bool take_action(struct policy_parser *parser, unsigned *actions,
                        enum policy_resource *resource)
{
    struct policy_tokens *tokens = &parser->tokens;
    enum policy_action action = tokens->next.kind == POLICY_WORD
                                    ? policy_action_by_name(tokens->next.text)
                                    : POLICY_ACTIONS;

    if (action == POLICY_ACTIONS)
        return policy_token_want(tokens, "an action such as connect, publish or subscribe");
    if (*actions & 1U << action)
        return policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED, "%s is named twice", ACTIONS[action].name));
    if (*actions != 0 && ACTIONS[action].resource != *resource)
        return policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED,
                  "%s is about something else than the actions before it: give it a rule of "
                  "its own",
                  ACTIONS[action].name));
    *actions |= 1U << action;
    *resource = ACTIONS[action].resource;
    policy_token_advance(tokens);
    return true;
}

static bool take_actions(struct policy_parser *parser, unsigned *actions,
                         enum policy_resource *resource)
{
    do {
        if (!take_action(parser, actions, resource))
            return false;
    } while (policy_token_take(&parser->tokens, ","));
    return true;
}

/* ---- Principals ---- */

static const struct {
    const char *word;
    enum policy_principal any, one; /* POLICY_PRINCIPALS: there is none */
} KINDS[] = {
    { "device", POLICY_ANY_DEVICE, POLICY_ONE_DEVICE },
    { "group", POLICY_PRINCIPALS, POLICY_GROUP },
    { "operator", POLICY_ANY_OPERATOR, POLICY_ONE_OPERATOR },
    { "role", POLICY_PRINCIPALS, POLICY_ROLE },
    { "line", POLICY_ANY_LINE, POLICY_ONE_LINE },
    { "sink", POLICY_ANY_SINK, POLICY_ONE_SINK },
    { "anyone", POLICY_ANYONE, POLICY_PRINCIPALS },
};

enum policy_fact policy_fact_of(enum policy_principal principal)
{
    switch (principal) {
    case POLICY_ONE_DEVICE:
        return POLICY_DEVICE_ID;
    case POLICY_ONE_OPERATOR:
        return POLICY_OPERATOR_ID;
    case POLICY_ROLE:
        return POLICY_OPERATOR_ROLE;
    case POLICY_ONE_LINE:
        return POLICY_LINE_ID;
    case POLICY_ONE_SINK:
        return POLICY_SINK_NAME;
    case POLICY_ANYONE:
    case POLICY_ANY_DEVICE:
    case POLICY_GROUP:
    case POLICY_ANY_OPERATOR:
    case POLICY_ANY_LINE:
    case POLICY_ANY_SINK:
    case POLICY_PRINCIPALS:
        break;
    }
    return POLICY_FACTS;
}

static bool add_principal(struct policy_parser *parser, enum policy_principal kind,
                          struct bytes name)
{
    struct policy_principals *list = &parser->principals;

    if (list->count == POLICY_LIST_MAX)
        return policy_token_complain(
            &parser->tokens, &parser->tokens.next.at,
            fault(RC_MALFORMED, "a rule for more than %d principals", POLICY_LIST_MAX));
    list->at[list->count++] = (struct policy_who){ kind, name };
    return true;
}

/* A name that nobody can have would be a denial that never denies. */
static enum rc check_name(struct bytes name)
{
    if (!policy_name_is(name))
        return fault(RC_MALFORMED,
                     "a name is 1 to %d letters, digits and . _ : - without wildcards",
                     POLICY_NAME_MAX);
    return RC_OK;
}

bool policy_parse_name(struct policy_parser *parser, struct bytes *name)
{
    enum rc rc = check_name(parser->tokens.next.text);

    if (rc != RC_OK)
        return policy_token_complain(&parser->tokens, &parser->tokens.next.at, rc);
    *name = parser->tokens.next.text;
    policy_token_advance(&parser->tokens);
    return true;
}

static bool add_set(struct policy_parser *parser, enum policy_principal kind)
{
    struct policy_tokens *tokens = &parser->tokens;
    const struct policy_set *set = tokens->next.kind == POLICY_WORD
                                       ? policy_parse_find_set(parser, tokens->next.text)
                                       : NULL;

    if (set == NULL)
        return policy_token_want(tokens, "the name of a set that stands above");
    for (size_t i = 0; i < set->count; i++) {
        const struct policy_token *member = &parser->members[set->first + i];
        enum rc rc = member->kind == POLICY_TEXT
                         ? check_name(member->text)
                         : fault(RC_MALFORMED, "a name stands in quotes");
        if (rc != RC_OK)
            return policy_parse_complain_member(parser, &member->at, rc);
        if (!add_principal(parser, kind, member->text))
            return false;
    }
    policy_token_advance(tokens);
    return true;
}

static bool take_principal(struct policy_parser *parser)
{
    struct policy_tokens *tokens = &parser->tokens;
    size_t i = 0, count = sizeof KINDS / sizeof *KINDS;
    struct bytes name;

    while (i < count && !policy_token_is(tokens, KINDS[i].word))
        i++;
    if (i == count)
        return policy_token_want(tokens, "device, group, operator, role, line, sink or anyone");
    policy_token_advance(tokens);
    if (KINDS[i].one != POLICY_PRINCIPALS && tokens->next.kind == POLICY_TEXT)
        return policy_parse_name(parser, &name) && add_principal(parser, KINDS[i].one, name);
    if (KINDS[i].one != POLICY_PRINCIPALS && policy_token_take(tokens, "in"))
        return add_set(parser, KINDS[i].one);
    if (KINDS[i].any == POLICY_PRINCIPALS)
        return policy_token_want(tokens, KINDS[i].one == POLICY_GROUP
                                             ? "the group's name in quotes"
                                             : "the role's name in quotes");
    return add_principal(parser, KINDS[i].any, (struct bytes){ NULL, 0 });
}

/* ---- Obligations ---- */

static bool take_count(struct policy_parser *parser, struct bytes text, uint32_t *count)
{
    const struct policy_token word = { POLICY_WORD, text, parser->tokens.next.at };
    struct policy_value value;

    if (policy_literal_read(&word, POLICY_NUMBER, &value) != RC_OK || value.number < 1 ||
        value.number > UINT32_MAX)
        return policy_token_want(&parser->tokens, "a number from 1");
    *count = (uint32_t)value.number;
    return true;
}

/* "10/s burst 20"; the burst is the rate if it is not said. */
static bool take_limit(struct policy_parser *parser, struct policy_obligations *o)
{
    struct policy_tokens *tokens = &parser->tokens;
    struct bytes word = tokens->next.text;
    uint8_t unit = word.len > 2 ? word.at[word.len - 1] : 0;

    if (tokens->next.kind != POLICY_WORD || word.len < 3 || word.at[word.len - 2] != '/' ||
        (unit != 's' && unit != 'm' && unit != 'h'))
        return policy_token_want(tokens, "a rate such as 10/s, 5/m or 100/h");
    o->rate_ms = unit == 's' ? 1000 : unit == 'm' ? 60000 : 3600000;
    if (!take_count(parser, (struct bytes){ word.at, word.len - 2 }, &o->rate))
        return false;
    policy_token_advance(tokens);
    o->burst = o->rate;
    if (!policy_token_take(tokens, "burst"))
        return true;
    if (tokens->next.kind != POLICY_WORD || !take_count(parser, tokens->next.text, &o->burst))
        return tokens->next.kind == POLICY_WORD ? false
                                                : policy_token_want(tokens, "a number from 1");
    policy_token_advance(tokens);
    return true;
}

static bool take_payload(struct policy_parser *parser, struct policy_obligations *o)
{
    struct policy_value value;

    if (!policy_literal_take(&parser->tokens, POLICY_NUMBER, &value))
        return false;
    o->payload_limited = true;
    o->payload = (uint64_t)value.number;
    return true;
}

static bool take_lease(struct policy_parser *parser, struct policy_obligations *o)
{
    struct policy_value value;
    struct policy_place at = parser->tokens.next.at;

    if (!policy_literal_take(&parser->tokens, POLICY_DURATION, &value))
        return false;
    o->lease_ms = value.number;
    return value.number > 0 ||
           policy_token_complain(&parser->tokens, &at,
                                 fault(RC_MALFORMED, "a lease is longer than nothing"));
}

static bool take_until(struct policy_parser *parser, struct policy_rule *rule,
                       const struct policy_place *at)
{
    struct policy_value value;

    if (!policy_literal_take(&parser->tokens, POLICY_TIME, &value))
        return false;
    rule->obligations.until_ms = value.number;
    return policy_parse_until(parser, at, value.number, &rule->condition);
}

static bool take_log(struct policy_parser *parser, struct policy_obligations *o)
{
    o->log_full = true;
    return policy_token_take(&parser->tokens, "full") ||
           policy_token_want(&parser->tokens, "full");
}

/* Each at most once; of a denial only the last two. */
enum obligation { LIMIT, PAYLOAD, LEASE, LOG, UNTIL, OBLIGATIONS };
static const char *const OBLIGATION_NAMES[] = { "limit", "payload", "lease", "log", "until" };

static enum obligation next_obligation(const struct policy_tokens *tokens)
{
    unsigned which = 0;

    while (which < OBLIGATIONS && !policy_token_is(tokens, OBLIGATION_NAMES[which]))
        which++;
    return (enum obligation)which;
}

static enum rc check_obligation(const struct policy_rule *rule, enum obligation which,
                                unsigned taken)
{
    if (taken & 1U << which)
        return fault(RC_MALFORMED, "%s is here twice", OBLIGATION_NAMES[which]);
    if (rule->effect == POLICY_DENY && which != LOG && which != UNTIL)
        return fault(RC_MALFORMED, "what is denied has no obligations but log full and until");
    return RC_OK;
}

static bool take_obligation(struct policy_parser *parser, struct policy_rule *rule,
                            enum obligation which, const struct policy_place *at)
{
    switch (which) {
    case LIMIT:
        return take_limit(parser, &rule->obligations);
    case PAYLOAD:
        return take_payload(parser, &rule->obligations);
    case LEASE:
        return take_lease(parser, &rule->obligations);
    case LOG:
        return take_log(parser, &rule->obligations);
    case UNTIL:
        return take_until(parser, rule, at);
    case OBLIGATIONS:
        break;
    }
    return false;
}

bool policy_parse_obligations(struct policy_parser *parser, struct policy_rule *rule)
{
    struct policy_tokens *tokens = &parser->tokens;
    unsigned taken = 0;

    while (tokens->next.kind != POLICY_END) {
        struct policy_place at = tokens->next.at;
        enum obligation which = next_obligation(tokens);
        if (which == OBLIGATIONS)
            return policy_token_want(tokens, "the end of the rule");
        enum rc rc = check_obligation(rule, which, taken);
        if (rc != RC_OK)
            return policy_token_complain(tokens, &at, rc);
        taken |= 1U << which;
        policy_token_advance(tokens);
        if (!take_obligation(parser, rule, which, &at))
            return false;
    }
    return true;
}

/* ---- The rule ---- */

static bool add_rule(struct policy_parser *parser, const struct policy_rule *rule,
                     const struct policy_who *who, size_t resource)
{
    const struct policy_resources *list = &parser->resources;
    struct policy_rules *rules = parser->rules;
    struct policy_rule simple = *rule;
    const unsigned nodes = parser->nodes;

    simple.principal = who->kind;
    simple.name = who->name;
    simple.filter = list->at[resource];
    simple.group = list->groups[resource];
    if (simple.group.len > 0 &&
        !policy_parse_in_group(parser, &rule->at, simple.group, &simple.condition))
        return false;
    parser->nodes = nodes; /* each resource's test is the only one besides */
    struct policy_rule *made = POLICY_PARSE_ADD(parser, rules->at, rules->count,
                                                parser->rule_room, POLICY_RULES_MAX, "rules");
    if (made == NULL)
        return false;
    *made = simple;
    return true;
}

static bool add_rules(struct policy_parser *parser, const struct policy_rule *rule)
{
    for (size_t i = 0; i < parser->principals.count; i++)
        for (size_t j = 0; j < parser->resources.count; j++)
            if (!add_rule(parser, rule, &parser->principals.at[i], j))
                return false;
    return true;
}

static bool take_lists(struct policy_parser *parser, struct policy_rule *rule)
{
    enum policy_resource resource = POLICY_NOTHING;

    parser->principals.count = parser->resources.count = 0;
    do {
        if (!take_principal(parser))
            return false;
    } while (policy_token_take(&parser->tokens, ","));
    return take_actions(parser, &rule->actions, &resource) &&
           policy_parse_resources(parser, resource);
}

static bool take_rule(struct policy_parser *parser, struct policy_rule *rule)
{
    struct policy_tokens *tokens = &parser->tokens;

    rule->effect = policy_token_is(tokens, "deny") ? POLICY_DENY : POLICY_ALLOW;
    policy_token_advance(tokens); /* allow, deny */
    return take_lists(parser, rule) &&
           (!policy_token_take(tokens, "when") ||
            policy_parse_condition(parser, &rule->condition)) &&
           policy_parse_obligations(parser, rule) && add_rules(parser, rule);
}

bool policy_parse_rule(struct policy_parser *parser)
{
    struct policy_rule rule = { .at = parser->tokens.next.at,
                                .condition = POLICY_ALWAYS,
                                .number = (uint32_t)parser->rules->written };

    parser->nodes = 0;
    bool taken = take_rule(parser, &rule);
    if (taken)
        parser->rules->written++;
    return taken;
}

/* ---- expect ---- */

static bool take_group_names(struct policy_parser *parser,
                             struct policy_expectation *expectation)
{
    policy_token_advance(&parser->tokens); /* in */
    do {
        if (expectation->group_count == POLICY_GROUPS_MAX)
            return policy_token_want(&parser->tokens, "fewer groups");
        if (parser->tokens.next.kind != POLICY_TEXT)
            return policy_token_want(&parser->tokens, "a group's name in quotes");
        if (!policy_parse_name(parser, &expectation->groups[expectation->group_count++]))
            return false;
    } while (policy_token_take(&parser->tokens, ","));
    return true;
}

static bool take_groups(struct policy_parser *parser, struct policy_expectation *expectation)
{
    if (!policy_token_is(&parser->tokens, "in"))
        return true;
    if (expectation->principal != POLICY_ONE_DEVICE)
        return policy_token_want(&parser->tokens, "an action: only devices are in groups");
    return take_group_names(parser, expectation);
}

/* Who asks is one: not a group, role or set. */
static bool take_asker(struct policy_parser *parser, struct policy_expectation *expectation)
{
    static const enum policy_principal ONES[] = { POLICY_ONE_DEVICE, POLICY_ONE_OPERATOR,
                                                  POLICY_ONE_LINE, POLICY_ONE_SINK };
    struct policy_place at = parser->tokens.next.at;
    const struct policy_principals *list = &parser->principals;
    bool one = false;

    parser->principals.count = 0;
    bool taken = take_principal(parser);
    if (taken) {
        expectation->principal = list->at[0].kind;
        expectation->name = list->at[0].name;
    }
    for (size_t i = 0; i < sizeof ONES / sizeof *ONES; i++)
        one = one || (taken && list->count == 1 && list->at[0].kind == ONES[i]);
    if (taken && !one)
        return policy_token_complain(
            &parser->tokens, &at,
            fault(RC_MALFORMED, "an expectation is about one device, operator, line or sink"));
    return taken && take_groups(parser, expectation);
}

/* A name for one act; a filter for a subscription. */
static bool take_asked(struct policy_parser *parser, struct policy_expectation *expectation)
{
    struct policy_tokens *tokens = &parser->tokens;
    enum policy_resource kind = policy_action_resource(expectation->action);

    if (kind == POLICY_NOTHING)
        return true;
    if (tokens->next.kind != POLICY_TEXT)
        return policy_token_want(tokens, "in quotes what it is done to");
    enum rc rc = expectation->action == POLICY_SUBSCRIBE
                     ? policy_topic_check_filter(tokens->next.text)
                     : policy_topic_check_name(tokens->next.text);
    if (rc != RC_OK)
        return policy_token_complain(tokens, &tokens->next.at, rc);
    expectation->resource = tokens->next.text;
    policy_token_advance(tokens);
    bool grouped = kind == POLICY_DEVICE && expectation->principal != POLICY_ONE_DEVICE &&
                   policy_token_is(tokens, "in");
    return !grouped || take_group_names(parser, expectation);
}

static bool take_expectation(struct policy_parser *parser,
                             struct policy_expectation *expectation)
{
    struct policy_tokens *tokens = &parser->tokens;
    enum policy_resource resource = POLICY_NOTHING;
    unsigned actions = 0;

    policy_token_advance(tokens); /* expect */
    if (!policy_token_take(tokens, "allow")) {
        if (!policy_token_take(tokens, "deny"))
            return policy_token_want(tokens, "allow or deny");
        expectation->effect = POLICY_DENY;
    }
    if (!take_asker(parser, expectation) || !take_action(parser, &actions, &resource))
        return false;
    while (!(actions & 1U << expectation->action))
        expectation->action++;
    if (!take_asked(parser, expectation))
        return false;
    if (policy_token_take(tokens, "with") && !policy_parse_given(parser, expectation))
        return false;
    return tokens->next.kind == POLICY_END || policy_token_want(tokens, "the end of the rule");
}

bool policy_parse_expectation(struct policy_parser *parser)
{
    struct policy_rules *rules = parser->rules;
    struct policy_expectation expectation = { .at = parser->tokens.next.at };

    if (!take_expectation(parser, &expectation))
        return false;
    struct policy_expectation *made =
        POLICY_PARSE_ADD(parser, rules->expectations, rules->expectation_count,
                         parser->expectation_room, POLICY_EXPECTATIONS_MAX, "expectations");
    if (made == NULL)
        return false;
    *made = expectation;
    return true;
}
