#include "integration/ocsf.h"

#include <string.h>

#include <jansson.h>

#include "audit/json.h"
#include "base/text.h"

enum {
    BASE_EVENT = 0,
    ACCOUNT_CHANGE = 3001,
    AUTHENTICATION = 3002,
    ENTITY_MANAGEMENT = 3004,
    NETWORK_ACTIVITY = 4001,
    APPLICATION_LIFECYCLE = 6002,
    API_ACTIVITY = 6003,
    IDENTITY_AND_ACCESS = 3, /* category */
    CLASS = 1000,            /* class_uid = category_uid * 1000 + number */
};
enum { OTHER = 99 };
enum { ID_TARGET_MAX = AUDIT_ID_MAX + 32 };
enum { INFORMATIONAL = 1, LOW = 2, MEDIUM = 3, HIGH = 4 };
enum { NETWORK_OPEN = 1, NETWORK_FAIL = 4, NETWORK_REFUSE = 5 };

/* clang-format off */
static const struct integration_ocsf_row ROWS[] = {
    { AUDIT_LOG_START, APPLICATION_LIFECYCLE, 3, INFORMATIONAL, "Start", NULL },
    { AUDIT_PROCESS_START, APPLICATION_LIFECYCLE, 3, INFORMATIONAL, "Start", NULL },
    { AUDIT_PROCESS_STOP, APPLICATION_LIFECYCLE, 4, INFORMATIONAL, "Stop", NULL },
    { AUDIT_CLOCK_STEP, BASE_EVENT, OTHER, LOW, "Clock Step", NULL },
    { AUDIT_SYSTEM_INIT, APPLICATION_LIFECYCLE, 1, LOW, "Install", NULL },
    { AUDIT_SYSTEM_BACKUP, ENTITY_MANAGEMENT, 1, LOW, "Create", "backup" },
    { AUDIT_SYSTEM_RESTORE, APPLICATION_LIFECYCLE, OTHER, MEDIUM, "Restore", NULL },
    { AUDIT_SYSTEM_RECOVER, ACCOUNT_CHANGE, 1, MEDIUM, "Create", NULL },
    { AUDIT_LOG_SPOOL, API_ACTIVITY, 1, INFORMATIONAL, "Create", NULL },
    { AUDIT_LOG_ERASE, API_ACTIVITY, 4, INFORMATIONAL, "Delete", NULL },
    { AUDIT_LOG_HOLD, API_ACTIVITY, 3, INFORMATIONAL, "Update", NULL },
    { AUDIT_LOG_PRUNE, API_ACTIVITY, 4, INFORMATIONAL, "Delete", NULL },
    { AUDIT_LOG_COSIGN, API_ACTIVITY, OTHER, INFORMATIONAL, "Cosign", NULL },
    { AUDIT_LOG_EXPORT, API_ACTIVITY, OTHER, INFORMATIONAL, "Export", NULL },
    { AUDIT_LOG_PUBLISH, BASE_EVENT, OTHER, HIGH, "Publish", NULL },
    { AUDIT_DEVICE_ADD, ENTITY_MANAGEMENT, 1, INFORMATIONAL, "Create", "device" },
    { AUDIT_DEVICE_SUSPEND, ENTITY_MANAGEMENT, 12, LOW, "Suspend", "device" },
    { AUDIT_DEVICE_RESUME, ENTITY_MANAGEMENT, 13, LOW, "Resume", "device" },
    { AUDIT_DEVICE_REVOKE, ENTITY_MANAGEMENT, 9, LOW, "Disable", "device" },
    { AUDIT_DEVICE_READ, ENTITY_MANAGEMENT, 2, INFORMATIONAL, "Read", "device" },
    { AUDIT_DEVICE_REVOKE_MANY, ENTITY_MANAGEMENT, 9, MEDIUM, "Disable", "devices" },
    { AUDIT_CERTIFICATE_ISSUE, ENTITY_MANAGEMENT, 1, INFORMATIONAL, "Create", "certificate" },
    { AUDIT_CERTIFICATE_RENEW, ENTITY_MANAGEMENT, 3, INFORMATIONAL, "Update", "certificate" },
    { AUDIT_CERTIFICATE_REVOKE, ENTITY_MANAGEMENT, 9, LOW, "Disable", "certificate" },
    { AUDIT_CERTIFICATE_ORPHAN, ENTITY_MANAGEMENT, 9, MEDIUM, "Disable", "certificate" },
    { AUDIT_CERTIFICATE_LOOK_UP, ENTITY_MANAGEMENT, 2, INFORMATIONAL, "Read", "certificate" },
    { AUDIT_CERTIFICATE_READ, ENTITY_MANAGEMENT, 2, INFORMATIONAL, "Read", "certificate" },
    { AUDIT_CRL_ISSUE, ENTITY_MANAGEMENT, 1, INFORMATIONAL, "Create", "crl" },
    { AUDIT_DOOR_CERTIFY, ENTITY_MANAGEMENT, 1, INFORMATIONAL, "Create", "certificate" },
    { AUDIT_KEY_SIGN, ENTITY_MANAGEMENT, OTHER, INFORMATIONAL, "Sign", "key" },
    { AUDIT_OPERATOR_ADD, ACCOUNT_CHANGE, 1, LOW, "Create", NULL },
    { AUDIT_OPERATOR_REVOKE, ACCOUNT_CHANGE, 5, LOW, "Disable", NULL },
    { AUDIT_OPERATOR_READ, ENTITY_MANAGEMENT, 2, INFORMATIONAL, "Read", "operator" },
    { AUDIT_TOKEN_NEW, ENTITY_MANAGEMENT, 1, INFORMATIONAL, "Create", "token" },
    { AUDIT_TOKEN_USE, AUTHENTICATION, OTHER, INFORMATIONAL, "Use Token", NULL },
    { AUDIT_POLICY_CHECK, ENTITY_MANAGEMENT, OTHER, INFORMATIONAL, "Check", "policy" },
    { AUDIT_POLICY_APPLY, ENTITY_MANAGEMENT, 10, LOW, "Activate", "policy" },
    { AUDIT_POLICY_READ, ENTITY_MANAGEMENT, 2, INFORMATIONAL, "Read", "policy" },
    { AUDIT_LOG_READ, API_ACTIVITY, 2, INFORMATIONAL, "Read", NULL },
    { AUDIT_STATUS_READ, API_ACTIVITY, 2, INFORMATIONAL, "Read", NULL },
    { AUDIT_API_REQUEST, API_ACTIVITY, OTHER, INFORMATIONAL, "Request", NULL },
    { AUDIT_PROPOSAL_MAKE, ENTITY_MANAGEMENT, 1, LOW, "Create", "proposal" },
    { AUDIT_PROPOSAL_APPROVE, ENTITY_MANAGEMENT, OTHER, LOW, "Approve", "proposal" },
    { AUDIT_PROPOSAL_REJECT, ENTITY_MANAGEMENT, OTHER, LOW, "Reject", "proposal" },
    { AUDIT_PROPOSAL_EXPIRE, ENTITY_MANAGEMENT, OTHER, LOW, "Expire", "proposal" },
    { AUDIT_HANDSHAKE, NETWORK_ACTIVITY, NETWORK_OPEN, INFORMATIONAL, "Open", NULL },
    { AUDIT_SESSION_OPEN, AUTHENTICATION, 1, INFORMATIONAL, "Logon", NULL },
    { AUDIT_SESSION_CLOSE, AUTHENTICATION, 2, INFORMATIONAL, "Logoff", NULL },
    { AUDIT_SESSION_CUT, AUTHENTICATION, 2, LOW, "Logoff", NULL },
    { AUDIT_PUBLISH, API_ACTIVITY, 1, INFORMATIONAL, "Create", NULL },
    { AUDIT_SUBSCRIBE, API_ACTIVITY, 2, INFORMATIONAL, "Read", NULL },
    { AUDIT_RECEIVE, API_ACTIVITY, 2, INFORMATIONAL, "Read", NULL },
    { AUDIT_RETAIN, API_ACTIVITY, 3, INFORMATIONAL, "Update", NULL },
    { AUDIT_WILL, API_ACTIVITY, 1, INFORMATIONAL, "Create", NULL },
    { AUDIT_PROTOCOL, NETWORK_ACTIVITY, OTHER, LOW, "Protocol Violation", NULL },
    { AUDIT_UNSUBSCRIBE, API_ACTIVITY, 4, INFORMATIONAL, "Delete", NULL },
};
/* clang-format on */

