#include "policy/parse.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, FIRST_ROOM = 64, READING = 16 /* steps, of any value */ };

/* ---- Conditions that are equal are one ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* The values that a condition compares with have one place for all that are equal
 * (policy_parse_share()): where they are says what they are, however many. */
static size_t hash_condition(const struct policy_condition *c)
{
    uint64_t hash = mix(mix(c->kind, c->left), c->right);

    hash = mix(mix(hash, c->fact), c->operator);
    return mix(mix(hash, c->first_value), c->value_count);
}

static bool is_equal(const struct policy_condition *a, const struct policy_condition *b)
{
    return a->kind == b->kind && a->left == b->left && a->right == b->right &&
           a->fact == b->fact &&
           a->operator== b->operator&& a->first_value == b->first_value &&
           a->value_count == b->value_count;
}

/* Where it is, or would go. */
static bool find(struct policy_parser *parser, const struct policy_condition *c,
                 uint32_t **found)
{
    const struct policy_rules *rules = parser->rules;
    size_t slot = hash_condition(c) & (parser->consed_count - 1), probes = 1;

    while (parser->consed[slot] != POLICY_ALWAYS &&
           !is_equal(&rules->conditions[parser->consed[slot]], c)) {
        slot = (slot + 1) & (parser->consed_count - 1);
        probes++;
    }
    *found = &parser->consed[slot];
    return policy_parse_spend(parser, probes);
}

static bool make_room(struct policy_parser *parser)
{
    const struct policy_rules *rules = parser->rules;

    if (rules->condition_count * 2 < parser->consed_count)
        return true;
    size_t count = parser->consed_count == 0 ? FIRST_ROOM : parser->consed_count * 2;
    uint32_t *slots = malloc(count * sizeof *slots);
    if (slots == NULL) {
        parser->rc = fault(RC_NOMEM, "policy conditions");
        return false;
    }
    memset(slots, 0xff, count * sizeof *slots);
    free(parser->consed);
    parser->consed = slots;
    parser->consed_count = count;
    for (uint32_t i = 0; i < rules->condition_count; i++) {
        uint32_t *slot = NULL;
        if (!find(parser, &rules->conditions[i], &slot))
            return false;
        *slot = i;
    }
    return true;
}

static bool cons(struct policy_parser *parser, const struct policy_condition *c,
                 uint32_t *condition)
{
    struct policy_rules *rules = parser->rules;

    if (!make_room(parser))
        return false;
    if (++parser->nodes > POLICY_NODES_OF_RULE_MAX)
        return policy_token_complain(
            &parser->tokens, &c->at,
            fault(RC_MALFORMED, "a condition of more than %d tests", POLICY_NODES_OF_RULE_MAX));
    uint32_t *slot = NULL;
    if (!find(parser, c, &slot))
        return false;
    if (*slot == POLICY_ALWAYS) {
        struct policy_condition *made =
            POLICY_PARSE_ADD(parser, rules->conditions, rules->condition_count,
                             parser->condition_room, POLICY_VALUES_MAX, "conditions");
        if (made == NULL)
            return false;
        *made = *c;
        *slot = (uint32_t)(rules->condition_count - 1);
    }
    *condition = *slot;
    return true;
}

static bool join(struct policy_parser *parser, enum policy_node_kind kind, uint32_t left,
                 uint32_t right, const struct policy_place *at, uint32_t *condition)
{
    const struct policy_condition *l = &parser->rules->conditions[left];
    const struct policy_condition *r = &parser->rules->conditions[right];
    const struct policy_condition joined = { .kind = kind,
                                             .left = left,
                                             .right = right,
                                             .scopes = l->scopes | r->scopes,
                                             .claimed = l->claimed || r->claimed,
                                             .at = *at };

    return cons(parser, &joined, condition);
}

/* ---- Tests ---- */

