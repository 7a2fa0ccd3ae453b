#include "audit/json.h"

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"

enum { ESCAPED_MAX = 512 * 1024 };

/* ---- Values ---- */

json_t *audit_json_hex(struct bytes bytes)
{
    AUTO_BUF(text, 1024);

    text_add_hex(&text, bytes);
    return json_stringn((const char *)buf_bytes(&text).at, buf_bytes(&text).len);
}

json_t *audit_json_time(int64_t wall_ms)
{
    AUTO_BUF(text, 64);

    clock_add_rfc3339(&text, wall_ms);
    if (text.broken)
        return json_null();
    return json_stringn((const char *)text.at, text.len);
}

/* What is no UTF-8 is shown escaped, never left out. */
json_t *audit_json_text(struct bytes text)
{
    json_t *made =
        text.len == 0 ? json_string("") : json_stringn((const char *)text.at, text.len);

    if (made != NULL)
        return made;
    AUTO_BUF(escaped, ESCAPED_MAX);
    text_add_escaped(&escaped, text);
    return json_stringn((const char *)buf_bytes(&escaped).at, buf_bytes(&escaped).len);
}

json_t *audit_json_number(uint64_t number)
{
    return json_integer((json_int_t)(number > INT64_MAX ? INT64_MAX : number));
}

/* ---- A record: what it has not, is not there ---- */

static void set_text(json_t *json, const char *name, struct bytes text)
{
    if (text.len > 0)
        json_object_set_new(json, name, audit_json_text(text));
}

static void set_hex(json_t *json, const char *name, struct bytes bytes)
{
    if (bytes.len > 0)
        json_object_set_new(json, name, audit_json_hex(bytes));
}

static json_t *certificate_json(const struct audit_certificate *certificate)
{
    json_t *json = json_object();

    set_hex(json, "fingerprint", certificate->fingerprint);
    set_hex(json, "serial", certificate->serial);
    set_hex(json, "issuer", certificate->issuer);
    set_hex(json, "key", certificate->key);
    return json;
}

static void set_certificate(json_t *json, const char *name,
                            const struct audit_certificate *certificate)
{
    if (certificate->fingerprint.len + certificate->serial.len + certificate->issuer.len +
            certificate->key.len >
        0)
        json_object_set_new(json, name, certificate_json(certificate));
}

static void set_aggregate(json_t *json, const struct audit_aggregate_part *aggregate)
{
    if (aggregate->count == 0)
        return;
    json_object_set_new(json, "aggregate",
                        json_pack("{s:o, s:o, s:o, s:o, s:b}", "count",
                                  audit_json_number(aggregate->count), "first",
                                  audit_json_time(aggregate->first_ms), "last",
                                  audit_json_time(aggregate->last_ms), "targets",
                                  audit_json_number(aggregate->targets), "targets_capped",
                                  (int)aggregate->targets_capped));
}

static void set_actor(json_t *json, const struct audit_record *record)
{
    json_t *actor = json_pack("{s:s}", "kind", audit_actor_kind_name(record->actor_kind));

    set_text(actor, "id", record->actor);
    json_object_set_new(json, "actor", actor);
    set_certificate(json, "actor_certificate", &record->actor_certificate);
}

static void set_head(json_t *json, const struct audit_hit *hit)
{
    static const uint8_t NONE[AUDIT_CORRELATION];
    const struct audit_record *record = hit->record;

    json_object_set_new(json, "index", audit_json_number(hit->index));
    json_object_set_new(json, "leaf", audit_json_hex(BYTES_OF(hit->leaf.at)));
    json_object_set_new(json, "time", audit_json_time(record->wall_ms));
    if (record->monotonic_ms > 0)
        json_object_set_new(json, "monotonic_ms",
                            audit_json_number((uint64_t)record->monotonic_ms));
    json_object_set_new(json, "action", json_string(audit_action_get(record->action)->name));
    json_object_set_new(json, "decision", json_string(audit_decision_name(record->decision)));
    json_object_set_new(json, "source", json_string(audit_source_name(record->source)));
    if (record->source_sequence > 0)
        json_object_set_new(json, "sequence", audit_json_number(record->source_sequence));
    if (!bytes_equal(BYTES_OF(record->correlation), BYTES_OF(NONE)))
        set_hex(json, "correlation", BYTES_OF(record->correlation));
}

json_t *audit_json_record(const struct audit_hit *hit)
{
    const struct audit_record *record = hit->record;
    struct audit_entry entry;
    json_t *json = json_object();

    set_head(json, hit);
    if (audit_leaf_read(hit->entry, &entry) == RC_OK && entry.erased) {
        json_object_set_new(json, "erased", json_true());
        return json;
    }
    set_actor(json, record);
    set_text(json, "device", record->device);
    set_certificate(json, "certificate", &record->certificate);
    set_text(json, "target", record->target);
    set_text(json, "peer", record->peer);
    set_text(json, "tls", record->tls);
    set_text(json, "reason", record->reason);
    if (record->policy_version > 0)
        json_object_set_new(json, "policy", audit_json_number(record->policy_version));
    if (record->rule > 0)
        json_object_set_new(json, "rule", audit_json_number(record->rule));
    set_aggregate(json, &record->aggregate);
    return json;
}
