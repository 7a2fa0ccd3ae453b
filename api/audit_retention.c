#include "api/handlers.h"

#include <jansson.h>

#include "audit/erasure.h"

enum { ASKED_MAX = 1024 };

static enum rc ask(struct api_request *request, const struct buf *query)
{
    TRY(buf_done(query, &request->input.question.query));
    return api_request_ask(request);
}

/* ---- Erasing ---- */

enum rc api_audit_erase(struct api_request *request)
{
    const struct registry_question *question = &request->input.question;
    AUTO_BUF(asked, ASKED_MAX);

    TRY(audit_why_check(request->input.hold.reason));
    buf_add_u8(&asked, (uint8_t)question->kind);
    buf_add_sized16(&asked, bytes_of_text(question->id));
    buf_add_sized16(&asked, request->input.hold.reason);
    return ask(request, &asked);
}

enum rc api_audit_erasing(struct api_request *request, const struct registry_answer *answer)
{
    if (answer->proposal.number != 0)
        return api_proposals_made(request, answer);
    return api_answer_json(&request->answer, 202,
                           json_pack("{s:o}", "index", api_answer_number(answer->sequence)));
}

static json_t *erasure_json(const struct audit_erasure *erasure)
{
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o}", "kind", audit_actor_kind_name(erasure->kind), "id",
        api_answer_text(erasure->id), "index", api_answer_number(erasure->limit), "next",
        api_answer_number(erasure->next), "records", api_answer_number(erasure->records));
}

/* ---- Holds ---- */

/* Kind and id are the subject's, and only both are one. */
enum rc api_audit_hold(struct api_request *request)
{
    const struct registry_question *question = &request->input.question;
    struct audit_hold *hold = &request->input.hold;
    AUTO_BUF(asked, ASKED_MAX);

    hold->kind = (enum audit_actor_kind)question->kind;
    hold->id = bytes_of_text(question->id);
    TRY(audit_hold_check(hold));
    buf_add_u8(&asked, AUDIT_HOLD_ADD);
    audit_hold_write(hold, &asked);
    return ask(request, &asked);
}

static enum rc tell_number(struct api_request *request, const struct registry_answer *answer,
                           unsigned status)
{
    return api_answer_json(&request->answer, status,
                           json_pack("{s:o}", "number", api_answer_number(answer->sequence)));
}

enum rc api_audit_held(struct api_request *request, const struct registry_answer *answer)
{
    return tell_number(request, answer, 201);
}

enum rc api_audit_release(struct api_request *request)
{
    AUTO_BUF(asked, ASKED_MAX);

    TRY(audit_why_check(request->input.hold.reason));
    buf_add_u8(&asked, AUDIT_HOLD_REMOVE);
    buf_add_u64(&asked, request->input.number);
    buf_add_sized16(&asked, request->input.hold.reason);
    return ask(request, &asked);
}

enum rc api_audit_released(struct api_request *request, const struct registry_answer *answer)
{
    if (answer->proposal.number != 0)
        return api_proposals_made(request, answer);
    return tell_number(request, answer, 200);
}

static json_t *time_or_null(int64_t wall_ms)
{
    return wall_ms == 0 ? json_null() : api_answer_time(wall_ms);
}

static json_t *hold_json(const struct audit_hold *hold)
{
    json_t *kind = hold->kind == AUDIT_NOBODY ? json_null()
                                              : json_string(audit_actor_kind_name(hold->kind));

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number",
                     api_answer_number(hold->number), "kind", kind, "id",
                     api_answer_text_or_null(hold->id), "since", time_or_null(hold->since_ms),
                     "until", time_or_null(hold->until_ms), "made",
                     api_answer_time(hold->made_ms), "by", api_answer_text(hold->by), "reason",
                     api_answer_text(hold->reason));
}

/* ---- Both, in one answer of the authority's (daemon/authority_audit.h) ---- */

static enum rc read_holds(struct reader *r, json_t *holds)
{
    struct audit_hold hold;

    for (unsigned left = reader_u16(r); left > 0; left--) {
        uint64_t number = reader_u64(r);
        TRY(audit_hold_read(r, &hold));
        hold.number = number;
        json_array_append_new(holds, hold_json(&hold));
    }
    return r->broken ? fault(RC_MALFORMED, "the list of holds is cut short") : RC_OK;
}

static enum rc read_erasures(struct reader *r, json_t *erasures)
{
    struct audit_erasure erasure;

    while (!reader_done(r)) {
        TRY(audit_erasure_read(r, &erasure));
        json_array_append_new(erasures, erasure_json(&erasure));
    }
    return RC_OK;
}

static enum rc tell_list(struct api_request *request, const struct registry_answer *answer,
                         const char *name)
{
    struct reader r = READER(answer->query);
    json_t *both = json_pack("{s:[], s:[]}", "holds", "erasures");
    enum rc rc = read_holds(&r, json_object_get(both, "holds"));

    if (rc == RC_OK)
        rc = read_erasures(&r, json_object_get(both, "erasures"));
    if (rc == RC_OK)
        rc = api_answer_json(&request->answer, 200,
                             json_pack("{s:O}", name, json_object_get(both, name)));
    json_decref(both);
    return rc;
}

enum rc api_audit_holds_told(struct api_request *request, const struct registry_answer *answer)
{
    return tell_list(request, answer, "holds");
}

enum rc api_audit_erasures_told(struct api_request *request,
                                const struct registry_answer *answer)
{
    return tell_list(request, answer, "erasures");
}
