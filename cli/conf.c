#include "cli/conf.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static enum rc find_place(const char *file, struct buf *place)
{
    char whole[PATH_MAX];

    if (realpath(file, whole) == NULL)
        return fault_errno("%s", file);
    const char *slash = strrchr(whole, '/');
    buf_add(place, (struct bytes){ (const uint8_t *)whole, (size_t)(slash - whole) });
    return RC_OK;
}

enum rc cli_conf_read(const char *file, struct cli_conf *conf)
{
    const char *place = NULL;

    TRY(file_read(AT_FDCWD, file, &conf->text));
    TRY(find_place(file, &conf->place));
    TRY(buf_text(&conf->place, &place));
    return file_open_dir(AT_FDCWD, place, &conf->dir);
}

void cli_conf_clear(struct cli_conf *conf)
{
    buf_clear(&conf->text);
    buf_clear(&conf->place);
    own_close(&conf->dir);
    conf->dir = -1;
}

static struct bytes next_line(struct bytes *text)
{
    const uint8_t *end = text->len > 0 ? memchr(text->at, '\n', text->len) : NULL;
    struct bytes line = { text->at, end == NULL ? text->len : (size_t)(end - text->at) };

    *text =
        end == NULL ? (struct bytes){ 0 } : (struct bytes){ end + 1, text->len - line.len - 1 };
    return line;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (struct bytes){ text.at + 1, text.len - 1 };
    while (text.len > 0 && strchr(" \t\r", text.at[text.len - 1]) != NULL)
        text.len--;
    return text;
}

/* The grammar is strict (base/settings.h): no white space in front, no comment behind. */
struct bytes cli_conf_value(const struct cli_conf *conf, const char *section, const char *key)
{
    struct bytes left = buf_bytes(&conf->text);
    size_t section_len = strlen(section);
    bool inside = false;

    while (left.len > 0) {
        struct bytes line = next_line(&left);
        if (line.len > 0 && line.at[0] == '[') {
            inside = line.len >= section_len + 2 && line.at[section_len + 1] == ']' &&
                     bytes_equal_text((struct bytes){ line.at + 1, section_len }, section);
            continue;
        }
        const uint8_t *equals = line.len > 0 ? memchr(line.at, '=', line.len) : NULL;
        if (!inside || equals == NULL)
            continue;
        size_t len = (size_t)(equals - line.at);
        if (bytes_equal_text(trim((struct bytes){ line.at, len }), key))
            return trim((struct bytes){ equals + 1, line.len - len - 1 });
    }
    return (struct bytes){ 0 };
}

enum rc cli_conf_inside(const struct cli_conf *conf, const char *section, const char *key,
                        const char *otherwise, struct buf *name)
{
    struct bytes value = cli_conf_value(conf, section, key), place = buf_bytes(&conf->place);

    if (value.len == 0) {
        buf_addf(name, "%s", otherwise);
        return RC_OK;
    }
    if (!bytes_start_with(value, place) || value.len <= place.len + 1 ||
        value.at[place.len] != '/' || memmem(value.at, value.len, "/..", 3) != NULL)
        return fault(RC_DENIED,
                     "[%s] %s = %.*s lies outside of %.*s: a copy of the place would lack it",
                     section, key, BYTES_FMT(value), BYTES_FMT(place));
    buf_add(name, (struct bytes){ value.at + place.len + 1, value.len - place.len - 1 });
    return RC_OK;
}
