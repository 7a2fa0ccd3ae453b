/* Who may ask what: the rights of roles, of kinds and of channels. */
#pragma once

#include "registry/door_protocol.h"

/*
 * The API's rights come from roles (SPINE): a deny-all policy does not lock out the first
 * operator. A request needs four yeses: of its channel, of its actor as the registry knows him
 * in the committing transaction, of what it is about, and no rule of the active policy that
 * denies it (docs/policy-language.md, "Acts and certificates").
 */
enum registry_right {
    REGISTRY_RIGHT_NONE,  /* the door's own business: no actor */
    REGISTRY_RIGHT_ENROL, /* or a token */
    REGISTRY_RIGHT_RENEW, /* its own certificate */
    REGISTRY_RIGHT_DEVICE_READ,
    REGISTRY_RIGHT_DEVICE_WRITE,
    REGISTRY_RIGHT_CERTIFICATE_REVOKE,
    REGISTRY_RIGHT_TOKEN_WRITE,
    REGISTRY_RIGHT_OPERATOR_READ,
    REGISTRY_RIGHT_OPERATOR_WRITE,
    REGISTRY_RIGHT_POLICY_READ,
    REGISTRY_RIGHT_POLICY_WRITE,
    REGISTRY_RIGHT_AUDIT_READ,
    REGISTRY_RIGHT_STATUS_READ,
    REGISTRY_RIGHT_PROPOSAL_READ,
    REGISTRY_RIGHT_PROPOSAL_WRITE, /* approve and reject; to do it, the act's own besides */
    REGISTRY_RIGHT_AUDIT_WRITE,    /* erase, hold: never an auditor's */

    REGISTRY_RIGHT_EXPORT, /* the exporter's own business: no actor */
    REGISTRY_RIGHTS
};

/* "device.read", for routes, documents and audit. */
const char *registry_right_name(enum registry_right right);
/* What a request needs. */
enum registry_right registry_right_of(enum registry_ask ask);
/* role counts for operators only. */
bool registry_right_held(enum registry_right right, enum registry_kind kind,
                         enum registry_role role);

/*
 * What the active policy denies although the right is held is told with this before it:
 * "policy: denied by line 3 of version 7".
 */
#define REGISTRY_POLICY_SAYS "policy: "
bool registry_is_policy_denial(enum rc rc, struct bytes reason);
/*
 * What no policy takes from an administrator: the means to see, check, apply and roll back
 * policies, alone or as one of two, to read the audit log, and to renew his certificate for it.
 */
bool registry_right_is_kept(enum registry_right right, enum registry_kind kind,
                            enum registry_role role);

/*
 * The two doors and the exporter. What the device door cannot ask, nobody can through it, and
 * nothing that comes through it is ever an operator or a line (DESIGN.md D1). The exporter has
 * no actor behind it: it may ask what reads the log, and tell how far its sinks are.
 */
enum registry_channel {
    REGISTRY_DEVICE_DOOR = 1,
    REGISTRY_OPERATOR_DOOR = 2,
    REGISTRY_EXPORTER = 3,
    REGISTRY_CHANNEL_LAST = REGISTRY_EXPORTER
};
const char *registry_channel_name(enum registry_channel channel);
/* Is it a request that this channel knows at all? The exporter's are a closed list; the doors'
 * rights say the rest. */
bool registry_channel_asks(enum registry_channel channel, enum registry_ask ask);
bool registry_right_passes(enum registry_right right, enum registry_channel channel);
