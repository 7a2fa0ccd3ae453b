#include "cli/compile.h"

#include <string.h>

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

void cli_compile_tell(const struct cli_call *call, const struct cli_text *text,
                      const struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct policy_error *one = &errors->at[i];
        AUTO_BUF(place, LINE_MAX_LEN);
        cli_gather_add_place(&place, text, bytes_of_text(one->file), one->line, one->column);
        fprintf(call->messages, "%.*s%s\n", BYTES_FMT(buf_bytes(&place)), one->text);
    }
}

/* rc: of what made the errors. */
static enum rc tell(const struct cli_call *call, const struct cli_text *text, enum rc rc,
                    const struct policy_errors *errors)
{
    if (rc == RC_OK || rc == RC_NOMEM)
        return rc;
    cli_compile_tell(call, text, errors);
    return errors->count > 0 ? fault(rc, "%s is refused", text->path)
                             : fault_while(rc, "%s", text->path);
}

enum rc cli_compile_read(const struct cli_call *call, struct cli_text *text)
{
    struct policy_errors errors = { 0 };
    enum rc rc = cli_gather(text, &errors);

    return errors.count > 0 ? tell(call, text, rc, &errors) : rc;
}

static enum rc compile(const struct cli_call *call, const struct cli_text *text,
                       uint64_t version, struct policy **policy)
{
    struct policy_errors errors = { 0 };

    return tell(call, text, policy_compile(buf_bytes(&text->all), version, &errors, policy),
                &errors);
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
    CLI_TEXT(given, wanted);
    buf_add(&given.all, (struct bytes){ (const uint8_t *)json_string_value(text),
                                        json_string_length(text) });
    return compile(source->call, &given, (uint64_t)version, policy);
}

enum rc cli_compile(struct cli_source *source, const char *word, struct policy **policy)
{
    CLI_TEXT(text, word);

    if (cli_compile_is_version(word))
        return compile_version(source, word, policy);
    TRY(cli_compile_read(source->call, &text));
    return compile(source->call, &text, 0, policy);
}
