/* What is served: method, path, service, right, body, question, fields, answer. */
#include "api/handlers.h"

#define INPUT(member)    offsetof(struct api_input, member)
#define QUESTION(member) INPUT(question.member)

/* { name, place, type, required, where it goes, meaning } */
#define ID_IN_PATH(what)                                                                       \
    {                                                                                          \
        "id", API_IN_PATH, API_ID, true, QUESTION(id), what                                    \
    }
#define LIMIT                                                                                  \
    {                                                                                          \
        "limit", API_IN_QUERY, API_COUNT, false, QUESTION(most), "items in a page"             \
    }
#define CURSOR                                                                                 \
    {                                                                                          \
        "cursor", API_IN_QUERY, API_CURSOR, false, QUESTION(cursor), "next of the last page"   \
    }
#define REASON                                                                                 \
    {                                                                                          \
        "reason", API_IN_BODY, API_REASON, false, QUESTION(reason), "of a revocation"          \
    }
#define WAIT                                                                                   \
    {                                                                                          \
        "wait", API_IN_QUERY, API_FLAG, false, INPUT(wait),                                    \
            "1: until every door has acknowledged it, at most 10 s"                            \
    }
#define WHY                                                                                    \
    {                                                                                          \
        "why", API_IN_BODY, API_LABEL, false, QUESTION(why), "for people, and for the log"     \
    }
#define PROPOSAL_NUMBER                                                                        \
    {                                                                                          \
        "number", API_IN_PATH, API_NUMBER, true, QUESTION(number), "of the proposal"           \
    }
#define POLICY_TEXT                                                                            \
    {                                                                                          \
        "text", API_IN_BODY, API_TEXT, true, QUESTION(text), "the policy"                      \
    }
#define AUDIT(name, type, member, meaning)                                                     \
    {                                                                                          \
        name, API_IN_QUERY, type, false, INPUT(audit.member), meaning                          \
    }

