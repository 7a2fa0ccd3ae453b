/* One line of the audit log: who did what to what, from where, and what was decided. */
#pragma once

#include "base/buf.h"

/*
 * A record is a head of fixed length, which stays for good, and a body of optional fields,
 * which can be erased: its leaf in the Merkle tree holds the head and a salted commitment to
 * the body (leaf.h). docs/protocol/audit-record.md has the bytes. The encoding is canonical:
 * equal records have equal bytes, and nothing else can be read.
 */
enum audit_action {
    AUDIT_LOG_START = 1, /* the tree's first leaf */
    AUDIT_PROCESS_START,
    AUDIT_PROCESS_STOP,
    AUDIT_CLOCK_STEP,
    AUDIT_SYSTEM_INIT,
    AUDIT_SYSTEM_BACKUP,
    AUDIT_SYSTEM_RESTORE,
    AUDIT_SYSTEM_RECOVER, /* a new first operator, made at the machine */

    AUDIT_DEVICE_ADD = 20,
    AUDIT_DEVICE_CHANGE, /* label, groups */
    AUDIT_DEVICE_SUSPEND,
    AUDIT_DEVICE_RESUME,
    AUDIT_DEVICE_REVOKE,
    AUDIT_DEVICE_READ,

    AUDIT_CERTIFICATE_ISSUE = 40,
    AUDIT_CERTIFICATE_RENEW,
    AUDIT_CERTIFICATE_REVOKE,
    AUDIT_CERTIFICATE_ORPHAN, /* signed, never registered: found in the signer's journal */
    AUDIT_CERTIFICATE_LOOK_UP,
    AUDIT_CERTIFICATE_READ,
    AUDIT_CRL_ISSUE,
    AUDIT_DOOR_CERTIFY,
    AUDIT_KEY_SIGN, /* the signer's own word */

    AUDIT_OPERATOR_ADD = 60,
    AUDIT_OPERATOR_REVOKE,
    AUDIT_OPERATOR_READ,
    AUDIT_TOKEN_NEW,
    AUDIT_TOKEN_USE,

    AUDIT_POLICY_CHECK = 80,
    AUDIT_POLICY_APPLY,
    AUDIT_POLICY_READ,
    AUDIT_LOG_READ,
    AUDIT_STATUS_READ,
    AUDIT_API_REQUEST, /* refused before it was known what it asks */

    AUDIT_HANDSHAKE = 100,
    AUDIT_SESSION_OPEN,
    AUDIT_SESSION_CLOSE,
    AUDIT_SESSION_CUT, /* ended by a revocation, suspension, expiry or policy */
    AUDIT_PUBLISH,
    AUDIT_SUBSCRIBE,
    AUDIT_RECEIVE,
    AUDIT_RETAIN,
    AUDIT_WILL,
    AUDIT_PROTOCOL, /* the device broke its protocol */
};

/* Fields that apply to some actions only; actor, correlation, target, device, peer, tls and
 * reason apply to all. */
enum audit_field {
    AUDIT_CERTIFICATE_FIELD = 1, /* the certificate that is acted upon */
    AUDIT_POLICY_FIELD = 2,      /* policy version and rule */
    AUDIT_AGGREGATE_FIELD = 4,   /* may stand for many */
};

struct audit_action_row {
    enum audit_action action;
    const char *name; /* "device.add"; as it is searched for and shown */
    unsigned fields;  /* of enum audit_field */
    bool traffic;     /* if allowed, counted in aggregate */
    const char *meaning;
};

/* NULL if there is none. */
const struct audit_action_row *audit_action_get(unsigned action);
const struct audit_action_row *audit_action_by_name(struct bytes name);
/* All of them, ascending. */
const struct audit_action_row *audit_action_list(size_t *count);

enum audit_decision { AUDIT_ALLOWED = 1, AUDIT_DENIED = 2, AUDIT_FAILED = 3 };
const char *audit_decision_name(enum audit_decision decision);

/* Which process says so. Spools are taken in under the name of their channel, whatever they
 * say. */
enum audit_source {
    AUDIT_FROM_AUTHORITY = 1,
    AUDIT_FROM_DEVICE_DOOR,
    AUDIT_FROM_OPERATOR_DOOR,
    AUDIT_FROM_SIGNER,
};
const char *audit_source_name(enum audit_source source);

enum audit_actor_kind {
    AUDIT_NOBODY = 0, /* nobody who could be told: a stranger at the door */
    AUDIT_DEVICE = 1,
    AUDIT_OPERATOR = 2,
    AUDIT_LINE = 3,
    AUDIT_PROCESS = 4,
};
const char *audit_actor_kind_name(enum audit_actor_kind kind);

enum {
    AUDIT_CORRELATION = 16,
    AUDIT_ID_MAX = 64,
    AUDIT_HASH = 32,
    AUDIT_SERIAL_MAX = 20,
    AUDIT_TARGET_MAX = 1024, /* a longer topic is for the door to refuse */
    AUDIT_PEER_MAX = 64,
    AUDIT_TLS_MAX = 128,
    AUDIT_REASON_MAX = 256,
    AUDIT_HEAD = 48,
    AUDIT_RECORD_MAX = 2560, /* of head and body */
};

/* Each empty or whole: fingerprint, issuer (hash of its Name, DER) and key (hash of the
 * SubjectPublicKeyInfo) are SHA-256. */
struct audit_certificate {
    struct bytes fingerprint, serial, issuer, key;
};

/* Borrowed texts are UTF-8 without control characters; empty means not there. */
struct audit_record {
    enum audit_action action;
    enum audit_decision decision;
    int64_t wall_ms, monotonic_ms;
    uint8_t correlation[AUDIT_CORRELATION]; /* of the request or session; zeros: none */
    enum audit_source source;               /* both are zero in a spool: the log fills them in */
    uint64_t source_sequence;               /* 0: the authority's own */

    enum audit_actor_kind actor_kind;
    struct bytes actor;                         /* id; empty for AUDIT_NOBODY */
    struct audit_certificate actor_certificate; /* what it showed */
    struct bytes device; /* that this is about, if it is another than the actor */
    struct audit_certificate certificate;
    struct bytes target; /* what was acted upon: topic, id, route */
    struct bytes peer;   /* "192.0.2.1:55000" */
    struct bytes tls;    /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    struct bytes reason;
    uint64_t policy_version; /* 0: no policy was asked */
    uint32_t rule;           /* 0: none decided, so default deny */

    /* An aggregate stands for `count` acts between two moments (wall); all else is as in the
     * first of them. count 0: one act, and the rest is zero. */
    struct audit_aggregate_part {
        uint64_t count;
        int64_t first_ms, last_ms;
        uint64_t targets;    /* distinct ones */
        bool targets_capped; /* that many or more */
    } aggregate;
};

/* Append head and body. RC_MALFORMED names the field that is too long, no text or not one of
 * its action's; *buf is then as it was. */
enum rc audit_record_write(const struct audit_record *record, struct buf *buf);
/* Texts borrow from bytes. RC_MALFORMED names what is wrong and at which octet. */
enum rc audit_record_read(struct bytes bytes, struct audit_record *record);
/* The head alone, for a record whose body was erased. */
enum rc audit_record_read_head(struct bytes head, struct audit_record *record);
