#include "policy/bundle.h"

#include "policy/source.h"

#include <string.h>

static bool is_letter(uint8_t letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
}

enum rc policy_bundle_check_name(struct bytes name)
{
    bool good = name.len > 0 && name.len <= POLICY_FILE_MAX;
    uint8_t before = '/';

    for (size_t i = 0; good && i < name.len; before = name.at[i++])
        good = before == '/' ? is_letter(name.at[i]) && name.at[i] != '.'
                             : is_letter(name.at[i]) || name.at[i] == '/';
    if (!good || before == '/')
        return fault(RC_MALFORMED,
                     "a file's name is 1 to %d letters, digits and . _ - /, no part of which "
                     "is empty or begins with a dot",
                     POLICY_FILE_MAX);
    return RC_OK;
}

size_t policy_bundle_find(const struct policy_bundle *bundle, struct bytes name)
{
    size_t place = 1;

    while (place < bundle->count && !bytes_equal(bundle->at[place].name, name))
        place++;
    return place < bundle->count ? place : bundle->count;
}

static struct bytes take_line(struct bytes *left)
{
    const uint8_t *end = left->len > 0 ? memchr(left->at, '\n', left->len) : NULL;
    size_t len = end == NULL ? left->len : (size_t)(end - left->at) + 1;
    struct bytes line = { left->at, len };

    *left = (struct bytes){ left->at + len, left->len - len };
    return line;
}

static bool is_blank(uint8_t letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

/* `file "NAME"` and nothing else but a remark; the name, or an empty one. */
static struct bytes name_of(struct bytes line)
{
    size_t at = sizeof "file" - 1;

    while (at < line.len && is_blank(line.at[at]))
        at++;
    if (at == line.len || line.at[at] != '"')
        return (struct bytes){ NULL, 0 };
    const uint8_t *end = memchr(line.at + at + 1, '"', line.len - at - 1);
    if (end == NULL)
        return (struct bytes){ NULL, 0 };
    struct bytes name = { line.at + at + 1, (size_t)(end - line.at) - at - 1 };
    for (at += name.len + 2; at < line.len && is_blank(line.at[at]); at++)
        continue;
    return at == line.len || line.at[at] == '#' ? name : (struct bytes){ NULL, 0 };
}

static bool begins_file(struct bytes line)
{
    return bytes_start_with(line, BYTES("file")) && line.len > 4 &&
           (is_blank(line.at[4]) || line.at[4] == '"');
}

struct bytes policy_bundle_locate(struct bytes text, unsigned *line)
{
    struct bytes name = { text.at, 0 };
    unsigned number = 0;

    for (unsigned left = *line; left > 0; left--) {
        struct bytes this = take_line(&text);
        bool begins = left > 1 && begins_file(this);
        if (begins && policy_bundle_check_name(name_of(this)) == RC_OK)
            name = name_of(this);
        number = begins ? 0 : number + 1;
    }
    *line = number;
    return name;
}

static enum rc add_file(struct policy_bundle *bundle, struct bytes name)
{
    TRY(policy_bundle_check_name(name));
    if (policy_bundle_find(bundle, name) < bundle->count)
        return fault(RC_MALFORMED, "the file \"%.*s\" is here twice", BYTES_FMT(name));
    if (bundle->count > POLICY_FILES_MAX)
        return fault(RC_MALFORMED, "more than %d files", POLICY_FILES_MAX);
    bundle->at[bundle->count++] = (struct policy_file){ .name = name };
    return RC_OK;
}

void policy_bundle_split(struct bytes text, struct policy_errors *errors,
                         struct policy_bundle *bundle)
{
    struct policy_file *file = &bundle->at[0];
    unsigned line_number = 0, all = 0;

    *bundle = (struct policy_bundle){ .count = 1 };
    file->text = (struct bytes){ text.at, 0 };
    while (text.len > 0) {
        struct bytes line = take_line(&text);
        line_number++;
        all++;
        if (!begins_file(line)) {
            file->text.len += line.len;
            continue;
        }
        enum rc rc = add_file(bundle, name_of(line));
        if (rc != RC_OK) {
            policy_source_add(errors, file->name, line_number, 1, rc);
            return;
        }
        file = &bundle->at[bundle->count - 1];
        file->text = (struct bytes){ text.at, 0 };
        file->before = all;
        line_number = 0;
    }
}
