#include "registry/rights.h"

enum { DEVICE = 1, ADMIN = 2, AUDITOR = 4, LINE = 8 };
enum {
    NEITHER = 0,
    DEVICES = 1 << REGISTRY_DEVICE_DOOR,
    OPERATORS = 1 << REGISTRY_OPERATOR_DOOR,
    BOTH = DEVICES | OPERATORS,
    EXPORTER = 1 << REGISTRY_EXPORTER
};

/* The table of who may do what, and through which door. */
static const struct {
    const char *name;
    unsigned holders, doors;
} RIGHTS[REGISTRY_RIGHTS] = {
    [REGISTRY_RIGHT_NONE] = { "door", 0, BOTH },
    [REGISTRY_RIGHT_ENROL] = { "enrol", ADMIN | LINE, BOTH },
    [REGISTRY_RIGHT_RENEW] = { "renew", DEVICE | ADMIN | AUDITOR | LINE, BOTH },
    [REGISTRY_RIGHT_DEVICE_READ] = { "device.read", ADMIN | AUDITOR | LINE, OPERATORS },
    [REGISTRY_RIGHT_DEVICE_WRITE] = { "device.write", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_CERTIFICATE_REVOKE] = { "certificate.revoke", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_TOKEN_WRITE] = { "token.write", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_OPERATOR_READ] = { "operator.read", ADMIN | AUDITOR, OPERATORS },
    [REGISTRY_RIGHT_OPERATOR_WRITE] = { "operator.write", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_POLICY_READ] = { "policy.read", ADMIN | AUDITOR, OPERATORS },
    [REGISTRY_RIGHT_POLICY_WRITE] = { "policy.write", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_AUDIT_READ] = { "audit.read", ADMIN | AUDITOR, OPERATORS | EXPORTER },
    [REGISTRY_RIGHT_STATUS_READ] = { "status.read", ADMIN | AUDITOR, OPERATORS },
    [REGISTRY_RIGHT_PROPOSAL_READ] = { "proposal.read", ADMIN | AUDITOR, OPERATORS },
    [REGISTRY_RIGHT_PROPOSAL_WRITE] = { "proposal.write", ADMIN, OPERATORS },
    [REGISTRY_RIGHT_AUDIT_WRITE] = { "audit.write", ADMIN, OPERATORS },

    [REGISTRY_RIGHT_EXPORT] = { "export", 0, EXPORTER },
};

const char *registry_right_name(enum registry_right right)
{
    return right < REGISTRY_RIGHTS ? RIGHTS[right].name : "unknown";
}

/* A request that has no row here is nobody's. */
#define NEEDS(ask, right) [REGISTRY_ASK_##ask] = 1 + REGISTRY_RIGHT_##right
static const uint8_t NEEDED[] = {
    NEEDS(WATCH, NONE),
    NEEDS(SNAPSHOT, NONE),
    NEEDS(LOOK_UP, NONE),
    NEEDS(DOOR, NONE),
    NEEDS(APPLIED, NONE),
    NEEDS(SPOOL, NONE),
    NEEDS(CRL, NONE),
    NEEDS(POLICY_TEXT, NONE),
    NEEDS(ACKNOWLEDGE, NONE),
    NEEDS(ENROL, ENROL),
    NEEDS(REENROL, RENEW),
    NEEDS(DEVICE_ADD, DEVICE_WRITE),
    NEEDS(DEVICE_STATE, DEVICE_WRITE),
    NEEDS(DEVICE_REVOKE_MANY, DEVICE_WRITE),
    NEEDS(DEVICE_LIST, DEVICE_READ),
    NEEDS(DEVICE_SHOW, DEVICE_READ),
    NEEDS(CERTIFICATE_LIST, DEVICE_READ),
    NEEDS(CERTIFICATE_REVOKE, CERTIFICATE_REVOKE),
    NEEDS(TOKEN_NEW, TOKEN_WRITE),
    NEEDS(OPERATOR_ADD, OPERATOR_WRITE),
    NEEDS(OPERATOR_REVOKE, OPERATOR_WRITE),
    NEEDS(BACKUP, OPERATOR_WRITE),
    NEEDS(OPERATOR_LIST, OPERATOR_READ),
    NEEDS(POLICY_SHOW, POLICY_READ),
    NEEDS(POLICY_LIST, POLICY_READ),
    NEEDS(POLICY_APPLY, POLICY_WRITE),
    NEEDS(POLICY_PROPOSE, POLICY_WRITE),
    NEEDS(POLICY_PART, POLICY_WRITE),
    NEEDS(STATUS, STATUS_READ),
    NEEDS(AUDIT_LIST, AUDIT_READ),
    NEEDS(AUDIT_CHECKPOINT, AUDIT_READ),
    NEEDS(AUDIT_PROOF, AUDIT_READ),
    NEEDS(AUDIT_ENTRIES, AUDIT_READ),
    NEEDS(AUDIT_HOLD_LIST, AUDIT_READ),
    NEEDS(AUDIT_WATCH, AUDIT_READ),
    NEEDS(EXPORTED, EXPORT),
    NEEDS(AUDIT_COSIGN, EXPORT),
    NEEDS(PROPOSAL_LIST, PROPOSAL_READ),
    NEEDS(PROPOSAL_SHOW, PROPOSAL_READ),
    NEEDS(PROPOSAL_APPROVE, PROPOSAL_WRITE),
    NEEDS(PROPOSAL_REJECT, PROPOSAL_WRITE),
    NEEDS(AUDIT_ERASE, AUDIT_WRITE),
    NEEDS(AUDIT_HOLD, AUDIT_WRITE),
};