static const struct {
    unsigned uid;
    const char *class_name, *category_name;
} CLASSES[] = {
    { BASE_EVENT, "Base Event", "Uncategorized" },
    { ACCOUNT_CHANGE, "Account Change", "Identity & Access Management" },
    { AUTHENTICATION, "Authentication", "Identity & Access Management" },
    { ENTITY_MANAGEMENT, "Entity Management", "Identity & Access Management" },
    { NETWORK_ACTIVITY, "Network Activity", "Network Activity" },
    { APPLICATION_LIFECYCLE, "Application Lifecycle", "Application Activity" },
    { API_ACTIVITY, "API Activity", "Application Activity" },
};

const struct integration_ocsf_row *integration_ocsf_row(enum audit_action action)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].action == action)
            return &ROWS[i];
    return NULL;
}

/* ---- Small parts ---- */

static void set(json_t *json, const char *name, json_t *value)
{
    json_object_set_new(json, name, value);
}

static void set_text(json_t *json, const char *name, struct bytes text)
{
    if (text.len > 0)
        set(json, name, audit_json_text(text));
}

static void set_hex(json_t *json, const char *name, struct bytes bytes)
{
    if (bytes.len > 0)
        set(json, name, audit_json_hex(bytes));
}

static void set_name(json_t *json, const char *name, const char *text)
{
    set(json, name, json_string(text));
}

