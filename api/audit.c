#include "api/handlers.h"

#include <jansson.h>

#include "base/text.h"

enum { LIST_DEFAULT = 100 };

/* ---- Asking, in audit's own form ---- */

static enum rc ask(struct api_request *request, const struct buf *query)
{
    TRY(buf_done(query, &request->input.question.query));
    return api_request_ask(request);
}

enum rc api_audit_list(struct api_request *request)
{
    struct audit_query *query = &request->input.audit;
    AUTO_BUF(asked, AUDIT_QUERY_MAX);

    query->most =
        request->input.question.most == 0 ? LIST_DEFAULT : request->input.question.most;
    TRY(audit_query_check(query));
    audit_query_write(query, &asked);
    return ask(request, &asked);
}

enum rc api_audit_follow(struct api_request *request)
{
    struct audit_query *query = &request->input.audit;
    AUTO_BUF(asked, 8 + AUDIT_QUERY_MAX);

    query->most = AUDIT_QUERY_MOST;
    TRY(audit_query_check(query));
    buf_add_u64(&asked, request->input.number);
    audit_query_write(query, &asked);
    return ask(request, &asked);
}

static enum rc ask_number(struct api_request *request)
{
    AUTO_BUF(asked, 8);

    buf_add_u64(&asked, request->input.number);
    return ask(request, &asked);
}

enum rc api_audit_entries(struct api_request *request)
{
    return ask_number(request);
}

enum rc api_audit_checkpoint(struct api_request *request)
{
    return ask_number(request);
}

static enum rc ask_proof(struct api_request *request, uint8_t kind)
{
    AUTO_BUF(asked, 17);

    buf_add_u8(&asked, kind);
    buf_add_u64(&asked, request->input.number);
    buf_add_u64(&asked, request->input.other);
    return ask(request, &asked);
}

enum rc api_audit_inclusion(struct api_request *request)
{
    return ask_proof(request, 1);
}

enum rc api_audit_consistency(struct api_request *request)
{
    return ask_proof(request, 2);
}

/* ---- A record as JSON: what it has not, is not there ---- */

static void set_text(json_t *json, const char *name, struct bytes text)
{
    if (text.len > 0)
        json_object_set_new(json, name, api_answer_text(text));
}

static void set_hex(json_t *json, const char *name, struct bytes bytes)
{
    if (bytes.len > 0)
        json_object_set_new(json, name, api_answer_hex(bytes));
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
                                  api_answer_number(aggregate->count), "first",
                                  api_answer_time(aggregate->first_ms), "last",
                                  api_answer_time(aggregate->last_ms), "targets",
                                  api_answer_number(aggregate->targets), "targets_capped",
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

    json_object_set_new(json, "index", api_answer_number(hit->index));
    json_object_set_new(json, "leaf", api_answer_hex(BYTES_OF(hit->leaf.at)));
    json_object_set_new(json, "time", api_answer_time(record->wall_ms));
    json_object_set_new(json, "action", json_string(audit_action_get(record->action)->name));
    json_object_set_new(json, "decision", json_string(audit_decision_name(record->decision)));
    json_object_set_new(json, "source", json_string(audit_source_name(record->source)));
    if (record->source_sequence > 0)
        json_object_set_new(json, "sequence", api_answer_number(record->source_sequence));
    if (!bytes_equal(BYTES_OF(record->correlation), BYTES_OF(NONE)))
        set_hex(json, "correlation", BYTES_OF(record->correlation));
}

static json_t *record_json(const struct audit_hit *hit)
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
        json_object_set_new(json, "policy", api_answer_number(record->policy_version));
    if (record->rule > 0)
        json_object_set_new(json, "rule", api_answer_number(record->rule));
    set_aggregate(json, &record->aggregate);
    return json;
}

/* ---- Answers ---- */

enum rc api_audit_listed(struct api_request *request, const struct registry_answer *answer)
{
    [[gnu::cleanup(audit_page_clear)]] struct audit_page page = { 0 };
    struct audit_hit hit;
    enum rc rc;

    TRY(audit_page_read(answer->query, &page));
    json_t *records = json_array();
    while ((rc = audit_page_next(&page, &hit)) == RC_OK)
        json_array_append_new(records, record_json(&hit));
    if (rc != RC_NOT_FOUND) {
        json_decref(records);
        return rc;
    }
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:o, s:o}", "records", records, "next",
                                     page.more ? api_answer_number(page.next) : json_null()));
}

enum rc api_audit_entries_told(struct api_request *request,
                               const struct registry_answer *answer)
{
    api_answer_bytes(&request->answer, 200, "application/octet-stream", answer->query);
    return RC_OK;
}

enum rc api_audit_checkpoint_told(struct api_request *request,
                                  const struct registry_answer *answer)
{
    struct reader r = READER(answer->query);

    reader_u64(&r);
    if (r.broken)
        return fault(RC_MALFORMED, "a checkpoint is cut short");
    api_answer_bytes(&request->answer, 200, "text/plain; charset=utf-8", r.left);
    return RC_OK;
}

enum rc api_audit_proved(struct api_request *request, const struct registry_answer *answer)
{
    struct reader r = READER(answer->query);
    json_t *nodes = json_array();

    while (!reader_done(&r) && !r.broken) {
        AUTO_BUF(text, 64);
        text_add_base64(&text, reader_take(&r, AUDIT_HASH));
        json_array_append_new(nodes, api_answer_text(buf_bytes(&text)));
    }
    return api_answer_json(&request->answer, 200, json_pack("{s:o}", "nodes", nodes));
}