enum registry_right registry_right_of(enum registry_ask ask)
{
    if (ask >= sizeof NEEDED || NEEDED[ask] == 0)
        return REGISTRY_RIGHTS;
    return (enum registry_right)(NEEDED[ask] - 1);
}

static unsigned holder(enum registry_kind kind, enum registry_role role)
{
    if (kind == REGISTRY_DEVICE)
        return DEVICE;
    if (kind == REGISTRY_LINE)
        return LINE;
    if (kind != REGISTRY_OPERATOR)
        return 0;
    return role == REGISTRY_ADMIN ? ADMIN : role == REGISTRY_AUDITOR ? AUDITOR : 0;
}

bool registry_right_held(enum registry_right right, enum registry_kind kind,
                         enum registry_role role)
{
    return right < REGISTRY_RIGHTS && (RIGHTS[right].holders & holder(kind, role)) != 0;
}

bool registry_is_policy_denial(enum rc rc, struct bytes reason)
{
    return rc == RC_DENIED && bytes_start_with(reason, BYTES(REGISTRY_POLICY_SAYS));
}

bool registry_right_is_kept(enum registry_right right, enum registry_kind kind,
                            enum registry_role role)
{
    if (holder(kind, role) != ADMIN)
        return false;
    return right == REGISTRY_RIGHT_POLICY_READ || right == REGISTRY_RIGHT_POLICY_WRITE ||
           right == REGISTRY_RIGHT_PROPOSAL_READ || right == REGISTRY_RIGHT_PROPOSAL_WRITE ||
           right == REGISTRY_RIGHT_AUDIT_READ || right == REGISTRY_RIGHT_RENEW;
}

const char *registry_channel_name(enum registry_channel channel)
{
    if (channel == REGISTRY_EXPORTER)
        return "exporter";
    return channel == REGISTRY_DEVICE_DOOR ? "device-door" : "operator-door";
}

bool registry_channel_asks(enum registry_channel channel, enum registry_ask ask)
{
    static const enum registry_ask EXPORTERS[] = {
        REGISTRY_ASK_AUDIT_ENTRIES, REGISTRY_ASK_AUDIT_CHECKPOINT, REGISTRY_ASK_AUDIT_PROOF,
        REGISTRY_ASK_EXPORTED,      REGISTRY_ASK_AUDIT_COSIGN,     REGISTRY_ASK_AUDIT_WATCH,
    };

    if (channel != REGISTRY_EXPORTER)
        return ask != REGISTRY_ASK_EXPORTED && ask != REGISTRY_ASK_AUDIT_COSIGN;
    for (size_t i = 0; i < sizeof EXPORTERS / sizeof *EXPORTERS; i++)
        if (EXPORTERS[i] == ask)
            return true;
    return false;
}

bool registry_right_passes(enum registry_right right, enum registry_channel channel)
{
    return right < REGISTRY_RIGHTS && (RIGHTS[right].doors & 1U << channel) != 0;
}
