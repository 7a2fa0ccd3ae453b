#include "policy/bundle.h"
#include "policy/token.h"

#include <string.h>

/* Statements begin in column 1, and neither a text nor a remark goes over a line's end. */
static bool begins_import(struct bytes line)
{
    static const size_t LEN = sizeof "import" - 1;

    return bytes_start_with(line, BYTES("import")) && line.len > LEN &&
           strchr(" \t\r\n\"", line.at[LEN]) != NULL;
}

/* At an import: is it of a file that there may be, but not here? */
static bool lacks(const struct policy_bundle *bundle, struct policy_tokens *tokens,
                  struct policy_lacking *lacking)
{
    if (!policy_token_begin(tokens))
        return false;
    policy_token_advance(tokens); /* import */
    struct bytes name = tokens->next.text;
    if (tokens->next.kind != POLICY_TEXT || policy_bundle_check_name(name) != RC_OK ||
        policy_bundle_find(bundle, name) < bundle->count)
        return false;
    *lacking = (struct policy_lacking){ .name = name,
                                        .file = tokens->file,
                                        .line = tokens->next.at.line,
                                        .column = tokens->next.at.column };
    return true;
}

static bool find_in(const struct policy_bundle *bundle, const struct policy_file *file,
                    size_t *skip, struct policy_lacking *lacking)
{
    struct policy_errors unheard = { 0 }; /* compiling tells */
    struct policy_tokens tokens;
    struct bytes left = file->text;

    for (unsigned line = 1; left.len > 0; line++) {
        const uint8_t *end = memchr(left.at, '\n', left.len);
        size_t len = end == NULL ? left.len : (size_t)(end - left.at) + 1;
        if (begins_import(left)) {
            policy_token_open(&tokens, left, file->name, 0, &unheard);
            tokens.here.line = line;
            if (lacks(bundle, &tokens, lacking) && (*skip)-- == 0)
                return true;
        }
        left = (struct bytes){ left.at + len, left.len - len };
    }
    return false;
}

bool policy_find_lacking(struct bytes text, size_t skip, struct policy_lacking *lacking)
{
    struct policy_errors unheard = { 0 };
    struct policy_bundle bundle;

    policy_bundle_split(text, &unheard, &bundle);
    for (size_t i = 0; unheard.count == 0 && i < bundle.count; i++)
        if (find_in(&bundle, &bundle.at[i], &skip, lacking))
            return true;
    return false;
}

bool policy_has_files(struct bytes text)
{
    struct policy_errors unheard = { 0 };
    struct policy_bundle bundle;

    policy_bundle_split(text, &unheard, &bundle);
    return unheard.count > 0 || bundle.count > 1;
}
