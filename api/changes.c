/* A change that doors must come to know: told at once, or when all of them have. */
#include "api/handlers.h"

#include <jansson.h>

static enum rc answer_change(struct api_request *request, bool applied)
{
    json_t *json = request->kept;

    request->kept = NULL;
    json_object_set_new(json, "applied", json_boolean(applied));
    return api_answer_json(&request->answer, 200, json);
}

/* What was asked for is done, whatever becomes of the waiting. */
static void waited(void *with, enum rc rc, const struct registry_answer *answer,
                   struct bytes reason)
{
    struct api_request *request = with;

    (void)reason;
    if (!api_request_resume(request))
        return;
    rc = answer_change(request, rc == RC_OK && answer->applied);
    if (rc != RC_OK)
        api_request_fail(request, rc);
}

enum rc api_changes_answer(struct api_request *request, json_t *json, uint64_t sequence)
{
    if (json == NULL)
        return fault(RC_NOMEM, "answer");
    json_object_set_new(json, "sequence", api_answer_number(sequence));
    request->kept = json;
    if (!request->input.wait)
        return answer_change(request, false);
    request->input.question.sequence = sequence;
    if (api_request_ask_for(request, REGISTRY_ASK_APPLIED, waited) != RC_OK)
        return answer_change(request, false);
    return RC_OK;
}

enum rc api_changes_told(struct api_request *request, const struct registry_answer *answer)
{
    return api_changes_answer(request, json_object(), answer->sequence);
}
