#include "registry/subject.h"

#include <string.h>

#include "base/text.h"

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

enum rc registry_id_check(struct bytes id)
{
    if (id.len == 0 || id.len > REGISTRY_ID_MAX)
        return fault(RC_MALFORMED, "an id has 1 to %d characters, this one %zu",
                     REGISTRY_ID_MAX, id.len);
    for (size_t i = 0; i < id.len; i++) {
        bool mark = id.at[i] == '.' || id.at[i] == '-';
        if (!is_letter_or_digit(id.at[i]) && (!mark || i == 0))
            return fault(RC_MALFORMED,
                         "an id is letters, digits, '.' and '-', a letter or digit first: "
                         "octet %02x at %zu",
                         id.at[i], i + 1);
    }
    return RC_OK;
}

enum rc registry_id_copy(struct bytes id, char to[REGISTRY_ID_MAX + 1])
{
    TRY(registry_id_check(id));
    memset(to, 0, REGISTRY_ID_MAX + 1);
    memcpy(to, id.at, id.len);
    return RC_OK;
}

enum rc registry_label_copy(struct bytes label, char to[REGISTRY_LABEL_MAX + 1])
{
    if (label.len > REGISTRY_LABEL_MAX)
        return fault(RC_LIMIT, "a label has at most %d characters, this one %zu",
                     REGISTRY_LABEL_MAX, label.len);
    if (!text_is_printable(label))
        return fault(RC_MALFORMED, "a label is printable ASCII");
    memset(to, 0, REGISTRY_LABEL_MAX + 1);
    if (label.len > 0)
        memcpy(to, label.at, label.len);
    return RC_OK;
}

enum rc registry_why_check(struct bytes why)
{
    char label[REGISTRY_LABEL_MAX + 1];

    for (size_t i = 0; i < why.len; i++)
        if (why.at[i] != ' ')
            return registry_label_copy(why, label);
    return fault(RC_MALFORMED, "a reason is needed: 1 to %d characters that are not all blank",
                 REGISTRY_LABEL_MAX);
}

enum rc registry_groups_add(struct registry_groups *groups, struct bytes name)
{
    if (groups->count == REGISTRY_GROUPS_MAX)
        return fault(RC_LIMIT, "a device is in at most %d groups", REGISTRY_GROUPS_MAX);
    if (registry_groups_hold(groups, name))
        return fault(RC_EXISTS, "group %.*s stands twice", BYTES_FMT(name));
    TRY(registry_id_copy(name, groups->names[groups->count]));
    groups->count++;
    return RC_OK;
}

bool registry_groups_hold(const struct registry_groups *groups, struct bytes name)
{
    for (size_t i = 0; i < groups->count; i++)
        if (bytes_equal_text(name, groups->names[i]))
            return true;
    return false;
}

static const char *const KINDS[] = {
    [REGISTRY_DEVICE] = "device",
    [REGISTRY_OPERATOR] = "operator",
    [REGISTRY_LINE] = "line",
    [REGISTRY_DOOR] = "door",
};

static const char *const ROLES[] = {
    [REGISTRY_ROLE_NONE] = "none",
    [REGISTRY_ADMIN] = "admin",
    [REGISTRY_AUDITOR] = "auditor",
};

static bool is_kind(unsigned kind)
{
    return kind >= REGISTRY_DEVICE && kind <= REGISTRY_DOOR;
}

const char *registry_kind_name(enum registry_kind kind)
{
    return is_kind(kind) ? KINDS[kind] : "unknown";
}

const char *registry_role_name(enum registry_role role)
{
    return (unsigned)role <= REGISTRY_AUDITOR ? ROLES[role] : "unknown";
}

enum rc registry_role_read(struct bytes text, enum registry_role *role)
{
    for (unsigned i = REGISTRY_ADMIN; i <= REGISTRY_AUDITOR; i++) {
        if (bytes_equal_text(text, ROLES[i])) {
            *role = (enum registry_role)i;
            return RC_OK;
        }
    }
    return fault(RC_MALFORMED, "a role is admin or auditor, not this text");
}

static void add_sized8(struct buf *out, const char *text)
{
    struct bytes bytes = bytes_of_text(text);

    buf_add_u8(out, (uint8_t)bytes.len);
    buf_add(out, bytes);
}

void registry_subject_write(const struct registry_subject *subject, struct buf *out)
{
    buf_add_u8(out, (uint8_t)subject->kind);
    buf_add_u8(out, (uint8_t)subject->state);
    buf_add_u8(out, (uint8_t)subject->role);
    add_sized8(out, subject->id);
    add_sized8(out, subject->label);
    buf_add_u8(out, (uint8_t)subject->groups.count);
    for (size_t i = 0; i < subject->groups.count; i++)
        add_sized8(out, subject->groups.names[i]);
    buf_add_u64(out, (uint64_t)subject->created_ms);
    buf_add_u64(out, (uint64_t)subject->changed_ms);
    buf_add_u64(out, subject->revision);
}

static enum rc read_id(struct reader *r, char to[REGISTRY_ID_MAX + 1])
{
    struct bytes id = reader_take(r, reader_u8(r));

