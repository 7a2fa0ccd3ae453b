/* A policy's text as words, texts and marks; inside policy/ only. */
#pragma once

#include "policy/policy.h"

enum policy_token_kind {
    POLICY_WORD, /* letters, digits and - _ . : / */
    POLICY_TEXT, /* between quotes, on one line */
    POLICY_MARK, /* one of , ( ) { } = != < <= > >= */
    POLICY_END,  /* of the statement: the next one starts in column 1 */
    POLICY_BAD,  /* any other character */
    POLICY_TORN, /* a quote without another one; told already */
};

struct policy_token {
    enum policy_token_kind kind;
    struct bytes text; /* of a POLICY_TEXT: between the quotes */
    struct policy_place at;
};

/* One file's tokens. What is wrong goes into errors, with the file's name. */
struct policy_tokens {
    struct reader r;
    struct policy_place here, behind; /* behind: the end of the last token */
    struct policy_token next;
    struct bytes file; /* its name; empty: the policy itself */
    struct policy_errors *errors;
};

/* The text of one file; the first token is taken by policy_token_begin(). */
void policy_token_open(struct policy_tokens *tokens, struct bytes text, struct bytes file,
                       unsigned number, struct policy_errors *errors);
/* At column 1, or the end: the first token of the next statement. False: there is none. */
bool policy_token_begin(struct policy_tokens *tokens);
void policy_token_advance(struct policy_tokens *tokens);
/* After an error: on to the end of the statement, so that all faults of a text are told. */
void policy_token_recover(struct policy_tokens *tokens);

/* Is the next token this word, or this mark? */
bool policy_token_is(const struct policy_tokens *tokens, const char *text);
/* If it is, take it. */
bool policy_token_take(struct policy_tokens *tokens, const char *text);

/* return policy_token_complain(tokens, &place, fault(...)): false */
bool policy_token_complain(struct policy_tokens *tokens, const struct policy_place *at,
                           enum rc rc);
/* "found X, expected Y" at the next token: false */
bool policy_token_want(struct policy_tokens *tokens, const char *expected);
