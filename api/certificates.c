#include "api/handlers.h"

#include <jansson.h>

#include "pki/pem.h"

enum rc api_certificates_told(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_certificates(&request->answer, answer);
}

enum rc api_certificates_issued(struct api_request *request,
                                const struct registry_answer *answer)
{
    AUTO_BUF(pem, API_ANSWER_MAX);

    pki_pem_add(&pem, "CERTIFICATE", answer->der);
    return api_answer_json(&request->answer, 201,
                           json_pack("{s:o, s:o}", "certificate",
                                     api_answer_text(buf_bytes(&pem)), "log_index",
                                     api_answer_log_index(answer->log_number)));
}
