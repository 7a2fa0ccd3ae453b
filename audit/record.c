#include "audit/record.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"

enum { VERSION = 1, AGGREGATE_BYTES = 33 };

/* A field is tag u8, length u16 and its value; tags ascend, so each field is there at most once
 * and in one order. */
enum tag {
    TAG_ACTOR = 1, /* kind u8, id */
    TAG_ACTOR_FINGERPRINT,
    TAG_ACTOR_SERIAL,
    TAG_ACTOR_ISSUER,
    TAG_ACTOR_KEY,
    TAG_DEVICE,
    TAG_FINGERPRINT,
    TAG_SERIAL,
    TAG_ISSUER,
    TAG_KEY,
    TAG_TARGET,
    TAG_PEER,
    TAG_TLS,
    TAG_REASON,
    TAG_POLICY,    /* version u64, rule u32 */
    TAG_AGGREGATE, /* count u64, first u64, last u64, targets u64, capped u8 */
};

/* The fields that are octets or text as they stand, by tag. */
static const struct field {
    enum tag tag;
    const char *name;
    size_t at; /* in struct audit_record */
    uint16_t least, most;
    bool text;
    unsigned needs; /* of enum audit_field */
} FIELDS[] = {
#define AT(member) offsetof(struct audit_record, member)
#define HASH       AUDIT_HASH, AUDIT_HASH, false
#define SERIAL     1, AUDIT_SERIAL_MAX, false
    { TAG_ACTOR_FINGERPRINT, "actor fingerprint", AT(actor_certificate.fingerprint), HASH, 0 },
    { TAG_ACTOR_SERIAL, "actor serial", AT(actor_certificate.serial), SERIAL, 0 },
    { TAG_ACTOR_ISSUER, "actor issuer", AT(actor_certificate.issuer), HASH, 0 },
    { TAG_ACTOR_KEY, "actor key", AT(actor_certificate.key), HASH, 0 },
    { TAG_DEVICE, "device", AT(device), 1, AUDIT_ID_MAX, true, 0 },
    { TAG_FINGERPRINT, "fingerprint", AT(certificate.fingerprint), HASH,
      AUDIT_CERTIFICATE_FIELD },
    { TAG_SERIAL, "serial", AT(certificate.serial), SERIAL, AUDIT_CERTIFICATE_FIELD },
    { TAG_ISSUER, "issuer", AT(certificate.issuer), HASH, AUDIT_CERTIFICATE_FIELD },
    { TAG_KEY, "key", AT(certificate.key), HASH, AUDIT_CERTIFICATE_FIELD },
    { TAG_TARGET, "target", AT(target), 1, AUDIT_TARGET_MAX, true, 0 },
    { TAG_PEER, "peer", AT(peer), 1, AUDIT_PEER_MAX, true, 0 },
    { TAG_TLS, "tls", AT(tls), 1, AUDIT_TLS_MAX, true, 0 },
    { TAG_REASON, "reason", AT(reason), 1, AUDIT_REASON_MAX, true, 0 },
#undef AT
#undef HASH
#undef SERIAL
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static bool is_clean_text(struct bytes text)
{
    if (text_is_printable(text)) /* ASCII, as nearly all is */
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
    return text_is_utf8(text);
}

static struct bytes field_get(const struct audit_record *record, const struct field *field)
{
    struct bytes value;

    memcpy(&value, (const char *)record + field->at, sizeof value);
    return value;
}

static enum rc check_value(const struct audit_action_row *row, const struct field *field,
                           struct bytes value)
{
    if ((field->needs & ~row->fields) != 0)
        return fault(RC_MALFORMED, "audit record: %s has no field %s", row->name, field->name);
    if (value.len < field->least || value.len > field->most)
        return fault(RC_MALFORMED, "audit record: %s of %zu octets, %u to %u are allowed",
                     field->name, value.len, field->least, field->most);
    if (field->text && !is_clean_text(value))
        return fault(RC_MALFORMED, "audit record: %s is not UTF-8 without control characters",
                     field->name);
    return RC_OK;
}

static enum rc check_head(const struct audit_record *record,
                          const struct audit_action_row **row)
{
    const struct audit_action_row *found = audit_action_get(record->action);

    if (found == NULL)
        return fault(RC_MALFORMED, "audit record: no action has number %u",
                     (unsigned)record->action);
    if (audit_decision_name(record->decision) == NULL)
        return fault(RC_MALFORMED, "audit record: no decision has number %u",
                     (unsigned)record->decision);
    if (record->source != 0 && audit_source_name(record->source) == NULL)
        return fault(RC_MALFORMED, "audit record: no source has number %u",
                     (unsigned)record->source);
    if (record->source == 0 && record->source_sequence != 0)
        return fault(RC_MALFORMED, "audit record: a sequence without a source");
    if (record->wall_ms < 0 || record->monotonic_ms < 0)
        return fault(RC_MALFORMED, "audit record: a time before 1970 or before the start");
    *row = found;
    return RC_OK;
}

static enum rc check_actor(enum audit_actor_kind kind, struct bytes id)
{
    if (audit_actor_kind_name(kind) == NULL)
        return fault(RC_MALFORMED, "audit record: no kind of actor has number %u",
                     (unsigned)kind);
    if ((kind == AUDIT_NOBODY) != (id.len == 0) || id.len > AUDIT_ID_MAX)
        return fault(RC_MALFORMED, "audit record: a %s with an id of %zu octets",
                     audit_actor_kind_name(kind), id.len);
    if (!is_clean_text(id))
        return fault(RC_MALFORMED,
                     "audit record: actor is not UTF-8 without control characters");
    return RC_OK;
}

static bool has_aggregate(const struct audit_aggregate_part *part)
{
    return part->count != 0 || part->first_ms != 0 || part->last_ms != 0 ||
           part->targets != 0 || part->targets_capped;
}

static enum rc check_numbers(const struct audit_action_row *row,
                             const struct audit_record *record)
{
    const struct audit_aggregate_part *part = &record->aggregate;

    if ((row->fields & AUDIT_POLICY_FIELD) == 0 &&
        (record->policy_version != 0 || record->rule != 0))
        return fault(RC_MALFORMED, "audit record: %s has no field policy", row->name);
    if (!has_aggregate(part))
        return RC_OK;
    if ((row->fields & AUDIT_AGGREGATE_FIELD) == 0)
        return fault(RC_MALFORMED, "audit record: %s has no field aggregate", row->name);
    if (part->count == 0 || part->targets > part->count || part->first_ms < 0 ||
        part->last_ms < 0)
        return fault(RC_MALFORMED,
                     "audit record: an aggregate of %llu acts on %llu targets, or before 1970",
                     (unsigned long long)part->count, (unsigned long long)part->targets);
    return RC_OK;
}

static enum rc check_rest(const struct audit_action_row *row, const struct audit_record *record)
{
    TRY(check_actor(record->actor_kind, record->actor));
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct bytes value = field_get(record, &FIELDS[i]);
        if (value.len > 0)
            TRY(check_value(row, &FIELDS[i], value));
    }
    return check_numbers(row, record);
}

