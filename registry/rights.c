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
    [REGISTRY_RIGHT_AUDIT_WRITE] = { "audit.write", ADMIN, OPERATORS },

    [REGISTRY_RIGHT_EXPORT] = { "export", 0, EXPORTER },
};

const char *registry_right_name(enum registry_right right)
{
    return right < REGISTRY_RIGHTS ? RIGHTS[right].name : "unknown";
}

enum registry_right registry_right_of(enum registry_ask ask)
{
    switch (ask) {
    case REGISTRY_ASK_WATCH:
    case REGISTRY_ASK_SNAPSHOT:
    case REGISTRY_ASK_LOOK_UP:
    case REGISTRY_ASK_DOOR:
    case REGISTRY_ASK_APPLIED:
    case REGISTRY_ASK_SPOOL:
    case REGISTRY_ASK_CRL:
        return REGISTRY_RIGHT_NONE;
    case REGISTRY_ASK_ENROL:
        return REGISTRY_RIGHT_ENROL;
    case REGISTRY_ASK_REENROL:
        return REGISTRY_RIGHT_RENEW;
    case REGISTRY_ASK_DEVICE_ADD:
    case REGISTRY_ASK_DEVICE_STATE:
        return REGISTRY_RIGHT_DEVICE_WRITE;
    case REGISTRY_ASK_DEVICE_LIST:
    case REGISTRY_ASK_DEVICE_SHOW:
    case REGISTRY_ASK_CERTIFICATE_LIST:
        return REGISTRY_RIGHT_DEVICE_READ;
    case REGISTRY_ASK_CERTIFICATE_REVOKE:
        return REGISTRY_RIGHT_CERTIFICATE_REVOKE;
    case REGISTRY_ASK_TOKEN_NEW:
        return REGISTRY_RIGHT_TOKEN_WRITE;
    case REGISTRY_ASK_OPERATOR_ADD:
    case REGISTRY_ASK_OPERATOR_REVOKE:
    case REGISTRY_ASK_BACKUP:
        return REGISTRY_RIGHT_OPERATOR_WRITE;
    case REGISTRY_ASK_OPERATOR_LIST:
        return REGISTRY_RIGHT_OPERATOR_READ;
    case REGISTRY_ASK_POLICY_SHOW:
    case REGISTRY_ASK_POLICY_LIST:
        return REGISTRY_RIGHT_POLICY_READ;
    case REGISTRY_ASK_POLICY_APPLY:
        return REGISTRY_RIGHT_POLICY_WRITE;
    case REGISTRY_ASK_STATUS:
        return REGISTRY_RIGHT_STATUS_READ;
    case REGISTRY_ASK_AUDIT_LIST:
    case REGISTRY_ASK_AUDIT_CHECKPOINT:
    case REGISTRY_ASK_AUDIT_PROOF:
    case REGISTRY_ASK_AUDIT_ENTRIES:
    case REGISTRY_ASK_AUDIT_HOLD_LIST:
    case REGISTRY_ASK_AUDIT_WATCH:
        return REGISTRY_RIGHT_AUDIT_READ;
    case REGISTRY_ASK_EXPORTED:
    case REGISTRY_ASK_AUDIT_COSIGN:
        return REGISTRY_RIGHT_EXPORT;

    case REGISTRY_ASK_AUDIT_ERASE:
    case REGISTRY_ASK_AUDIT_HOLD:
        return REGISTRY_RIGHT_AUDIT_WRITE;
    }
    return REGISTRY_RIGHTS; /* nobody's */
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
        REGISTRY_ASK_EXPORTED,      REGISTRY_ASK_AUDIT_COSIGN,
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
