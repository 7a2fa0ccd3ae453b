#include "cli/known.h"

#include "base/clock.h"

static enum rc by_member(struct cli_remote *remote, const char *path, const char *list,
                         const char *member, json_t **found)
{
    AUTO(json_value) *answer = NULL;
    AUTO(json_value) *made = json_object();
    json_t *one = NULL;
    size_t i = 0;

    TRY(cli_remote_list(remote, path, list, NULL, NULL, &answer));
    json_array_foreach(json_object_get(answer, list), i, one)
    {
        const char *key = json_string_value(json_object_get(one, member));
        if (key == NULL || json_object_set(made, key, one) != 0)
            return fault(RC_IO, "%s: the answer has no %s", path, member);
    }
    *found = TAKE(made);
    return RC_OK;
}

enum rc cli_known_read(struct cli_remote *remote, struct cli_known *known)
{
    TRY(by_member(remote, "/v1/devices", "devices", "id", &known->devices));
    return by_member(remote, "/v1/certificates?kind=device", "certificates", "fingerprint",
                     &known->ends);
}

void cli_known_clear(struct cli_known *known)
{
    json_decref(known->devices);
    json_decref(known->ends);
    *known = (struct cli_known){ 0 };
}

static int64_t end_of(const struct cli_known *known, const char *fingerprint)
{
    const json_t *certificate = json_object_get(known->ends, fingerprint);
    const char *ends = json_string_value(json_object_get(certificate, "not_after"));
    int64_t ends_ms = 0;

    return ends != NULL && clock_read_rfc3339(bytes_of_text(ends), &ends_ms) == RC_OK
               ? ends_ms / 1000
               : 0;
}

enum rc cli_known_judge(const struct cli_known *known, const struct cli_said *said,
                        struct cli_judged *judged)
{
    const json_t *device = json_object_get(known->devices, said->device);

    if (device == NULL)
        return fault(RC_NOT_FOUND, "there is no device %s", said->device);
    TRY(cli_judged_read(device, judged));
    const json_t *certificate = json_object_get(known->ends, said->fingerprint);
    const char *serial = json_string_value(json_object_get(certificate, "serial"));
    if (serial != NULL) {
        judged->facts.certificate_fingerprint = bytes_of_text(said->fingerprint);
        judged->facts.certificate_serial = bytes_of_text(serial);
    }
    judged->facts.certificate_subject = judged->facts.device_id;
    registry_judged_connect(&judged->facts, said->peer, said->tls,
                            end_of(known, said->fingerprint));
    return RC_OK;
}