static bool add_value(struct policy_parser *parser, struct policy_condition *test,
                      const struct policy_token *token)
{
    struct policy_rules *rules = parser->rules;
    const struct policy_fact_row *fact = policy_fact_get(test->fact);
    struct policy_value value;

    if (token->kind == POLICY_TORN ||
        !policy_parse_spend(parser, READING + policy_effort_of(token->text.len)))
        return false;
    enum rc rc = policy_literal_read(token, fact->type, &value);
    if (rc != RC_OK)
        rc = fault_while(rc, "%s (%s)", fact->name, policy_type_name(fact->type));
    if (rc == RC_OK)
        rc = policy_form_check(test->fact, &value, test->operator!= POLICY_STARTS_WITH);
    if (rc != RC_OK)
        return token == &parser->tokens.next
                   ? policy_parse_complain(parser, &token->at, rc)
                   : policy_parse_complain_member(parser, &token->at, rc);
    struct policy_value *made =
        POLICY_PARSE_ADD(parser, rules->values, rules->value_count, parser->value_room,
                         POLICY_VALUES_MAX, "values");
    if (made == NULL)
        return false;
    *made = value;
    test->value_count++;
    return true;
}

static bool take_value(struct policy_parser *parser, struct policy_condition *test)
{
    if (!add_value(parser, test, &parser->tokens.next))
        return false;
    policy_token_advance(&parser->tokens);
    return true;
}

static bool take_listed(struct policy_parser *parser, struct policy_condition *test)
{
    do {
        if (!take_value(parser, test))
            return false;
    } while (policy_token_take(&parser->tokens, ","));
    return policy_token_take(&parser->tokens, "}") ||
           policy_token_want(&parser->tokens, "a comma or }");
}

/* Equal sets are equal conditions, in whatever order they are written. */
static void sort_members(struct policy_parser *parser, struct policy_condition *test)
{
    struct policy_rules *rules = parser->rules;
    size_t kept = policy_condition_sort(&rules->values[test->first_value], test->value_count);

    rules->value_count -= test->value_count - kept;
    test->value_count = (uint32_t)kept;
}

static bool read_set(struct policy_parser *parser, const struct policy_set *set,
                     struct policy_condition *test)
{
    for (size_t i = 0; i < set->count; i++)
        if (!add_value(parser, test, &parser->members[set->first + i])) {
            parser->rules->value_count = test->first_value;
            return false;
        }
    sort_members(parser, test);
    return policy_parse_share(parser, test);
}

/* A set is read and sorted once for each fact, however often that is compared with it. */
static bool take_set(struct policy_parser *parser, struct policy_set *set,
                     struct policy_condition *test)
{
    struct policy_range *range = &set->of[test->fact];

    if (range->count == 0) {
        if (!read_set(parser, set, test))
            return false;
        *range = (struct policy_range){ test->first_value, test->value_count };
    }
    test->first_value = range->first;
    test->value_count = range->count;
    policy_token_advance(&parser->tokens);
    return true;
}

static bool take_members(struct policy_parser *parser, struct policy_condition *test)
{
    if (policy_token_take(&parser->tokens, "{")) {
        if (!take_listed(parser, test))
            return false;
        sort_members(parser, test);
        return policy_parse_share(parser, test);
    }
    struct policy_set *set = parser->tokens.next.kind == POLICY_WORD
                                 ? policy_parse_find_set(parser, parser->tokens.next.text)
                                 : NULL;
    return set != NULL
               ? take_set(parser, set, test)
               : policy_token_want(&parser->tokens, "{ or the name of a set that stands above");
}

static bool take_between(struct policy_parser *parser, struct policy_condition *test)
{
    struct policy_place at = parser->tokens.next.at;

    if (!take_value(parser, test))
        return false;
    if (!policy_token_take(&parser->tokens, "and"))
        return policy_token_want(&parser->tokens, "and");
    if (!take_value(parser, test))
        return false;
    const struct policy_value *low = &parser->rules->values[test->first_value];
    if (test->fact != POLICY_TIME_OF_DAY && policy_value_compare(low, low + 1) > 0)
        return policy_token_complain(
            &parser->tokens, &at,
            fault(RC_MALFORMED, "nothing is between these two: the greater one stands first"));
    return true;
}

