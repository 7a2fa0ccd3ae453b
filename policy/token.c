#include "policy/token.h"

#include "base/text.h"
#include "policy/source.h"

void policy_token_open(struct policy_tokens *tokens, struct bytes text, struct bytes file,
                       unsigned number, struct policy_errors *errors)
{
    *tokens = (struct policy_tokens){
        .r = READER(text),
        .here = { number, 1, 1 },
        .behind = { number, 1, 1 },
        .file = file,
        .errors = errors,
    };
}

bool policy_token_complain(struct policy_tokens *tokens, const struct policy_place *at,
                           enum rc rc)
{
    policy_source_add(tokens->errors, tokens->file, at->line, at->column, rc);
    return false;
}

/* ---- Characters ---- */

static int peek(const struct policy_tokens *tokens)
{
    return tokens->r.left.len > 0 ? tokens->r.left.at[0] : -1;
}

static void step(struct policy_tokens *tokens)
{
    if (reader_u8(&tokens->r) == '\n') {
        tokens->here.line++;
        tokens->here.column = 1;
    } else {
        tokens->here.column++;
    }
}

static bool is_word(int letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
           letter == '.' || letter == ':' || letter == '/';
}

static bool is_blank(int letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

/* A statement goes on as long as its next line is indented; false says that this one is not. */
static bool skip_blank(struct policy_tokens *tokens)
{
    for (; is_blank(peek(tokens)) || peek(tokens) == '#'; step(tokens))
        if (peek(tokens) == '#')
            while (peek(tokens) != '\n' && peek(tokens) != -1)
                step(tokens);
    return tokens->here.column > 1 && peek(tokens) != -1;
}

/* ---- Tokens ---- */

static void take_text(struct policy_tokens *tokens)
{
    const uint8_t *start = tokens->r.left.at + 1;

    step(tokens);
    while (peek(tokens) != '"' && peek(tokens) != '\n' && peek(tokens) != -1)
        step(tokens);
    tokens->next.text = (struct bytes){ start, (size_t)(tokens->r.left.at - start) };
    tokens->next.kind = peek(tokens) == '"' ? POLICY_TEXT : POLICY_TORN;
    if (peek(tokens) == '"')
        step(tokens);
    else
        policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED, "this text has no closing quote on its line"));
}

static enum policy_token_kind kind_of(int letter)
{
    if (is_word(letter))
        return POLICY_WORD;
    return letter == ',' || letter == '(' || letter == ')' || letter == '{' || letter == '}' ||
                   letter == '=' || letter == '!' || letter == '<' || letter == '>'
               ? POLICY_MARK
               : POLICY_BAD;
}

static bool goes_on(const struct policy_tokens *tokens, int first)
{
    int letter = peek(tokens);

    if (tokens->next.kind == POLICY_WORD)
        return is_word(letter);
    if (tokens->next.kind == POLICY_MARK)
        return (first == '!' || first == '<' || first == '>') && letter == '=' &&
               tokens->r.left.at == tokens->next.text.at + 1;
    return (letter & ~0x3f) == 0x80; /* the rest of a character */
}

/* The token that starts here. */
static void take_token(struct policy_tokens *tokens)
{
    const uint8_t *start = tokens->r.left.at;
    int letter = peek(tokens);

    tokens->next = (struct policy_token){ POLICY_END, { start, 0 }, tokens->here };
    if (letter == '"') {
        take_text(tokens);
        return;
    }
    tokens->next.kind = kind_of(letter);
    step(tokens);
    while (goes_on(tokens, letter))
        step(tokens);
    tokens->next.text = (struct bytes){ start, (size_t)(tokens->r.left.at - start) };
    if (policy_token_is(tokens, "!"))
        tokens->next.kind = POLICY_BAD;
}

void policy_token_advance(struct policy_tokens *tokens)
{
    tokens->behind = tokens->here;
    if (skip_blank(tokens))
        take_token(tokens);
    else
        tokens->next =
            (struct policy_token){ POLICY_END, { tokens->r.left.at, 0 }, tokens->behind };
}

bool policy_token_begin(struct policy_tokens *tokens)
{
    if (skip_blank(tokens)) { /* only before the first statement */
        take_token(tokens);
        policy_token_complain(
            tokens, &tokens->next.at,
            fault(RC_MALFORMED, "a rule starts at the beginning of its line"));
        policy_token_recover(tokens);
    }
    if (peek(tokens) == -1)
        return false;
    take_token(tokens);
    return true;
}

void policy_token_recover(struct policy_tokens *tokens)
{
    while (tokens->next.kind != POLICY_END)
        policy_token_advance(tokens);
}

bool policy_token_is(const struct policy_tokens *tokens, const char *text)
{
    return (tokens->next.kind == POLICY_WORD || tokens->next.kind == POLICY_MARK) &&
           bytes_equal_text(tokens->next.text, text);
}

bool policy_token_take(struct policy_tokens *tokens, const char *text)
{
    bool is = policy_token_is(tokens, text);

    if (is)
        policy_token_advance(tokens);
    return is;
}

/* ---- Messages ---- */

/* What was found, safe to print. */
static const char *found(const struct policy_tokens *tokens, struct buf *room)
{
    static const size_t SHOWN = 40;
    const char *text = "?";
    struct bytes shown = text_cut(tokens->next.text, SHOWN);

    if (tokens->next.kind == POLICY_END)
        return "the end of the rule";
    buf_addf(room, "\"");
    text_add_shown(room, shown);
    buf_addf(room, "\"");
    return buf_text(room, &text) == RC_OK ? text : "?";
}

bool policy_token_want(struct policy_tokens *tokens, const char *expected)
{
    AUTO_BUF(room, 512);

    if (tokens->next.kind == POLICY_TORN) /* told already */
        return false;
    const char *was = found(tokens, &room);
    return policy_token_complain(tokens, &tokens->next.at,
                                 fault(RC_MALFORMED, "found %s, expected %s", was, expected));
}
