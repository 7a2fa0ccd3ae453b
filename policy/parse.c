#include "policy/parse.h"
#include "policy/source.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

size_t policy_name_len(struct bytes text)
{
    size_t len = 0;

    for (; len < text.len; len++) {
        uint8_t c = text.at[len];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != ':' && c != '-')
            break;
    }
    return len;
}

bool policy_name_is(struct bytes text)
{
    return text.len > 0 && text.len <= POLICY_NAME_MAX && policy_name_len(text) == text.len;
}

bool policy_parse_complain(struct policy_parser *parser, const struct policy_place *at,
                           enum rc rc)
{
    policy_source_add(parser->tokens.errors, parser->bundle->at[at->file].name, at->line,
                      at->column, rc);
    return false;
}

bool policy_parse_complain_member(struct policy_parser *parser, const struct policy_place *at,
                                  enum rc rc)
{
    const struct policy_token *use = &parser->tokens.next;
    const struct bytes file = parser->bundle->at[use->at.file].name;

    rc = fault(rc, "%s; %.*s is used at %.*s%sline %u column %u", fault_text(),
               BYTES_FMT(use->text), BYTES_FMT(file), file.len > 0 ? " " : "", use->at.line,
               use->at.column);
    return policy_parse_complain(parser, at, rc);
}

bool policy_parse_spend(struct policy_parser *parser, uint64_t steps)
{
    parser->rc = policy_effort_spend(parser->effort, steps);
    if (parser->rc != RC_OK)
        parser->rc = fault_while(parser->rc, "line %u", parser->tokens.next.at.line);
    return parser->rc == RC_OK;
}

void *policy_parse_grow(struct policy_parser *parser, void *array, size_t size, size_t *count,
                        size_t *room, size_t most, const char *what)
{
    void *start = NULL;

    memcpy(&start, array, sizeof start);
    if (*count == most) {
        parser->rc = fault(RC_LIMIT, "line %u: more than %zu %s", parser->tokens.next.at.line,
                           most, what);
        return NULL;
    }
    if (*count == *room) {
        size_t wanted = *room == 0 ? FIRST_ROOM : *room * 2;
        void *grown = reallocarray(start, wanted, size);
        if (grown == NULL) {
            parser->rc = fault(RC_NOMEM, "policy: %s", what);
            return NULL;
        }
        *room = wanted;
        start = grown;
        memcpy(array, &start, sizeof start);
    }
    return (uint8_t *)start + size * (*count)++;
}

/* ---- Sets and groups ---- */

struct policy_set *policy_parse_find_set(struct policy_parser *parser, struct bytes name)
{
    for (size_t i = 0; i < parser->set_count; i++)
        if (bytes_equal(parser->sets[i].name, name))
            return &parser->sets[i];
    return NULL;
}

static bool take_member(struct policy_parser *parser)
{
    struct policy_tokens *tokens = &parser->tokens;

    if (tokens->next.kind != POLICY_TEXT && tokens->next.kind != POLICY_WORD)
        return policy_token_want(tokens, "a value");
    struct policy_token *made =
        POLICY_PARSE_ADD(parser, parser->members, parser->members_count, parser->members_room,
                         POLICY_MEMBERS_MAX, "members of sets");
    if (made == NULL)
        return false;
    *made = tokens->next;
    policy_token_advance(tokens);
    return true;
}

/* "= { a, b }" */
static bool take_members(struct policy_parser *parser)
{
    struct policy_tokens *tokens = &parser->tokens;

    if (!policy_token_take(tokens, "="))
        return policy_token_want(tokens, "=");
    if (!policy_token_take(tokens, "{"))
        return policy_token_want(tokens, "{");
    do {
        if (!take_member(parser))
            return false;
    } while (policy_token_take(tokens, ","));
    if (!policy_token_take(tokens, "}"))
        return policy_token_want(tokens, "a comma or }");
    return tokens->next.kind == POLICY_END || policy_token_want(tokens, "the end of the set");
}

static bool take_set(struct policy_parser *parser)
{
    struct policy_tokens *tokens = &parser->tokens;
    struct policy_set set = { .first = parser->members_count };

    policy_token_advance(tokens); /* set */
    if (tokens->next.kind != POLICY_WORD || !policy_name_is(tokens->next.text))
        return policy_token_want(tokens, "the set's name");
    set.name = tokens->next.text;
    if (policy_parse_find_set(parser, set.name) != NULL)
        return policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED, "there is a set of this name already"));
    if (parser->set_count == POLICY_SETS_MAX)
        return policy_token_complain(tokens, &tokens->next.at,
                                     fault(RC_MALFORMED, "more than %d sets", POLICY_SETS_MAX));
    policy_token_advance(tokens);
    if (!take_members(parser))
        return false;
    set.count = parser->members_count - set.first;
    parser->sets[parser->set_count++] = set;
    return true;
}

static bool add_member(struct policy_parser *parser, const struct policy_token *token,
                       struct bytes group)
{
    struct policy_rules *rules = parser->rules;

    if (token->kind != POLICY_TEXT || !policy_name_is(token->text))
        return policy_token_complain(
            &parser->tokens, &token->at,
            fault(RC_MALFORMED, "a group holds devices' names in quotes"));
    struct policy_member *made =
        POLICY_PARSE_ADD(parser, rules->members, rules->member_count, parser->member_room,
                         POLICY_MEMBERS_MAX, "members of groups");
    if (made == NULL)
        return false;
    *made = (struct policy_member){ token->text, group, token->at };
    return true;
}

