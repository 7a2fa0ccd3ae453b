/* A change that doors must come to know: told at once, or when all of them have. */
#include "api/handlers.h"

#include <jansson.h>

static enum rc answer_change(struct api_request *request, bool applied)
{
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:o, s:b}", "sequence",
                                     api_answer_number(request->sequence), "applied",
                                     (int)applied));
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

enum rc api_changes_told(struct api_request *request, const struct registry_answer *answer)
{
    request->sequence = answer->sequence;
    if (!request->input.wait)
        return answer_change(request, false);
    request->input.question.sequence = answer->sequence;
    if (api_request_ask_for(request, REGISTRY_ASK_APPLIED, waited) != RC_OK)
        return answer_change(request, false);
    return RC_OK;
}
