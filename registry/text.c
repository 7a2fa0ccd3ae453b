#include "registry/text.h"

#include <string.h>

static bool is_zero(const struct registry_name *name)
{
    static const uint8_t NONE[REGISTRY_TEXT_HASH];

    return bytes_equal(BYTES_OF(name->hash), BYTES_OF(NONE));
}

enum rc registry_text_check(const struct registry_text *text)
{
    const struct registry_name *name = &text->name;

    if (name->len == 0 && !is_zero(name))
        return fault(RC_MALFORMED, "policy: the hash of a text without its length");
    if (name->len == 0 && text->octets.len > REGISTRY_TEXT_PART)
        return fault(RC_MALFORMED, "policy: %zu octets in one piece, at most %d",
                     text->octets.len, REGISTRY_TEXT_PART);
    if (name->len == 0)
        return RC_OK;
    if (name->len <= REGISTRY_TEXT_PART || name->len > REGISTRY_POLICY_MAX)
        return fault(RC_MALFORMED, "policy: %u octets in parts, which is for %d to %d",
                     name->len, REGISTRY_TEXT_PART + 1, REGISTRY_POLICY_MAX);
    if (text->octets.len != 0 && text->octets.len != name->len)
        return fault(RC_MALFORMED, "policy: %zu octets, and a name of %u", text->octets.len,
                     name->len);
    return RC_OK;
}

bool registry_name_equal(const struct registry_name *one, const struct registry_name *other)
{
    return one->len == other->len && bytes_equal(BYTES_OF(one->hash), BYTES_OF(other->hash));
}

void registry_text_write(const struct registry_text *text, struct buf *out)
{
    buf_add_u32(out, text->name.len);
    buf_add(out, BYTES_OF(text->name.hash));
    if (text->name.len == 0)
        buf_add(out, text->octets);
}

enum rc registry_text_read(struct bytes form, struct registry_text *text)
{
    struct registry_text read = { 0 };
    struct reader r = READER(form);

    read.name.len = reader_u32(&r);
    struct bytes hash = reader_take(&r, REGISTRY_TEXT_HASH);
    if (r.broken)
        return fault(RC_MALFORMED, "policy: the name of its text is cut short");
    memcpy(read.name.hash, hash.at, sizeof read.name.hash);
    read.octets = r.left;
    if (read.name.len != 0 && read.octets.len != 0)
        return fault(RC_MALFORMED, "policy: a tail behind the name of its text");
    TRY(registry_text_check(&read));
    *text = read;
    return RC_OK;
}

uint32_t registry_text_parts(const struct registry_name *name)
{
    return (name->len + REGISTRY_TEXT_PART - 1) / REGISTRY_TEXT_PART;
}

size_t registry_text_part_len(const struct registry_name *name, uint32_t part)
{
    if (part >= registry_text_parts(name))
        return 0;
    size_t left = name->len - (size_t)part * REGISTRY_TEXT_PART;
    return left < REGISTRY_TEXT_PART ? left : REGISTRY_TEXT_PART;
}