static bool take_group(struct policy_parser *parser)
{
    size_t first = parser->members_count;
    struct bytes group;

    policy_token_advance(&parser->tokens); /* group */
    if (parser->tokens.next.kind != POLICY_TEXT)
        return policy_token_want(&parser->tokens, "the group's name in quotes");
    if (!policy_parse_name(parser, &group) || !take_members(parser))
        return false;
    for (size_t i = first; i < parser->members_count; i++)
        if (!add_member(parser, &parser->members[i], group))
            return false;
    parser->members_count = first;
    return true;
}

/* ---- Statements ---- */

static void parse_file(struct policy_parser *parser, size_t number);

/* What an import says is as if it stood here, once. */
static bool take_import(struct policy_parser *parser)
{
    struct policy_tokens *tokens = &parser->tokens;

    policy_token_advance(tokens); /* import */
    if (tokens->next.kind != POLICY_TEXT)
        return policy_token_want(tokens, "a file's name in quotes");
    struct bytes name = tokens->next.text;
    struct policy_place at = tokens->next.at;
    policy_token_advance(tokens);
    if (tokens->next.kind != POLICY_END)
        return policy_token_want(tokens, "the end of the import");
    enum rc rc = policy_bundle_check_name(name);
    size_t number = policy_bundle_find(parser->bundle, name);
    if (rc == RC_OK && number == parser->bundle->count)
        rc = fault(RC_MALFORMED, "there is no file \"%.*s\"", BYTES_FMT(name));
    if (rc == RC_OK && parser->bundle->at[number].open)
        rc = fault(RC_MALFORMED, "\"%.*s\" imports itself", BYTES_FMT(name));
    if (rc != RC_OK)
        return policy_token_complain(tokens, &at, rc);
    if (!parser->bundle->at[number].read)
        parse_file(parser, number);
    return parser->rc == RC_OK;
}

static bool take_statement(struct policy_parser *parser)
{
    const struct policy_tokens *tokens = &parser->tokens;

    if (!policy_parse_spend(parser, 1))
        return false;
    if (policy_token_is(tokens, "expect"))
        return policy_parse_expectation(parser);
    if (policy_token_is(tokens, "set"))
        return take_set(parser);
    if (policy_token_is(tokens, "group"))
        return take_group(parser);
    if (policy_token_is(tokens, "import"))
        return take_import(parser);
    if (!policy_token_is(tokens, "allow") && !policy_token_is(tokens, "deny"))
        return policy_token_want(&parser->tokens, "allow, deny, expect, set, group or import");
    return policy_parse_rule(parser);
}

static void parse_file(struct policy_parser *parser, size_t number)
{
    struct policy_file *file = &parser->bundle->at[number];
    struct policy_tokens outer = parser->tokens;

    if (++parser->imports > POLICY_IMPORTS_MAX) {
        policy_token_complain(
            &outer, &outer.next.at,
            fault(RC_MALFORMED, "more than %d imports within each other", POLICY_IMPORTS_MAX));
        parser->imports--;
        return;
    }
    file->open = true;
    policy_token_open(&parser->tokens, file->text, file->name, (unsigned)number, outer.errors);
    while (parser->rc == RC_OK && parser->tokens.errors->count < POLICY_ERRORS_MAX &&
           policy_token_begin(&parser->tokens))
        if (!take_statement(parser))
            policy_token_recover(&parser->tokens);
    file->open = false;
    file->read = true;
    parser->tokens = outer;
    parser->imports--;
}

/* A file that nothing imports would look as if it counted. */
static void check_all_read(struct policy_parser *parser)
{
    for (size_t i = 1; i < parser->bundle->count; i++)
        if (!parser->bundle->at[i].read)
            policy_source_add(parser->tokens.errors, parser->bundle->at[i].name, 1, 1,
                              fault(RC_MALFORMED, "nothing imports this file"));
}

static void parse_all(struct policy_parser *parser, struct bytes text,
                      struct policy_errors *errors)
{
    parser->tokens.errors = errors;
    policy_source_check(text, errors);
    if (errors->count == 0)
        policy_bundle_split(text, errors, parser->bundle);
    if (errors->count > 0)
        return;
    parse_file(parser, 0);
    if (errors->count == 0 && parser->rc == RC_OK)
        check_all_read(parser);
    parser->rules->file_count = parser->bundle->count;
    for (size_t i = 0; i < parser->bundle->count; i++) {
        parser->rules->files[i] = parser->bundle->at[i].name;
        parser->rules->before[i] = parser->bundle->at[i].before;
    }
}

void policy_rules_clear(struct policy_rules *rules)
{
    free(rules->at);
    free(rules->conditions);
    free(rules->values);
    free(rules->expectations);
    free(rules->given);
    free(rules->members);
    *rules = (struct policy_rules){ 0 };
}

static enum rc parse(struct policy_parser *parser, struct bytes text,
                     struct policy_errors *errors)
{
    parse_all(parser, text, errors);
    if (parser->rc != RC_OK)
        return parser->rc;
    return errors->count == 0 ? RC_OK : policy_source_fault(errors);
}

enum rc policy_parse(struct bytes text, struct policy_effort *effort,
                     struct policy_errors *errors, struct policy_rules *rules)
{
    struct policy_parser *parser = calloc(1, sizeof *parser);
    struct policy_bundle *bundle = calloc(1, sizeof *bundle);
    struct policy_rules made = { 0 };
    enum rc rc = fault(RC_NOMEM, "policy parser");

    if (parser != NULL && bundle != NULL) {
        parser->rules = &made;
        parser->effort = effort;
        parser->bundle = bundle;
        rc = parse(parser, text, errors);
        free(parser->members);
        free(parser->shared.at);
        free(parser->shared.slots);
        free(parser->consed);
    }
    free(parser);
    free(bundle);
    if (rc == RC_OK)
        *rules = made;
    else
        policy_rules_clear(&made);
    return rc;
}
