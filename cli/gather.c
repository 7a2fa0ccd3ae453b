#include "cli/gather.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"

enum { PATH_LEN_MAX = 1024 };

void cli_text_clear(struct cli_text *text)
{
    buf_clear(&text->all);
}

/* Beside the policy's file. */
static void add_path(struct buf *out, const struct cli_text *text, const struct cli_part *part)
{
    const char *end = strrchr(text->path, '/');

    if (end != NULL)
        buf_addf(out, "%.*s/", (int)(end - text->path), text->path);
    buf_addf(out, "%s%s", part->name, part->suffixed ? ".policy" : "");
}

static const struct cli_part *find_part(const struct cli_text *text, struct bytes name)
{
    for (size_t i = 0; i < text->count; i++)
        if (bytes_equal_text(name, text->parts[i].name))
            return &text->parts[i];
    return NULL;
}

void cli_gather_add_place(struct buf *out, const struct cli_text *text, struct bytes file,
                          unsigned line, unsigned column)
{
    const struct cli_part *part = find_part(text, file);

    if (part != NULL)
        add_path(out, text, part);
    else
        buf_addf(out, "%s", text->path);
    if (part == NULL && file.len > 0)
        buf_addf(out, ": %.*s", BYTES_FMT(file));
    buf_addf(out, ":%u:%u: ", line, column);
}

/* ---- Reading ---- */

/* Whichever way leads to the policy's file, the user has chosen it. */
static enum rc open_folder(const struct cli_text *text, int *dir)
{
    const char *end = strrchr(text->path, '/'), *path = NULL;
    AUTO_BUF(folder, PATH_LEN_MAX);

    if (end == NULL)
        return file_open_dir(AT_FDCWD, ".", dir);
    buf_addf(&folder, "%.*s/", (int)(end - text->path), text->path);
    TRY(buf_text(&folder, &path));
    return file_open_dir(AT_FDCWD, path, dir);
}

/* A folder of that name is none: shared/ may stand beside shared.policy. */
static enum rc read_part(struct cli_text *text, struct cli_part *part)
{
    AUTO_FD dir = -1;

    TRY(open_folder(text, &dir));
    for (int suffixed = 0; suffixed <= 1; suffixed++) {
        AUTO_BUF(name, PATH_LEN_MAX);
        const char *file = NULL;
        part->suffixed = suffixed == 1;
        buf_addf(&name, "%s%s", part->name, part->suffixed ? ".policy" : "");
        TRY(buf_text(&name, &file));
        enum rc rc = file_read_below(dir, file, &text->all);
        if (rc != RC_NOT_FOUND)
            return rc;
    }
    return fault(
        RC_NOT_FOUND,
        "there is no file \"%s\": no such part, and beside %s neither %s nor %s.policy",
        part->name, text->path, part->name, part->name);
}

/* A part behind all others, or nothing. */
static enum rc add_part(struct cli_text *text, struct bytes name)
{
    struct cli_part part = { 0 };
    size_t before = text->all.len;

    if (text->count == POLICY_FILES_MAX)
        return fault(RC_LIMIT, "more than %d files", POLICY_FILES_MAX);
    memcpy(part.name, name.at, name.len);
    if (before > 0 && text->all.at[before - 1] != '\n')
        buf_addf(&text->all, "\n");
    buf_addf(&text->all, "file \"%s\"\n", part.name);
    size_t start = text->all.len;
    enum rc rc = read_part(text, &part);
    struct bytes read = { text->all.at + start, text->all.len - start };
    if (rc == RC_OK && policy_has_files(read))
        rc = fault(RC_MALFORMED, "\"%s\" has parts of its own: only the policy's file may",
                   part.name);
    if (rc == RC_OK)
        text->parts[text->count++] = part;
    else
        buf_cut(&text->all, before);
    return rc;
}

static void add_error(struct policy_errors *errors, const struct policy_error *at)
{
    const char *reason = fault_text();
    struct policy_error *made = &errors->at[errors->count++];

    *made = *at;
    memcpy(made->text, reason, strnlen(reason, sizeof made->text - 1));
}

enum rc cli_gather(struct cli_text *text, struct policy_errors *errors)
{
    struct policy_lacking lacking;
    struct bytes all;

    TRY(file_read(AT_FDCWD, text->path, &text->all));
    while (errors->count < POLICY_ERRORS_MAX &&
           policy_find_lacking(buf_bytes(&text->all), errors->count, &lacking)) {
        struct policy_error at = { .line = lacking.line, .column = lacking.column };
        if (lacking.file.len > 0)
            memcpy(at.file, lacking.file.at, lacking.file.len);
        if (add_part(text, lacking.name) != RC_OK)
            add_error(errors, &at);
    }
    TRY(buf_done(&text->all, &all));
    if (errors->count == 0)
        return RC_OK;
    return fault(RC_MALFORMED, "line %u column %u: %s", errors->at[0].line,
                 errors->at[0].column, errors->at[0].text);
}
