/* One line of the audit log: who did what to what, from where, and what was decided. */
#pragma once

#include "audit/action.h"
#include "base/buf.h"

/*
 * A record is a head of fixed length, which stays for good, and a body of optional fields,
 * which can be erased: its leaf in the Merkle tree holds the head and a salted commitment to
 * the body (leaf.h). docs/protocol/audit-record.md has the bytes. The encoding is canonical:
 * equal records have equal bytes, and nothing else can be read.
 */
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
    enum audit_source source; /* both are zero in a spool: the log fills them in */
    uint64_t source_sequence; /* 0: the authority's own */

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
    uint32_t rule;           /* its line in all the text; 0: none decided, so default deny */

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
/* The same, of a record that was read from these octets and of which only what the head has was
 * changed since: the body is copied. */
enum rc audit_record_write_again(struct bytes read, const struct audit_record *record,
                                 struct buf *buf);
/* Texts borrow from bytes. RC_MALFORMED names what is wrong and at which octet. */
enum rc audit_record_read(struct bytes bytes, struct audit_record *record);
/* The head alone, for a record whose body was erased. */
enum rc audit_record_read_head(struct bytes head, struct audit_record *record);
