#include "api/handlers.h"

enum rc api_operators_told(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_subjects(&request->answer, "operators", answer);
}