    return r->broken ? fault(RC_MALFORMED, "cut short in an id") : registry_id_copy(id, to);
}

static enum rc read_groups(struct reader *r, struct registry_groups *groups)
{
    unsigned count = reader_u8(r);

    if (count > REGISTRY_GROUPS_MAX)
        return fault(RC_MALFORMED, "%u groups, at most %d", count, REGISTRY_GROUPS_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct bytes name = reader_take(r, reader_u8(r));
        if (r->broken)
            return fault(RC_MALFORMED, "cut short in a group");
        if (registry_groups_add(groups, name) != RC_OK)
            return fault_while(RC_MALFORMED, "group %u", i + 1);
    }
    return RC_OK;
}

enum rc registry_subject_read(struct bytes from, struct registry_subject *subject)
{
    struct registry_subject read = { 0 };
    struct reader r = READER(from);
    unsigned kind = reader_u8(&r), state = reader_u8(&r), role = reader_u8(&r);

    if (!is_kind(kind) || kind == REGISTRY_DOOR || state < REGISTRY_REGISTERED ||
        state > REGISTRY_REVOKED || role > REGISTRY_AUDITOR ||
        (role != 0) != (kind == REGISTRY_OPERATOR))
        return fault(RC_MALFORMED, "subject: kind %u, state %u, role %u", kind, state, role);
    read.kind = (enum registry_kind)kind;
    read.state = (enum registry_state)state;
    read.role = (enum registry_role)role;
    TRY(read_id(&r, read.id));
    struct bytes label = reader_take(&r, reader_u8(&r));
    if (r.broken || registry_label_copy(label, read.label) != RC_OK)
        return fault(RC_MALFORMED, "subject: its label");
    TRY(read_groups(&r, &read.groups));
    read.created_ms = (int64_t)reader_u64(&r);
    read.changed_ms = (int64_t)reader_u64(&r);
    read.revision = reader_u64(&r);
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "subject: cut short, or a tail behind it");
    *subject = read;
    return RC_OK;
}

void registry_certificate_write(const struct registry_certificate *certificate, struct buf *out)
{
    buf_add(out, BYTES_OF(certificate->fingerprint.at));
    buf_add_u8(out, (uint8_t)certificate->kind);
    buf_add_u8(out, (uint8_t)certificate->state);
    buf_add_u8(out, certificate->reason);
    add_sized8(out, certificate->subject);
    buf_add_u8(out, (uint8_t)certificate->serial_len);
    buf_add(out, (struct bytes){ certificate->serial, certificate->serial_len });
    buf_add(out, BYTES_OF(certificate->issuer_hash));
    buf_add(out, BYTES_OF(certificate->key_hash));
    buf_add_u64(out, (uint64_t)certificate->not_before_s);
    buf_add_u64(out, (uint64_t)certificate->not_after_s);
    buf_add_u64(out, (uint64_t)certificate->issued_ms);
    buf_add_u64(out, (uint64_t)certificate->revoked_ms);
    buf_add_u64(out, certificate->revision);
}

/* 7 does not exist, 8 is for delta CRLs, 10 for attribute certificates. */
bool registry_reason_is(unsigned reason)
{
    return reason <= 6 || reason == 9;
}

/* Magnitude without leading zeros (RFC 5280 4.1.2.2). */
static bool is_serial(struct bytes serial)
{
    return serial.len >= 1 && serial.len <= REGISTRY_SERIAL_MAX && serial.at[0] != 0;
}

enum rc registry_certificate_read(struct bytes from, struct registry_certificate *certificate)
{
    struct registry_certificate read = { 0 };
    struct reader r = READER(from);

    reader_copy(&r, read.fingerprint.at, sizeof read.fingerprint.at);
    unsigned kind = reader_u8(&r), state = reader_u8(&r), reason = reader_u8(&r);
    if (!is_kind(kind) || state < REGISTRY_CERTIFICATE_ACTIVE ||
        state > REGISTRY_CERTIFICATE_REVOKED || !registry_reason_is(reason))
        return fault(RC_MALFORMED, "certificate: kind %u, state %u, reason %u", kind, state,
                     reason);
    read.kind = (enum registry_kind)kind;
    read.state = (enum registry_certificate_state)state;
    read.reason = (uint8_t)reason;
    TRY(read_id(&r, read.subject));
    struct bytes serial = reader_take(&r, reader_u8(&r));
    if (r.broken || !is_serial(serial))
        return fault(RC_MALFORMED, "certificate: its serial number");
    memcpy(read.serial, serial.at, serial.len);
    read.serial_len = serial.len;
    reader_copy(&r, read.issuer_hash, sizeof read.issuer_hash);
    reader_copy(&r, read.key_hash, sizeof read.key_hash);
    read.not_before_s = (int64_t)reader_u64(&r);
    read.not_after_s = (int64_t)reader_u64(&r);
    read.issued_ms = (int64_t)reader_u64(&r);
    read.revoked_ms = (int64_t)reader_u64(&r);
    read.revision = reader_u64(&r);
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "certificate: cut short, or a tail behind it");
    *certificate = read;
    return RC_OK;
}