static bool has_order(enum policy_type type)
{
    return type == POLICY_NUMBER || type == POLICY_TIME || type == POLICY_DURATION ||
           type == POLICY_VERSION;
}

static bool wants_order(struct policy_parser *parser, const struct policy_condition *test,
                        const struct policy_place *at)
{
    const struct policy_fact_row *fact = policy_fact_get(test->fact);

    return has_order(fact->type) ||
           policy_token_complain(&parser->tokens, at,
                                 fault(RC_MALFORMED,
                                       "%s (%s): nothing is greater or smaller than it",
                                       fact->name, policy_type_name(fact->type)));
}

static bool take_starts(struct policy_parser *parser, struct policy_condition *test,
                        const struct policy_place *at)
{
    const struct policy_fact_row *fact = policy_fact_get(test->fact);

    test->operator= POLICY_STARTS_WITH;
    if (!policy_token_take(&parser->tokens, "with"))
        return policy_token_want(&parser->tokens, "with");
    if (fact->type != POLICY_STRING)
        return policy_token_complain(&parser->tokens, at,
                                     fault(RC_MALFORMED, "%s (%s): only a text starts with",
                                           fact->name, policy_type_name(fact->type)));
    return take_value(parser, test);
}

static bool take_comparison(struct policy_parser *parser, struct policy_condition *test)
{
    static const struct {
        const char *mark;
        enum policy_operator operator;
    } MARKS[] = { { "=", POLICY_EQUAL }, { "!=", POLICY_NOT_EQUAL },
                  { "<", POLICY_BELOW }, { "<=", POLICY_AT_MOST },
                  { ">", POLICY_ABOVE }, { ">=", POLICY_AT_LEAST } };
    struct policy_place at = parser->tokens.next.at;

    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
        if (!policy_token_take(&parser->tokens, MARKS[i].mark))
            continue;
        test->operator= MARKS[i].operator;
        return (i < 2 || wants_order(parser, test, &at)) && take_value(parser, test);
    }
    if (policy_token_take(&parser->tokens, "between")) {
        test->operator= POLICY_BETWEEN;
        return wants_order(parser, test, &at) && take_between(parser, test);
    }
    if (policy_token_take(&parser->tokens, "starts"))
        return take_starts(parser, test, &at);
    return policy_token_want(&parser->tokens,
                             "= != < <= > >= in, not in, between, starts with, is known");
}

/* `is known`, `in ...`, both also with not; *negated tells of it. */
static bool take_operator(struct policy_parser *parser, struct policy_condition *test,
                          bool *negated)
{
    struct policy_tokens *tokens = &parser->tokens;

    if (policy_token_take(tokens, "is")) {
        test->operator= POLICY_IS_KNOWN;
        test->first_value = 0;
        *negated = policy_token_take(tokens, "not");
        return policy_token_take(tokens, "known") || policy_token_want(tokens, "known");
    }
    *negated = policy_token_take(tokens, "not");
    if (policy_token_take(tokens, "in")) {
        test->operator= POLICY_IN;
        return take_members(parser, test);
    }
    if (*negated)
        return policy_token_want(tokens, "in");
    return take_comparison(parser, test) && policy_parse_share(parser, test);
}

static bool is_comparison(const struct policy_tokens *tokens)
{
    static const char *const WORDS[] = { "=",  "!=", "<",       "<=",     ">",
                                         ">=", "in", "between", "starts", "is" };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (policy_token_is(tokens, WORDS[i]))
            return true;
    return policy_token_is(tokens, "not");
}

static bool take_fact(struct policy_parser *parser, enum policy_fact *fact)
{
    *fact = POLICY_FACTS;
    if (parser->tokens.next.kind == POLICY_WORD)
        *fact = policy_fact_by_name(parser->tokens.next.text);
    if (*fact == POLICY_FACTS)
        return policy_token_want(&parser->tokens, "a fact such as connection.address");
    if (*fact == POLICY_TARGET)
        return policy_token_complain(
            &parser->tokens, &parser->tokens.next.at,
            fault(RC_MALFORMED, "target is asked for as a resource: revoke group \"NAME\""));
    policy_token_advance(&parser->tokens);
    return true;
}