static enum rc check(const struct audit_record *record)
{
    const struct audit_action_row *row = NULL;

    TRY(check_head(record, &row));
    return check_rest(row, record);
}

static void write_head(const struct audit_record *record, struct buf *buf)
{
    buf_add_u8(buf, VERSION);
    buf_add_u8(buf, (uint8_t)record->decision);
    buf_add_u16(buf, (uint16_t)record->action);
    buf_add_u32(buf, (uint32_t)record->source);
    buf_add_u64(buf, record->source_sequence);
    buf_add_u64(buf, (uint64_t)record->wall_ms);
    buf_add_u64(buf, (uint64_t)record->monotonic_ms);
    buf_add(buf, BYTES_OF(record->correlation));
}

static void write_numbers(const struct audit_record *record, struct buf *buf)
{
    const struct audit_aggregate_part *part = &record->aggregate;

    if (record->policy_version != 0 || record->rule != 0) {
        buf_add_u8(buf, TAG_POLICY);
        buf_add_u16(buf, 8 + 4);
        buf_add_u64(buf, record->policy_version);
        buf_add_u32(buf, record->rule);
    }
    if (has_aggregate(part)) {
        buf_add_u8(buf, TAG_AGGREGATE);
        buf_add_u16(buf, AGGREGATE_BYTES);
        buf_add_u64(buf, part->count);
        buf_add_u64(buf, (uint64_t)part->first_ms);
        buf_add_u64(buf, (uint64_t)part->last_ms);
        buf_add_u64(buf, part->targets);
        buf_add_u8(buf, part->targets_capped);
    }
}

enum rc audit_record_write(const struct audit_record *record, struct buf *buf)
{
    TRY(check(record));
    write_head(record, buf);
    if (record->actor_kind != AUDIT_NOBODY) {
        buf_add_u8(buf, TAG_ACTOR);
        buf_add_u16(buf, (uint16_t)(1 + record->actor.len));
        buf_add_u8(buf, (uint8_t)record->actor_kind);
        buf_add(buf, record->actor);
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct bytes value = field_get(record, &FIELDS[i]);
        if (value.len == 0)
            continue;
        buf_add_u8(buf, (uint8_t)FIELDS[i].tag);
        buf_add_sized16(buf, value);
    }
    write_numbers(record, buf);
    return RC_OK;
}

