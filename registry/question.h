/* The body of a door's request: one plain struct for all kinds, each with its own fields on the
 * link. */
#pragma once

#include "base/secret.h"
#include "registry/door_protocol.h"

enum {
    REGISTRY_CURSOR_MAX = 128,
    REGISTRY_CSR_MAX = 16 * 1024, /* DER; also of a certificate that is looked up */
    REGISTRY_QUERY_MAX = 4096,
    REGISTRY_BATCH_MAX = 56 * 1024, /* of audit records: audit_spool_read()'s `most` */
    REGISTRY_TOKEN_ID_MAX = 32,
    REGISTRY_IDS_MAX = 500,           /* of one request */
    REGISTRY_CONTENT_MAX = 56 * 1024, /* of a proposal */
    REGISTRY_IDS_BYTES = REGISTRY_IDS_MAX * (1 + REGISTRY_ID_MAX),
};

/* What a door says of its spool, for status. */
struct registry_spooled {
    uint64_t sequence; /* of its last record */
    uint64_t refused;  /* records that found no room when they came, in this life */
};

/*
 * What is not named for a kind is not sent, and zero when read. Lists begin with an
 * empty cursor and go on with the one that the last answer gave. Byte strings are borrowed.
 *
 *   WATCH               position, sequence (up to which all is applied, cuts included; 0: up
 *                       to the position)
 *   ACKNOWLEDGE         position (up to which all is applied)
 *   SNAPSHOT            cursor
 *   LOOK_UP             der (a certificate)
 *   DOOR                der (a request)
 *   ENROL               der, id (the device, "" if a token or the request names it), token
 *   REENROL             der
 *   DEVICE_ADD          id, label, groups
 *   DEVICE_LIST         cursor, most, state, group (either empty: any)
 *   DEVICE_SHOW         id
 *   DEVICE_STATE        id, state (that it shall have), reason
 *   CERTIFICATE_LIST    cursor, most, kind and id (of one subject, or 0 and "")
 *   CERTIFICATE_REVOKE  fingerprint, reason
 *   TOKEN_NEW           id, lifetime_s (0: the authority's default)
 *   OPERATOR_ADD        kind (operator or line), id, role, label, der (a request)
 *   OPERATOR_LIST       cursor, most
 *   OPERATOR_REVOKE     kind, id, reason
 *   POLICY_SHOW         version (0: the active one)
 *   POLICY_APPLY        text (or its name: POLICY_PART sent it before, under this
 *                       correlation), version (that it replaces; must be the active one),
 *                       only_check, why
 *   POLICY_PROPOSE      as POLICY_APPLY
 *   POLICY_PART         name, part, text (its octets): in order, the first one is 0
 *   POLICY_TEXT         name, part
 *   POLICY_LIST         cursor, most
 *   STATUS              nothing
 *   APPLIED             position.sequence as sequence
 *   AUDIT_*             query (AUDIT_ENTRIES: the first index, u64; AUDIT_WATCH: the first
 *                       index, u64, 0 for whatever comes next, then a query)
 *   SPOOL               query: a batch of audit/spool.h, which may hold no records; spooled
 *   BACKUP              nothing
 *   EXPORTED            query: integration/report.h
 *   CRL                 id (of the issuing key), version (its number), part
 *   PROPOSAL_LIST       cursor, most, open (only those)
 *   PROPOSAL_SHOW       number
 *   PROPOSAL_APPROVE, PROPOSAL_REJECT   number, why
 *   DEVICE_REVOKE_MANY  ids, reason, why
 */
struct registry_question {
    struct registry_preamble preamble; /* in all of them */
    struct registry_position position;
    struct bytes cursor;
    struct bytes der;
    struct bytes token_id, token_secret; /* HTTP Basic user and password; empty: none */
    struct bytes text, query;
    struct registry_name name;
    struct bytes ids; /* each a u8 length and the id; at most REGISTRY_IDS_MAX */
    struct registry_groups groups;
    uint64_t version, sequence, number;
    enum registry_kind kind;
    enum registry_state state;
    enum registry_role role;
    uint32_t lifetime_s, part;
    uint16_t most;  /* items in the answer; 0: as many as fit */
    uint8_t reason; /* CRLReason, RFC 5280 5.3.1 */
    bool only_check, open;
    struct registry_spooled spooled;
    struct registry_fingerprint fingerprint;
    char id[REGISTRY_ID_MAX + 1], group[REGISTRY_ID_MAX + 1];
    char label[REGISTRY_LABEL_MAX + 1];
    char why[REGISTRY_LABEL_MAX + 1]; /* for people, and for the log */
};

/* RC_MALFORMED, RC_LIMIT as out becomes broken. */
enum rc registry_question_write(enum registry_ask ask, const struct registry_question *question,
                                struct buf *out);
/* RC_MALFORMED names the field. Everything in it has passed its own check. */
enum rc registry_question_read(enum registry_ask ask, struct bytes from,
                               struct registry_question *question);

/* The same without the preamble: what a proposal keeps (registry/proposal.h). */
enum rc registry_question_write_body(enum registry_ask ask,
                                     const struct registry_question *question, struct buf *out);
/* preamble is left as it is. */
enum rc registry_question_read_body(enum registry_ask ask, struct bytes from,
                                    struct registry_question *question);

/* Append to ids; RC_MALFORMED. */
enum rc registry_ids_add(struct buf *ids, struct bytes id);
/* The next one; RC_NOT_FOUND at the end, RC_MALFORMED. */
enum rc registry_ids_next(struct reader *ids, char id[REGISTRY_ID_MAX + 1]);
/* How many there are; RC_MALFORMED, RC_LIMIT. */
enum rc registry_ids_count(struct bytes ids, size_t *count);
