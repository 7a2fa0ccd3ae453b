#include "policy/parse.h"
#include "policy/source.h"

#include "base/text.h"

#include <stdlib.h>

const char POLICY_DEVICE_ID[] = "${device.id}";

enum token_kind { TOKEN_WORD, TOKEN_TEXT, TOKEN_COMMA, TOKEN_END, TOKEN_BAD, TOKEN_TORN };

struct token {
    enum token_kind kind;
    struct bytes text; /* of a TOKEN_TEXT: between the quotes */
    unsigned line, column;
};

struct parser {
    struct reader r;
    unsigned line, column;
    unsigned end_line, end_column; /* behind the last token */
    struct token next;
    struct policy_errors *errors;
    struct policy_rules rules;
    size_t room;
};

static const char *const ACTIONS[POLICY_ACTIONS] = {
    [POLICY_CONNECT] = "connect",     [POLICY_PUBLISH] = "publish",
    [POLICY_SUBSCRIBE] = "subscribe", [POLICY_RECEIVE] = "receive",
    [POLICY_RETAIN] = "retain",       [POLICY_WILL] = "will",
};

const char *policy_action_name(enum policy_action action)
{
    return ACTIONS[action];
}

/* return complain(p, &token, fault(...)) */
static bool complain(struct parser *p, const struct token *at, enum rc rc)
{
    policy_source_add(p->errors, at->line, at->column, rc);
    return false;
}

static int peek(const struct parser *p)
{
    return p->r.left.len > 0 ? p->r.left.at[0] : -1;
}

static void step(struct parser *p)
{
    if (reader_u8(&p->r) == '\n') {
        p->line++;
        p->column = 1;
    } else {
        p->column++;
    }
}

static bool is_word(int letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' || letter == '.';
}

size_t policy_parse_id_len(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && (is_word(text.at[len]) || text.at[len] == ':'))
        len++;
    return len;
}

