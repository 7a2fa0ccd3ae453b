#include "audit/action.h"

enum {
    C = AUDIT_CERTIFICATE_FIELD,
    P = AUDIT_POLICY_FIELD,
    G = AUDIT_AGGREGATE_FIELD,
};

static const struct audit_action_row ACTIONS[] = {
    { AUDIT_LOG_START, "log.start", 0, false, "the log begins" },
    { AUDIT_PROCESS_START, "process.start", 0, false, "a process serves" },
    { AUDIT_PROCESS_STOP, "process.stop", 0, false, "a process ends, or was found to have" },
    { AUDIT_CLOCK_STEP, "clock.step", 0, false, "the wall clock stepped; reason: from and to" },
    { AUDIT_SYSTEM_INIT, "system.init", C, false, "keys and certificates of a new system" },
    { AUDIT_SYSTEM_BACKUP, "system.backup", 0, false, "a copy of everything was taken" },
    { AUDIT_SYSTEM_RESTORE, "system.restore", 0, false, "a copy was put back to work" },
    { AUDIT_SYSTEM_RECOVER, "system.recover", C, false,
      "a first operator made at the machine" },
    { AUDIT_LOG_SPOOL, "log.spool", 0, false,
      "records of another process begin with a new spool, or were refused; target: which" },

    { AUDIT_LOG_ERASE, "log.erase", 0, false,
      "records of a device, operator or line are erased; reason: why, then how many" },
    { AUDIT_LOG_HOLD, "log.hold", 0, false,
      "a legal hold was added or removed; target: which" },
    { AUDIT_LOG_PRUNE, "log.prune", 0, false,
      "bodies older than audit_retention were erased, or it changed; target: which" },
    { AUDIT_LOG_EXPORT, "log.export", 0, false,
      "this log goes out to a sink, fails to, or does again; target: which" },
    { AUDIT_DEVICE_ADD, "device.add", C, false, "a device is known" },
    { AUDIT_DEVICE_CHANGE, "device.change", 0, false, "label or groups of a device" },
    { AUDIT_DEVICE_SUSPEND, "device.suspend", 0, false, "locked out, may come back" },
    { AUDIT_DEVICE_RESUME, "device.resume", 0, false, "let in again" },
    { AUDIT_DEVICE_REVOKE, "device.revoke", C, false, "locked out for good" },
    { AUDIT_DEVICE_READ, "device.read", G, false, "devices were listed or shown" },
    { AUDIT_CERTIFICATE_ISSUE, "certificate.issue", C, false, "a certificate for a new key" },
    { AUDIT_CERTIFICATE_RENEW, "certificate.renew", C, false, "its holder got another one" },
    { AUDIT_CERTIFICATE_REVOKE, "certificate.revoke", C, false, "no longer accepted" },
    { AUDIT_CERTIFICATE_ORPHAN, "certificate.orphan", C, false,
      "signed, but never registered: revoked" },
    { AUDIT_CERTIFICATE_LOOK_UP, "certificate.look_up", C | G, false,
      "a door met a certificate that it did not know" },
    { AUDIT_CERTIFICATE_READ, "certificate.read", C | G, false,
      "certificates were listed or shown" },
    { AUDIT_CRL_ISSUE, "crl.issue", 0, false, "a revocation list was signed" },
    { AUDIT_DOOR_CERTIFY, "door.certify", C, false, "a door's own TLS certificate" },
    { AUDIT_KEY_SIGN, "key.sign", C | G, false, "the signer signed, or refused to" },
    { AUDIT_OPERATOR_ADD, "operator.add", C, false, "an operator or line is known" },
    { AUDIT_OPERATOR_REVOKE, "operator.revoke", C, false, "an operator or line is locked out" },
    { AUDIT_OPERATOR_READ, "operator.read", G, false, "operators were listed" },
    { AUDIT_TOKEN_NEW, "token.new", 0, false, "a one-time enrolment token was made" },
    { AUDIT_TOKEN_USE, "token.use", C | G, false, "one was presented" },
    { AUDIT_POLICY_CHECK, "policy.check", P, false, "a policy was compiled, not applied" },
    { AUDIT_POLICY_APPLY, "policy.apply", P, false, "a policy is in force" },
    { AUDIT_POLICY_READ, "policy.read", P | G, false, "policies were listed or shown" },
    { AUDIT_LOG_READ, "log.read", G, false, "this log was read; target: what was asked" },
    { AUDIT_STATUS_READ, "status.read", G, false, "the system's state was read" },
    { AUDIT_API_REQUEST, "api.request", P | G, false,
      "a request that was refused before it was known what it asks" },
    { AUDIT_HANDSHAKE, "handshake", C | G, false, "TLS; allowed, or why not" },
    { AUDIT_SESSION_OPEN, "session.open", C | P | G, false, "a device connected" },
    { AUDIT_SESSION_CLOSE, "session.close", P | G, false, "its session ended" },
    { AUDIT_SESSION_CUT, "session.cut", C | P, false,
      "ended by us: revoked, suspended, expired, no longer allowed" },
    { AUDIT_PUBLISH, "publish", P | G, true, "a message came in; target: topic" },
    { AUDIT_SUBSCRIBE, "subscribe", P | G, true, "target: topic filter" },
    { AUDIT_RECEIVE, "receive", P | G, true, "a message went out; target: topic" },
    { AUDIT_RETAIN, "retain", P | G, true, "a message was kept; target: topic" },
    { AUDIT_WILL, "will", P | G, true, "a will was set or published; target: topic" },
    { AUDIT_PROTOCOL, "protocol", P | G, false, "the other side broke its protocol" },
};

const struct audit_action_row *audit_action_list(size_t *count)
{
    *count = sizeof ACTIONS / sizeof *ACTIONS;
    return ACTIONS;
}

const struct audit_action_row *audit_action_get(unsigned action)
{
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (ACTIONS[i].action == action)
            return &ACTIONS[i];
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
