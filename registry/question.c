#include "registry/question.h"

#include "registry/field.h"

#define AT(member) offsetof(struct registry_question, member)

static const struct registry_field PREAMBLE[] = {
    { "correlation", REGISTRY_FIELD_OCTETS, AT(preamble.correlation), REGISTRY_CORRELATION },
    { "actor known", REGISTRY_FIELD_FLAG, AT(preamble.actor.known), 0 },
    { "actor", REGISTRY_FIELD_OCTETS, AT(preamble.actor.fingerprint), REGISTRY_FINGERPRINT },
    { "peer", REGISTRY_FIELD_TEXT, AT(preamble.peer), REGISTRY_PEER_MAX },
    { "tls", REGISTRY_FIELD_TEXT, AT(preamble.tls), REGISTRY_TLS_MAX },
};

#define POSITION                                                                               \
    { "lineage", REGISTRY_FIELD_OCTETS, AT(position.lineage), REGISTRY_LINEAGE },              \
    {                                                                                          \
        "sequence", REGISTRY_FIELD_U64, AT(position.sequence), 0                               \
    }
#define CURSOR                                                                                 \
    {                                                                                          \
        "cursor", REGISTRY_FIELD_BYTES, AT(cursor), REGISTRY_CURSOR_MAX                        \
    }
#define MOST                                                                                   \
    {                                                                                          \
        "most", REGISTRY_FIELD_U16, AT(most), 0                                                \
    }
#define DER                                                                                    \
    {                                                                                          \
        "der", REGISTRY_FIELD_BYTES, AT(der), REGISTRY_CSR_MAX                                 \
    }
#define KIND                                                                                   \
    {                                                                                          \
        "kind", REGISTRY_FIELD_CHOICE, AT(kind), REGISTRY_LINE                                 \
    }
#define ID                                                                                     \
    {                                                                                          \
        "id", REGISTRY_FIELD_ID, AT(id), 0                                                     \
    }
#define GROUP                                                                                  \
    {                                                                                          \
        "group", REGISTRY_FIELD_ID, AT(group), 0                                               \
    }
#define STATE                                                                                  \
    {                                                                                          \
        "state", REGISTRY_FIELD_CHOICE, AT(state), REGISTRY_REVOKED                            \
    }
#define ROLE                                                                                   \
    {                                                                                          \
        "role", REGISTRY_FIELD_CHOICE, AT(role), REGISTRY_AUDITOR                              \
    }
#define LABEL                                                                                  \
    {                                                                                          \
        "label", REGISTRY_FIELD_TEXT, AT(label), REGISTRY_LABEL_MAX                            \
    }
#define GROUPS                                                                                 \
    {                                                                                          \
        "groups", REGISTRY_FIELD_GROUPS, AT(groups), 0                                         \
    }
#define FINGERPRINT                                                                            \
    {                                                                                          \
        "fingerprint", REGISTRY_FIELD_OCTETS, AT(fingerprint), REGISTRY_FINGERPRINT            \
    }
#define REASON                                                                                 \
    {                                                                                          \
        "reason", REGISTRY_FIELD_U8, AT(reason), 0                                             \
    }
#define TOKEN_ID                                                                               \
    {                                                                                          \
        "token id", REGISTRY_FIELD_BYTES, AT(token_id), REGISTRY_TOKEN_ID_MAX                  \
    }
#define TOKEN_SECRET                                                                           \
    {                                                                                          \
        "token secret", REGISTRY_FIELD_BYTES, AT(token_secret), SECRET_MAX                     \
    }
#define LIFETIME                                                                               \
    {                                                                                          \
        "lifetime", REGISTRY_FIELD_U32, AT(lifetime_s), 0                                      \
    }
#define VERSION                                                                                \
    {                                                                                          \
        "version", REGISTRY_FIELD_U64, AT(version), 0                                          \
    }
