#include "cli/show.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_MAX = 64 * 1024, COLUMNS_MAX = 16, MEMBER_MAX = 64, TEXT_MAX = 64 * 1024 * 1024 };

/* C0, DEL, and C1 (U+0080 to U+009F: C2 80 to C2 9F in UTF-8); jansson has made sure that it is
 * UTF-8. */
static void add_harmless(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i], next = i + 1 < len ? (uint8_t)text[i + 1] : 0;
        if (c == 0xc2 && next >= 0x80 && next <= 0x9f) {
            buf_addf(out, "?");
            i++;
        } else {
            buf_add_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
        }
    }
}

void cli_show_value(const json_t *value, struct buf *out)
{
    size_t i = 0;
    json_t *item = NULL;

    if (json_is_string(value))
        add_harmless(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        buf_addf(out, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        buf_addf(out, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_array(value) && json_array_size(value) > 0)
        json_array_foreach(value, i, item)
        {
            buf_addf(out, "%s", i > 0 ? "," : "");
            cli_show_value(item, out);
        }
    else
        buf_addf(out, "-");
}

static const json_t *find(const json_t *object, const char *path)
{
    while (object != NULL && *path != '\0') {
        char member[MEMBER_MAX] = "";
        size_t len = strcspn(path, ".");
        if (len >= sizeof member)
            return NULL;
        memcpy(member, path, len);
        object = json_object_get(object, member);
        path += path[len] == '.' ? len + 1 : len;
    }
    return object;
}

/* Characters, not bytes: what does not start one is not counted. */
static size_t width_of(struct bytes text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.len; i++)
        width += (text.at[i] & 0xc0) != 0x80;
    return width;
}

static size_t cell_width(const json_t *row, const char *member)
{
    AUTO_BUF(cell, CELL_MAX);

    cli_show_value(find(row, member), &cell);
    return width_of(buf_bytes(&cell));
}

static void add_cell(struct buf *out, struct bytes text, size_t width, bool last)
{
    size_t used = width_of(text);

    buf_add(out, text);
    if (last)
        buf_addf(out, "\n");
    else
        buf_addf(out, "%*s", (int)(width - used + 2), "");
}

void cli_show_table(const json_t *rows, const struct cli_show_column *columns, size_t count,
                    struct buf *out)
{
    size_t widths[COLUMNS_MAX] = { 0 }, i = 0;
    const json_t *row = NULL;

    for (size_t c = 0; c < count; c++) {
        widths[c] = strlen(columns[c].heading);
        json_array_foreach(rows, i, row)
        {
            size_t width = cell_width(row, columns[c].member);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t c = 0; c < count; c++)
        add_cell(out, bytes_of_text(columns[c].heading), widths[c], c + 1 == count);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < count; c++) {
            AUTO_BUF(cell, CELL_MAX);
            cli_show_value(find(row, columns[c].member), &cell);
            add_cell(out, buf_bytes(&cell), widths[c], c + 1 == count);
        }
    }
}

void cli_show_facts(const json_t *object, const struct cli_show_column *facts, size_t count,
                    struct buf *out)
{
    size_t width = 0;

    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(facts[i].heading);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(cell, CELL_MAX);
        cli_show_value(find(object, facts[i].member), &cell);
        add_cell(out, bytes_of_text(facts[i].heading), width, false);
        add_cell(out, buf_bytes(&cell), 0, true);
    }
}

enum rc cli_show_json(const json_t *value, struct buf *out)
{
    char *text = json_dumps(value, JSON_COMPACT);

    if (text == NULL)
        return fault(RC_NOMEM, "JSON");
    buf_addf(out, "%s\n", text);
    free(text);
    return RC_OK;
}

static enum rc put_json(const struct cli_call *call, const json_t *answer)
{
    AUTO_BUF(text, TEXT_MAX);

    TRY(cli_show_json(answer, &text));
    return cli_command_put(call, &text);
}

enum rc cli_show_rows(const struct cli_call *call, const json_t *answer, const char *member,
                      const struct cli_show_column *columns, size_t count)
{
    AUTO_BUF(text, TEXT_MAX);
    const json_t *rows = json_object_get(answer, member);
    const char *next = json_string_value(json_object_get(answer, "next"));

    if (call->json)
        return put_json(call, answer);
    if (json_array_size(rows) == 0) {
        fprintf(call->messages, "There are no %s.\n", member);
        return RC_OK;
    }
    cli_show_table(rows, columns, count, &text);
    TRY(cli_command_put(call, &text));
    if (next != NULL)
        fprintf(call->messages, "There are more: --cursor %s\n", next);
    return RC_OK;
}

enum rc cli_show_object(const struct cli_call *call, const json_t *answer,
                        const struct cli_show_column *facts, size_t count)
{
    AUTO_BUF(text, TEXT_MAX);

    if (call->json)
        return put_json(call, answer);
    cli_show_facts(answer, facts, count, &text);
    return cli_command_put(call, &text);
}

enum rc cli_show_line(const struct cli_call *call, const json_t *answer, const char *fmt, ...)
{
    va_list ap;

    if (call->json)
        return put_json(call, answer);
    va_start(ap, fmt);
    int wrote = vfprintf(call->out, fmt, ap);
    va_end(ap);
    return wrote < 0 ? fault_errno("write the answer") : RC_OK;
}
