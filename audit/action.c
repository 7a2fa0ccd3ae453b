#include "audit/action.h"

enum {
    C = AUDIT_CERTIFICATE_FIELD,
    P = AUDIT_POLICY_FIELD,
    G = AUDIT_AGGREGATE_FIELD,
    T = AUDIT_TOPIC_FIELD,
};

/* By number. */
static const struct audit_action_row ACTIONS[] = {
    { AUDIT_LOG_START, "log.start", 0, AUDIT_EACH, "the log begins", AUDIT_REFUSED },
    { AUDIT_PROCESS_START, "process.start", 0, AUDIT_EACH,
      "a process serves; failed: it is not used, reason: why", AUDIT_NOT_STARTED },
    { AUDIT_PROCESS_STOP, "process.stop", 0, AUDIT_EACH,
      "a process ends, or was found to have; failed: reason: how", AUDIT_WAITS },
    { AUDIT_CLOCK_STEP, "clock.step", 0, AUDIT_EACH,
      "the wall clock stepped; reason: from and to", AUDIT_WAITS },
    { AUDIT_SYSTEM_INIT, "system.init", C, AUDIT_EACH, "keys and certificates of a new system",
      AUDIT_REFUSED },
    { AUDIT_SYSTEM_BACKUP, "system.backup", P | G, AUDIT_EACH,
      "a copy of everything begins; then what became of it", AUDIT_REFUSED },
    { AUDIT_SYSTEM_RESTORE, "system.restore", 0, AUDIT_EACH, "a copy was put back to work",
      AUDIT_NOT_STARTED },
    { AUDIT_SYSTEM_RECOVER, "system.recover", C, AUDIT_EACH,
      "a first operator made at the machine", AUDIT_REFUSED },
    { AUDIT_LOG_SPOOL, "log.spool", 0, AUDIT_EACH,
      "records of another process begin with a new spool, or were refused; target: which",
      AUDIT_REFUSED },
    { AUDIT_LOG_ERASE, "log.erase", P | G, AUDIT_EACH,
      "records of a device, operator or line are erased; reason: why, then how many",
      AUDIT_REFUSED },
    { AUDIT_LOG_HOLD, "log.hold", P | G, AUDIT_EACH,
      "a legal hold was added or removed; target: which", AUDIT_REFUSED },
    { AUDIT_LOG_PRUNE, "log.prune", 0, AUDIT_EACH,
      "bodies older than audit_retention were erased, or it changed; target: which",
      AUDIT_REFUSED },
    { AUDIT_LOG_COSIGN, "log.cosign", 0, AUDIT_EACH,
      "witnesses signed a checkpoint of this log, or were refused", AUDIT_REFUSED },
    { AUDIT_LOG_EXPORT, "log.export", 0, AUDIT_EACH,
      "this log goes out to a sink, fails to, or does again; target: which", AUDIT_WAITS },
    { AUDIT_LOG_PUBLISH, "log.publish", 0, AUDIT_EACH,
      "a published file (tile, checkpoint) was not what this log has, and is put right; "
      "target: "
      "which",
      AUDIT_WAITS },
    { AUDIT_DEVICE_ADD, "device.add", C | P | G, AUDIT_EACH, "a device is known",
      AUDIT_REFUSED },
    { AUDIT_DEVICE_SUSPEND, "device.suspend", P | G, AUDIT_EACH, "locked out, may come back",
      AUDIT_REFUSED },
    { AUDIT_DEVICE_RESUME, "device.resume", P | G, AUDIT_EACH, "let in again", AUDIT_REFUSED },
    { AUDIT_DEVICE_REVOKE, "device.revoke", C | P | G, AUDIT_EACH, "locked out for good",
      AUDIT_REFUSED },
    { AUDIT_DEVICE_READ, "device.read", P | G, AUDIT_BY_REQUEST, "devices were listed or shown",
      AUDIT_REFUSED },
    { AUDIT_DEVICE_REVOKE_MANY, "device.revoke_many", P | G, AUDIT_EACH,
      "many were locked out for good in one act; target: how many were named", AUDIT_REFUSED },
    { AUDIT_CERTIFICATE_ISSUE, "certificate.issue", C | P | G, AUDIT_EACH,
      "a certificate for a new key", AUDIT_REFUSED },
    { AUDIT_CERTIFICATE_RENEW, "certificate.renew", C | P | G, AUDIT_EACH,
      "its holder got another one", AUDIT_REFUSED },
    { AUDIT_CERTIFICATE_REVOKE, "certificate.revoke", C | P | G, AUDIT_EACH,
      "no longer accepted", AUDIT_REFUSED },
    { AUDIT_CERTIFICATE_ORPHAN, "certificate.orphan", C, AUDIT_EACH,
      "signed, but never registered: revoked", AUDIT_WAITS },
    { AUDIT_CERTIFICATE_LOOK_UP, "certificate.look_up", C | G, AUDIT_NOT_ALONE,
      "a door met a certificate that it did not know", AUDIT_REFUSED },
    { AUDIT_CERTIFICATE_READ, "certificate.read", C | P | G, AUDIT_BY_REQUEST,
      "certificates were listed or shown", AUDIT_REFUSED },
    { AUDIT_CRL_ISSUE, "crl.issue", 0, AUDIT_EACH,
      "a revocation list was signed; target: key and number, reason: its hash", AUDIT_REFUSED },
    { AUDIT_DOOR_CERTIFY, "door.certify", C | G, AUDIT_EACH, "a door's own TLS certificate",
      AUDIT_REFUSED },
    { AUDIT_KEY_SIGN, "key.sign", C | G, AUDIT_NOT_ALONE, "the signer signed, or refused to",
      AUDIT_WAITS },
    { AUDIT_OPERATOR_ADD, "operator.add", C | P | G, AUDIT_EACH, "an operator or line is known",
      AUDIT_REFUSED },
    { AUDIT_OPERATOR_REVOKE, "operator.revoke", C | P | G, AUDIT_EACH,
      "an operator or line is locked out", AUDIT_REFUSED },
    { AUDIT_OPERATOR_READ, "operator.read", P | G, AUDIT_BY_REQUEST, "operators were listed",
      AUDIT_REFUSED },
    { AUDIT_TOKEN_NEW, "token.new", P | G, AUDIT_EACH, "a one-time enrolment token was made",
      AUDIT_REFUSED },
    { AUDIT_TOKEN_USE, "token.use", C | P | G, AUDIT_EACH, "one was presented", AUDIT_REFUSED },
    { AUDIT_POLICY_CHECK, "policy.check", P | G, AUDIT_EACH,
      "a policy was compiled, not applied", AUDIT_REFUSED },
    { AUDIT_POLICY_APPLY, "policy.apply", P | G, AUDIT_EACH, "a policy is in force",
      AUDIT_REFUSED },
    { AUDIT_POLICY_READ, "policy.read", P | G, AUDIT_BY_REQUEST,
      "policies, or proposals of acts, were listed or shown", AUDIT_REFUSED },
    { AUDIT_LOG_READ, "log.read", P | G, AUDIT_BY_REQUEST,
      "this log was read; target: what was asked", AUDIT_REFUSED },
    { AUDIT_STATUS_READ, "status.read", P | G, AUDIT_NOT_ALONE, "the system's state was read",
      AUDIT_REFUSED },
    { AUDIT_API_REQUEST, "api.request", P | G, AUDIT_NOT_ALONE,
      "a request that was refused before it was known what it asks", AUDIT_REFUSED },
    { AUDIT_PROPOSAL_MAKE, "proposal.make", P | G, AUDIT_EACH,
      "an act waits for another administrator; target: its number", AUDIT_REFUSED },
    { AUDIT_PROPOSAL_APPROVE, "proposal.approve", P | G, AUDIT_EACH,
      "it was approved, and is done; reason: what, and whose", AUDIT_REFUSED },
    { AUDIT_PROPOSAL_REJECT, "proposal.reject", P | G, AUDIT_EACH,
      "it was rejected, or withdrawn by its author", AUDIT_REFUSED },
    { AUDIT_PROPOSAL_EXPIRE, "proposal.expire", 0, AUDIT_EACH, "nobody approved it in time",
      AUDIT_REFUSED },
    { AUDIT_HANDSHAKE, "handshake", C | G, AUDIT_COUNTED,
      "TLS with a certificate, over HTTPS or, over MQTT, without a CONNECT; or why not",
      AUDIT_CLOSED },
    { AUDIT_SESSION_OPEN, "session.open", C | P | G, AUDIT_EACH, "a device connected",
      AUDIT_CLOSED },
    { AUDIT_SESSION_CLOSE, "session.close", P | G, AUDIT_EACH, "its session ended",
      AUDIT_WAITS },
    { AUDIT_SESSION_CUT, "session.cut", C | P, AUDIT_EACH,
      "ended by us: revoked, suspended, expired, no longer allowed", AUDIT_WAITS },
    { AUDIT_PUBLISH, "publish", P | G | T, AUDIT_COUNTED, "a message came in; target: topic",
      AUDIT_CLOSED },
    { AUDIT_SUBSCRIBE, "subscribe", P | G | T, AUDIT_COUNTED, "target: topic filter",
      AUDIT_CLOSED },
    { AUDIT_RECEIVE, "receive", P | G | T, AUDIT_COUNTED, "a message went out; target: topic",
      AUDIT_CLOSED },
    { AUDIT_RETAIN, "retain", P | G | T, AUDIT_COUNTED, "a message was kept; target: topic",
      AUDIT_CLOSED },
    { AUDIT_WILL, "will", P | G | T, AUDIT_COUNTED,
      "a will was set or published; target: topic", AUDIT_CLOSED },
    { AUDIT_PROTOCOL, "protocol", P | G, AUDIT_NOT_ALONE, "the other side broke its protocol",
      AUDIT_CLOSED },
    { AUDIT_UNSUBSCRIBE, "unsubscribe", P | G | T, AUDIT_COUNTED,
      "a subscription was given up; target: topic filter", AUDIT_CLOSED },
};