static bool has_correlation(const struct audit_record *record)
{
    static const uint8_t NONE[AUDIT_CORRELATION];

    return !bytes_equal(BYTES_OF(record->correlation), BYTES_OF(NONE));
}

/* "192.0.2.1:55000", "[2001:db8::1]:55000". */
static void split_peer(struct bytes peer, struct bytes *ip, uint64_t *port)
{
    size_t colon = peer.len;

    *port = 0;
    while (colon > 0 && peer.at[colon - 1] != ':')
        colon--;
    *ip = peer;
    if (colon == 0 || text_read_u64((struct bytes){ peer.at + colon, peer.len - colon },
                                    UINT16_MAX, port) != RC_OK)
        return;
    ip->len = colon - 1;
    if (ip->len >= 2 && ip->at[0] == '[' && ip->at[ip->len - 1] == ']')
        *ip = (struct bytes){ ip->at + 1, ip->len - 2 };
}

static json_t *endpoint(const struct audit_record *record)
{
    json_t *json = json_object();
    struct bytes ip;
    uint64_t port;

    split_peer(record->peer, &ip, &port);
    set_text(json, "ip", ip);
    if (port != 0)
        set(json, "port", audit_json_number(port));
    if (ip.len == 0)
        set_name(json, "name", audit_source_name(record->source));
    return json;
}

/* The type has the caption of its number, where that has one. */
static json_t *user(const char *type, unsigned type_id, struct bytes id,
                    struct bytes credential)
{
    json_t *json = json_object();

    if (id.len > 0)
        set_text(json, "uid", id);
    else
        set_name(json, "name", "unknown");
    set(json, "type_id", json_integer((json_int_t)type_id));
    set_name(json, "type", type);
    set_hex(json, "credential_uid", credential);
    return json;
}

static json_t *acting_user(const struct audit_record *record)
{
    static const struct {
        unsigned id;
        const char *caption; /* NULL: our own word */
    } TYPES[] = { [AUDIT_NOBODY] = { 0, "Unknown" },
                  [AUDIT_DEVICE] = { OTHER, NULL },
                  [AUDIT_OPERATOR] = { 1, "User" },
                  [AUDIT_LINE] = { OTHER, NULL },
                  [AUDIT_PROCESS] = { 3, "System" } };
    const char *caption = TYPES[record->actor_kind].caption;

    if (caption == NULL)
        caption = audit_actor_kind_name(record->actor_kind);
    return user(caption, TYPES[record->actor_kind].id, record->actor,
                record->actor_certificate.fingerprint);
}

static json_t *actor(const struct audit_record *record)
{
    if (record->actor_kind != AUDIT_PROCESS)
        return json_pack("{s:o}", "user", acting_user(record));
    return json_pack("{s:o}", "app_name", audit_json_text(record->actor));
}

static json_t *fingerprints(struct bytes sha256)
{
    return json_pack("[{s:i, s:s, s:o}]", "algorithm_id", 3, "algorithm", "SHA-256", "value",
                     audit_json_hex(sha256));
}

/* The schema's certificate has a serial number and an issuer; of the issuer's Name we keep the
 * hash. */
static void set_certificate(json_t *json, const struct audit_certificate *one)
{
    if (one->serial.len == 0 || one->issuer.len == 0)
        return;
    json_t *certificate = json_object();
    set_hex(certificate, "serial_number", one->serial);
    set_hex(certificate, "issuer", one->issuer);
    if (one->fingerprint.len > 0)
        set(certificate, "fingerprints", fingerprints(one->fingerprint));
    set(json, "certificate", certificate);
}

/* ---- What each class asks for ---- */

/* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
static json_t *tls(const struct audit_record *record)
{
    json_t *json = json_object();
    struct bytes version = record->tls;
    size_t space = 0;

    while (space < version.len && version.at[space] != ' ')
        space++;
    version.len = space;
    set_text(json, "version", version);
    if (space < record->tls.len)
        set_text(json, "cipher",
                 (struct bytes){ record->tls.at + space + 1, record->tls.len - space - 1 });
    set_certificate(json, &record->actor_certificate);
    return json;
}

/* What stands behind the kind's word in a target: "device pump-17", "policy 3". Nothing of one
 * that is no id: it stands under "unmapped" whole, and is not said twice. */
static struct bytes target_id(const struct audit_record *record)
{
    struct bytes id = record->target;

    if (id.len > ID_TARGET_MAX)
        return BYTES("");
    while (id.len > 0 && *id.at != ' ')
        id = (struct bytes){ id.at + 1, id.len - 1 };
    return id.len > 1 ? (struct bytes){ id.at + 1, id.len - 1 } : record->target;
}

static json_t *entity(const struct audit_record *record, const char *type)
{
    json_t *json = json_pack("{s:s}", "type", type);
    struct bytes uid = target_id(record);

    if (strcmp(type, "device") == 0 && record->device.len > 0)
        uid = record->device;
    if (strcmp(type, "certificate") == 0 && record->certificate.fingerprint.len > 0)
        set_hex(json, "uid", record->certificate.fingerprint);
    else
        set_text(json, "uid", uid);
    if (json_object_get(json, "uid") == NULL)
        set_name(json, "name", type);
    if (record->policy_version > 0 && strcmp(type, "policy") == 0) {
        AUTO_BUF(version, 32);
        buf_addf(&version, "%llu", (unsigned long long)record->policy_version);
        set_text(json, "version", buf_bytes(&version));
    }
    return json;
}

static json_t *api(const struct audit_record *record)
{
    return json_pack("{s:s, s:{s:s}}", "operation", audit_action_get(record->action)->name,
                     "service", "name", audit_source_name(record->source));
}

static void set_api(json_t *json, const struct audit_record *record)
{
    set(json, "actor", actor(record));
    set(json, "api", api(record));
    set(json, "src_endpoint", endpoint(record));
    if (record->target.len > 0)
        set(json, "resources", json_pack("[{s:o}]", "name", audit_json_text(record->target)));
}

static void set_authentication(json_t *json, const struct audit_record *record)
{
    set(json, "user", acting_user(record));
    set(json, "service", json_pack("{s:s}", "name", audit_source_name(record->source)));
    set_certificate(json, &record->actor_certificate);
    set(json, "is_remote", json_true());
    if (has_correlation(record))
        set(json, "session",
            json_pack("{s:o}", "uid", audit_json_hex(BYTES_OF(record->correlation))));
}

static void set_application(json_t *json, const struct audit_record *record)
{
    bool named = record->target.len > 0 && record->target.len <= ID_TARGET_MAX;
    struct bytes name = named ? record->target : record->actor;
    json_t *app = json_pack("{s:s}", "vendor_name", "Touchmark");

    set_text(app, "name", name.len > 0 ? name : BYTES("audit log"));
    set(json, "app", app);
}

/* The base event and Application Lifecycle have no place for one. */
static bool has_endpoint(const struct audit_record *record, unsigned class_uid)
{
    if (class_uid == NETWORK_ACTIVITY || class_uid == API_ACTIVITY)
        return true;
    return record->peer.len > 0 && class_uid / CLASS == IDENTITY_AND_ACCESS;
}

static void set_class(json_t *json, const struct audit_record *record, unsigned class_uid,
                      const char *type)
{
    if (class_uid == API_ACTIVITY) {
        set_api(json, record);
        return;
    }
    if (has_endpoint(record, class_uid))
        set(json, "src_endpoint", endpoint(record));
    if (class_uid == NETWORK_ACTIVITY) {
        if (record->tls.len > 0 && *record->tls.at != ' ')
            set(json, "tls", tls(record));
        return;
    }
    if (class_uid == AUTHENTICATION)
        set_authentication(json, record);
    if (class_uid == ACCOUNT_CHANGE)
        set(json, "user", user("User", 1, target_id(record), BYTES("")));
    if (class_uid == ENTITY_MANAGEMENT)
        set(json, "entity", entity(record, type));
    if (class_uid == APPLICATION_LIFECYCLE)
        set_application(json, record);
    if (class_uid == ACCOUNT_CHANGE || class_uid == ENTITY_MANAGEMENT)
        set(json, "actor", actor(record));
}

