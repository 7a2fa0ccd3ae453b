#include "api/handlers.h"

#include <jansson.h>

/* The only time that the secret is shown; the authority keeps its hash. */
enum rc api_tokens_made(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 201,
                           json_pack("{s:o, s:o, s:o}", "id", api_answer_text(answer->token_id),
                                     "secret", api_answer_text(answer->token_secret), "expires",
                                     api_answer_time(answer->expires_ms)));
}
