#include "api/handlers.h"

#include <string.h>

#include <jansson.h>

static json_t *policy_json(const struct registry_policy *policy)
{
    return json_pack("{s:o, s:s, s:o, s:b, s:s}", "version", api_answer_number(policy->version),
                     "author", policy->author, "made", api_answer_time(policy->made_ms),
                     "active", (int)policy->active, "why", policy->why);
}

/* A line an error. */
static json_t *errors_json(struct bytes text)
{
    json_t *errors = json_array();

    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        json_array_append_new(errors, api_answer_text((struct bytes){ text.at, len }));
        len += end != NULL;
        text = (struct bytes){ text.at + len, text.len - len };
    }
    return errors;
}

enum rc api_policies_told(struct api_request *request, const struct registry_answer *answer)
{
    struct reader left = READER(answer->list);
    json_t *list = json_array();
    struct registry_policy one;
    enum rc rc;

    while ((rc = registry_answer_next_policy(&left, &one)) == RC_OK)
        json_array_append_new(list, policy_json(&one));
    if (rc != RC_NOT_FOUND) {
        json_decref(list);
        return rc;
    }
    json_t *next = answer->cursor.len == 0 ? json_null() : api_answer_hex(answer->cursor);
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:o, s:o}", "policies", list, "next", next));
}

enum rc api_policies_shown(struct api_request *request, const struct registry_answer *answer)
{
    return api_texts_answer(request, policy_json(&answer->policy),
                            &(struct registry_text){ answer->text, answer->name });
}

enum rc api_policies_applied(struct api_request *request, const struct registry_answer *answer)
{
    if (answer->proposal.number != 0)
        return api_proposals_made(request, answer);
    json_t *json = policy_json(&answer->policy);
    if (json == NULL)
        return fault(RC_NOMEM, "answer");
    if (answer->accepted) {
        json_object_set_new(json, "sequence", api_answer_number(answer->sequence));
        return api_answer_json(&request->answer, 201, json);
    }
    json_decref(json);
    json = json_pack("{s:{s:s, s:o}, s:o}", "error", "code", "malformed", "request",
                     api_answer_hex(BYTES_OF(request->peer.correlation)), "errors",
                     errors_json(answer->text));
    return api_answer_json(&request->answer, 422, json);
}

enum rc api_policies_check(struct api_request *request)
{
    request->input.question.only_check = true;
    return api_texts_send(request);
}

enum rc api_policies_checked(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:b, s:o}", "accepted", (int)answer->accepted, "errors",
                                     errors_json(answer->text)));
}