/* ---- The event ---- */

static void set_classification(json_t *json, const struct integration_ocsf_row *row)
{
    size_t place = 0;

    while (CLASSES[place].uid != row->class_uid)
        place++;
    set(json, "category_uid", json_integer((json_int_t)(row->class_uid / CLASS)));
    set_name(json, "category_name", CLASSES[place].category_name);
    set(json, "class_uid", json_integer((json_int_t)row->class_uid));
    set_name(json, "class_name", CLASSES[place].class_name);
    set(json, "activity_id", json_integer((json_int_t)row->activity_id));
    set_name(json, "activity_name", row->activity);
    set(json, "type_uid", json_integer((json_int_t)row->class_uid * 100 + row->activity_id));
}

static void set_outcome(json_t *json, const struct audit_record *record, unsigned severity)
{
    static const char *const SEVERITIES[] = { "Unknown", "Informational", "Low", "Medium",
                                              "High" };
    bool well = record->decision == AUDIT_ALLOWED;

    if (!well && severity < MEDIUM)
        severity = MEDIUM;
    set(json, "severity_id", json_integer((json_int_t)severity));
    set_name(json, "severity", SEVERITIES[severity]);
    set(json, "status_id", json_integer(well ? 1 : 2));
    set_name(json, "status", well ? "Success" : "Failure");
    set_name(json, "status_code", audit_decision_name(record->decision));
    set_text(json, "status_detail", record->reason);
}

static void set_metadata(json_t *json, const struct audit_hit *hit)
{
    const struct audit_record *record = hit->record;
    json_t *metadata = json_pack(
        "{s:s, s:{s:s, s:s}, s:o, s:o, s:s, s:s, s:s, s:o}", "version",
        INTEGRATION_OCSF_VERSION, "product", "name", "Touchmark", "vendor_name", "Touchmark",
        "sequence", audit_json_number(hit->index), "uid",
        audit_json_hex(BYTES_OF(hit->leaf.at)), "event_code",
        audit_action_get(record->action)->name, "log_name", "audit", "log_provider",
        audit_source_name(record->source), "original_time", audit_json_time(record->wall_ms));

    if (has_correlation(record))
        set_hex(metadata, "correlation_uid", BYTES_OF(record->correlation));
    set(json, "metadata", metadata);
}

static void set_times(json_t *json, const struct audit_record *record)
{
    set(json, "time", json_integer(record->wall_ms));
    if (record->aggregate.count == 0)
        return;
    set(json, "count", audit_json_number(record->aggregate.count));
    set(json, "start_time", json_integer(record->aggregate.first_ms));
    set(json, "end_time", json_integer(record->aggregate.last_ms));
}

/* All of our own form that the schema has no place for. */
static json_t *unmapped(const struct audit_hit *hit, unsigned class_uid)
{
    static const char *const MAPPED[] = { "index",  "leaf",        "time",
                                          "action", "correlation", "reason" };
    json_t *json = audit_json_record(hit);

    for (size_t i = 0; i < sizeof MAPPED / sizeof *MAPPED; i++)
        json_object_del(json, MAPPED[i]);
    if (has_endpoint(hit->record, class_uid))
        json_object_del(json, "peer");
    if (class_uid == API_ACTIVITY) /* its resource */
        json_object_del(json, "target");
    return json;
}

/* A handshake that did not come about opened nothing. */
static struct integration_ocsf_row row_of(const struct audit_record *record)
{
    const struct integration_ocsf_row *found = integration_ocsf_row(record->action);
    struct integration_ocsf_row row = { record->action, API_ACTIVITY, OTHER,
                                        INFORMATIONAL,  "Other",      NULL };

    if (found != NULL)
        row = *found;
    if (record->action == AUDIT_HANDSHAKE && record->decision != AUDIT_ALLOWED) {
        bool denied = record->decision == AUDIT_DENIED;
        row.activity_id = denied ? NETWORK_REFUSE : NETWORK_FAIL;
        row.activity = denied ? "Refuse" : "Fail";
    }
    return row;
}

json_t *integration_ocsf_event(const struct audit_hit *hit)
{
    const struct integration_ocsf_row row = row_of(hit->record);
    json_t *json = json_object();

    if (json == NULL)
        return NULL;
    set_metadata(json, hit);
    set_classification(json, &row);
    set_times(json, hit->record);
    set_outcome(json, hit->record, row.severity_id);
    set_class(json, hit->record, row.class_uid, row.entity);
    set(json, "unmapped", unmapped(hit, row.class_uid));
    return json;
}
