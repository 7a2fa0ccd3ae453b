#include "api/handlers.h"

#include <jansson.h>

#include "audit/action.h"

static json_t *sources_json(const struct registry_status *status)
{
    json_t *sources = json_array();

    for (unsigned i = AUDIT_FROM_AUTHORITY; i < REGISTRY_SOURCES; i++) {
        const struct registry_source *source = &status->sources[i];
        json_array_append_new(sources,
                              json_pack("{s:s, s:o, s:o, s:o, s:o}", "source",
                                        audit_source_name((enum audit_source)i), "records",
                                        api_answer_number(source->records), "acts",
                                        api_answer_number(source->acts), "spooled",
                                        api_answer_number(source->spooled), "refused",
                                        api_answer_number(source->refused)));
    }
    return sources;
}

enum rc api_status_told(struct api_request *request, const struct registry_answer *answer)
{
    const struct registry_status *status = &answer->status;
    json_t *devices = json_object(), *json = json_object();

    for (unsigned i = REGISTRY_REGISTERED; i <= REGISTRY_REVOKED; i++)
        json_object_set_new(devices, registry_state_name((enum registry_state)i),
                            api_answer_number(status->devices[i]));
    json_object_set_new(json, "revision", api_answer_number(status->revision));
    json_object_set_new(json, "sequence", api_answer_number(status->sequence));
    json_object_set_new(json, "started", api_answer_time(status->started_ms));
    json_object_set_new(json, "now", api_answer_time(status->now_ms));
    json_object_set_new(json, "devices", devices);
    json_object_set_new(json, "certificates", api_answer_number(status->certificates));
    json_object_set_new(json, "operators", api_answer_number(status->operators));
    json_object_set_new(json, "lines", api_answer_number(status->lines));
    json_object_set_new(json, "orphans", api_answer_number(status->orphans));
    json_object_set_new(json, "policy_version", api_answer_number(status->policy_version));
    json_object_set_new(json, "signer", json_boolean(status->signer));
    json_object_set_new(json, "crl_made",
                        status->crl_ms == 0 ? json_null() : api_answer_time(status->crl_ms));
    json_object_set_new(json, "doors_behind", api_answer_number(status->doors_behind));
    json_object_set_new(json, "audit_records", api_answer_number(status->records));
    json_object_set_new(json, "audit_checkpoint", api_answer_number(status->checkpoint));
    json_object_set_new(json, "audit_sinks", api_answer_number(status->sinks));
    json_object_set_new(json, "audit_exported",
                        status->sinks == 0 ? json_null() : api_answer_number(status->exported));
    json_object_set_new(json, "audit_published", api_answer_number(status->published));
    json_object_set_new(json, "audit_witnesses", api_answer_number(status->witnesses));
    json_object_set_new(json, "audit_cosigned",
                        status->witnesses == 0 ? json_null()
                                               : api_answer_number(status->cosigned));
    json_object_set_new(json, "audit_sources", sources_json(status));
    json_object_set_new(json, "trouble",
                        api_answer_text_or_null(bytes_of_text(status->trouble)));
    return api_answer_json(&request->answer, 200, json);
}

enum rc api_status_copied(struct api_request *request, const struct registry_answer *answer)
{
    return api_answer_json(&request->answer, 201,
                           json_pack("{s:o}", "name", api_answer_text(answer->text)));
}

/* For a load balancer: can this door serve? */
enum rc api_status_health(struct api_request *request)
{
    const struct broker_front *front = request->api->setup.front;
    bool good = broker_front_is_ready(front) && broker_front_is_connected(front);

    TRY(api_answer_json(&request->answer, good ? 200 : 503,
                        json_pack("{s:s}", "status", good ? "ok" : "no-authority")));
    if (!good)
        api_answer_header(&request->answer, "Retry-After", "2");
    return RC_OK;
}