const struct audit_action_row *audit_action_list(size_t *count)
{
    *count = sizeof ACTIONS / sizeof *ACTIONS;
    return ACTIONS;
}

const struct audit_action_row *audit_action_get(unsigned action)
{
    size_t low = 0, high = sizeof ACTIONS / sizeof *ACTIONS;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ACTIONS[middle].action == action)
            return &ACTIONS[middle];
        if (ACTIONS[middle].action < action)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct audit_action_row *audit_action_by_name(struct bytes name)
{
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (bytes_equal_text(name, ACTIONS[i].name))
            return &ACTIONS[i];
    return NULL;
}

static const char *name_of(const char *const names[], size_t count, unsigned which)
{
    return which < count ? names[which] : NULL;
}

const char *audit_when_name(enum audit_when when)
{
    static const char *const NAMES[] = { "each", "in aggregate",
                                         "each request, then in aggregate", "not recorded" };

    return name_of(NAMES, sizeof NAMES / sizeof *NAMES, when);
}

const char *audit_unrecorded_name(enum audit_unrecorded unrecorded)
{
    static const char *const NAMES[] = { "it is refused", "the session is closed",
                                         "the process does not serve", "the record waits" };

    return name_of(NAMES, sizeof NAMES / sizeof *NAMES, unrecorded);
}

const char *audit_decision_name(enum audit_decision decision)
{
    static const char *const NAMES[] = { NULL, "allowed", "denied", "failed" };

    return name_of(NAMES, sizeof NAMES / sizeof *NAMES, decision);
}

const char *audit_source_name(enum audit_source source)
{
    static const char *const NAMES[] = { NULL, "authority", "device-door", "operator-door",
                                         "signer" };

    return name_of(NAMES, sizeof NAMES / sizeof *NAMES, source);
}

const char *audit_actor_kind_name(enum audit_actor_kind kind)
{
    static const char *const NAMES[] = { "nobody", "device", "operator", "line", "process" };

    return name_of(NAMES, sizeof NAMES / sizeof *NAMES, kind);
}
