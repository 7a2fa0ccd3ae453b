#include "policy/parse.h"

#include <string.h>

/* What a rule's actions are done to. */

/* Every ${ must open a fact that may stand there: a misspelt one must not become a literal. */
static bool check_facts(struct policy_parser *parser, struct bytes filter)
{
    for (size_t i = 0; i + 1 < filter.len; i++) {
        if (filter.at[i] != '$' || filter.at[i + 1] != '{')
            continue;
        struct bytes rest = { filter.at + i + 2, filter.len - i - 2 };
        const uint8_t *end = rest.len > 0 ? memchr(rest.at, '}', rest.len) : NULL;
        struct bytes name = { rest.at, end == NULL ? 0 : (size_t)(end - rest.at) };
        enum policy_fact fact = policy_fact_by_name(name);
        if (fact != POLICY_FACTS && !policy_fact_get(fact)->in_topic)
            return policy_token_complain(
                &parser->tokens, &parser->tokens.next.at,
                fault(RC_MALFORMED, "%s cannot stand in a text: what it holds is no name",
                      policy_fact_get(fact)->name));
        if (fact == POLICY_FACTS)
            return policy_token_complain(
                &parser->tokens, &parser->tokens.next.at,
                fault(RC_MALFORMED,
                      "unknown fact at byte %zu of the text, expected one such as ${device.id}",
                      i + 1));
    }
    return true;
}

/* Where facts are not known, a topic is searched for what stands between them. */
static enum rc check_lengths(struct bytes filter)
{
    for (struct policy_levels levels = policy_topic_levels(filter); levels.more;) {
        struct bytes level = policy_topic_next(&levels);
        if (level.len > POLICY_FACT_LEVEL_MAX && memmem(level.at, level.len, "${", 2) != NULL)
            return fault(RC_MALFORMED, "a level with ${...} has at most %d bytes",
                         POLICY_FACT_LEVEL_MAX);
    }
    return RC_OK;
}

static enum rc check_resource(enum policy_resource kind, struct bytes text)
{
    TRY(policy_topic_check_filter(text));
    TRY(check_lengths(text));
    if ((kind == POLICY_PROFILE || kind == POLICY_DEVICE) && memchr(text.at, '/', text.len))
        return fault(RC_MALFORMED, "one name, or + for any: it has no levels");
    return RC_OK;
}

bool policy_parse_resource(struct policy_parser *parser, enum policy_resource kind,
                           struct bytes *filter)
{
    static const char *const WANTED[] = {
        [POLICY_TOPIC] = "a topic filter in quotes",
        [POLICY_ROUTE] = "a route in quotes, such as \"GET /v1/devices/#\"",
        [POLICY_PROFILE] = "a profile's name in quotes",
        [POLICY_DEVICE] = "a device's id in quotes",
    };
    struct policy_tokens *tokens = &parser->tokens;

    if (tokens->next.kind != POLICY_TEXT)
        return policy_token_want(tokens, WANTED[kind]);
    enum rc rc = check_resource(kind, tokens->next.text);
    if (rc != RC_OK)
        return policy_token_complain(tokens, &tokens->next.at, rc);
    if (!check_facts(parser, tokens->next.text))
        return false;
    *filter = tokens->next.text;
    policy_token_advance(tokens);
    return true;
}

/* Any device, in that group. */
static bool take_group(struct policy_parser *parser, struct bytes *filter, struct bytes *group)
{
    *filter = BYTES("+");
    if (parser->tokens.next.kind != POLICY_TEXT)
        return policy_token_want(&parser->tokens, "the group's name in quotes");
    return policy_parse_name(parser, group);
}

static bool take_resource(struct policy_parser *parser, enum policy_resource kind)
{
    struct policy_resources *list = &parser->resources;
    struct policy_tokens *tokens = &parser->tokens;

    if (list->count == POLICY_LIST_MAX)
        return policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED, "a rule for more than %d resources", POLICY_LIST_MAX));
    struct bytes *filter = &list->at[list->count], *group = &list->groups[list->count];
    list->count++;
    *group = (struct bytes){ NULL, 0 };
    return kind == POLICY_DEVICE && policy_token_take(tokens, "group")
               ? take_group(parser, filter, group)
               : policy_parse_resource(parser, kind, filter);
}

/* Certificates and devices may be left out: all of them. */
bool policy_parse_resources(struct policy_parser *parser, enum policy_resource kind)
{
    struct policy_resources *list = &parser->resources;
    struct policy_tokens *tokens = &parser->tokens;
    bool named = tokens->next.kind == POLICY_TEXT ||
                 (kind == POLICY_DEVICE && policy_token_is(tokens, "group"));
    bool may_lack = kind == POLICY_PROFILE || kind == POLICY_DEVICE;

    if (kind == POLICY_NOTHING || (may_lack && !named)) {
        list->groups[list->count] = (struct bytes){ NULL, 0 };
        list->at[list->count++] =
            kind == POLICY_NOTHING ? (struct bytes){ NULL, 0 } : BYTES("+");
        return true;
    }
    do {
        if (!take_resource(parser, kind))
            return false;
    } while (policy_token_take(tokens, ","));
    return true;
}
