#include "registry/answer.h"

#include "registry/field.h"

#define AT(member) offsetof(struct registry_answer, member)
#define NUMBER(name, member)                                                                   \
    {                                                                                          \
        name, REGISTRY_FIELD_U64, AT(member), 0                                                \
    }

#define POSITION                                                                               \
    { "lineage", REGISTRY_FIELD_OCTETS, AT(position.lineage), REGISTRY_LINEAGE },              \
        NUMBER("sequence", position.sequence)
#define CURSOR                                                                                 \
    {                                                                                          \
        "cursor", REGISTRY_FIELD_BYTES, AT(cursor), REGISTRY_CURSOR_MAX                        \
    }
#define LIST                                                                                   \
    {                                                                                          \
        "list", REGISTRY_FIELD_BYTES, AT(list), REGISTRY_LIST_MAX                              \
    }
#define VERDICT                                                                                \
    {                                                                                          \
        "verdict", REGISTRY_FIELD_CHOICE, AT(verdict), REGISTRY_FOREIGN                        \
    }
#define CERTIFICATE                                                                            \
    {                                                                                          \
        "certificate", REGISTRY_FIELD_CERTIFICATE, AT(certificate), 0                          \
    }
#define SUBJECT                                                                                \
    {                                                                                          \
        "subject", REGISTRY_FIELD_SUBJECT, AT(subject), 0                                      \
    }
#define DER                                                                                    \
    {                                                                                          \
        "der", REGISTRY_FIELD_BYTES, AT(der), REGISTRY_CSR_MAX                                 \
    }
#define SEQUENCE   NUMBER("sequence", sequence)
#define LOG_NUMBER NUMBER("log number", log_number)
#define LOG_NUMBERS                                                                            \
    {                                                                                          \
        "log numbers", REGISTRY_FIELD_BYTES, AT(log_numbers), REGISTRY_LOG_NUMBERS_MAX         \
    }
#define POLICY                                                                                 \
    NUMBER("version", policy.version), { "author", REGISTRY_FIELD_ID, AT(policy.author), 0 },  \
        NUMBER("made", policy.made_ms),                                                        \
        { "active", REGISTRY_FIELD_FLAG, AT(policy.active), 0 },                               \
    {                                                                                          \
        "why", REGISTRY_FIELD_TEXT, AT(policy.why), REGISTRY_LABEL_MAX                         \
    }
#define TEXT                                                                                   \
    {                                                                                          \
        "text", REGISTRY_FIELD_BYTES, AT(text), REGISTRY_TEXT_PART                             \
    }
#define PROPOSAL                                                                               \
    {                                                                                          \
        "proposal", REGISTRY_FIELD_PROPOSAL, AT(proposal), 0                                   \
    }
#define COUNTS                                                                                 \
    NUMBER("revoked", counts.revoked), NUMBER("were revoked", counts.were_revoked),            \
        NUMBER("unknown", counts.unknown)

#define BODY(name, ...) static const struct registry_field name[] = { __VA_ARGS__ }
BODY(WATCH, POSITION, LIST);
BODY(SNAPSHOT, POSITION, CURSOR, LIST);
BODY(LOOK_UP, VERDICT, CERTIFICATE, SUBJECT);
BODY(WITH_DER, DER, LOG_NUMBER);
BODY(DEVICE_ADD, SUBJECT, SEQUENCE);
BODY(DEVICE_SHOW, SUBJECT, LIST, LOG_NUMBERS);
BODY(CERTIFICATES, CURSOR, LIST, LOG_NUMBERS);
BODY(CHANGED, SEQUENCE);
BODY(PAGE, CURSOR, LIST);
BODY(TOKEN_NEW, { "token id", REGISTRY_FIELD_BYTES, AT(token_id), REGISTRY_TOKEN_ID_MAX },
     { "token secret", REGISTRY_FIELD_BYTES, AT(token_secret), SECRET_MAX },
     NUMBER("expires", expires_ms));