#define SEQUENCE                                                                               \
    {                                                                                          \
        "sequence", REGISTRY_FIELD_U64, AT(sequence), 0                                        \
    }
#define ONLY_CHECK                                                                             \
    {                                                                                          \
        "only check", REGISTRY_FIELD_FLAG, AT(only_check), 0                                   \
    }
#define TEXT                                                                                   \
    {                                                                                          \
        "text", REGISTRY_FIELD_BYTES, AT(text), REGISTRY_TEXT_PART                             \
    }
#define QUERY                                                                                  \
    {                                                                                          \
        "query", REGISTRY_FIELD_BYTES, AT(query), REGISTRY_QUERY_MAX                           \
    }
#define WHY                                                                                    \
    {                                                                                          \
        "why", REGISTRY_FIELD_TEXT, AT(why), REGISTRY_LABEL_MAX                                \
    }
#define NUMBER                                                                                 \
    {                                                                                          \
        "number", REGISTRY_FIELD_U64, AT(number), 0                                            \
    }

#define BATCH                                                                                  \
    {                                                                                          \
        "batch", REGISTRY_FIELD_BYTES, AT(query), REGISTRY_BATCH_MAX                           \
    }

#define NAME                                                                                   \
    { "length", REGISTRY_FIELD_U32, AT(name.len), 0 },                                         \
    {                                                                                          \
        "hash", REGISTRY_FIELD_OCTETS, AT(name.hash), REGISTRY_TEXT_HASH                       \
    }
#define PART                                                                                   \
    {                                                                                          \
        "part", REGISTRY_FIELD_U32, AT(part), 0                                                \
    }

#define BODY(name, ...) static const struct registry_field name[] = { __VA_ARGS__ }
BODY(WATCH, POSITION, SEQUENCE);
BODY(ACKNOWLEDGE, POSITION);
BODY(SNAPSHOT, CURSOR);
BODY(WITH_DER, DER);
BODY(ENROL, DER, ID, TOKEN_ID, TOKEN_SECRET);
BODY(DEVICE_ADD, ID, LABEL, GROUPS);
BODY(DEVICE_LIST, CURSOR, MOST, STATE, GROUP);
BODY(DEVICE_SHOW, ID);
BODY(DEVICE_STATE, ID, STATE, REASON);
BODY(CERTIFICATE_LIST, CURSOR, MOST, KIND, ID);
BODY(CERTIFICATE_REVOKE, FINGERPRINT, REASON);
BODY(TOKEN_NEW, ID, LIFETIME);
BODY(OPERATOR_ADD, KIND, ID, ROLE, LABEL, DER);
BODY(PAGE, CURSOR, MOST);
BODY(OPERATOR_REVOKE, KIND, ID, REASON);
BODY(POLICY_SHOW, VERSION);
BODY(POLICY_APPLY, TEXT, NAME, VERSION, ONLY_CHECK, WHY);
BODY(POLICY_PART, NAME, PART, TEXT);
BODY(POLICY_TEXT, NAME, PART);
BODY(APPLIED, SEQUENCE);
BODY(AUDIT, QUERY);
BODY(CRL, ID, VERSION, PART);
BODY(SPOOL, BATCH, { "spooled", REGISTRY_FIELD_U64, AT(spooled.sequence), 0 },
     { "refused", REGISTRY_FIELD_U64, AT(spooled.refused), 0 });
BODY(PROPOSAL_LIST, CURSOR, MOST, { "open", REGISTRY_FIELD_FLAG, AT(open), 0 });
BODY(PROPOSAL_SHOW, NUMBER);
BODY(PROPOSAL_DECIDE, NUMBER, WHY);
BODY(DEVICE_REVOKE_MANY, { "ids", REGISTRY_FIELD_IDS, AT(ids), REGISTRY_IDS_BYTES }, REASON,
     WHY);
BODY(FROM, { "from", REGISTRY_FIELD_BYTES, AT(query), sizeof(uint64_t) });

