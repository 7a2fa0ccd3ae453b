#include "policy/source.h"

#include "base/text.h"
#include "policy/bundle.h"

#include <string.h>

void policy_source_add(struct policy_errors *errors, struct bytes file, unsigned line,
                       unsigned column, enum rc rc)
{
    struct bytes reason = text_cut(bytes_of_text(fault_text()), sizeof errors->at->text - 1);

    (void)rc;
    if (errors->count == POLICY_ERRORS_MAX)
        return;
    struct policy_error *error = &errors->at[errors->count++];
    *error = (struct policy_error){ .line = line, .column = column };
    if (file.len > 0)
        memcpy(error->file, file.at, file.len < POLICY_FILE_MAX ? file.len : POLICY_FILE_MAX);
    memcpy(error->text, reason.at, reason.len);
}

static enum rc check_character(struct bytes rest, size_t *width)
{
    uint32_t scalar = 0;

    *width = text_character(rest, &scalar);
    if (*width == 0)
        return rest.at[0] == 0
                   ? fault(RC_MALFORMED, "the character U+0000 has no place in a policy")
                   : fault(RC_MALFORMED, "the byte 0x%02x is not UTF-8 here", rest.at[0]);
    if (text_is_hidden(scalar) && !bytes_start_with(rest, BYTES("\r\n")))
        return fault(RC_MALFORMED, "the character U+%04X has no place in a policy", scalar);
    return RC_OK;
}

void policy_source_check(struct bytes text, struct policy_errors *errors)
{
    unsigned line = 1, column = 1;

    for (size_t at = 0, width; at < text.len; at += width) {
        struct bytes rest = { text.at + at, text.len - at };
        enum rc rc = check_character(rest, &width);
        if (rc != RC_OK) {
            struct bytes file = policy_bundle_locate(text, &line);
            policy_source_add(errors, file, line, column, rc);
            return;
        }
        column += (unsigned)width;
        if (rest.at[0] == '\n') {
            line++;
            column = 1;
        }
    }
}

enum rc policy_source_fault(const struct policy_errors *errors)
{
    const struct policy_error *first = &errors->at[0];

    return first->file[0] == '\0' ? fault(RC_MALFORMED, "line %u column %u: %s", first->line,
                                          first->column, first->text)
                                  : fault(RC_MALFORMED, "%s line %u column %u: %s", first->file,
                                          first->line, first->column, first->text);
}