static const struct api_field PAGE[] = { LIMIT, CURSOR };
static const struct api_field DEVICE_LIST[] = {
    LIMIT,
    CURSOR,
    { "state", API_IN_QUERY, API_STATE, false, QUESTION(state), "only in this state" },
    { "group", API_IN_QUERY, API_ID, false, QUESTION(group), "only of this group" },
};
static const struct api_field DEVICE_ADD[] = {
    { "id", API_IN_BODY, API_ID, true, QUESTION(id), "of the device, for ever" },
    { "label", API_IN_BODY, API_LABEL, false, QUESTION(label), "for people" },
    { "groups", API_IN_BODY, API_GROUPS, false, QUESTION(groups), "that policies may name" },
};
static const struct api_field DEVICE[] = { ID_IN_PATH("of the device") };
static const struct api_field DEVICE_CHANGE[] = { ID_IN_PATH("of the device"), WAIT, REASON };
static const struct api_field TOKEN[] = {
    ID_IN_PATH("of the device"),
    { "lifetime_s", API_IN_BODY, API_SECONDS, false, QUESTION(lifetime_s), "seconds" },
};
static const struct api_field CERTIFICATE_LIST[] = {
    LIMIT,
    CURSOR,
    { "kind", API_IN_QUERY, API_KIND, false, QUESTION(kind), "of the holder" },
    { "subject", API_IN_QUERY, API_ID, false, QUESTION(id), "the holder's id; needs kind" },
};
static const struct api_field CERTIFICATE_REVOKE[] = {
    { "fingerprint", API_IN_PATH, API_FINGERPRINT, true, QUESTION(fingerprint), "SHA-256" },
    WAIT,
    REASON,
};
static const struct api_field OPERATOR_ADD[] = {
    { "kind", API_IN_BODY, API_HOLDER, true, QUESTION(kind), "" },
    { "id", API_IN_BODY, API_ID, true, QUESTION(id), "" },
    { "role", API_IN_BODY, API_ROLE, false, QUESTION(role), "of an operator; a line has none" },
    { "label", API_IN_BODY, API_LABEL, false, QUESTION(label), "for people" },
    { "csr", API_IN_BODY, API_CSR, true, QUESTION(der), "certificate request in PEM" },
};
static const struct api_field HOLDER_REVOKE[] = { ID_IN_PATH("of the holder"), WAIT, REASON };
static const struct api_field POLICY_SHOW[] = {
    { "version", API_IN_PATH, API_VERSION, true, QUESTION(version), "number, or active" },
};
static const struct api_field POLICY_APPLY[] = {
    POLICY_TEXT,
    { "replaces", API_IN_BODY, API_NUMBER, true, QUESTION(version), "the active version" },
    { "why", API_IN_BODY, API_WHY, true, QUESTION(why), "the reason: kept with the version" },
};
static const struct api_field POLICY_CHECK[] = { POLICY_TEXT };
#define AUDIT_FACETS                                                                           \
    AUDIT("device", API_TEXT, device, "acting, or acted upon"),                                \
        AUDIT("actor", API_TEXT, actor, "id of who acted"),                                    \
        AUDIT("kind", API_ACTORS, kinds,                                                       \
              "of who acted: nobody, device, operator, line, "                                 \
              "process"),                                                                      \
        AUDIT("certificate", API_HASH, certificate, "fingerprint, shown or acted upon"),       \
        AUDIT("serial", API_SERIAL, serial, "of a certificate, shown or acted upon"),          \
        AUDIT("issuer", API_HASH, issuer, "of that certificate: hash of its Name"),            \
        AUDIT("key", API_HASH, key, "of that certificate: hash of its public key"),            \
        AUDIT("correlation", API_CORRELATION, correlation, "of a request or session"),         \
        AUDIT("target", API_TEXT, target, "exactly this topic, id or route"),                  \
        AUDIT("topic", API_TOPIC, topic,                                                       \
              "a filter that the topic matches, or the filter "                                \
              "that was subscribed to can share a topic with"),                                \
        AUDIT("peer", API_NETWORK, peer, "from this address, address:port or network"),        \
        AUDIT("action", API_ACTIONS, actions, "one of these, \"publish,certificate.*\""),      \
        AUDIT("decision", API_DECISIONS, decisions, "one of these: allowed, denied, failed"),  \
        AUDIT("source", API_SOURCES, sources,                                                  \
              "told by one of these: authority, "                                              \
              "device-door, operator-door, signer"),                                           \
        AUDIT("policy", API_NUMBER, policy_version, "version of the policy that was asked"),   \
        AUDIT("rule", API_RULE, rule, "that decided; none: no rule did"),                      \
        AUDIT("since", API_TIME, since_ms, "not earlier"),                                     \
        AUDIT("until", API_TIME, until_ms, "not later")