static const struct registry_fields BODIES[] = {
    [REGISTRY_ASK_WATCH] = REGISTRY_FIELDS(WATCH),
    [REGISTRY_ASK_SNAPSHOT] = REGISTRY_FIELDS(SNAPSHOT),
    [REGISTRY_ASK_LOOK_UP] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_DOOR] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_ENROL] = REGISTRY_FIELDS(ENROL),
    [REGISTRY_ASK_REENROL] = REGISTRY_FIELDS(WITH_DER),
    [REGISTRY_ASK_DEVICE_ADD] = REGISTRY_FIELDS(DEVICE_ADD),
    [REGISTRY_ASK_DEVICE_LIST] = REGISTRY_FIELDS(DEVICE_LIST),
    [REGISTRY_ASK_DEVICE_SHOW] = REGISTRY_FIELDS(DEVICE_SHOW),
    [REGISTRY_ASK_DEVICE_STATE] = REGISTRY_FIELDS(DEVICE_STATE),
    [REGISTRY_ASK_CERTIFICATE_LIST] = REGISTRY_FIELDS(CERTIFICATE_LIST),
    [REGISTRY_ASK_CERTIFICATE_REVOKE] = REGISTRY_FIELDS(CERTIFICATE_REVOKE),
    [REGISTRY_ASK_TOKEN_NEW] = REGISTRY_FIELDS(TOKEN_NEW),
    [REGISTRY_ASK_OPERATOR_ADD] = REGISTRY_FIELDS(OPERATOR_ADD),
    [REGISTRY_ASK_OPERATOR_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_OPERATOR_REVOKE] = REGISTRY_FIELDS(OPERATOR_REVOKE),
    [REGISTRY_ASK_POLICY_SHOW] = REGISTRY_FIELDS(POLICY_SHOW),
    [REGISTRY_ASK_POLICY_APPLY] = REGISTRY_FIELDS(POLICY_APPLY),
    [REGISTRY_ASK_POLICY_PROPOSE] = REGISTRY_FIELDS(POLICY_APPLY),
    [REGISTRY_ASK_POLICY_PART] = REGISTRY_FIELDS(POLICY_PART),
    [REGISTRY_ASK_POLICY_TEXT] = REGISTRY_FIELDS(POLICY_TEXT),
    [REGISTRY_ASK_ACKNOWLEDGE] = REGISTRY_FIELDS(ACKNOWLEDGE),
    [REGISTRY_ASK_STATUS] = { NULL, 0 },
    [REGISTRY_ASK_APPLIED] = REGISTRY_FIELDS(APPLIED),
    [REGISTRY_ASK_POLICY_LIST] = REGISTRY_FIELDS(PAGE),
    [REGISTRY_ASK_AUDIT_LIST] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_AUDIT_CHECKPOINT] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_AUDIT_PROOF] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_SPOOL] = REGISTRY_FIELDS(SPOOL),
    [REGISTRY_ASK_AUDIT_ENTRIES] = REGISTRY_FIELDS(FROM),
    [REGISTRY_ASK_BACKUP] = { NULL, 0 },

    [REGISTRY_ASK_AUDIT_COSIGN] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_AUDIT_WATCH] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_EXPORTED] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_CRL] = REGISTRY_FIELDS(CRL),

    [REGISTRY_ASK_PROPOSAL_LIST] = REGISTRY_FIELDS(PROPOSAL_LIST),
    [REGISTRY_ASK_PROPOSAL_SHOW] = REGISTRY_FIELDS(PROPOSAL_SHOW),
    [REGISTRY_ASK_PROPOSAL_APPROVE] = REGISTRY_FIELDS(PROPOSAL_DECIDE),
    [REGISTRY_ASK_PROPOSAL_REJECT] = REGISTRY_FIELDS(PROPOSAL_DECIDE),
    [REGISTRY_ASK_DEVICE_REVOKE_MANY] = REGISTRY_FIELDS(DEVICE_REVOKE_MANY),
    [REGISTRY_ASK_AUDIT_ERASE] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_AUDIT_HOLD] = REGISTRY_FIELDS(AUDIT),
    [REGISTRY_ASK_AUDIT_HOLD_LIST] = REGISTRY_FIELDS(AUDIT),
};
static const struct registry_bodies ALL = { BODIES, sizeof BODIES / sizeof *BODIES };

