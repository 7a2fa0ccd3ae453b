#include "api/handlers.h"

#include <jansson.h>

enum rc api_devices_list_told(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_subjects(&request->answer, "devices", answer);
}

enum rc api_devices_added(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 201,
                           json_pack("{s:o, s:o}", "device",
                                     api_answer_subject(&answer->subject), "sequence",
                                     api_answer_number(answer->sequence)));
}

enum rc api_devices_shown(struct api_request *request, const struct registry_answer *answer)
{
    json_t *certificates = json_array();
    enum rc rc = api_answer_add_certificates(certificates, answer);

    if (rc != RC_OK) {
        json_decref(certificates);
        return rc;
    }
    return api_answer_json(&request->answer, 200,
                           json_pack("{s:o, s:o}", "device",
                                     api_answer_subject(&answer->subject), "certificates",
                                     certificates));
}