enum rc audit_record_write_again(struct bytes read, const struct audit_record *record,
                                 struct buf *buf)
{
    const struct audit_action_row *row = NULL;
    struct reader r = READER(read);

    TRY(check_head(record, &row));
    write_head(record, buf);
    reader_take(&r, AUDIT_HEAD);
    buf_add(buf, r.left);
    return r.broken
               ? fault(RC_MALFORMED, "audit record: head of less than %d octets", AUDIT_HEAD)
               : RC_OK;
}

static enum rc read_head(struct reader *r, struct audit_record *record,
                         const struct audit_action_row **row)
{
    uint8_t version = reader_u8(r);

    record->decision = (enum audit_decision)reader_u8(r);
    record->action = (enum audit_action)reader_u16(r);
    record->source = (enum audit_source)reader_u32(r);
    record->source_sequence = reader_u64(r);
    record->wall_ms = (int64_t)reader_u64(r);
    record->monotonic_ms = (int64_t)reader_u64(r);
    reader_copy(r, record->correlation, sizeof record->correlation);
    if (r->broken)
        return fault(RC_MALFORMED, "audit record: head of less than %d octets", AUDIT_HEAD);
    if (version != VERSION)
        return fault(RC_MALFORMED, "audit record: version %u, expected %d", version, VERSION);
    return check_head(record, row);
}

static bool read_plain(unsigned tag, struct bytes value, struct audit_record *record)
{
    const unsigned place = tag - TAG_ACTOR_FINGERPRINT;

    static_assert(FIELD_COUNT == TAG_REASON - TAG_ACTOR_FINGERPRINT + 1,
                  "a field for each tag");
    if (place >= FIELD_COUNT)
        return false;
    assert(FIELDS[place].tag == tag);
    memcpy((char *)record + FIELDS[place].at, &value, sizeof value);
    return value.len > 0;
}

static bool read_policy(struct reader r, struct audit_record *record)
{
    record->policy_version = reader_u64(&r);
    record->rule = reader_u32(&r);
    return reader_done(&r) && (record->policy_version != 0 || record->rule != 0);
}

static bool read_aggregate(struct reader r, struct audit_aggregate_part *part)
{
    part->count = reader_u64(&r);
    part->first_ms = (int64_t)reader_u64(&r);
    part->last_ms = (int64_t)reader_u64(&r);
    part->targets = reader_u64(&r);
    uint8_t capped = reader_u8(&r);
    part->targets_capped = capped == 1;
    return reader_done(&r) && capped <= 1 && part->count != 0;
}

static bool read_field(unsigned tag, struct bytes value, struct audit_record *record)
{
    struct reader r = READER(value);

    switch (tag) {
    case TAG_ACTOR:
        record->actor_kind = (enum audit_actor_kind)reader_u8(&r);
        record->actor = r.left;
        return !r.broken && record->actor_kind != AUDIT_NOBODY;
    case TAG_POLICY:
        return read_policy(r, record);
    case TAG_AGGREGATE:
        return read_aggregate(r, &record->aggregate);
    default:
        return read_plain(tag, value, record);
    }
}

enum rc audit_record_read(struct bytes bytes, struct audit_record *record)
{
    struct reader r = READER(bytes);
    const struct audit_action_row *row = NULL;
    struct audit_record made = { 0 };
    unsigned last = 0;

    TRY(read_head(&r, &made, &row));
    while (r.left.len > 0) {
        size_t at = bytes.len - r.left.len;
        unsigned tag = reader_u8(&r);
        struct bytes value = reader_sized16(&r, AUDIT_TARGET_MAX);
        if (r.broken || tag <= last || !read_field(tag, value, &made))
            return fault(RC_MALFORMED,
                         "audit record: octet %zu: field %u is cut short, too long, empty, not "
                         "in order, or none",
                         at, tag);
        last = tag;
    }
    TRY(check_rest(row, &made));
    *record = made;
    return RC_OK;
}

enum rc audit_record_read_head(struct bytes head, struct audit_record *record)
{
    struct reader r = READER(head);
    const struct audit_action_row *row = NULL;
    struct audit_record made = { 0 };

    TRY(read_head(&r, &made, &row));
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "audit record: head of %zu octets, expected %d", head.len,
                     AUDIT_HEAD);
    *record = made;
    return RC_OK;
}
