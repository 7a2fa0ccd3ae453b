#include "keys/line.h"

#include "base/text.h"

#include <string.h>

enum { FOUND_MAX = 40, FAULT_MAX = 256 };

struct keys_line keys_line_open(struct bytes text)
{
    return (struct keys_line){ .below = text };
}

enum rc keys_line_fault(const struct keys_line *line, struct bytes found, const char *expected)
{
    AUTO_BUF(shown, FAULT_MAX);
    const char *text;

    if (line->ended)
        return fault(RC_MALFORMED, "line %u: expected %s, found the end of the text",
                     line->number, expected);
    if (found.len == 0)
        return fault(RC_MALFORMED, "line %u column %u: expected %s, found the end of the line",
                     line->number, line->column, expected);
    found.len = found.len < FOUND_MAX ? found.len : FOUND_MAX;
    text_add_escaped(&shown, found);
    TRY(buf_text(&shown, &text));
    return fault(RC_MALFORMED, "line %u column %u: expected %s, found \"%s\"", line->number,
                 line->column, expected, text);
}

static size_t find(struct bytes in, uint8_t what)
{
    const uint8_t *at = in.len > 0 ? memchr(in.at, what, in.len) : NULL;

    return at != NULL ? (size_t)(at - in.at) : in.len;
}

enum rc keys_line_next(struct keys_line *line)
{
    struct reader all = READER(line->below);
    size_t len = find(line->below, '\n');

    line->number++;
    line->column = line->next = 1;
    line->ended = line->below.len == 0;
    line->rest = reader_take(&all, len);
    if (!line->ended && reader_u8(&all) != '\n')
        return fault(RC_MALFORMED, "line %u: does not end in a newline", line->number);
    line->below = all.left;
    for (size_t i = 0; i < line->rest.len; i++)
        if (line->rest.at[i] < 0x20 || line->rest.at[i] > 0x7e)
            return fault(RC_MALFORMED, "line %u column %zu: byte 0x%02x is not printable ASCII",
                         line->number, i + 1, line->rest.at[i]);
    return RC_OK;
}

struct bytes keys_line_word(struct keys_line *line)
{
    struct reader all = READER(line->rest);
    size_t len = find(line->rest, ' ');
    struct bytes word = reader_take(&all, len);

    line->column = line->next;
    line->next += (unsigned)len;
    /* A space at the end of the line stays: it is a word too few, and keys_line_end() sees it.
     */
    if (all.left.len > 1) {
        reader_u8(&all);
        line->next++;
    }
    line->rest = all.left;
    return word;
}

enum rc keys_line_take_rest(struct keys_line *line, size_t most, char *to)
{
    struct bytes rest = line->rest;

    line->column = line->next;
    if (rest.len == 0)
        return keys_line_fault(line, rest, "a text");
    if (rest.len > most)
        return fault(RC_MALFORMED, "line %u column %u: %zu characters, expected %zu at most",
                     line->number, line->column, rest.len, most);
    memcpy(to, rest.at, rest.len);
    to[rest.len] = '\0';
    line->rest = (struct bytes){ 0 };
    return RC_OK;
}

enum rc keys_line_expect(struct keys_line *line, const char *word)
{
    AUTO_BUF(expected, FAULT_MAX);
    const char *text;
    struct bytes found = keys_line_word(line);

    if (bytes_equal_text(found, word))
        return RC_OK;
    buf_addf(&expected, "`%s`", word);
    TRY(buf_text(&expected, &text));
    return keys_line_fault(line, found, text);
}

enum rc keys_line_end(struct keys_line *line)
{
    line->column = line->next;
    return line->rest.len == 0 ? RC_OK
                               : keys_line_fault(line, line->rest, "the end of the line");
}

enum rc keys_line_take_term(struct keys_line *line, struct keys_terms terms, const char *what,
                            size_t *index)
{
    struct bytes word = keys_line_word(line);
    size_t found = keys_terms_find_word(terms, word);

    if (found == terms.count)
        return keys_line_fault(line, word, what);
    *index = found;
    return RC_OK;
}

enum rc keys_line_take_set(struct keys_line *line, struct keys_terms terms, const char *what,
                           unsigned *set)
{
    unsigned made = 0;

    do {
        size_t bit = 0;
        TRY(keys_line_take_term(line, terms, what, &bit));
        if ((made & 1u << bit) != 0)
            return fault(RC_MALFORMED, "line %u column %u: \"%s\" given twice", line->number,
                         line->column, terms.term[bit].word);
        made |= 1u << bit;
    } while (line->rest.len > 0);
    *set = made;
    return RC_OK;
}

enum rc keys_line_take_number(struct keys_line *line, uint64_t most, uint64_t *value)
{
    struct bytes word = keys_line_word(line);
    enum rc rc = text_read_u64(word, most, value);

    if (rc != RC_OK)
        return fault(RC_MALFORMED, "line %u column %u: expected a number of at most %llu",
                     line->number, line->column, (unsigned long long)most);
    return RC_OK;
}

/* Largest first: a duration is written in the largest unit that divides it. */
static const struct {
    uint8_t letter;
    int64_t seconds;
} UNITS[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
enum { UNIT_COUNT = sizeof UNITS / sizeof *UNITS };

enum rc keys_line_take_duration(struct keys_line *line, int64_t *seconds)
{
    struct bytes word = keys_line_word(line);
    uint64_t amount;

    for (size_t i = 0; i < UNIT_COUNT && word.len > 0; i++) {
        struct bytes digits = { word.at, word.len - 1 };

        if (word.at[word.len - 1] != UNITS[i].letter)
            continue;
        if (text_read_u64(digits, UINT32_MAX, &amount) != RC_OK)
            break;
        *seconds = (int64_t)amount * UNITS[i].seconds;
        return RC_OK;
    }
    return keys_line_fault(line, word, "a duration such as 90s, 5m, 12h or 398d");
}

void keys_line_add_set(struct buf *text, struct keys_terms terms, unsigned set)
{
    for (size_t i = 0; i < terms.count; i++)
        if ((set & 1u << i) != 0)
            buf_addf(text, " %s", terms.term[i].word);
}

void keys_line_add_duration(struct buf *text, int64_t seconds)
{
    size_t unit = 0;

    while (seconds == 0 ? unit < UNIT_COUNT - 1 : seconds % UNITS[unit].seconds != 0)
        unit++;
    buf_addf(text, " %lld%c", (long long)(seconds / UNITS[unit].seconds), UNITS[unit].letter);
}