static bool is_blank(int letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

/* A rule goes on as long as its next line is indented; false says that this one is not. */
static bool skip_blank(struct parser *p)
{
    for (; is_blank(peek(p)) || peek(p) == '#'; step(p))
        if (peek(p) == '#')
            while (peek(p) != '\n' && peek(p) != -1)
                step(p);
    return p->column > 1 && peek(p) != -1;
}

static void take_text(struct parser *p)
{
    const uint8_t *start = p->r.left.at + 1;

    step(p);
    while (peek(p) != '"' && peek(p) != '\n' && peek(p) != -1)
        step(p);
    p->next.text = (struct bytes){ start, (size_t)(p->r.left.at - start) };
    p->next.kind = peek(p) == '"' ? TOKEN_TEXT : TOKEN_TORN;
    if (peek(p) == '"')
        step(p);
    else
        complain(p, &p->next,
                 fault(RC_MALFORMED, "this text has no closing quote on its line"));
}

/* The token that starts here. */
static void take_token(struct parser *p)
{
    const uint8_t *start = p->r.left.at;
    int letter = peek(p);

    p->next = (struct token){ TOKEN_END, { start, 0 }, p->line, p->column };
    if (letter == '"') {
        take_text(p);
        return;
    }
    p->next.kind = letter == ',' ? TOKEN_COMMA : is_word(letter) ? TOKEN_WORD : TOKEN_BAD;
    step(p);
    while (p->next.kind == TOKEN_WORD ? is_word(peek(p)) : (peek(p) & ~0x3f) == 0x80)
        step(p);
    p->next.text = (struct bytes){ start, (size_t)(p->r.left.at - start) };
}

static void advance(struct parser *p)
{
    p->end_line = p->line;
    p->end_column = p->column;
    if (skip_blank(p))
        take_token(p);
    else
        p->next = (struct token){ TOKEN_END, { p->r.left.at, 0 }, p->end_line, p->end_column };
}

/* For a message: what was found, safe to print. */
static const char *found(const struct parser *p, struct buf *room)
{
    static const size_t SHOWN = 40;
    const char *text = "?";
    struct bytes shown = p->next.text;

    if (p->next.kind == TOKEN_END)
        return "the end of the rule";
    shown.len = shown.len > SHOWN ? SHOWN : shown.len;
    buf_addf(room, "\"");
    text_add_escaped(room, shown);
    buf_addf(room, "\"");
    return buf_text(room, &text) == RC_OK ? text : "?";
}

static bool want(struct parser *p, const char *expected)
{
    AUTO_BUF(room, 512);

    if (p->next.kind == TOKEN_TORN) /* told already */
        return false;
    const char *was = found(p, &room);
    return complain(p, &p->next, fault(RC_MALFORMED, "found %s, expected %s", was, expected));
}

static bool is_next(const struct parser *p, const char *word)
{
    return p->next.kind == TOKEN_WORD && bytes_equal_text(p->next.text, word);
}

/* A name that no device can have would be a denial that never denies. */
static bool take_name(struct parser *p, struct policy_rule *rule)
{
    struct bytes name = p->next.text;

    if (name.len == 0 || name.len > POLICY_NAME_MAX || policy_parse_id_len(name) < name.len)
        return complain(p, &p->next,
                        fault(RC_MALFORMED,
                              "a name is 1 to %d letters, digits and . _ : - without wildcards",
                              POLICY_NAME_MAX));
    rule->name = name;
    advance(p);
    return true;
}

static bool take_principal(struct parser *p, struct policy_rule *rule)
{
    bool group = is_next(p, "group");

    if (!group && !is_next(p, "device"))
        return want(p, "device or group");
    advance(p);
    rule->principal = POLICY_ANY_DEVICE;
    if (p->next.kind == TOKEN_TEXT) {
        rule->principal = group ? POLICY_GROUP : POLICY_ONE_DEVICE;
        return take_name(p, rule);
    }
    return group ? want(p, "the group's name in quotes") : true;
}

static bool take_action(struct parser *p, struct policy_rule *rule)
{
    for (unsigned i = 0; i < POLICY_ACTIONS; i++) {
        if (!is_next(p, ACTIONS[i]))
            continue;
        if (rule->actions & 1U << i)
            return complain(p, &p->next, fault(RC_MALFORMED, "%s is named twice", ACTIONS[i]));
        rule->actions |= 1U << i;
        advance(p);
        return true;
    }
    return want(p, "connect, publish, subscribe, receive, retain or will");
}

static bool take_actions(struct parser *p, struct policy_rule *rule)
{
    if (!take_action(p, rule))
        return false;
    while (p->next.kind == TOKEN_COMMA) {
        advance(p);
        if (!take_action(p, rule))
            return false;
    }
    return true;
}

/* Every ${ must open the one fact there is: a misspelt fact must not become a literal. */
static bool check_facts(struct parser *p, struct bytes filter)
{
    struct bytes fact = bytes_of_text(POLICY_DEVICE_ID);

    for (size_t i = 0; i < filter.len; i++) {
        struct bytes rest = { filter.at + i, filter.len - i };
        if (filter.at[i] == '$' && rest.len > 1 && rest.at[1] == '{' &&
            !bytes_start_with(rest, fact))
            return complain(p, &p->next,
                            fault(RC_MALFORMED,
                                  "unknown fact at byte %zu of the topic, expected %s", i + 1,
                                  POLICY_DEVICE_ID));
    }
    return true;
}

static bool take_filter(struct parser *p, struct policy_rule *rule)
{
    bool wanted = (rule->actions & ~(1U << POLICY_CONNECT)) != 0;

    if (wanted && (rule->actions & 1U << POLICY_CONNECT))
        return complain(p, &p->next,
                        fault(RC_MALFORMED, "connect has no topic: give it a rule of its own"));
    if (!wanted)
        return true;
    if (p->next.kind != TOKEN_TEXT)
        return want(p, "a topic filter in quotes");
    enum rc rc = policy_topic_check_filter(p->next.text);
    if (rc != RC_OK)
        return complain(p, &p->next, rc);
    if (!check_facts(p, p->next.text))
        return false;
    rule->filter = p->next.text;
    advance(p);
    return true;
}

static bool take_rule(struct parser *p, struct policy_rule *rule)
{
    bool deny = is_next(p, "deny");

    *rule = (struct policy_rule){ .line = p->next.line,
                                  .effect = deny ? POLICY_DENY : POLICY_ALLOW };
    if (!deny && !is_next(p, "allow"))
        return want(p, "allow or deny");
    advance(p);
    if (!take_principal(p, rule) || !take_actions(p, rule) || !take_filter(p, rule))
        return false;
    return p->next.kind == TOKEN_END ? true : want(p, "the end of the rule");
}

static enum rc add_rule(struct parser *p, const struct policy_rule *rule)
{
    if (p->rules.count == POLICY_RULES_MAX)
        return fault(RC_LIMIT, "line %u: more than %d rules", rule->line, POLICY_RULES_MAX);
    if (p->rules.count == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        struct policy_rule *at = reallocarray(p->rules.at, room, sizeof *at);
        if (at == NULL)
            return fault(RC_NOMEM, "policy rules");
        p->rules.at = at;
        p->room = room;
    }
    p->rules.at[p->rules.count++] = *rule;
    return RC_OK;
}

/* After an error: go on at the next line that is not indented, so that all faults of a text are
 * told. */
static void recover(struct parser *p)
{
    while (p->next.kind != TOKEN_END)
        advance(p);
}

static enum rc parse_rules(struct parser *p)
{
    advance(p);
    if (p->next.kind != TOKEN_END)
        complain(p, &p->next,
                 fault(RC_MALFORMED, "a rule starts at the beginning of its line"));
    recover(p);
    while (peek(p) != -1) {
        struct policy_rule rule;
        take_token(p);
        if (take_rule(p, &rule))
            TRY(add_rule(p, &rule));
        else
            recover(p);
    }
    return RC_OK;
}

enum rc policy_parse(struct bytes text, struct policy_errors *errors,
                     struct policy_rules *rules)
{
    struct parser p = { .r = READER(text), .line = 1, .column = 1, .errors = errors };
    enum rc rc = RC_OK;

    policy_source_check(text, errors);
    if (errors->count == 0)
        rc = parse_rules(&p);
    if (rc == RC_OK && errors->count > 0)
        rc = fault(RC_MALFORMED, "line %u column %u: %s", errors->at[0].line,
                   errors->at[0].column, errors->at[0].text);
    if (rc != RC_OK) {
        free(p.rules.at);
        return rc;
    }
    *rules = p.rules;
    return RC_OK;
}
