#include "policy/source.h"

#include "base/text.h"
#include "policy/bundle.h"

#include <string.h>

void policy_source_add(struct policy_errors *errors, struct bytes file, unsigned line,
                       unsigned column, enum rc rc)
{
    const char *reason = fault_text();

    (void)rc;
    if (errors->count == POLICY_ERRORS_MAX)
        return;
    struct policy_error *error = &errors->at[errors->count++];
    *error = (struct policy_error){ .line = line, .column = column };
    if (file.len > 0)
        memcpy(error->file, file.at, file.len < POLICY_FILE_MAX ? file.len : POLICY_FILE_MAX);
    memcpy(error->text, reason, strnlen(reason, sizeof error->text - 1));
}

static size_t width_of(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static uint32_t scalar_of(struct bytes character)
{
    uint32_t scalar = character.at[0];

    if (character.len > 1)
        scalar &= 0x3fU >> (character.len - 1);
    for (size_t i = 1; i < character.len; i++)
        scalar = scalar << 6 | (character.at[i] & 0x3fU);
    return scalar;
}

static bool is_hidden(uint32_t c)
{
    /* Control; Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties; separators and
     * annotations; spaces that look like U+0020 or like nothing. */
    static const struct {
        uint32_t first, last;
    } HIDDEN[] = {
        { 0x00, 0x08 },       { 0x0b, 0x1f },       { 0x7f, 0xa0 },     { 0x00ad, 0x00ad },
        { 0x034f, 0x034f },   { 0x061c, 0x061c },   { 0x115f, 0x1160 }, { 0x1680, 0x1680 },
        { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },   { 0x2000, 0x200f }, { 0x2028, 0x202f },
        { 0x205f, 0x206f },   { 0x2800, 0x2800 },   { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },
        { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 },
        { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
    };

    for (size_t i = 0; i < sizeof HIDDEN / sizeof *HIDDEN; i++)
        if (c >= HIDDEN[i].first && c <= HIDDEN[i].last)
            return true;
    return false;
}

static enum rc check_character(struct bytes character, struct bytes rest)
{
    if (!text_is_utf8(character))
        return character.at[0] == 0
                   ? fault(RC_MALFORMED, "the character U+0000 has no place in a policy")
                   : fault(RC_MALFORMED, "the byte 0x%02x is not UTF-8 here", character.at[0]);
    if (bytes_start_with(rest, BYTES("\r\n")))
        return RC_OK;
    uint32_t scalar = scalar_of(character);
    if (is_hidden(scalar))
        return fault(RC_MALFORMED, "the character U+%04X has no place in a policy", scalar);
    return RC_OK;
}

void policy_source_check(struct bytes text, struct policy_errors *errors)
{
    unsigned line = 1, column = 1;

    for (size_t at = 0, width; at < text.len; at += width) {
        struct bytes rest = { text.at + at, text.len - at };
        width = width_of(rest.at[0]);
        struct bytes character = { rest.at, width < rest.len ? width : rest.len };
        enum rc rc = check_character(character, rest);
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
