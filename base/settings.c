#include "base/settings_value.h"

#include <assert.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

/*
 * inih splits the lines; it does not tell its handler which line, joins indented lines, cuts
 * off what looks like a comment and passes over what follows a section's bracket. So each line
 * is looked at before inih gets it, and counted there.
 */
struct intake {
    const struct settings_table *table;
    struct settings_value *values; /* one a row */
    unsigned *lines;               /* where a row's value stood; 0: not given */
    struct bytes left;
    unsigned line;
    enum rc rc;
};

/* ---- Names, and the nearest one to a misspelt ---- */

static bool is_section(const struct settings_table *table, struct bytes name)
{
    for (size_t i = 0; i < table->count; i++)
        if (bytes_equal_text(name, table->rows[i].section))
            return true;
    return false;
}

/* Edits (insert, delete, replace one byte) from one word to the other (Levenshtein); names
 * longer than any of ours are far from all. */
static size_t distance(struct bytes from, struct bytes to)
{
    enum { NAME_MAX_BYTES = 48 };
    size_t row[NAME_MAX_BYTES + 1];

    if (from.len > NAME_MAX_BYTES || to.len > NAME_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= to.len; j++)
        row[j] = j;
    for (size_t i = 0; i < from.len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < to.len; j++) {
            size_t best = diagonal + (from.at[i] != to.at[j]);
            diagonal = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
        }
    }
    return row[to.len];
}

static const char *nearer(struct bytes name, const char *one, const char *other)
{
    size_t other_edits = distance(name, bytes_of_text(other));
    size_t edits = one == NULL ? SIZE_MAX : distance(name, bytes_of_text(one));

    if (other_edits > 1 + name.len / 4 || other_edits >= edits)
        return one;
    return other;
}

static enum rc fault_section(const struct settings_table *table, struct bytes name)
{
    const char *near = NULL;

    for (size_t i = 0; i < table->count; i++)
        near = nearer(name, near, table->rows[i].section);
    return fault(RC_MALFORMED, "there is no section [%.*s]%s%s%s", BYTES_FMT(name),
                 near != NULL ? "; is [" : "", near != NULL ? near : "",
                 near != NULL ? "] meant?" : "");
}

static enum rc fault_key(const struct settings_table *table, const char *section,
                         const char *key)
{
    const char *near = NULL;

    if (*section == '\0')
        return fault(RC_MALFORMED, "%s stands before any [section]", key);
    for (size_t i = 0; i < table->count; i++) {
        const struct settings_row *row = &table->rows[i];
        if (strcmp(row->section, section) == 0)
            near = nearer(bytes_of_text(key), near, row->key);
        else if (strcmp(row->key, key) == 0)
            return fault(RC_MALFORMED, "[%s] has no %s; it belongs to [%s]", section, key,
                         row->section);
    }
    return fault(RC_MALFORMED, "[%s] has no %s%s%s%s", section, key,
                 near != NULL ? "; is " : "", near != NULL ? near : "",
                 near != NULL ? " meant?" : "");
}