BODY(POLICY_SHOW, POLICY, TEXT, { "length", REGISTRY_FIELD_U32, AT(name.len), 0 },
     { "hash", REGISTRY_FIELD_OCTETS, AT(name.hash), REGISTRY_TEXT_HASH });
BODY(POLICY_APPLY, { "accepted", REGISTRY_FIELD_FLAG, AT(accepted), 0 }, POLICY, SEQUENCE, TEXT,
     PROPOSAL);
#define SOURCE(name, n)                                                                        \
    NUMBER(name " records", status.sources[n].records),                                        \
        NUMBER(name " acts", status.sources[n].acts),                                          \
        NUMBER(name " spooled", status.sources[n].spooled),                                    \
        NUMBER(name " refused", status.sources[n].refused)
BODY(STATUS, NUMBER("revision", status.revision), NUMBER("sequence", status.sequence),
     NUMBER("started", status.started_ms), NUMBER("now", status.now_ms),
     NUMBER("registered", status.devices[REGISTRY_REGISTERED]),
     NUMBER("active", status.devices[REGISTRY_ACTIVE]),
     NUMBER("suspended", status.devices[REGISTRY_SUSPENDED]),
     NUMBER("revoked", status.devices[REGISTRY_REVOKED]),
     NUMBER("certificates", status.certificates), NUMBER("operators", status.operators),
     NUMBER("lines", status.lines), NUMBER("orphans", status.orphans),
     NUMBER("policy version", status.policy_version),
     { "signer", REGISTRY_FIELD_FLAG, AT(status.signer), 0 }, NUMBER("crl", status.crl_ms),
     NUMBER("doors behind", status.doors_behind), NUMBER("records", status.records),
     NUMBER("checkpoint", status.checkpoint), NUMBER("sinks", status.sinks),
     NUMBER("exported", status.exported), NUMBER("witnesses", status.witnesses),
     NUMBER("cosigned", status.cosigned), NUMBER("published", status.published),
     SOURCE("authority", 1), SOURCE("device door", 2), SOURCE("operator door", 3),
     SOURCE("signer", 4),
     { "trouble", REGISTRY_FIELD_TEXT, AT(status.trouble), REGISTRY_TROUBLE_MAX });
BODY(APPLIED, { "applied", REGISTRY_FIELD_FLAG, AT(applied), 0 }, SEQUENCE);
BODY(NAME, TEXT);
BODY(PART, LIST);
BODY(PROPOSAL_SHOW, PROPOSAL,
     { "content", REGISTRY_FIELD_BYTES, AT(query), REGISTRY_CONTENT_MAX });
BODY(PROPOSAL_APPROVE, PROPOSAL, POLICY, COUNTS, SEQUENCE);
BODY(PROPOSAL_REJECT, PROPOSAL);
BODY(CHANGED_OR_WAITS, SEQUENCE, PROPOSAL);
BODY(DEVICE_REVOKE_MANY, PROPOSAL, COUNTS, SEQUENCE,
     { "outcomes", REGISTRY_FIELD_BYTES, AT(list), REGISTRY_IDS_MAX });
BODY(OF_AUDIT, { "query", REGISTRY_FIELD_BYTES, AT(query), REGISTRY_LIST_MAX });

