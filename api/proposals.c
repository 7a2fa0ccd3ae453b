#include "api/handlers.h"

#include <jansson.h>

#include "api/input_json.h"
#include "audit/hold.h"

static json_t *proposal_json(const struct registry_proposal *one)
{
    const struct registry_act_row *act = registry_act_get(one->act);
    bool ended = one->state != REGISTRY_PROPOSAL_OPEN;
    json_t *json = json_pack(
        "{s:o, s:s, s:s, s:o, s:s, s:s, s:o, s:o}", "number", api_answer_number(one->number),
        "act", act == NULL ? "unknown" : act->name, "state",
        registry_proposal_state_name(one->state), "hash", api_answer_hex(BYTES_OF(one->hash)),
        "author", one->author, "why", one->why, "made", api_answer_time(one->made_ms),
        "expires", api_answer_time(one->expires_ms));

    if (json == NULL)
        return NULL;
    json_object_set_new(json, "base",
                        one->base == 0 ? json_null() : api_answer_number(one->base));
    json_object_set_new(json, "decided",
                        ended ? api_answer_time(one->decided_ms) : json_null());
    json_object_set_new(json, "decider", api_answer_text_or_null(bytes_of_text(one->decider)));
    json_object_set_new(json, "decided_why", json_string(one->decided_why));
    return json;
}

enum rc api_proposals_told(struct api_request *request, const struct registry_answer *answer)
{
    struct reader left = READER(answer->list);
    json_t *list = json_array();
    struct registry_proposal one;
    enum rc rc;

    while ((rc = registry_answer_next_proposal(&left, &one)) == RC_OK)
        json_array_append_new(list, proposal_json(&one));
    if (rc != RC_NOT_FOUND) {
        json_decref(list);
        return rc;
    }
    return api_answer_json(
        &request->answer, 200,
        json_pack("{s:o, s:o}", "proposals", list, "next",
                  answer->cursor.len == 0 ? json_null() : api_answer_hex(answer->cursor)));
}

/* ---- What it would do, by its act ---- */

static enum rc add_devices(json_t *list, struct bytes ids)
{
    struct reader left = READER(ids);
    char id[REGISTRY_ID_MAX + 1];
    enum rc rc;

    while ((rc = registry_ids_next(&left, id)) == RC_OK)
        json_array_append_new(list, json_string(id));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc add_revocation(json_t *json, const struct registry_question *content)
{
    json_object_set_new(json, "reason", json_string(api_reason_name(content->reason)));
    return add_devices(json_object_get(json, "devices"), content->ids);
}

/* Its text is added last: it may have to be fetched. */
static enum rc add_policy(json_t *json, const struct registry_question *content)
{
    (void)json;
    (void)content;
    return RC_OK;
}

/* As api_audit_erase() wrote it. */
static enum rc add_erasure(json_t *json, const struct registry_question *content)
{
    struct reader r = READER(content->query);
    enum audit_actor_kind kind = (enum audit_actor_kind)reader_u8(&r);
    struct bytes id = reader_sized16(&r, REGISTRY_ID_MAX);
    struct bytes reason = reader_sized16(&r, AUDIT_WHY_MAX);
    AUTO_BUF(subject, REGISTRY_ID_MAX + 32);

    if (!reader_done(&r) || audit_actor_kind_name(kind) == NULL)
        return fault(RC_MALFORMED, "an erasure's form");
    buf_addf(&subject, "%s ", audit_actor_kind_name(kind));
    buf_add(&subject, id);
    json_object_set_new(json, "subject", api_answer_text(buf_bytes(&subject)));
    json_object_set_new(json, "reason", api_answer_text(reason));
    return RC_OK;
}

/* As api_audit_release() wrote it. */
static enum rc add_release(json_t *json, const struct registry_question *content)
{
    struct reader r = READER(content->query);
    uint8_t what = reader_u8(&r);
    uint64_t number = reader_u64(&r);
    struct bytes reason = reader_sized16(&r, AUDIT_WHY_MAX);

    if (!reader_done(&r) || what != AUDIT_HOLD_REMOVE)
        return fault(RC_MALFORMED, "a release's form");
    json_object_set_new(json, "hold", api_answer_number(number));
    json_object_set_new(json, "reason", api_answer_text(reason));
    return RC_OK;
}

static enum rc add_content(json_t *json, const struct registry_answer *answer,
                           struct registry_text *text)
{
    static enum rc (*const ADDS[])(json_t * json, const struct registry_question *content) = {
        [REGISTRY_ACT_POLICY] = add_policy,
        [REGISTRY_ACT_REVOCATION] = add_revocation,
        [REGISTRY_ACT_ERASURE] = add_erasure,
        [REGISTRY_ACT_RELEASE] = add_release,
    };
    const struct registry_act_row *act = registry_act_get(answer->proposal.act);
    struct registry_question content = { .id = "" };

    if (act == NULL)
        return fault(RC_MALFORMED, "a proposal of an act that is unknown here");
    TRY(registry_question_read_body(act->ask, answer->query, &content));
    *text = (struct registry_text){ content.text, content.name };
    return ADDS[act->act](json, &content);
}

enum rc api_proposals_shown(struct api_request *request, const struct registry_answer *answer)
{
    json_t *json = json_pack("{s:o, s:n, s:[], s:n, s:n, s:n}", "proposal",
                             proposal_json(&answer->proposal), "text", "devices", "reason",
                             "subject", "hold");
    struct registry_text text = { 0 };
    bool gone = answer->query.len == 0 && answer->proposal.state != REGISTRY_PROPOSAL_OPEN;
    enum rc rc = json == NULL ? fault(RC_NOMEM, "answer") : RC_OK;

    if (rc == RC_OK && !gone)
        rc = add_content(json, answer, &text);
    if (rc == RC_OK && !gone && answer->proposal.act == REGISTRY_ACT_POLICY)
        return api_texts_answer(request, json, &text);
    if (rc == RC_OK)
        return api_answer_json(&request->answer, 200, json);
    json_decref(json);
    return rc;
}

/* ---- What became of it ---- */

enum rc api_proposals_approved(struct api_request *request,
                               const struct registry_answer *answer)
{
    const struct registry_counts *counts = &answer->counts;
    uint64_t version = answer->policy.version;

    return api_changes_answer(
        request,
        json_pack("{s:o, s:o, s:o, s:o}", "proposal", proposal_json(&answer->proposal),
                  "policy_version", version == 0 ? json_null() : api_answer_number(version),
                  "revoked", api_answer_number(counts->revoked), "were_revoked",
                  api_answer_number(counts->were_revoked)),
        answer->sequence);
}

enum rc api_proposals_rejected(struct api_request *request,
                               const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:o}", "proposal", proposal_json(&answer->proposal)));
}

enum rc api_proposals_made(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 202,
                           json_pack("{s:o}", "proposal", proposal_json(&answer->proposal)));
}