static const struct api_field AUDIT_LIST[] = {
    LIMIT,
    AUDIT("before", API_NUMBER, before, "only lower indices: next of the last page"),
    AUDIT_FACETS,
};
static const struct api_field AUDIT_FOLLOW[] = {
    { "from", API_IN_QUERY, API_INDEX, false, INPUT(number),
      "index of the first record; without it, what is written from now on" },
    AUDIT_FACETS,
};
static const struct api_field ENTRIES[] = {
    { "from", API_IN_QUERY, API_NUMBER, true, INPUT(number), "index of the first" },
};
static const struct api_field CHECKPOINT[] = {
    { "size", API_IN_QUERY, API_NUMBER, false, INPUT(number), "newest up to this tree size" },
};
static const struct api_field INCLUSION[] = {
    { "index", API_IN_QUERY, API_NUMBER, true, INPUT(number), "of the record" },
    { "size", API_IN_QUERY, API_NUMBER, true, INPUT(other), "of the tree" },
};
static const struct api_field CONSISTENCY[] = {
    { "old", API_IN_QUERY, API_NUMBER, true, INPUT(number), "tree size" },
    { "new", API_IN_QUERY, API_NUMBER, true, INPUT(other), "tree size" },
};
static const struct api_field PROOF[] = {
    { "index", API_IN_QUERY, API_NUMBER, true, INPUT(number), "of the record" },
};
static const struct api_field CERTIFICATE_PROOF[] = {
    { "fingerprint", API_IN_PATH, API_FINGERPRINT, true, QUESTION(fingerprint), "SHA-256" },
};
static const struct api_field DEVICES_REVOKE[] = {
    { "devices", API_IN_BODY, API_IDS, true, QUESTION(ids), "exactly these, in one act" },
    REASON,
    WHY,
    WAIT,
};
static const struct api_field PROPOSAL_LIST[] = {
    LIMIT,
    CURSOR,
    { "open", API_IN_QUERY, API_FLAG, false, QUESTION(open), "1: only those that wait" },
};
static const struct api_field PROPOSAL[] = { PROPOSAL_NUMBER };
static const struct api_field PROPOSAL_APPROVE[] = {
    PROPOSAL_NUMBER,
    { "why", API_IN_BODY, API_WHY, true, QUESTION(why), "the reason: kept with the proposal" },
    WAIT,
};
static const struct api_field PROPOSAL_REJECT[] = { PROPOSAL_NUMBER, WHY };
static const struct api_field TILE[] = {
    { "tile", API_IN_PATH, API_TEXT, true, INPUT(name),
      "<L>/<N>[.p/<W>] or entries/<N>[.p/<W>] as C2SP tlog-tiles spells them, slashes and "
      "all" },
};
static const struct api_field ERASE[] = {
    { "kind", API_IN_BODY, API_KIND, true, QUESTION(kind), "of whose records" },
    { "id", API_IN_BODY, API_ID, true, QUESTION(id), "" },
    { "reason", API_IN_BODY, API_TEXT, true, INPUT(hold.reason),
      "for the log, which keeps it" },
};
static const struct api_field HOLD[] = {
    { "kind", API_IN_BODY, API_KIND, false, QUESTION(kind), "of whose records; with id" },
    { "id", API_IN_BODY, API_ID, false, QUESTION(id), "" },
    { "since", API_IN_BODY, API_TIME, false, INPUT(hold.since_ms), "records from then on" },
    { "until", API_IN_BODY, API_TIME, false, INPUT(hold.until_ms), "records up to then" },
    { "reason", API_IN_BODY, API_TEXT, true, INPUT(hold.reason), "" },
};
static const struct api_field RELEASE[] = {
    { "number", API_IN_PATH, API_NUMBER, true, INPUT(number), "of the hold" },
    { "reason", API_IN_BODY, API_TEXT, true, INPUT(hold.reason), "" },
};
static const struct api_field KEY[] = {
    { "key", API_IN_PATH, API_NAME, true, INPUT(name), "devices, operators or doors" },
};
static const struct api_field CA[] = {
    { "name", API_IN_PATH, API_NAME, true, INPUT(name), "root, or SHA-256 of the certificate" },
};

#define FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof *(table)
#define ROUTE(m, p, s, r, ...)                                                                 \
    {                                                                                          \
        .method = (m), .path = (p), .service = API_##s, .right = REGISTRY_RIGHT_##r,           \
        __VA_ARGS__                                                                            \
    }
/* A question whose yes is told as it comes. */
#define ASKS(what, then)      .ask = REGISTRY_ASK_##what, .handle = api_request_ask, .told = (then)
#define SAYS(id, text, shape) .name = (id), .summary = (text), .answers = (shape)
#define CHANGES(k, s)         .kind = (k), .state = (s), .body_max = API_BODY_SMALL
#define CREATES(most)         .status = 201, .body_max = (most)