/* A boolean fact may stand by itself. */
static bool add_true(struct policy_parser *parser, struct policy_condition *test)
{
    static const struct policy_value TRUE = { .type = POLICY_BOOLEAN, .number = 1 };
    struct policy_rules *rules = parser->rules;
    struct policy_value *made =
        POLICY_PARSE_ADD(parser, rules->values, rules->value_count, parser->value_room,
                         POLICY_VALUES_MAX, "values");

    if (made == NULL)
        return false;
    *made = TRUE;
    test->operator= POLICY_EQUAL;
    test->value_count = 1;
    return policy_parse_share(parser, test);
}

static bool take_test(struct policy_parser *parser, uint32_t *condition)
{
    struct policy_condition test = { .kind = POLICY_TEST,
                                     .first_value = (uint32_t)parser->rules->value_count,
                                     .at = parser->tokens.next.at };
    bool negated = false;

    if (!take_fact(parser, &test.fact))
        return false;
    const struct policy_fact_row *fact = policy_fact_get(test.fact);
    test.scopes = 1U << fact->scope;
    test.claimed = fact->claimed;
    bool bare = fact->type == POLICY_BOOLEAN && !is_comparison(&parser->tokens);
    if (!(bare ? add_true(parser, &test) : take_operator(parser, &test, &negated)) ||
        !cons(parser, &test, condition))
        return false;
    return !negated || join(parser, POLICY_NOT, *condition, *condition, &test.at, condition);
}

/* ---- or, and, not ---- */

static bool take_any(struct policy_parser *parser, uint32_t *condition);
static bool take_one(struct policy_parser *parser, uint32_t *condition);

static bool take_inner(struct policy_parser *parser, uint32_t *condition)
{
    struct policy_place at = parser->tokens.next.at;

    if (policy_token_take(&parser->tokens, "not"))
        return take_one(parser, condition) &&
               join(parser, POLICY_NOT, *condition, *condition, &at, condition);
    if (!policy_token_take(&parser->tokens, "("))
        return take_test(parser, condition);
    return take_any(parser, condition) &&
           (policy_token_take(&parser->tokens, ")") || policy_token_want(&parser->tokens, ")"));
}

static bool take_one(struct policy_parser *parser, uint32_t *condition)
{
    if (++parser->depth > DEPTH_MAX)
        return policy_token_complain(&parser->tokens, &parser->tokens.next.at,
                                     fault(RC_MALFORMED,
                                           "more than %d parentheses or nots within each other",
                                           DEPTH_MAX));
    bool taken = take_inner(parser, condition);
    parser->depth--;
    return taken;
}

static bool take_all(struct policy_parser *parser, uint32_t *condition)
{
    if (!take_one(parser, condition))
        return false;
    while (policy_token_is(&parser->tokens, "and")) {
        struct policy_place at = parser->tokens.next.at;
        uint32_t right = 0;
        policy_token_advance(&parser->tokens);
        if (!take_one(parser, &right) ||
            !join(parser, POLICY_AND, *condition, right, &at, condition))
            return false;
    }
    return true;
}

static bool take_any(struct policy_parser *parser, uint32_t *condition)
{
    if (!take_all(parser, condition))
        return false;
    while (policy_token_is(&parser->tokens, "or")) {
        struct policy_place at = parser->tokens.next.at;
        uint32_t right = 0;
        policy_token_advance(&parser->tokens);
        if (!take_all(parser, &right) ||
            !join(parser, POLICY_OR, *condition, right, &at, condition))
            return false;
    }
    return true;
}

bool policy_parse_condition(struct policy_parser *parser, uint32_t *condition)
{
    parser->depth = 0;
    return take_any(parser, condition);
}

