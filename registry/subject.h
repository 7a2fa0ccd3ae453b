/* Words for who holds a certificate, and in what state: shared by the registry, its projections
 * and the doors. */
#pragma once

#include "base/buf.h"

/*
 * A subject is what a certificate names: a device, an operator or a line (a factory station).
 * Its id is unique among its kind: 1 to 64 letters, digits, '.' and '-', a letter or digit
 * first (no path, no option of a command). For a device it is also the certificate's subject
 * serialNumber (X.520: a PrintableString), the tail of its SAN urn:touchmark:device:<id>, its
 * MQTT client id and ${device.id} in a policy, and so can never hold a wildcard or a separator.
 */
enum registry_kind {
    REGISTRY_DEVICE = 1,
    REGISTRY_OPERATOR = 2,
    REGISTRY_LINE = 3,
    REGISTRY_DOOR = 4, /* our own servers': only in the authority's books, never a subject,
                          never in a projection */
};

/* What may become what: registry/lifecycle.c. */
enum registry_state {
    REGISTRY_REGISTERED = 1, /* known, holds no certificate yet */
    REGISTRY_ACTIVE = 2,
    REGISTRY_SUSPENDED = 3, /* may come back */
    REGISTRY_REVOKED = 4,   /* for good */
};

enum registry_certificate_state {
    REGISTRY_CERTIFICATE_ACTIVE = 1,
    REGISTRY_CERTIFICATE_REVOKED = 2,
};

/* Of operators. A line has none of these: its rights are those of its kind (registry/rights.h).
 */
enum registry_role { REGISTRY_ROLE_NONE = 0, REGISTRY_ADMIN = 1, REGISTRY_AUDITOR = 2 };

enum {
    REGISTRY_ID_MAX = 64,
    REGISTRY_LABEL_MAX = 128,
    REGISTRY_GROUPS_MAX = 16, /* of one device; a group's name is an id */
    REGISTRY_SERIAL_MAX = 20, /* RFC 5280 4.1.2.2 */
    REGISTRY_FINGERPRINT = 32,
    REGISTRY_ISSUER_MAX = 512,       /* a Name, DER */
    REGISTRY_CERTIFICATE_MAX = 4096, /* DER */
};

/* Plain data without ownership; texts end in zero. */
struct registry_groups {
    size_t count;
    char names[REGISTRY_GROUPS_MAX][REGISTRY_ID_MAX + 1];
};

struct registry_subject {
    enum registry_kind kind;
    char id[REGISTRY_ID_MAX + 1];
    enum registry_state state;
    enum registry_role role;
    struct registry_groups groups;
    char label[REGISTRY_LABEL_MAX + 1]; /* for people; printable */
    int64_t created_ms, changed_ms;     /* wall */
    uint64_t revision; /* of the store's change that wrote it: a projection keeps the highest */
};

/* SHA-256 of the certificate's DER (RFC 5280 has no word for it; the field says fingerprint).
 */
struct registry_fingerprint {
    uint8_t at[REGISTRY_FINGERPRINT];
};

struct registry_certificate {
    struct registry_fingerprint fingerprint;
    enum registry_kind kind; /* of its subject */
    char subject[REGISTRY_ID_MAX + 1];
    enum registry_certificate_state state;
    uint8_t serial[REGISTRY_SERIAL_MAX];
    size_t serial_len;
    uint8_t issuer_hash[32]; /* SHA-256 of the issuer's Name, DER */
    uint8_t key_hash[32];    /* SHA-256 of its SubjectPublicKeyInfo */
    int64_t not_before_s, not_after_s;
    int64_t issued_ms, revoked_ms; /* wall; revoked_ms 0 unless revoked */
    uint8_t reason;                /* RFC 5280 5.3.1 CRLReason, when revoked */
    uint64_t revision;             /* as a subject's */
};

/* RC_MALFORMED names the character and its place. */
enum rc registry_id_check(struct bytes id);
/* Copies what passed the check; to is untouched on failure. */
enum rc registry_id_copy(struct bytes id, char to[REGISTRY_ID_MAX + 1]);
/* At most REGISTRY_LABEL_MAX bytes of printable ASCII; may be empty. RC_MALFORMED, RC_LIMIT. */
enum rc registry_label_copy(struct bytes label, char to[REGISTRY_LABEL_MAX + 1]);
/* A label that says something: RC_MALFORMED too if it is empty, or blank. */
enum rc registry_why_check(struct bytes why);
/* RC_MALFORMED, RC_LIMIT, RC_EXISTS for a group that is in it already. */
enum rc registry_groups_add(struct registry_groups *groups, struct bytes name);
bool registry_groups_hold(const struct registry_groups *groups, struct bytes name);
const char *registry_kind_name(enum registry_kind kind);
const char *registry_state_name(enum registry_state state);
const char *registry_role_name(enum registry_role role);
enum rc registry_role_read(struct bytes text, enum registry_role *role);
enum rc registry_state_read(struct bytes text, enum registry_state *state);
/* RC_EXISTS: it is that already. RC_DENIED: there is no way, "revoked is for good". */
enum rc registry_lifecycle_check(enum registry_state from, enum registry_state to);

/* May this be a certificate's CRLReason (RFC 5280 5.3.1)? */
bool registry_reason_is(unsigned reason);

/* Strict binary forms, the same in the store, the feed and on the door's link
 * (docs/protocol/door.md). RC_MALFORMED; outputs untouched then. */
void registry_subject_write(const struct registry_subject *subject, struct buf *out);
enum rc registry_subject_read(struct bytes from, struct registry_subject *subject);
void registry_certificate_write(const struct registry_certificate *certificate,
                                struct buf *out);
enum rc registry_certificate_read(struct bytes from, struct registry_certificate *certificate);
