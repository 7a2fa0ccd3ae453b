#include "api/schema.h"

#define SHAPE(name, table)                                                                     \
    {                                                                                          \
        name, table, sizeof(table) / sizeof *(table)                                           \
    }

static const struct api_member ERROR_DETAIL[] = {
    { "code", "string", "malformed, denied, not-found, exists, limit, busy or internal" },
    { "request", "hex", "correlation id of the request, in the audit log" },
    { "detail", "string*", "what was wrong with the input, for a known operator" },
};
static const struct api_member ERROR[] = {
    { "error", "ErrorDetail", "" },
};
static const struct api_member DEVICE[] = {
    { "id", "string", "" },
    { "kind", "string", "device" },
    { "state", "string", "registered, active, suspended or revoked" },
    { "label", "string", "for people" },
    { "groups", "[string", "" },
    { "created", "time", "" },
    { "changed", "time", "" },
};
static const struct api_member SUBJECT[] = {
    { "id", "string", "" },
    { "kind", "string", "operator or line" },
    { "state", "string", "registered, active, suspended or revoked" },
    { "label", "string", "for people" },
    { "role", "string?", "admin or auditor; null for a line" },
    { "created", "time", "" },
    { "changed", "time", "" },
};
static const struct api_member CERTIFICATE[] = {
    { "fingerprint", "hex", "SHA-256 of the certificate" },
    { "kind", "string", "device, operator or line" },
    { "subject", "string", "id of its holder" },
    { "state", "string", "active or revoked" },
    { "serial", "hex", "" },
    { "issuer", "hex", "SHA-256 of the issuer's Name" },
    { "key", "hex", "SHA-256 of the SubjectPublicKeyInfo" },
    { "not_before", "time", "" },
    { "not_after", "time", "" },
    { "issued", "time", "" },
    { "revoked", "time?", "" },
    { "reason", "string?", "CRLReason of RFC 5280 5.3.1" },
    { "log_index", "integer?", "of the audit record that says it was made" },
};
static const struct api_member HEALTH[] = { { "status", "string", "ok or no-authority" } };
static const struct api_member DEVICE_COUNTS[] = {
    { "registered", "integer", "" },
    { "active", "integer", "" },
    { "suspended", "integer", "" },
    { "revoked", "integer", "" },
};
static const struct api_member AUDIT_SOURCE[] = {
    { "source", "string", "authority, device-door, operator-door or signer" },
    { "records", "integer", "of it in the audit log" },
    { "acts", "integer", "that they tell of, aggregates by their counts" },
    { "spooled", "integer", "that it has made durable, as it said last" },
    { "refused", "integer", "that found no room when they came, in its life" },
};
static const struct api_member STATUS[] = {
    { "revision", "integer", "of the registry's store" },
    { "sequence", "integer", "end of the change feed" },
    { "started", "time", "" },
    { "now", "time", "the authority's clock" },
    { "devices", "DeviceCounts", "" },
    { "certificates", "integer", "" },
    { "operators", "integer", "active ones" },
    { "lines", "integer", "active ones" },
    { "orphans", "integer", "serials signed and never registered" },
    { "policy_version", "integer", "" },
    { "signer", "boolean", "is it there" },
    { "crl_made", "time?", "when the oldest CRL in force was made" },
    { "doors_behind", "integer", "changes that the slowest door has not acknowledged" },
    { "audit_records", "integer", "in the audit log" },
    { "audit_checkpoint", "integer", "of them, under the newest signed checkpoint" },
    { "audit_sinks", "integer", "that the audit log goes out to" },
    { "audit_exported", "integer?", "records that every sink has had" },
    { "audit_published", "integer",
      "records under the checkpoint that everybody is shown; 0 until there is one" },
    { "audit_witnesses", "integer", "that checkpoints are carried to" },
    { "audit_cosigned", "integer?",
      "records under the newest checkpoint that every one of them signed" },
    { "audit_sources", "[AuditSource", "by who told" },
    { "trouble", "string?", "what needs a person" },
};
static const struct api_member DEVICES[] = {
    { "devices", "[Device", "" },
    { "next", "hex?", "cursor of the next page" },
};
static const struct api_member DEVICE_ADDED[] = {
    { "device", "Device", "" },
    { "sequence", "integer", "of the change in the feed" },
};
static const struct api_member DEVICE_SHOWN[] = {
    { "device", "Device", "" },
    { "certificates", "[Certificate", "" },
};
static const struct api_member CHANGE[] = {
    { "sequence", "integer", "of the change in the feed" },
    { "applied", "boolean", "every door has acknowledged it; false without wait=1" },
};
static const struct api_member TOKEN[] = {
    { "id", "string", "user name in HTTP Basic" },
    { "secret", "string", "its password; shown this once" },
    { "expires", "time", "" },
};
static const struct api_member CERTIFICATES[] = {
    { "certificates", "[Certificate", "" },
    { "next", "hex?", "cursor of the next page" },
};
static const struct api_member OPERATORS[] = {
    { "operators", "[Subject", "operators and lines" },
    { "next", "hex?", "cursor of the next page" },
};
static const struct api_member ISSUED[] = {
    { "certificate", "string", "PEM" },
    { "log_index", "integer?", "of the audit record that says it was made" },
};
static const struct api_member POLICY_SUMMARY[] = {
    { "version", "integer", "" },
    { "author", "string", "" },
    { "made", "time", "" },
    { "active", "boolean", "" },
    { "why", "string", "as its author said; empty in versions from before it was asked for" },
};
static const struct api_member POLICIES[] = {
    { "policies", "[PolicySummary", "" },
    { "next", "hex?", "cursor of the next page" },
};
static const struct api_member POLICY[] = {
    { "version", "integer", "" }, { "author", "string", "" }, { "made", "time", "" },
    { "active", "boolean", "" },  { "why", "string", "" },    { "text", "string", "" },
};
static const struct api_member POLICY_APPLIED[] = {
    { "version", "integer", "" }, { "author", "string", "" }, { "made", "time", "" },
    { "active", "boolean", "" },  { "why", "string", "" },    { "sequence", "integer", "" },
};
static const struct api_member POLICY_ERRORS[] = {
    { "error", "ErrorDetail", "" },
    { "errors", "[string", "line 1 column 2: what is wrong" },
};
static const struct api_member POLICY_CHECKED[] = {
    { "accepted", "boolean", "" },
    { "errors", "[string", "line 1 column 2: what is wrong" },
};
static const struct api_member ACTOR[] = {
    { "kind", "string", "nobody, device, operator, line or process" },
    { "id", "string*", "" },
};
static const struct api_member RECORD_CERTIFICATE[] = {
    { "fingerprint", "hex*", "" },
    { "serial", "hex*", "" },
    { "issuer", "hex*", "" },
    { "key", "hex*", "" },
};
static const struct api_member AGGREGATE[] = {
    { "count", "integer", "acts that the record stands for" },
    { "first", "time", "" },
    { "last", "time", "" },
    { "targets", "integer", "distinct ones" },
    { "targets_capped", "boolean", "that many or more" },
};
static const struct api_member RECORD[] = {
    { "index", "integer", "of the leaf" },
    { "leaf", "hex", "its hash in the tree" },
    { "time", "time", "" },
    { "monotonic_ms", "integer*", "the source's monotonic clock, of its machine's run" },
    { "action", "string", "" },
    { "decision", "string", "allowed, denied or failed" },
    { "source", "string", "the process that says so" },
    { "sequence", "integer*", "in the source's spool" },
    { "correlation", "hex*", "of the request or session" },
    { "erased", "boolean*", "true: only the head is left" },
    { "actor", "Actor*", "" },
    { "actor_certificate", "RecordCertificate*", "what the actor showed" },
    { "device", "string*", "that this is about" },
    { "certificate", "RecordCertificate*", "that is acted upon" },
    { "target", "string*", "topic, id, route" },
    { "peer", "string*", "" },
    { "tls", "string*", "" },
    { "reason", "string*", "" },
    { "policy", "integer*", "version that decided" },
    { "rule", "integer*", "that decided" },
    { "aggregate", "Aggregate*", "" },
};
static const struct api_member RECORDS[] = {
    { "records", "[Record", "newest first" },
    { "next", "integer?", "give it as before" },
};
static const struct api_member PROOF[] = { { "nodes", "[string", "base64, 32 octets each" } };
static const struct api_member ERASING[] = {
    { "index", "integer", "of the record log.erase; older records are erased from now on" },
};
static const struct api_member ERASURE[] = {
    { "kind", "string", "device, operator or line" },
    { "id", "string", "" },
    { "index", "integer", "of the record log.erase: those below it are erased" },
    { "next", "integer", "those below it are bare" },
    { "records", "integer", "bare by this erasure" },
};
static const struct api_member ERASURES[] = { { "erasures", "[Erasure", "under way" } };
static const struct api_member HOLD_NUMBER[] = { { "number", "integer", "of the hold" } };
static const struct api_member HOLD[] = {
    { "number", "integer", "" },
    { "kind", "string?", "of whose records; null: whoever's" },
    { "id", "string?", "" },
    { "since", "time?", "only records from then on" },
    { "until", "time?", "only records up to then" },
    { "made", "time", "" },
    { "by", "string", "the operator" },
    { "reason", "string", "" },
};
static const struct api_member HOLDS[] = { { "holds", "[Hold", "" } };
static const struct api_member BACKUP[] = {
    { "name", "string", "of the copy, in the folder authority.backups" },
};
static const struct api_member OUTCOME[] = {
    { "device", "string", "as it was named" },
    { "outcome", "string", "revoked, was-revoked or unknown" },
};
static const struct api_member DEVICES_REVOKED[] = {
    { "devices", "[Outcome", "of each, in the order of the request" },
    { "revoked", "integer", "by this act" },
    { "were_revoked", "integer", "before it" },
    { "unknown", "integer", "there is no device of that id" },
    { "sequence", "integer", "of the change in the feed" },
    { "applied", "boolean", "every door has acknowledged it; false without wait=1" },
};
static const struct api_member PROPOSAL[] = {
    { "number", "integer", "" },
    { "act", "string", "policy, revocation, erasure or release" },
    { "state", "string", "open, approved, rejected, withdrawn or expired" },
    { "base", "integer?", "of a policy: the version that it replaces" },
    { "hash", "hex", "SHA-256 of its content, as the audit log has it" },
    { "author", "string", "operator" },
    { "why", "string", "" },
    { "made", "time", "" },
    { "expires", "time", "" },
    { "decided", "time?", "null while it is open" },
    { "decider", "string?", "operator" },
    { "decided_why", "string", "" },
};
static const struct api_member PROPOSALS[] = {
    { "proposals", "[Proposal", "" },
    { "next", "hex?", "cursor of the next page" },
};
static const struct api_member PROPOSAL_SHOWN[] = {
    { "proposal", "Proposal", "" },
    { "text", "string?", "of a policy; of no act that ended undone, as all that follows" },
    { "devices", "[string", "of a revocation, all of them" },
    { "reason", "string?", "of all but a policy" },
    { "subject", "string?", "of an erasure: whose records, as device pump-17" },
    { "hold", "integer?", "of a release" },
};
static const struct api_member PROPOSAL_MADE[] = { { "proposal", "Proposal", "" } };
static const struct api_member PROPOSAL_APPROVED[] = {
    { "proposal", "Proposal", "" },
    { "policy_version", "integer?", "that is in force by it" },
    { "revoked", "integer", "devices, by it" },
    { "were_revoked", "integer", "of them, before it" },
    { "sequence", "integer", "of the change in the feed" },
    { "applied", "boolean", "every door has acknowledged it; false without wait=1" },
};