/* A test with one value. */
static bool add_test(struct policy_parser *parser, struct policy_condition *test,
                     const struct policy_value *value, uint32_t *condition)
{
    struct policy_rules *rules = parser->rules;

    test->kind = POLICY_TEST;
    test->scopes = 1U << policy_fact_get(test->fact)->scope;
    test->first_value = (uint32_t)rules->value_count;
    test->value_count = 1;
    struct policy_value *made =
        POLICY_PARSE_ADD(parser, rules->values, rules->value_count, parser->value_room,
                         POLICY_VALUES_MAX, "values");
    if (made == NULL)
        return false;
    *made = *value;
    return policy_parse_share(parser, test) && cons(parser, test, condition);
}

bool policy_parse_until(struct policy_parser *parser, const struct policy_place *at,
                        int64_t until_ms, uint32_t *condition)
{
    const struct policy_value until = { .type = POLICY_TIME, .number = until_ms };
    struct policy_condition test = { .fact = POLICY_TIME_NOW,
                                     .operator= POLICY_BELOW,
                                     .at = *at };
    uint32_t before = 0;

    if (!add_test(parser, &test, &until, &before))
        return false;
    if (*condition != POLICY_ALWAYS)
        return join(parser, POLICY_AND, *condition, before, &test.at, condition);
    *condition = before;
    return true;
}

bool policy_parse_in_group(struct policy_parser *parser, const struct policy_place *at,
                           struct bytes group, uint32_t *condition)
{
    const struct policy_value name = { .type = POLICY_STRING, .text = group };
    struct policy_condition test = { .fact = POLICY_TARGET,
                                     .operator= POLICY_IN_GROUP,
                                     .at = *at };
    uint32_t in_group = 0;

    if (!add_test(parser, &test, &name, &in_group))
        return false;
    if (*condition != POLICY_ALWAYS)
        return join(parser, POLICY_AND, in_group, *condition, &test.at, condition);
    *condition = in_group;
    return true;
}

/* ---- What an expectation takes as given ---- */

/* What a test gives is one value that the fact can have, and given once. */
static enum rc check_given(const struct policy_rules *rules,
                           const struct policy_expectation *expectation,
                           const struct policy_given *given)
{
    const struct policy_fact_row *fact = policy_fact_get(given->fact);

    TRY(policy_form_check(given->fact, &given->value, true));
    if (given->value.type == POLICY_ADDRESS && given->value.prefix < 128)
        return fault(RC_MALFORMED, "%s is one address, not a network", fact->name);
    if (given->fact == policy_fact_of(expectation->principal) ||
        given->fact == POLICY_CERTIFICATE_SUBJECT)
        return fault(RC_MALFORMED, "%s is named already", fact->name);
    for (uint32_t i = 0; i < expectation->given_count; i++)
        if (rules->given[expectation->first_given + i].fact == given->fact)
            return fault(RC_MALFORMED, "%s is given twice", fact->name);
    return RC_OK;
}

static bool take_given(struct policy_parser *parser, struct policy_expectation *expectation)
{
    struct policy_place at = parser->tokens.next.at;
    struct policy_rules *rules = parser->rules;
    struct policy_given given;

    if (!take_fact(parser, &given.fact))
        return false;
    if (!policy_token_take(&parser->tokens, "="))
        return policy_token_want(&parser->tokens, "=");
    if (!policy_literal_take(&parser->tokens, policy_fact_get(given.fact)->type, &given.value))
        return false;
    enum rc rc = check_given(rules, expectation, &given);
    if (rc != RC_OK)
        return policy_token_complain(&parser->tokens, &at, rc);
    struct policy_given *made =
        POLICY_PARSE_ADD(parser, rules->given, rules->given_count, parser->given_room,
                         POLICY_VALUES_MAX, "given facts");
    if (made == NULL)
        return false;
    *made = given;
    expectation->given_count++;
    return true;
}

bool policy_parse_given(struct policy_parser *parser, struct policy_expectation *expectation)
{
    expectation->first_given = (uint32_t)parser->rules->given_count;
    do {
        if (!take_given(parser, expectation))
            return false;
    } while (policy_token_take(&parser->tokens, ","));
    return true;
}
