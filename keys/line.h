/* A cursor over the lines and words of a rules file, which knows where it is. */
#pragma once

#include "base/buf.h"
#include "keys/terms.h"

/*
 * Words stand one space apart. A read that finds something else returns RC_MALFORMED "line N
 * column M: expected ..., found ..."; what is found is escaped and cut short.
 */
struct keys_line {
    struct bytes below; /* the lines after this one */
    struct bytes rest;  /* what is not yet read of this line, its newline left out */
    unsigned number;    /* of this line, from 1; 0 before the first */
    unsigned column;    /* of the last word read, from 1 */
    unsigned next;      /* column at which rest begins */
    bool ended;         /* there is no line any more: rest is empty */
};

struct keys_line keys_line_open(struct bytes text);
/* Go to the next line; RC_MALFORMED for one without its newline or with an unprintable byte. */
enum rc keys_line_next(struct keys_line *line);

/* The next word, empty at the end of the line. */
struct bytes keys_line_word(struct keys_line *line);
/* All that is left of the line, at least one character and at most `most`, into to
 * (zero-ended). */
enum rc keys_line_take_rest(struct keys_line *line, size_t most, char *to);
/* Go past this very word. */
enum rc keys_line_expect(struct keys_line *line, const char *word);
enum rc keys_line_end(struct keys_line *line);
enum rc keys_line_take_term(struct keys_line *line, struct keys_terms terms, const char *what,
                            size_t *index);
/* One or more of the terms to the end of the line, each once, as a set of bits. */
enum rc keys_line_take_set(struct keys_line *line, struct keys_terms terms, const char *what,
                           unsigned *set);
enum rc keys_line_take_number(struct keys_line *line, uint64_t most, uint64_t *value);
/* "90s", "5m", "12h", "398d" in seconds. */
enum rc keys_line_take_duration(struct keys_line *line, int64_t *seconds);

/* RC_MALFORMED at the last word read. found may be empty: "the end of the line". */
enum rc keys_line_fault(const struct keys_line *line, struct bytes found, const char *expected);

/* What keys_line_take_set() and keys_line_take_duration() read; each with a space before it. */
void keys_line_add_set(struct buf *text, struct keys_terms terms, unsigned set);
void keys_line_add_duration(struct buf *text, int64_t seconds);
