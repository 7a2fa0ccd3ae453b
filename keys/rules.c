#include "keys/rules.h"

#include <stdlib.h>

#include "keys/rules_field.h"

static const char FIRST_LINE[] = "touchmark key rules 1";

static enum rc take_revision(struct keys_line *line, uint64_t *revision)
{
    TRY(keys_line_next(line));
    if (!bytes_equal_text(line->rest, FIRST_LINE))
        return keys_line_fault(line, line->rest, "`touchmark key rules 1`");
    TRY(keys_line_next(line));
    TRY(keys_line_expect(line, "revision"));
    TRY(keys_line_take_number(line, INT64_MAX, revision));
    TRY(keys_line_end(line));
    return keys_line_next(line);
}

/* Why does another word stand where this field should? */
static enum rc field_fault(const struct keys_line *line, struct bytes word,
                           const struct keys_rules_field *wanted)
{
    size_t count;
    const struct keys_rules_field *field = keys_rules_fields(&count);

    for (size_t i = 0; i < count; i++)
        if (bytes_equal_text(word, field[i].word))
            return fault(RC_MALFORMED,
                         "line %u column 1: `%s` stands twice, out of order or in a key that "
                         "does not have it",
                         line->number, field[i].word);
    return wanted != NULL ? keys_line_fault(line, word, wanted->word)
                          : keys_line_fault(line, word, "an empty line before the next key");
}

/* Read the lines of one field, from the current line on, to the line after them. */
static enum rc take_field(struct keys_line *line, const struct keys_rules_field *field,
                          struct keys_rule *rule)
{
    unsigned times = 0;

    while (times == 0 || field->repeats) {
        struct keys_line ahead = *line;
        struct bytes word = keys_line_word(&ahead);

        if (!bytes_equal_text(word, field->word))
            return times > 0 || field->repeats ? RC_OK : field_fault(&ahead, word, field);
        TRY(field->read(&ahead, rule));
        *line = ahead;
        TRY(keys_line_next(line));
        times++;
    }
    return RC_OK;
}

static enum rc take_key(struct keys_line *line, struct keys_rule *rule)
{
    size_t count;
    const struct keys_rules_field *field = keys_rules_fields(&count);

    TRY(keys_line_expect(line, "key"));
    TRY(keys_line_take_rest(line, KEYS_NAME_MAX, rule->name));
    TRY(keys_line_next(line));
    /* Purpose and kinds come first and stand in every block. */
    for (size_t i = 0; i < count; i++)
        if (i < 2 || (field[i].kinds & rule->kinds) != 0)
            TRY(take_field(line, &field[i], rule));
    if (line->rest.len > 0)
        return field_fault(line, keys_line_word(line), NULL);
    return RC_OK;
}

static enum rc take_rules(struct bytes text, struct keys_rules *rules)
{
    struct keys_line line = keys_line_open(text);

    TRY(take_revision(&line, &rules->revision));
    do {
        if (rules->count == KEYS_PER_RULES_MAX)
            return fault(RC_MALFORMED, "line %u: more than %d keys", line.number,
                         KEYS_PER_RULES_MAX);
        if (line.ended || line.rest.len > 0)
            return keys_line_fault(&line, line.rest, "an empty line and a key");
        TRY(keys_line_next(&line));
        TRY(take_key(&line, &rules->rule[rules->count++]));
    } while (!line.ended);
    return RC_OK;
}

/* The first place where two texts differ, as a fault. */
static enum rc differ(struct bytes text, struct bytes canonical)
{
    unsigned line = 1, column = 1;

    for (size_t i = 0; i < text.len && i < canonical.len && text.at[i] == canonical.at[i];
         i++) {
        column = text.at[i] == '\n' ? 1 : column + 1;
        line += text.at[i] == '\n';
    }
    return fault(RC_MALFORMED,
                 "line %u column %u: not as these rules are written "
                 "(docs/protocol/key-rules.md: there is one way)",
                 line, column);
}

static enum rc read_canonical(struct bytes text, struct keys_rules *rules)
{
    AUTO_BUF(canonical, KEYS_RULES_TEXT_MAX);
    struct bytes written;

    TRY(take_rules(text, rules));
    TRY(keys_rules_write(rules, &canonical));
    TRY(buf_done(&canonical, &written));
    return bytes_equal(text, written) ? RC_OK : differ(text, written);
}

enum rc keys_rules_read(struct bytes text, struct keys_rules **rules)
{
    struct keys_rules *made;
    enum rc rc;

    if (text.len > KEYS_RULES_TEXT_MAX)
        return fault(RC_MALFORMED, "key rules of %zu bytes, expected %d at most", text.len,
                     KEYS_RULES_TEXT_MAX);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "key rules");
    rc = read_canonical(text, made);
    if (rc != RC_OK) {
        free(made);
        return rc;
    }
    *rules = made;
    return RC_OK;
}

static void write_key(const struct keys_rule *rule, struct buf *text)
{
    size_t count;
    const struct keys_rules_field *field = keys_rules_fields(&count);

    buf_addf(text, "\nkey %s\n", rule->name);
    for (size_t i = 0; i < count; i++)
        if ((field[i].kinds & rule->kinds) != 0)
            field[i].write(rule, field[i].word, text);
}

enum rc keys_rules_write(const struct keys_rules *rules, struct buf *text)
{
    struct bytes whole;

    TRY(keys_rules_check(rules));
    buf_addf(text, "%s\nrevision %llu\n", FIRST_LINE, (unsigned long long)rules->revision);
    for (size_t i = 0; i < rules->count; i++)
        write_key(&rules->rule[i], text);
    return buf_done(text, &whole);
}

const struct keys_rule *keys_rules_find(const struct keys_rules *rules, struct bytes name)
{
    for (size_t i = 0; i < rules->count; i++)
        if (bytes_equal_text(name, rules->rule[i].name))
            return &rules->rule[i];
    return NULL;
}