static const struct registry_fields BODIES[] = {
    [REGISTRY_ASK_WATCH] = REGISTRY_FIELDS(WATCH),
    [REGISTRY_ASK_SNAPSHOT] = REGISTRY_FIELDS(SNAPSHOT),
    [REGISTRY_ASK_LOOK_UP] = REGISTRY_FIELDS(LOOK_UP),
    [REGISTRY_ASK_DOOR] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_ENROL] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_REENROL] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_DEVICE_ADD] = REGISTRY_FIELDS(DEVICE_ADD),
    [REGISTRY_ASK_DEVICE_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_DEVICE_SHOW] = REGISTRY_FIELDS(DEVICE_SHOW),
    [REGISTRY_ASK_DEVICE_STATE] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_CERTIFICATE_LIST] = REGISTRY_FIELDS(CERTIFICATES),
    [REGISTRY_ASK_CERTIFICATE_REVOKE] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_TOKEN_NEW] = REGISTRY_FIELDS(TOKEN_NEW),
    [REGISTRY_ASK_OPERATOR_ADD] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_OPERATOR_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_OPERATOR_REVOKE] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_POLICY_SHOW] = REGISTRY_FIELDS(POLICY_SHOW),
    [REGISTRY_ASK_POLICY_APPLY] = REGISTRY_FIELDS(POLICY_APPLY),
    [REGISTRY_ASK_POLICY_PROPOSE] = REGISTRY_FIELDS(POLICY_APPLY),
    [REGISTRY_ASK_STATUS] = REGISTRY_FIELDS(STATUS),
    [REGISTRY_ASK_APPLIED] = REGISTRY_FIELDS(APPLIED),
    [REGISTRY_ASK_POLICY_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_AUDIT_LIST] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_AUDIT_CHECKPOINT] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_AUDIT_PROOF] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_SPOOL] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_AUDIT_ENTRIES] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_BACKUP] = REGISTRY_FIELDS(NAME),

    [REGISTRY_ASK_AUDIT_COSIGN] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_AUDIT_WATCH] = REGISTRY_FIELDS(OF_AUDIT),
    [REGISTRY_ASK_EXPORTED] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_CRL] = REGISTRY_FIELDS(PART),
    [REGISTRY_ASK_POLICY_PART] = REGISTRY_FIELDS(CHANGED),
    [REGISTRY_ASK_POLICY_TEXT] = REGISTRY_FIELDS(PART),
    [REGISTRY_ASK_ACKNOWLEDGE] = REGISTRY_FIELDS(CHANGED),

    [REGISTRY_ASK_PROPOSAL_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_PROPOSAL_SHOW] = REGISTRY_FIELDS(PROPOSAL_SHOW),
    [REGISTRY_ASK_PROPOSAL_APPROVE] = REGISTRY_FIELDS(PROPOSAL_APPROVE),
    [REGISTRY_ASK_PROPOSAL_REJECT] = REGISTRY_FIELDS(PROPOSAL_REJECT),
    [REGISTRY_ASK_DEVICE_REVOKE_MANY] = REGISTRY_FIELDS(DEVICE_REVOKE_MANY),
    [REGISTRY_ASK_AUDIT_ERASE] = REGISTRY_FIELDS(CHANGED_OR_WAITS),
    [REGISTRY_ASK_AUDIT_HOLD] = REGISTRY_FIELDS(CHANGED_OR_WAITS),
    [REGISTRY_ASK_AUDIT_HOLD_LIST] = REGISTRY_FIELDS(OF_AUDIT),
};
static const struct registry_bodies ALL = { BODIES, sizeof BODIES / sizeof *BODIES };

enum rc registry_answer_write(enum registry_ask ask, const struct registry_answer *answer,
                              struct buf *out)
{
    struct bytes done;

    registry_fields_write(registry_bodies_get(ALL, ask), answer, out);
    if (buf_done(out, &done) != RC_OK)
        return fault(RC_LIMIT, "door protocol: a field of answer %d is too long", (int)ask);
    return RC_OK;
}

enum rc registry_answer_read(enum registry_ask ask, struct bytes from,
                             struct registry_answer *answer)
{
    struct registry_answer read = { 0 };
    struct reader r = READER(from);

    TRY(registry_fields_read(registry_bodies_get(ALL, ask), &r, &read));
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "door protocol: %zu octets behind answer %d", r.left.len,
                     (int)ask);
    *answer = read;
    return RC_OK;
}

/* ---- Lists: each item a u32 length and its form ---- */

enum { ITEM_MAX = 4096 };

static bool add_item(struct buf *list, struct bytes item)
{
    if (list->len + 4 + item.len > list->max)
        return false;
    buf_add_sized32(list, item);
    return !list->broken;
}

bool registry_answer_add_change(struct buf *list, uint64_t sequence,
                                const struct registry_change *change)
{
    if (list->len + 4 + 8 + 2 + change->body.len > list->max)
        return false;
    buf_add_u32(list, (uint32_t)(8 + 2 + change->body.len));
    buf_add_u64(list, sequence);
    buf_add_u16(list, (uint16_t)change->kind);
    buf_add(list, change->body);
    return !list->broken;
}