static const struct api_route ROUTES[] = {
    ROUTE("GET", "/v1/health", OPERATORS, NONE, .handle = api_status_health,
          SAYS("health", "Can this door serve?", "Health")),
    ROUTE("GET", "/v1/openapi.json", OPERATORS, NONE, .handle = api_openapi_show,
          SAYS("describe", "This document.", "application/json")),
    ROUTE("GET", "/metrics", OPERATORS, STATUS_READ, .handle = api_metrics_show,
          SAYS("metrics", "Measures in Prometheus' text format.", "text/plain")),
    ROUTE("GET", "/v1/status", OPERATORS, STATUS_READ, ASKS(STATUS, api_status_told),
          SAYS("status", "The authority and its registry in numbers.", "Status")),

    ROUTE("GET", "/v1/devices", OPERATORS, DEVICE_READ,
          ASKS(DEVICE_LIST, api_devices_list_told), FIELDS(DEVICE_LIST),
          SAYS("listDevices", "Devices, in the order of their ids.", "Devices")),
    ROUTE("POST", "/v1/devices", OPERATORS, DEVICE_WRITE, CREATES(API_BODY_SMALL),
          ASKS(DEVICE_ADD, api_devices_added), FIELDS(DEVICE_ADD),
          SAYS("addDevice", "Register a device.", "DeviceAdded")),
    ROUTE("GET", "/v1/devices/{id}", OPERATORS, DEVICE_READ,
          ASKS(DEVICE_SHOW, api_devices_shown), FIELDS(DEVICE),
          SAYS("showDevice", "A device and its certificates.", "DeviceShown")),
    ROUTE("POST", "/v1/devices/{id}/suspend", OPERATORS, DEVICE_WRITE,
          CHANGES(0, REGISTRY_SUSPENDED), ASKS(DEVICE_STATE, api_changes_told),
          FIELDS(DEVICE_CHANGE),
          SAYS("suspendDevice", "Let a device in no more, for the time being.", "Change")),
    ROUTE("POST", "/v1/devices/{id}/resume", OPERATORS, DEVICE_WRITE,
          CHANGES(0, REGISTRY_ACTIVE), ASKS(DEVICE_STATE, api_changes_told),
          FIELDS(DEVICE_CHANGE),
          SAYS("resumeDevice", "Let a suspended device in again.", "Change")),
    ROUTE("POST", "/v1/devices/{id}/revoke", OPERATORS, DEVICE_WRITE,
          CHANGES(0, REGISTRY_REVOKED), ASKS(DEVICE_STATE, api_changes_told),
          FIELDS(DEVICE_CHANGE),
          SAYS("revokeDevice", "Let a device in no more, for good.", "Change")),
    ROUTE("POST", "/v1/devices/{id}/tokens", OPERATORS, TOKEN_WRITE, CREATES(API_BODY_SMALL),
          ASKS(TOKEN_NEW, api_tokens_made), FIELDS(TOKEN),
          SAYS("newToken", "Make a one-time token for a device's enrolment.", "Token")),

    ROUTE("GET", "/v1/certificates", OPERATORS, DEVICE_READ,
          ASKS(CERTIFICATE_LIST, api_certificates_told), FIELDS(CERTIFICATE_LIST),
          SAYS("listCertificates", "Certificates, of all or of one holder.", "Certificates")),
    ROUTE("POST", "/v1/certificates/{fingerprint}/revoke", OPERATORS, CERTIFICATE_REVOKE,
          CHANGES(0, 0), ASKS(CERTIFICATE_REVOKE, api_changes_told), FIELDS(CERTIFICATE_REVOKE),
          SAYS("revokeCertificate", "Revoke one certificate.", "Change")),

    ROUTE("GET", "/v1/operators", OPERATORS, OPERATOR_READ,
          ASKS(OPERATOR_LIST, api_operators_told), FIELDS(PAGE),
          SAYS("listOperators", "Operators, then lines.", "Operators")),
    ROUTE("POST", "/v1/operators", OPERATORS, OPERATOR_WRITE, CREATES(API_BODY_REQUEST),
          ASKS(OPERATOR_ADD, api_certificates_issued), FIELDS(OPERATOR_ADD),
          SAYS("addOperator", "Add an operator or a line, with its certificate.", "Issued")),
    ROUTE("POST", "/v1/operators/{id}/revoke", OPERATORS, OPERATOR_WRITE,
          CHANGES(REGISTRY_OPERATOR, 0), ASKS(OPERATOR_REVOKE, api_changes_told),
          FIELDS(HOLDER_REVOKE), SAYS("revokeOperator", "Revoke an operator.", "Change")),
    ROUTE("POST", "/v1/lines/{id}/revoke", OPERATORS, OPERATOR_WRITE, CHANGES(REGISTRY_LINE, 0),
          ASKS(OPERATOR_REVOKE, api_changes_told), FIELDS(HOLDER_REVOKE),
          SAYS("revokeLine", "Revoke a line.", "Change")),

    ROUTE("GET", "/v1/policies", OPERATORS, POLICY_READ, ASKS(POLICY_LIST, api_policies_told),
          FIELDS(PAGE), SAYS("listPolicies", "Versions of the policy.", "Policies")),
    ROUTE("GET", "/v1/policies/{version}", OPERATORS, POLICY_READ,
          ASKS(POLICY_SHOW, api_policies_shown), FIELDS(POLICY_SHOW),
          SAYS("showPolicy", "One version with its text.", "Policy")),
    ROUTE("POST", "/v1/policies", OPERATORS, POLICY_WRITE, CREATES(API_BODY_POLICY),
          .ask = REGISTRY_ASK_POLICY_APPLY, .handle = api_texts_send,
          .told = api_policies_applied, FIELDS(POLICY_APPLY),
          SAYS("applyPolicy", "Make this text the active policy.", "PolicyApplied")),
    ROUTE(
        "POST", "/v1/policies/propose", OPERATORS, POLICY_WRITE, .status = 202,
        .body_max = API_BODY_POLICY, .ask = REGISTRY_ASK_POLICY_PROPOSE,
        .handle = api_texts_send, .told = api_policies_applied, FIELDS(POLICY_APPLY),
        SAYS("proposePolicy",
             "Keep a checked text that is not in force: approving the proposal puts it there.",
             "ProposalMade")),
    ROUTE("POST", "/v1/policies/check", OPERATORS, POLICY_WRITE, .body_max = API_BODY_POLICY,
          .ask = REGISTRY_ASK_POLICY_APPLY, .handle = api_policies_check,
          .told = api_policies_checked, FIELDS(POLICY_CHECK),
          SAYS("checkPolicy", "Would this text be accepted?", "PolicyChecked")),

    ROUTE("GET", "/v1/audit", OPERATORS, AUDIT_READ, .ask = REGISTRY_ASK_AUDIT_LIST,
          .handle = api_audit_list, .told = api_audit_listed, FIELDS(AUDIT_LIST),
          SAYS("listAudit", "Records of the audit log, newest first.", "Records")),
    ROUTE("GET", "/v1/audit/follow", OPERATORS, AUDIT_READ, .ask = REGISTRY_ASK_AUDIT_WATCH,
          .handle = api_audit_follow, .told = api_audit_listed, FIELDS(AUDIT_FOLLOW),
          SAYS("followAudit",
               "New records as they are written, oldest first: waits for one, at most 10 s.",
               "Records")),
    ROUTE("GET", "/v1/audit/entries", OPERATORS, AUDIT_READ, .ask = REGISTRY_ASK_AUDIT_ENTRIES,
          .handle = api_audit_entries, .told = api_audit_entries_told, FIELDS(ENTRIES),
          SAYS("listEntries", "Entries as they are hashed, for a copy to verify.",
               "application/octet-stream")),
    ROUTE("GET", "/v1/audit/checkpoint", OPERATORS, AUDIT_READ,
          .ask = REGISTRY_ASK_AUDIT_CHECKPOINT, .handle = api_audit_checkpoint,
          .told = api_audit_checkpoint_told, FIELDS(CHECKPOINT),
          SAYS("checkpoint", "The signed head of the log.", "text/plain")),
    ROUTE("GET", "/v1/audit/proofs/inclusion", OPERATORS, AUDIT_READ,
          .ask = REGISTRY_ASK_AUDIT_PROOF, .handle = api_audit_inclusion,
          .told = api_audit_proved, FIELDS(INCLUSION),
          SAYS("proveInclusion", "That a record is in the tree (RFC 9162 2.1.3).", "Proof")),
    ROUTE("GET", "/v1/audit/proofs/consistency", OPERATORS, AUDIT_READ,
          .ask = REGISTRY_ASK_AUDIT_PROOF, .handle = api_audit_consistency,
          .told = api_audit_proved, FIELDS(CONSISTENCY),
          SAYS("proveConsistency", "That a tree continues an older one (RFC 9162 2.1.4).",
               "Proof")),

    ROUTE("GET", "/v1/audit/proof", OPERATORS, AUDIT_READ, .ask = REGISTRY_ASK_AUDIT_PROOF,
          .handle = api_audit_proof, .told = api_audit_proof_told, FIELDS(PROOF),
          SAYS("proveRecord",
               "A file that proves that a record is in the log, and what it says (C2SP "
               "tlog-proof).",
               "text/plain")),
    ROUTE("GET", "/v1/certificates/{fingerprint}/proof", OPERATORS, AUDIT_READ,
          .ask = REGISTRY_ASK_AUDIT_PROOF, .handle = api_audit_proof_of_certificate,
          .told = api_audit_proof_told, FIELDS(CERTIFICATE_PROOF),
          SAYS("proveCertificate", "The same of the record that says that it was made.",
               "text/plain")),
    ROUTE("GET", "/v1/audit/log/checkpoint", OPERATORS, AUDIT_READ,
          .handle = api_tiles_checkpoint,
          SAYS("logCheckpoint", "The signed head that the tiles are under (C2SP tlog-tiles).",
               "text/plain")),
    ROUTE("GET", "/v1/audit/log/tile/{tile...}", OPERATORS, AUDIT_READ,
          .handle = api_tiles_tile, FIELDS(TILE),
          SAYS("logTile",
               "A tile of the log's tree, or a bundle of its leaves (C2SP tlog-tiles).",
               "application/octet-stream")),
    ROUTE("GET", "/v1/audit/erasures", OPERATORS, AUDIT_READ,
          ASKS(AUDIT_HOLD_LIST, api_audit_erasures_told),
          SAYS("listErasures", "Erasures of audit records that are under way.", "Erasures")),
    ROUTE("POST", "/v1/audit/erasures", OPERATORS, AUDIT_WRITE, .status = 202,
          .body_max = API_BODY_SMALL, .ask = REGISTRY_ASK_AUDIT_ERASE,
          .handle = api_audit_erase, .told = api_audit_erasing, FIELDS(ERASE),
          SAYS("eraseRecords",
               "Erase what the log knows of a device, operator or line; heads stay.",
               "Erasing")),
    ROUTE("GET", "/v1/audit/holds", OPERATORS, AUDIT_READ,
          ASKS(AUDIT_HOLD_LIST, api_audit_holds_told),
          SAYS("listHolds", "Legal holds.", "Holds")),
    ROUTE("POST", "/v1/audit/holds", OPERATORS, AUDIT_WRITE, CREATES(API_BODY_SMALL),
          .ask = REGISTRY_ASK_AUDIT_HOLD, .handle = api_audit_hold, .told = api_audit_held,
          FIELDS(HOLD),
          SAYS("addHold", "Records that are neither erased nor pruned from now on.",
               "HoldNumber")),
    ROUTE("POST", "/v1/audit/holds/{number}/release", OPERATORS, AUDIT_WRITE,
          .body_max = API_BODY_SMALL, .ask = REGISTRY_ASK_AUDIT_HOLD,
          .handle = api_audit_release, .told = api_audit_released, FIELDS(RELEASE),
          SAYS("removeHold", "They can be erased and pruned again.", "HoldNumber")),

    ROUTE("POST", "/v1/backups", OPERATORS, OPERATOR_WRITE, CREATES(API_BODY_SMALL),
          ASKS(BACKUP, api_status_copied),
          SAYS("backUp", "Copy the registry into the folder authority.backups.", "Backup")),

    ROUTE("POST", "/v1/devices/revoke", OPERATORS, DEVICE_WRITE, .body_max = API_BODY_IDS,
          ASKS(DEVICE_REVOKE_MANY, api_devices_revoked), FIELDS(DEVICES_REVOKE),
          SAYS("revokeDevices",
               "Let many devices in no more, for good, in one act; again is harmless.",
               "DevicesRevoked")),

    ROUTE("GET", "/v1/proposals", OPERATORS, PROPOSAL_READ,
          ASKS(PROPOSAL_LIST, api_proposals_told), FIELDS(PROPOSAL_LIST),
          SAYS("listProposals", "Acts that wait for another administrator, or did.",
               "Proposals")),
    ROUTE("GET", "/v1/proposals/{number}", OPERATORS, PROPOSAL_READ,
          ASKS(PROPOSAL_SHOW, api_proposals_shown), FIELDS(PROPOSAL),
          SAYS("showProposal", "One of them, and exactly what it would do.", "ProposalShown")),
    ROUTE("POST", "/v1/proposals/{number}/approve", OPERATORS, PROPOSAL_WRITE,
          .body_max = API_BODY_SMALL, ASKS(PROPOSAL_APPROVE, api_proposals_approved),
          FIELDS(PROPOSAL_APPROVE),
          SAYS("approveProposal", "Do it: by another administrator than its author.",
               "ProposalApproved")),
    ROUTE("POST", "/v1/proposals/{number}/reject", OPERATORS, PROPOSAL_WRITE,
          .body_max = API_BODY_SMALL, ASKS(PROPOSAL_REJECT, api_proposals_rejected),
          FIELDS(PROPOSAL_REJECT),
          SAYS("rejectProposal", "Do it not; its author withdraws it so.", "ProposalMade")),

    ROUTE(
        "GET", "/.well-known/est/cacerts", EST, NONE, .body_max = API_BODY_EST,
        .body_type = "*/*", .handle = api_est_cacerts,
        SAYS("estCaCerts", "The CAs' certificates (RFC 7030 4.1).", "application/pkcs7-mime")),
    ROUTE("POST", "/.well-known/est/simpleenroll", EST, ENROL, .token = true,
          .body_max = API_BODY_EST, .body_type = "application/pkcs10", .handle = api_est_enroll,
          SAYS("estEnroll", "A first certificate (RFC 7030 4.2.1).", "application/pkcs7-mime")),
    ROUTE("POST", "/.well-known/est/simplereenroll", EST, RENEW, .body_max = API_BODY_EST,
          .body_type = "application/pkcs10", .handle = api_est_reenroll,
          SAYS("estReenroll", "The next certificate for the same key (RFC 7030 4.2.2).",
               "application/pkcs7-mime")),

    ROUTE("GET", "/crl/{key}.crl", PUBLIC, NONE, .handle = api_public_crl, .tagged = true,
          FIELDS(KEY), SAYS("crl", "What one of our CAs has revoked.", "application/pkix-crl")),
    ROUTE("GET", "/ca/chain.pem", PUBLIC, NONE, .handle = api_public_chain,
          SAYS("caChain", "All CA certificates, the root first.",
               "application/pem-certificate-chain")),
    ROUTE("GET", "/ca/{name}.crt", PUBLIC, NONE, .handle = api_public_certificate, FIELDS(CA),
          SAYS("caCertificate", "One CA certificate, DER.", "application/pkix-cert")),
};

const struct api_route *api_routes(size_t *count)
{
    *count = sizeof ROUTES / sizeof *ROUTES;
    return ROUTES;
}
