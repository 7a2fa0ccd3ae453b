#include "registry/door_protocol.h"

#include <string.h>

#include "registry/answer.h"

/* A preamble, and what else a request without byte strings may hold at most. */
enum { SMALL = 4096, CSR = SMALL + REGISTRY_CSR_MAX, LIST = LINK_BODY_MAX };

static const struct link_kind KINDS[] = {
    { REGISTRY_ASK_WATCH, "watch", LINK_URGENT, SMALL, LIST, false, false },
    { REGISTRY_ASK_SNAPSHOT, "snapshot", LINK_BULK, SMALL, LIST, false, false },
    { REGISTRY_ASK_LOOK_UP, "look-up", LINK_NORMAL, CSR, SMALL, false, false },
    { REGISTRY_ASK_DOOR, "door", LINK_NORMAL, CSR, CSR, false, false },
    { REGISTRY_ASK_ENROL, "enrol", LINK_BULK, CSR, CSR, false, false },
    { REGISTRY_ASK_REENROL, "reenrol", LINK_BULK, CSR, CSR, false, false },
    { REGISTRY_ASK_DEVICE_ADD, "device-add", LINK_NORMAL, SMALL, SMALL, false, false },
    { REGISTRY_ASK_DEVICE_LIST, "device-list", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_DEVICE_SHOW, "device-show", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_DEVICE_STATE, "device-state", LINK_URGENT, SMALL, SMALL, false, false },
    { REGISTRY_ASK_CERTIFICATE_LIST, "certificate-list", LINK_NORMAL, SMALL, LIST, false,
      false },
    { REGISTRY_ASK_CERTIFICATE_REVOKE, "certificate-revoke", LINK_URGENT, SMALL, SMALL, false,
      false },
    { REGISTRY_ASK_TOKEN_NEW, "token-new", LINK_NORMAL, SMALL, SMALL, false, false },
    { REGISTRY_ASK_OPERATOR_ADD, "operator-add", LINK_NORMAL, CSR, CSR, false, false },
    { REGISTRY_ASK_OPERATOR_LIST, "operator-list", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_OPERATOR_REVOKE, "operator-revoke", LINK_URGENT, SMALL, SMALL, false,
      false },
    { REGISTRY_ASK_POLICY_SHOW, "policy-show", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_POLICY_APPLY, "policy-apply", LINK_NORMAL, LIST, CSR, false, false },
    { REGISTRY_ASK_STATUS, "status", LINK_NORMAL, SMALL, SMALL, false, false },
    { REGISTRY_ASK_APPLIED, "applied", LINK_NORMAL, SMALL, SMALL, false, false },
    { REGISTRY_ASK_POLICY_LIST, "policy-list", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_AUDIT_LIST, "audit-list", LINK_BULK, 2 * SMALL, LIST, false, false },
    { REGISTRY_ASK_AUDIT_CHECKPOINT, "audit-checkpoint", LINK_BULK, 2 * SMALL, LIST, false,
      false },
    { REGISTRY_ASK_AUDIT_PROOF, "audit-proof", LINK_BULK, 2 * SMALL, LIST, false, false },
    { REGISTRY_ASK_SPOOL, "spool", LINK_BULK, LIST, SMALL, false, false },
    { REGISTRY_ASK_AUDIT_ENTRIES, "audit-entries", LINK_BULK, SMALL, LIST, false, false },
    { REGISTRY_ASK_AUDIT_WATCH, "audit-watch", LINK_BULK, 2 * SMALL, LIST, false, false },
    { REGISTRY_ASK_BACKUP, "backup", LINK_BULK, SMALL, SMALL, false, false },

    { REGISTRY_ASK_AUDIT_COSIGN, "audit-cosign", LINK_NORMAL, 2 * SMALL, LIST, false, false },
    { REGISTRY_ASK_AUDIT_ERASE, "audit-erase", LINK_NORMAL, 2 * SMALL, SMALL, false, false },
    { REGISTRY_ASK_AUDIT_HOLD, "audit-hold", LINK_NORMAL, 2 * SMALL, SMALL, false, false },
    { REGISTRY_ASK_AUDIT_HOLD_LIST, "audit-hold-list", LINK_BULK, 2 * SMALL, LIST, false,
      false },
    { REGISTRY_ASK_EXPORTED, "exported", LINK_NORMAL, 2 * SMALL, SMALL, false, false },
    { REGISTRY_ASK_CRL, "crl", LINK_BULK, SMALL, LIST, false, false },
    { REGISTRY_ASK_POLICY_PART, "policy-part", LINK_NORMAL, LIST, SMALL, false, false },
    { REGISTRY_ASK_POLICY_TEXT, "policy-text", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_ACKNOWLEDGE, "acknowledge", LINK_URGENT, SMALL, SMALL, false, false },

    { REGISTRY_ASK_POLICY_PROPOSE, "policy-propose", LINK_NORMAL, LIST, CSR, false, false },
    { REGISTRY_ASK_PROPOSAL_LIST, "proposal-list", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_PROPOSAL_SHOW, "proposal-show", LINK_NORMAL, SMALL, LIST, false, false },
    { REGISTRY_ASK_PROPOSAL_APPROVE, "proposal-approve", LINK_NORMAL, SMALL, SMALL, false,
      false },
    { REGISTRY_ASK_PROPOSAL_REJECT, "proposal-reject", LINK_NORMAL, SMALL, SMALL, false,
      false },
    { REGISTRY_ASK_DEVICE_REVOKE_MANY, "device-revoke-many", LINK_NORMAL, LIST, LIST, false,
      false },
};

/* One urgent credit is always held by the watch. */
static const struct link_protocol PROTOCOL = {
    .name = "door",
    .kinds = KINDS,
    .count = sizeof KINDS / sizeof *KINDS,
    .credits = { [LINK_URGENT] = 8, [LINK_NORMAL] = 32, [LINK_BULK] = 64 },
    .waiting_max = 1024,
};

const struct link_protocol *registry_door_protocol(void)
{
    return &PROTOCOL;
}

struct bytes registry_peer_host(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    bool brackets = len > 1 && peer[0] == '[';

    return (struct bytes){ (const uint8_t *)peer + brackets, len - 2 * brackets };
}

struct bytes registry_peer_tls(const char *tls)
{
    struct bytes text = bytes_of_text(tls);

    return bytes_start_with(text, BYTES("TLSv1.")) && text.len > 6
               ? (struct bytes){ text.at + 4, 3 }
               : (struct bytes){ NULL, 0 };
}