static enum rc finish(enum registry_ask ask, const struct buf *out)
{
    struct bytes done;

    if (buf_done(out, &done) != RC_OK)
        return fault(RC_LIMIT, "door protocol: a field of request %d is too long", (int)ask);
    return RC_OK;
}

enum rc registry_question_write_body(enum registry_ask ask,
                                     const struct registry_question *question, struct buf *out)
{
    registry_fields_write(registry_bodies_get(ALL, ask), question, out);
    return finish(ask, out);
}

enum rc registry_question_write(enum registry_ask ask, const struct registry_question *question,
                                struct buf *out)
{
    registry_fields_write((struct registry_fields)REGISTRY_FIELDS(PREAMBLE), question, out);
    return registry_question_write_body(ask, question, out);
}

static enum rc check_actor(const struct registry_actor *actor)
{
    static const struct registry_fingerprint NONE;

    if (!actor->known && !bytes_equal(BYTES_OF(actor->fingerprint.at), BYTES_OF(NONE.at)))
        return fault(RC_MALFORMED, "door protocol: a fingerprint, and nobody known");
    return RC_OK;
}

static enum rc read_body(enum registry_ask ask, struct reader *r,
                         struct registry_question *question)
{
    TRY(registry_fields_read(registry_bodies_get(ALL, ask), r, question));
    if (!reader_done(r))
        return fault(RC_MALFORMED, "door protocol: %zu octets behind request %d", r->left.len,
                     (int)ask);
    return RC_OK;
}

enum rc registry_question_read_body(enum registry_ask ask, struct bytes from,
                                    struct registry_question *question)
{
    struct registry_question read = { .preamble = question->preamble };
    struct reader r = READER(from);

    TRY(read_body(ask, &r, &read));
    *question = read;
    return RC_OK;
}

enum rc registry_question_read(enum registry_ask ask, struct bytes from,
                               struct registry_question *question)
{
    struct registry_question read = { 0 };
    struct reader r = READER(from);

    TRY(registry_fields_read((struct registry_fields)REGISTRY_FIELDS(PREAMBLE), &r, &read));
    TRY(check_actor(&read.preamble.actor));
    TRY(read_body(ask, &r, &read));
    *question = read;
    return RC_OK;
}

/* ---- Many ids ---- */

enum rc registry_ids_add(struct buf *ids, struct bytes id)
{
    TRY(registry_id_check(id));
    buf_add_u8(ids, (uint8_t)id.len);
    buf_add(ids, id);
    return RC_OK;
}

enum rc registry_ids_next(struct reader *ids, char id[REGISTRY_ID_MAX + 1])
{
    if (reader_done(ids))
        return RC_NOT_FOUND;
    struct bytes one = reader_take(ids, reader_u8(ids));
    if (ids->broken)
        return fault(RC_MALFORMED, "ids: cut short");
    return registry_id_copy(one, id);
}

enum rc registry_ids_count(struct bytes ids, size_t *count)
{
    char id[REGISTRY_ID_MAX + 1];
    struct reader r = READER(ids);
    size_t found = 0;
    enum rc rc = RC_OK;

    while ((rc = registry_ids_next(&r, id)) == RC_OK)
        if (++found > REGISTRY_IDS_MAX)
            return fault(RC_LIMIT, "at most %d ids in a request", REGISTRY_IDS_MAX);
    if (rc != RC_NOT_FOUND)
        return rc;
    *count = found;
    return RC_OK;
}