/* ---- Lines ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(uint8_t c)
{
    return c == '#' || c == ';';
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_blank(text.at[0]))
        text = (struct bytes){ text.at + 1, text.len - 1 };
    return text;
}

static enum rc check_letters(struct bytes line)
{
    if (line.len > SETTINGS_LINE_MAX)
        return fault(RC_MALFORMED, "longer than %d bytes", SETTINGS_LINE_MAX);
    if (bytes_start_with(line, BYTES("\xef\xbb\xbf")))
        return fault(RC_MALFORMED, "starts with a byte-order mark");
    for (size_t i = 0; i < line.len; i++)
        if ((line.at[i] < 0x20 && line.at[i] != '\t') || line.at[i] == 0x7f)
            return fault(RC_MALFORMED, "holds a control character (0x%02x)", line.at[i]);
    if (!text_is_utf8(line))
        return fault(RC_MALFORMED, "is not UTF-8");
    return RC_OK;
}

static enum rc check_section(const struct settings_table *table, struct bytes line)
{
    struct bytes name = { line.at + 1, line.len - 1 };

    if (line.len < 3 || line.at[line.len - 1] != ']')
        return fault(RC_MALFORMED, "not a [section]");
    name.len--;
    return is_section(table, name) ? RC_OK : fault_section(table, name);
}

static enum rc check_pair(struct bytes line)
{
    size_t equals = 0;

    while (equals < line.len && line.at[equals] != '=')
        equals++;
    if (equals == line.len || equals == 0)
        return fault(RC_MALFORMED, "not a [section], key = value, or # comment");
    for (size_t i = 0; i < equals; i++)
        if (line.at[i] == ':' || line.at[i] == '[')
            return fault(RC_MALFORMED, "a key without %c is expected", line.at[i]);
    struct bytes value = trim((struct bytes){ line.at + equals + 1, line.len - equals - 1 });
    if (value.len > 0 && (value.at[0] == '"' || value.at[0] == '\''))
        return fault(RC_MALFORMED, "values stand without quotes");
    for (size_t i = 1; i < line.len; i++)
        if (is_comment(line.at[i]) && (is_blank(line.at[i - 1]) || i == equals + 1))
            return fault(RC_MALFORMED, "a comment needs a line of its own");
    return RC_OK;
}

static enum rc check_line(const struct settings_table *table, struct bytes line)
{
    struct bytes words = trim(line);

    TRY(check_letters(line));
    if (words.len == 0 || is_comment(line.at[0]))
        return RC_OK;
    if (is_blank(line.at[0]))
        return fault(RC_MALFORMED, "starts with white space; each line stands for itself");
    return words.at[0] == '[' ? check_section(table, words) : check_pair(words);
}

static struct bytes take_line(struct bytes *left)
{
    struct bytes line = { left->at, 0 };

    while (line.len < left->len && line.at[line.len] != '\n')
        line.len++;
    size_t taken = line.len + (line.len < left->len);
    *left = (struct bytes){ left->at + taken, left->len - taken };
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* inih asks for its next line in the manner of fgets(); NULL ends the text. */
static char *next_line(char *to, int room, void *stream)
{
    struct intake *in = stream;

    if (in->rc != RC_OK || in->left.len == 0)
        return NULL;
    assert(room > SETTINGS_LINE_MAX);
    struct bytes line = take_line(&in->left);
    in->line++;
    in->rc = check_line(in->table, line);
    if (in->rc != RC_OK)
        return NULL;
    if (line.len > 0)
        memcpy(to, line.at, line.len);
    to[line.len] = '\0';
    return to;
}

/* ---- Values ---- */

static enum rc take_value(struct intake *in, const char *section, const char *key,
                          const char *text)
{
    for (size_t i = 0; i < in->table->count; i++) {
        const struct settings_row *row = &in->table->rows[i];
        if (strcmp(row->section, section) != 0 || strcmp(row->key, key) != 0)
            continue;
        if (in->lines[i] != 0)
            return fault(RC_MALFORMED, "[%s] %s: given before, in line %u", section, key,
                         in->lines[i]);
        in->lines[i] = in->line;
        enum rc rc = settings_value_read(row, bytes_of_text(text), &in->values[i]);
        return rc == RC_OK ? RC_OK : fault_while(rc, "[%s] %s", section, key);
    }
    return fault_key(in->table, section, key);
}

/* inih wants non-zero for success. */
static int on_pair(void *user, const char *section, const char *key, const char *text)
{
    struct intake *in = user;

    if (in->rc == RC_OK)
        in->rc = take_value(in, section, key, text);
    return in->rc == RC_OK;
}

static enum rc take_text(struct intake *in)
{
    int line = ini_parse_stream(next_line, in, on_pair, in);

