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

static const char *outcome_name(uint8_t outcome)
{
    static const char *const NAMES[REGISTRY_OUTCOMES] = {
        [REGISTRY_OUTCOME_REVOKED] = "revoked",
        [REGISTRY_OUTCOME_WAS_REVOKED] = "was-revoked",
        [REGISTRY_OUTCOME_UNKNOWN] = "unknown",
    };

    return outcome < REGISTRY_OUTCOMES ? NAMES[outcome] : NULL;
}

/* The ids are the request's, in its order. */
static enum rc add_outcomes(json_t *list, struct bytes ids, struct bytes outcomes)
{
    struct reader id_left = READER(ids), left = READER(outcomes);
    char id[REGISTRY_ID_MAX + 1];

    while (registry_ids_next(&id_left, id) == RC_OK) {
        const char *outcome = outcome_name(reader_u8(&left));
        if (outcome == NULL)
            return fault(RC_MALFORMED, "an outcome that is none");
        json_array_append_new(list, json_pack("{s:s, s:s}", "device", id, "outcome", outcome));
    }
    return reader_done(&left) ? RC_OK : fault(RC_MALFORMED, "outcomes of other devices");
}

enum rc api_devices_revoked(struct api_request *request, const struct registry_answer *answer)
{
    const struct registry_counts *counts = &answer->counts;

    if (answer->proposal.number != 0)
        return api_proposals_made(request, answer);
    json_t *list = json_array();
    enum rc rc = add_outcomes(list, request->input.question.ids, answer->list);
    if (rc != RC_OK) {
        json_decref(list);
        return rc;
    }
    return api_changes_answer(request,
                              json_pack("{s:o, s:o, s:o, s:o}", "devices", list, "revoked",
                                        api_answer_number(counts->revoked), "were_revoked",
                                        api_answer_number(counts->were_revoked), "unknown",
                                        api_answer_number(counts->unknown)),
                              answer->sequence);
}