static const struct api_shape SHAPES[] = {
    SHAPE("Error", ERROR),
    SHAPE("ErrorDetail", ERROR_DETAIL),
    SHAPE("Health", HEALTH),
    SHAPE("Status", STATUS),
    SHAPE("DeviceCounts", DEVICE_COUNTS),
    SHAPE("AuditSource", AUDIT_SOURCE),
    SHAPE("Device", DEVICE),
    SHAPE("Devices", DEVICES),
    SHAPE("DeviceAdded", DEVICE_ADDED),
    SHAPE("DeviceShown", DEVICE_SHOWN),
    SHAPE("Change", CHANGE),
    SHAPE("Token", TOKEN),
    SHAPE("Certificate", CERTIFICATE),
    SHAPE("Certificates", CERTIFICATES),
    SHAPE("Subject", SUBJECT),
    SHAPE("Operators", OPERATORS),
    SHAPE("Issued", ISSUED),
    SHAPE("PolicySummary", POLICY_SUMMARY),
    SHAPE("Policies", POLICIES),
    SHAPE("Policy", POLICY),
    SHAPE("PolicyApplied", POLICY_APPLIED),
    SHAPE("PolicyErrors", POLICY_ERRORS),
    SHAPE("PolicyChecked", POLICY_CHECKED),
    SHAPE("Record", RECORD),
    SHAPE("Records", RECORDS),
    SHAPE("Actor", ACTOR),
    SHAPE("RecordCertificate", RECORD_CERTIFICATE),
    SHAPE("Aggregate", AGGREGATE),
    SHAPE("Proof", PROOF),
    SHAPE("Backup", BACKUP),
    SHAPE("Outcome", OUTCOME),
    SHAPE("DevicesRevoked", DEVICES_REVOKED),
    SHAPE("Proposal", PROPOSAL),
    SHAPE("Proposals", PROPOSALS),
    SHAPE("ProposalShown", PROPOSAL_SHOWN),
    SHAPE("ProposalMade", PROPOSAL_MADE),
    SHAPE("ProposalApproved", PROPOSAL_APPROVED),

    SHAPE("Erasing", ERASING),
    SHAPE("Erasure", ERASURE),
    SHAPE("Erasures", ERASURES),
    SHAPE("HoldNumber", HOLD_NUMBER),
    SHAPE("Hold", HOLD),
    SHAPE("Holds", HOLDS),
};

const struct api_shape *api_schema_list(size_t *count)
{
    *count = sizeof SHAPES / sizeof *SHAPES;
    return SHAPES;
}
