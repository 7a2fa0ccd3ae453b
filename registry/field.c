#include "registry/field.h"

#include <string.h>

#include "base/text.h"
#include "registry/proposal.h"
#include "registry/question.h"

enum { FORM_MAX = 4096 }; /* of a subject or certificate: far above the longest */

struct registry_fields registry_bodies_get(struct registry_bodies bodies, size_t number)
{
    return number < bodies.count ? bodies.of[number] : (struct registry_fields){ NULL, 0 };
}

static void add_sized8(struct buf *out, const char *text, size_t most)
{
    struct bytes bytes = bytes_of_text(text);

    if (bytes.len > most)
        out->broken = true;
    buf_add_u8(out, (uint8_t)bytes.len);
    buf_add(out, bytes);
}

static void add_groups(struct buf *out, const struct registry_groups *groups)
{
    buf_add_u8(out, (uint8_t)groups->count);
    for (size_t i = 0; i < groups->count; i++)
        add_sized8(out, groups->names[i], REGISTRY_ID_MAX);
}

static void add_subject(struct buf *out, const struct registry_subject *subject)
{
    AUTO_BUF(form, FORM_MAX);

    if (subject->kind != 0)
        registry_subject_write(subject, &form);
    buf_add_sized32(out, buf_bytes(&form));
}

static void add_certificate(struct buf *out, const struct registry_certificate *certificate)
{
    AUTO_BUF(form, FORM_MAX);

    if (certificate->kind != 0)
        registry_certificate_write(certificate, &form);
    buf_add_sized32(out, buf_bytes(&form));
}

static void add_proposal(struct buf *out, const struct registry_proposal *proposal)
{
    AUTO_BUF(form, FORM_MAX);

    if (proposal->number != 0)
        registry_proposal_write(proposal, &form);
    buf_add_sized32(out, buf_bytes(&form));
}

static void add_bytes(struct buf *out, struct bytes bytes, size_t most)
{
    if (bytes.len > most)
        out->broken = true;
    buf_add_sized32(out, bytes);
}

static void write_field(const struct registry_field *field, const void *at, struct buf *out)
{
    switch (field->kind) {
    case REGISTRY_FIELD_U8:
        buf_add_u8(out, *(const uint8_t *)at);
        return;
    case REGISTRY_FIELD_U16:
        buf_add_u16(out, *(const uint16_t *)at);
        return;
    case REGISTRY_FIELD_U32:
        buf_add_u32(out, *(const uint32_t *)at);
        return;
    case REGISTRY_FIELD_U64:
        buf_add_u64(out, *(const uint64_t *)at);
        return;
    case REGISTRY_FIELD_FLAG:
        buf_add_u8(out, *(const bool *)at);
        return;
    case REGISTRY_FIELD_CHOICE:
        buf_add_u8(out, (uint8_t) * (const unsigned *)at);
        return;
    case REGISTRY_FIELD_OCTETS:
        buf_add(out, (struct bytes){ at, field->most });
        return;
    case REGISTRY_FIELD_BYTES:
    case REGISTRY_FIELD_IDS:
        add_bytes(out, *(const struct bytes *)at, field->most);
        return;
    case REGISTRY_FIELD_ID:
        add_sized8(out, at, REGISTRY_ID_MAX);
        return;
    case REGISTRY_FIELD_TEXT:
        add_sized8(out, at, field->most);
        return;
    case REGISTRY_FIELD_GROUPS:
        add_groups(out, at);
        return;
    case REGISTRY_FIELD_SUBJECT:
        add_subject(out, at);
        return;
    case REGISTRY_FIELD_CERTIFICATE:
        add_certificate(out, at);
        return;
    case REGISTRY_FIELD_PROPOSAL:
        add_proposal(out, at);
        return;
    }
}

void registry_fields_write(struct registry_fields fields, const void *from, struct buf *out)
{
    for (size_t i = 0; i < fields.count; i++)
        write_field(&fields.at[i], (const char *)from + fields.at[i].at, out);
}

static enum rc read_flag(struct reader *r, bool *to)
{
    uint8_t flag = reader_u8(r);

    if (flag > 1)
        return fault(RC_MALFORMED, "a flag is 0 or 1, not %u", flag);
    *to = flag == 1;
    return RC_OK;
}

