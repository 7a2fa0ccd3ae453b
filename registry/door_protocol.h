/* What a door may ask the authority: the link's table, and who asks. */
#pragma once

#include "base/link.h"
#include "registry/projection.h"

/*
 * docs/protocol/door.md has the bytes; question.h and answer.h have the bodies. Requests begin
 * with a preamble: who asks, from where, under which correlation id. The actor is the door's
 * word for who is at the other end; the authority looks it up itself in the committing
 * transaction, and what a channel may ask at most is the channel's, not the message's
 * (DESIGN.md D1).
 */
enum registry_ask {
    REGISTRY_ASK_WATCH = 1,    /* urgent; waits at the authority for news, at most 10 s */
    REGISTRY_ASK_SNAPSHOT = 2, /* a page of the projection */
    REGISTRY_ASK_LOOK_UP = 3,  /* an unknown leaf certificate */
    REGISTRY_ASK_DOOR = 4,     /* the door's own TLS certificate for its key (a CSR, DER) */
    REGISTRY_ASK_ENROL = 5,    /* RFC 7030 4.2.1 */
    REGISTRY_ASK_REENROL = 6,  /* RFC 7030 4.2.2 */
    REGISTRY_ASK_DEVICE_ADD = 10,
    REGISTRY_ASK_DEVICE_LIST = 11,
    REGISTRY_ASK_DEVICE_SHOW = 12,
    REGISTRY_ASK_DEVICE_STATE = 13, /* suspend, resume, revoke; urgent */
    REGISTRY_ASK_CERTIFICATE_LIST = 14,
    REGISTRY_ASK_CERTIFICATE_REVOKE = 15, /* urgent */
    REGISTRY_ASK_TOKEN_NEW = 16,
    REGISTRY_ASK_OPERATOR_ADD = 17, /* with a CSR: its certificate comes back; also for lines */
    REGISTRY_ASK_OPERATOR_LIST = 18,
    REGISTRY_ASK_OPERATOR_REVOKE = 19, /* urgent */
    REGISTRY_ASK_POLICY_SHOW = 20,
    REGISTRY_ASK_POLICY_APPLY = 21,
    REGISTRY_ASK_STATUS = 22,
    /* have all doors acknowledged this sequence? waits, at most 10 s: revoke --wait */
    REGISTRY_ASK_APPLIED = 23,
    REGISTRY_ASK_POLICY_LIST = 24,
    REGISTRY_ASK_AUDIT_LIST = 25, /* query and answer in audit/'s own form */
    REGISTRY_ASK_AUDIT_CHECKPOINT = 26,
    REGISTRY_ASK_AUDIT_PROOF = 27,
    /* the door's own audit records, as audit_spool_read() gives them; none: how far are we? */
    REGISTRY_ASK_SPOOL = 28,
    REGISTRY_ASK_AUDIT_ENTRIES = 29, /* entries as they are hashed, for a copy to verify */
    REGISTRY_ASK_BACKUP = 30,        /* a copy of the registry, beside it */

    REGISTRY_ASK_AUDIT_COSIGN = 31, /* witnesses' signatures under a checkpoint */
    REGISTRY_ASK_AUDIT_ERASE = 35,  /* what the log knows of a device, operator or line */
    REGISTRY_ASK_AUDIT_HOLD = 36,   /* add or remove one */
    REGISTRY_ASK_AUDIT_HOLD_LIST = 37,
    REGISTRY_ASK_AUDIT_WATCH = 38, /* what the log has from here on; waits, at most 10 s */
    REGISTRY_ASK_EXPORTED = 39,    /* how far the exporter's sinks are; integration/report.h */
    REGISTRY_ASK_CRL = 40,         /* a part of a CRL that the feed told of */
    REGISTRY_ASK_POLICY_PART = 41, /* a part of a text that policy-apply names next */
    REGISTRY_ASK_POLICY_TEXT = 42, /* a part of a text that is kept */
    /* what a watch, which waits at the authority, could not say yet; urgent */
    REGISTRY_ASK_ACKNOWLEDGE = 43,

    /* registry/proposal.h: an act that needs two administrators becomes one when it is asked */
    REGISTRY_ASK_PROPOSAL_LIST = 45,
    REGISTRY_ASK_PROPOSAL_SHOW = 46,
    REGISTRY_ASK_PROPOSAL_APPROVE = 47,
    REGISTRY_ASK_PROPOSAL_REJECT = 48,
    REGISTRY_ASK_DEVICE_REVOKE_MANY = 49, /* exactly those that are named */
    REGISTRY_ASK_POLICY_PROPOSE = 50,     /* whether it needs two or not: a draft */
};

const struct link_protocol *registry_door_protocol(void);

struct registry_actor {
    bool known; /* false: no client certificate; the rest is zero */
    struct registry_fingerprint fingerprint;
};

enum { REGISTRY_CORRELATION = 16, REGISTRY_PEER_MAX = 64, REGISTRY_TLS_MAX = 64 };

/* "192.0.2.1" of "192.0.2.1:55000", "::1" of "[::1]:55000"; borrowed. */
struct bytes registry_peer_host(const char *peer);
/* "1.3" of "TLSv1.3 TLS_AES_256_GCM_SHA384"; at NULL if it is none such. Borrowed. */
struct bytes registry_peer_tls(const char *tls);

struct registry_preamble {
    uint8_t correlation[REGISTRY_CORRELATION];
    struct registry_actor actor;
    char peer[REGISTRY_PEER_MAX + 1]; /* "192.0.2.1:55000"; printable, may be empty */
    char tls[REGISTRY_TLS_MAX + 1];   /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; so, too */
};

/* How far a door is in the authority's change feed. All zero: nowhere. */
enum { REGISTRY_LINEAGE = 16 };
struct registry_position {
    uint8_t lineage[REGISTRY_LINEAGE]; /* of the feed; another one: take a snapshot */
    uint64_t sequence; /* all up to this one is applied, sessions cut included */
};
