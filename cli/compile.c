#include "cli/compile.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"

enum { PATH_LEN_MAX = 1024, LINE_MAX_LEN = 4096 };

enum rc cli_source_open(struct cli_source *source)
{
    if (source->open)
        return RC_OK;
    TRY(cli_remote_open(source->call, &source->remote));
    source->open = true;
    return RC_OK;
}

void cli_source_close(struct cli_source *source)
{
    if (source->open)
        cli_remote_close(&source->remote);
    source->open = false;
}

bool cli_compile_is_version(const char *word)
{
    return strcmp(word, "active") == 0 ||
           (*word != '\0' && strspn(word, "0123456789") == strlen(word));
}

void cli_compile_add_place(struct buf *out, const char *path, struct bytes file, unsigned line,
                           unsigned column)
{
    buf_addf(out, "%s:", path);
    if (file.len > 0)
        buf_addf(out, " %.*s:", BYTES_FMT(file));
    buf_addf(out, "%u:%u: ", line, column);
}

void cli_compile_tell(const struct cli_call *call, const char *path,
                      const struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct policy_error *one = &errors->at[i];
        AUTO_BUF(place, LINE_MAX_LEN);
        cli_compile_add_place(&place, path, bytes_of_text(one->file), one->line, one->column);
        fprintf(call->messages, "%.*s%s\n", BYTES_FMT(buf_bytes(&place)), one->text);
    }
}

static enum rc compile(const struct cli_call *call, const char *name, struct bytes text,
                       uint64_t version, struct policy **policy)
{
    struct policy_errors errors = { 0 };
    enum rc rc = policy_compile(text, version, &errors, policy);

    if (rc == RC_OK || rc == RC_NOMEM)
        return rc;
    cli_compile_tell(call, name, &errors);
    return errors.count > 0 ? fault(rc, "%s is refused", name) : fault_while(rc, "%s", name);
}

static enum rc compile_version(struct cli_source *source, const char *word,
                               struct policy **policy)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *wanted = NULL;

    buf_addf(&path, "/v1/policies/");
    cli_remote_add_segment(&path, word);
    TRY(buf_text(&path, &wanted));
    TRY(cli_source_open(source));
    TRY(cli_remote_get(&source->remote, wanted, &answer));
    const json_t *text = json_object_get(answer, "text");
    json_int_t version = json_integer_value(json_object_get(answer, "version"));
    if (!json_is_string(text) || version <= 0)
        return fault(RC_IO, "%s: the server's answer has no policy", wanted);
    return compile(
        source->call, wanted,
        (struct bytes){ (const uint8_t *)json_string_value(text), json_string_length(text) },
        (uint64_t)version, policy);
}

enum rc cli_compile(struct cli_source *source, const char *word, struct policy **policy)
{
    AUTO_BUF(text, POLICY_TEXT_MAX);

    if (cli_compile_is_version(word))
        return compile_version(source, word, policy);
    TRY(file_read(AT_FDCWD, word, &text));
    return compile(source->call, word, buf_bytes(&text), 0, policy);
}
