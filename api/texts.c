/* A policy's text that is too long for one message to the authority: sent, and asked for, in
 * parts. */
#include "api/handlers.h"

#include <jansson.h>

#include "pki/key.h"

/* What cannot go on is answered now. */
static void give_up(struct api_request *request, enum rc rc)
{
    AUTO_BUF(reason, 1024);

    buf_add(&reason, bytes_of_text(fault_text()));
    if (api_request_resume(request))
        api_request_refuse(request, rc, buf_bytes(&reason));
}

/* ---- There ---- */

static void sent(void *with, enum rc rc, const struct registry_answer *answer,
                 struct bytes reason);

/* Behind the last part its name, in place of the text. */
static enum rc send_part(struct api_request *request)
{
    struct registry_question *question = &request->input.question;
    size_t len = registry_text_part_len(&question->name, question->part);

    if (len > 0) {
        question->text =
            (struct bytes){ request->text.at + (size_t)question->part * REGISTRY_TEXT_PART,
                            len };
        return api_request_ask_for(request, REGISTRY_ASK_POLICY_PART, sent);
    }
    question->text = BYTES("");
    question->part = 0;
    return api_request_ask(request);
}

static void sent(void *with, enum rc rc, const struct registry_answer *answer,
                 struct bytes reason)
{
    struct api_request *request = with;

    (void)answer;
    if (!api_request_hear(request))
        return;
    if (rc == RC_OK) {
        request->input.question.part++;
        rc = send_part(request);
    } else {
        rc = fault(rc, "%.*s", BYTES_FMT(reason));
    }
    if (rc != RC_OK)
        give_up(request, rc);
}

enum rc api_texts_send(struct api_request *request)
{
    struct registry_question *question = &request->input.question;

    if (question->text.len <= REGISTRY_TEXT_PART)
        return api_request_ask(request);
    request->text = question->text;
    question->name.len = (uint32_t)question->text.len;
    TRY(pki_key_hash(question->text, question->name.hash));
    question->part = 0;
    return send_part(request);
}

/* ---- Here ---- */

static void fetched(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason);

static enum rc add_part(struct api_request *request, const struct registry_answer *answer)
{
    struct registry_question *question = &request->input.question;

    if (answer->list.len != registry_text_part_len(&question->name, question->part))
        return fault(RC_IO, "part %u of a policy has %zu octets", question->part,
                     answer->list.len);
    buf_add(&request->body, answer->list);
    if (request->body.broken)
        return fault(RC_NOMEM, "a policy");
    question->part++;
    return RC_OK;
}

static void fetched(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason)
{
    struct api_request *request = with;
    const struct registry_question *question = &request->input.question;

    if (!api_request_hear(request))
        return;
    rc = rc == RC_OK ? add_part(request, answer) : fault(rc, "%.*s", BYTES_FMT(reason));
    if (rc == RC_OK && registry_text_part_len(&question->name, question->part) > 0)
        rc = api_request_ask_for(request, REGISTRY_ASK_POLICY_TEXT, fetched);
    if (rc != RC_OK) {
        give_up(request, rc);
        return;
    }
    if (request->asking || !api_request_resume(request))
        return;
    json_object_set_new(request->kept, "text", api_answer_text(buf_bytes(&request->body)));
    buf_clear(&request->body);
    rc = api_answer_json(&request->answer, 200, TAKE(request->kept));
    if (rc != RC_OK)
        api_request_fail(request, rc);
}

enum rc api_texts_answer(struct api_request *request, json_t *json,
                         const struct registry_text *text)
{
    if (json == NULL)
        return fault(RC_NOMEM, "answer");
    if (text->name.len == 0) {
        json_object_set_new(json, "text", api_answer_text(text->octets));
        return api_answer_json(&request->answer, 200, json);
    }
    request->kept = json;
    TRY(api_request_grow(request));
    buf_clear(&request->body);
    request->body = (struct buf)BUF_MAX(text->name.len);
    request->input.question.name = text->name;
    request->input.question.part = 0;
    return api_request_ask_for(request, REGISTRY_ASK_POLICY_TEXT, fetched);
}