bool registry_answer_add_subject(struct buf *list, const struct registry_subject *subject)
{
    AUTO_BUF(item, ITEM_MAX);

    registry_subject_write(subject, &item);
    return add_item(list, buf_bytes(&item));
}

bool registry_answer_add_certificate(struct buf *list,
                                     const struct registry_certificate *certificate)
{
    AUTO_BUF(item, ITEM_MAX);

    registry_certificate_write(certificate, &item);
    return add_item(list, buf_bytes(&item));
}

static const struct registry_field POLICY_ITEM[] = {
    { "version", REGISTRY_FIELD_U64, offsetof(struct registry_policy, version), 0 },
    { "author", REGISTRY_FIELD_ID, offsetof(struct registry_policy, author), 0 },
    { "made", REGISTRY_FIELD_U64, offsetof(struct registry_policy, made_ms), 0 },
    { "active", REGISTRY_FIELD_FLAG, offsetof(struct registry_policy, active), 0 },
    { "why", REGISTRY_FIELD_TEXT, offsetof(struct registry_policy, why), REGISTRY_LABEL_MAX },
};

bool registry_answer_add_policy(struct buf *list, const struct registry_policy *policy)
{
    AUTO_BUF(item, ITEM_MAX);

    registry_fields_write((struct registry_fields)REGISTRY_FIELDS(POLICY_ITEM), policy, &item);
    return add_item(list, buf_bytes(&item));
}

bool registry_answer_add_proposal(struct buf *list, const struct registry_proposal *proposal)
{
    AUTO_BUF(item, ITEM_MAX);

    registry_proposal_write(proposal, &item);
    return add_item(list, buf_bytes(&item));
}

static enum rc next_item(struct reader *list, struct bytes *item)
{
    if (reader_done(list))
        return RC_NOT_FOUND;
    *item = reader_sized32(list, REGISTRY_LIST_MAX);
    return list->broken ? fault(RC_MALFORMED, "door protocol: a list is cut short") : RC_OK;
}

enum rc registry_answer_next_change(struct reader *list, uint64_t *sequence,
                                    struct registry_change *change)
{
    struct bytes item;

    TRY(next_item(list, &item));
    struct reader r = READER(item);
    uint64_t number = reader_u64(&r);
    uint16_t kind = reader_u16(&r);
    if (r.broken || kind < REGISTRY_CHANGE_SUBJECT || kind > REGISTRY_CHANGE_AUTHORITIES)
        return fault(RC_MALFORMED, "door protocol: a change of kind %u", kind);
    *sequence = number;
    *change = (struct registry_change){ (enum registry_change_kind)kind, r.left };
    return RC_OK;
}

enum rc registry_answer_next_subject(struct reader *list, struct registry_subject *subject)
{
    struct bytes item;

    TRY(next_item(list, &item));
    return registry_subject_read(item, subject);
}

enum rc registry_answer_next_certificate(struct reader *list,
                                         struct registry_certificate *certificate)
{
    struct bytes item;

    TRY(next_item(list, &item));
    return registry_certificate_read(item, certificate);
}

uint64_t registry_answer_next_log_number(struct reader *log_numbers)
{
    return reader_u64(log_numbers);
}

enum rc registry_answer_next_policy(struct reader *list, struct registry_policy *policy)
{
    struct registry_policy read = { 0 };
    struct bytes item;

    TRY(next_item(list, &item));
    struct reader r = READER(item);
    TRY(registry_fields_read((struct registry_fields)REGISTRY_FIELDS(POLICY_ITEM), &r, &read));
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "door protocol: a tail behind a policy");
    *policy = read;
    return RC_OK;
}

enum rc registry_answer_next_proposal(struct reader *list, struct registry_proposal *proposal)
{
    struct bytes item;

    TRY(next_item(list, &item));
    return registry_proposal_read(item, proposal);
}