static enum rc read_choice(struct reader *r, size_t most, unsigned *to)
{
    uint8_t choice = reader_u8(r);

    if (choice > most)
        return fault(RC_MALFORMED, "%u is no value of it", choice);
    *to = choice;
    return RC_OK;
}

static enum rc read_id(struct reader *r, char *to)
{
    struct bytes id = reader_take(r, reader_u8(r));

    return id.len == 0 ? RC_OK : registry_id_copy(id, to);
}

static enum rc read_text(struct reader *r, size_t most, char *to)
{
    struct bytes text = reader_take(r, reader_u8(r));

    if (text.len > most || !text_is_printable(text))
        return fault(RC_MALFORMED, "longer than %zu, or not printable", most);
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    return RC_OK;
}

static enum rc read_groups(struct reader *r, struct registry_groups *to)
{
    for (unsigned left = reader_u8(r); left > 0; left--)
        if (registry_groups_add(to, reader_take(r, reader_u8(r))) != RC_OK)
            return fault_while(RC_MALFORMED, "one of them");
    return RC_OK;
}

static enum rc read_subject(struct reader *r, struct registry_subject *to)
{
    struct bytes form = reader_sized32(r, FORM_MAX);

    return form.len == 0 ? RC_OK : registry_subject_read(form, to);
}

static enum rc read_certificate(struct reader *r, struct registry_certificate *to)
{
    struct bytes form = reader_sized32(r, FORM_MAX);

    return form.len == 0 ? RC_OK : registry_certificate_read(form, to);
}

static enum rc read_proposal(struct reader *r, struct registry_proposal *to)
{
    struct bytes form = reader_sized32(r, FORM_MAX);

    return form.len == 0 ? RC_OK : registry_proposal_read(form, to);
}

static enum rc read_ids(struct reader *r, size_t most, struct bytes *to)
{
    size_t count = 0;

    *to = reader_sized32(r, most);
    return registry_ids_count(*to, &count);
}

static enum rc read_field(const struct registry_field *field, struct reader *r, void *at)
{
    switch (field->kind) {
    case REGISTRY_FIELD_U8:
        *(uint8_t *)at = reader_u8(r);
        return RC_OK;
    case REGISTRY_FIELD_U16:
        *(uint16_t *)at = reader_u16(r);
        return RC_OK;
    case REGISTRY_FIELD_U32:
        *(uint32_t *)at = reader_u32(r);
        return RC_OK;
    case REGISTRY_FIELD_U64:
        *(uint64_t *)at = reader_u64(r);
        return RC_OK;
    case REGISTRY_FIELD_FLAG:
        return read_flag(r, at);
    case REGISTRY_FIELD_CHOICE:
        return read_choice(r, field->most, at);
    case REGISTRY_FIELD_OCTETS:
        reader_copy(r, at, field->most);
        return RC_OK;
    case REGISTRY_FIELD_BYTES:
        *(struct bytes *)at = reader_sized32(r, field->most);
        return RC_OK;
    case REGISTRY_FIELD_ID:
        return read_id(r, at);
    case REGISTRY_FIELD_TEXT:
        return read_text(r, field->most, at);
    case REGISTRY_FIELD_GROUPS:
        return read_groups(r, at);
    case REGISTRY_FIELD_SUBJECT:
        return read_subject(r, at);
    case REGISTRY_FIELD_CERTIFICATE:
        return read_certificate(r, at);
    case REGISTRY_FIELD_PROPOSAL:
        return read_proposal(r, at);
    case REGISTRY_FIELD_IDS:
        return read_ids(r, field->most, at);
    }
    return fault(RC_MALFORMED, "no such kind of field");
}

enum rc registry_fields_read(struct registry_fields fields, struct reader *r, void *to)
{
    for (size_t i = 0; i < fields.count; i++) {
        const struct registry_field *field = &fields.at[i];
        enum rc rc = read_field(field, r, (char *)to + field->at);
        if (r->broken)
            return fault(RC_MALFORMED, "door protocol: %s is cut short or too long",
                         field->name);
        if (rc != RC_OK)
            return fault_while(RC_MALFORMED, "door protocol: %s", field->name);
    }
    return RC_OK;
}
