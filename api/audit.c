#include "api/handlers.h"

#include <jansson.h>

#include "audit/json.h"
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
    const uint64_t from = request->input.number;
    AUTO_BUF(asked, 8 + AUDIT_QUERY_MAX);

    query->most = AUDIT_QUERY_MOST;
    TRY(audit_query_check(query));
    buf_add_u64(&asked, from == 0 ? UINT64_MAX : from - 1);
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

enum rc api_audit_proof(struct api_request *request)
{
    return ask_proof(request, 3);
}

enum rc api_audit_proof_of_certificate(struct api_request *request)
{
    AUTO_BUF(asked, 1 + AUDIT_HASH);

    buf_add_u8(&asked, 4);
    buf_add(&asked, BYTES_OF(request->input.question.fingerprint.at));
    return ask(request, &asked);
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
        json_array_append_new(records, audit_json_record(&hit));
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

enum rc api_audit_proof_told(struct api_request *request, const struct registry_answer *answer)
{
    api_answer_bytes(&request->answer, 200, "text/plain; charset=utf-8", answer->query);
    return RC_OK;
}
