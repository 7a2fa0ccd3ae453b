/* The closed lists of the audit log: actions, decisions, who acts and who says so. */
#pragma once

#include "base/bytes.h"

/* Numbers are on disk and in leaves: they are added to, never changed or used again. */
enum audit_action {
    AUDIT_LOG_START = 1, /* the tree's first leaf */
    AUDIT_PROCESS_START,
    AUDIT_PROCESS_STOP,
    AUDIT_CLOCK_STEP,
    AUDIT_SYSTEM_INIT,
    AUDIT_SYSTEM_BACKUP,
    AUDIT_SYSTEM_RESTORE,
    AUDIT_SYSTEM_RECOVER, /* a new first operator, made at the machine */
    AUDIT_LOG_SPOOL,      /* another process's records: they begin anew, or were refused */

    AUDIT_LOG_ERASE = 10, /* these three are never erased or pruned themselves */
    AUDIT_LOG_HOLD = 11,
    AUDIT_LOG_PRUNE = 12,  /* also a change of audit_retention */
    AUDIT_LOG_COSIGN = 13, /* a witness signed a checkpoint */
    AUDIT_LOG_EXPORT = 14, /* a sink begins, fails, recovers */
    AUDIT_LOG_PUBLISH,     /* what is published of it was altered */

    AUDIT_DEVICE_ADD = 20,
    AUDIT_DEVICE_SUSPEND = 22, /* 21 was never written: a device is changed by nobody */
    AUDIT_DEVICE_RESUME,
    AUDIT_DEVICE_REVOKE,
    AUDIT_DEVICE_READ,
    AUDIT_DEVICE_REVOKE_MANY, /* the act; each device has its own record besides */

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
    AUDIT_PROPOSAL_MAKE,
    AUDIT_PROPOSAL_APPROVE, /* the act has its own record besides, in the same transaction */
    AUDIT_PROPOSAL_REJECT,
    AUDIT_PROPOSAL_EXPIRE,

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
    AUDIT_UNSUBSCRIBE,
};

/* Fields that apply to some actions only; actor, correlation, target, device, peer, tls and
 * reason apply to all. */
enum audit_field {
    AUDIT_CERTIFICATE_FIELD = 1, /* the certificate that is acted upon */
    AUDIT_POLICY_FIELD = 2,      /* policy version and rule */
    AUDIT_AGGREGATE_FIELD = 4,   /* may stand for many */
    AUDIT_TOPIC_FIELD = 8,       /* its target is an MQTT topic, or a filter of them */
};

/* How an act that was allowed gets into the log. What was denied or failed is always told: one
 * by one, and in aggregate when it floods. */
enum audit_when {
    AUDIT_EACH,       /* a record each */
    AUDIT_COUNTED,    /* in aggregate: session, action, topic or pattern, rule; of sessions:
                       * certificate and address */
    AUDIT_BY_REQUEST, /* a record for each request; what a stream asks further is counted */
    AUDIT_NOT_ALONE   /* no record: it tells of nobody, or another record tells of it */
};

/* What becomes of an act whose record cannot be made durable. */
enum audit_unrecorded {
    AUDIT_REFUSED,     /* it is not done */
    AUDIT_CLOSED,      /* the session, or the connection, is closed */
    AUDIT_NOT_STARTED, /* the process does not serve */
    AUDIT_WAITS        /* it happened already: the record waits until there is room */
};

struct audit_action_row {
    enum audit_action action;
    const char *name; /* "device.add"; as it is searched for and shown */
    unsigned fields;  /* of enum audit_field */
    enum audit_when when;
    const char *meaning;
    enum audit_unrecorded unrecorded;
};
/* As docs/protocol/audit-record.md says them. */
const char *audit_when_name(enum audit_when when);
const char *audit_unrecorded_name(enum audit_unrecorded unrecorded);

/* NULL if there is none. */
const struct audit_action_row *audit_action_get(unsigned action);
const struct audit_action_row *audit_action_by_name(struct bytes name);
/* All of them, ascending. */
const struct audit_action_row *audit_action_list(size_t *count);

enum audit_decision { AUDIT_ALLOWED = 1, AUDIT_DENIED = 2, AUDIT_FAILED = 3 };
/* The names below are NULL for a number that is none. */
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