    if (in->rc != RC_OK)
        return fault_while(in->rc, "line %u", in->line);
    if (line > 0)
        return fault(RC_MALFORMED, "line %d: not key = value", line);
    return line == 0 ? RC_OK : fault(RC_NOMEM, "settings");
}

static enum rc take_defaults(struct intake *in)
{
    for (size_t i = 0; i < in->table->count; i++) {
        const struct settings_row *row = &in->table->rows[i];
        if (in->lines[i] != 0)
            continue;
        if (row->standard == NULL)
            return fault(RC_MALFORMED, "[%s] %s: must be given", row->section, row->key);
        enum rc rc = settings_value_read(row, bytes_of_text(row->standard), &in->values[i]);
        assert(rc != RC_MALFORMED && "a default breaks its own row");
        TRY(rc);
    }
    return RC_OK;
}

static enum rc read_into(struct intake *in, void *into)
{
    if (in->values == NULL || in->lines == NULL)
        return fault(RC_NOMEM, "settings");
    if (in->left.len > SETTINGS_FILE_MAX)
        return fault(RC_MALFORMED, "settings of %zu bytes, limit %d", in->left.len,
                     SETTINGS_FILE_MAX);
    TRY(take_text(in));
    TRY(take_defaults(in));
    for (size_t i = 0; i < in->table->count; i++)
        settings_value_store(&in->table->rows[i], &in->values[i], into);
    return RC_OK;
}

enum rc settings_read(const struct settings_table *table, struct bytes ini, void *into)
{
    struct intake in = {
        .table = table,
        .values = calloc(table->count, sizeof *in.values),
        .lines = calloc(table->count, sizeof *in.lines),
        .left = ini,
    };

    enum rc rc = read_into(&in, into);
    for (size_t i = 0; in.values != NULL && i < table->count; i++)
        free(in.values[i].text);
    free(in.values);
    free(in.lines);
    return rc;
}

enum rc settings_read_file(const struct settings_table *table, const char *path, void *into)
{
    AUTO_BUF(text, SETTINGS_FILE_MAX);

    TRY(file_read(AT_FDCWD, path, &text));
    enum rc rc = settings_read(table, buf_bytes(&text), into);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", path);
}

void settings_clear(const struct settings_table *table, void *from)
{
    struct settings_value nothing = { 0 };

    for (size_t i = 0; i < table->count; i++) {
        const struct settings_row *row = &table->rows[i];
        char *text = NULL;
        if (!settings_value_is_text(row->kind))
            continue;
        memcpy(&text, (const uint8_t *)from + row->field, sizeof text);
        free(text);
        settings_value_store(row, &nothing, from);
    }
}

/* ---- For people ---- */

static void add_section(struct buf *out, const struct settings_table *table, size_t place)
{
    const struct settings_row *row = &table->rows[place];

    if (place == 0 || strcmp(row->section, row[-1].section) != 0)
        buf_addf(out, "%s[%s]\n", place == 0 ? "" : "\n", row->section);
}

static void add_pair(struct buf *out, const char *key, struct bytes value)
{
    bool tight = strlen(key) + strlen(" = ") + value.len > SETTINGS_LINE_MAX;

    buf_addf(out, "%s%s", key, tight ? "=" : value.len > 0 ? " = " : " =");
    buf_add(out, value);
    buf_add_u8(out, '\n');
}

void settings_manual(const struct settings_table *table, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct settings_row *row = &table->rows[i];
        add_section(out, table, i);
        buf_addf(out, "\n# %s.\n# Value: ", row->meaning);
        settings_value_describe(row, out);
        buf_addf(out, "%s.\n#", row->standard == NULL ? "; must be given" : "");
        add_pair(out, row->key, bytes_of_text(row->standard != NULL ? row->standard : ""));
    }
}

void settings_show(const struct settings_table *table, const void *from, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        AUTO_BUF(value, SETTINGS_LINE_MAX);
        add_section(out, table, i);
        settings_value_show(&table->rows[i], from, &value);
        add_pair(out, table->rows[i].key, buf_bytes(&value));
    }
}
