#include "cli/fleet.h"

#include <string.h>

/* ---- One device ---- */

static enum rc add_group(struct cli_judged *judged, struct bytes name)
{
    enum rc rc = registry_id_check(name);

    if (rc == RC_OK)
        rc = registry_groups_add(&judged->device.groups, name);
    return rc == RC_OK ? RC_OK : fault_while(rc, "a group of device %s", judged->device.id);
}

static enum rc begin(const char *id, struct cli_judged *judged)
{
    *judged = (struct cli_judged){ .device.kind = REGISTRY_DEVICE };
    enum rc rc = registry_id_copy(bytes_of_text(id), judged->device.id);
    return rc == RC_OK ? RC_OK : fault_while(rc, "a device's id");
}

enum rc cli_judged_read(const json_t *device, struct cli_judged *judged)
{
    const char *id = json_string_value(json_object_get(device, "id"));
    const json_t *group = NULL;
    size_t i = 0;

    TRY(begin(id == NULL ? "" : id, judged));
    json_array_foreach(json_object_get(device, "groups"), i, group)
    {
        const char *name = json_string_value(group);
        TRY(add_group(judged, bytes_of_text(name == NULL ? "" : name)));
    }
    judged->facts = registry_judged_device(&judged->device, judged->groups);
    return RC_OK;
}

enum rc cli_judged_say(const char *id, const char *groups, struct cli_judged *judged)
{
    TRY(begin(id, judged));
    while (groups != NULL && *groups != '\0') {
        size_t len = strcspn(groups, ",");
        TRY(add_group(judged, (struct bytes){ (const uint8_t *)groups, len }));
        groups += len;
        groups += *groups == ',';
    }
    judged->facts = registry_judged_device(&judged->device, judged->groups);
    return RC_OK;
}

/* ---- All of them ---- */

enum rc cli_fleet_read(struct cli_remote *remote, struct cli_fleet *fleet)
{
    AUTO(json_value) *answer = NULL;
    const json_t *list = NULL;
    json_t *kept = json_array(), *one = NULL;
    size_t i = 0;

    fleet->devices = kept;
    TRY(cli_remote_list(remote, "/v1/devices", "devices", NULL, NULL, &answer));
    list = json_object_get(answer, "devices");
    json_array_foreach(list, i, one)
    {
        const char *state = json_string_value(json_object_get(one, "state"));
        if (state != NULL && strcmp(state, registry_state_name(REGISTRY_REVOKED)) == 0)
            continue;
        if (json_array_append(kept, one) != 0)
            return fault(RC_NOMEM, "a list of devices");
    }
    return RC_OK;
}

void cli_fleet_clear(struct cli_fleet *fleet)
{
    json_decref(fleet->devices);
    *fleet = (struct cli_fleet){ 0 };
}

static enum rc each(void *with, enum rc (*visit)(void *visitor, const struct policy_facts *),
                    void *visitor)
{
    struct cli_fleet *fleet = with;
    const json_t *one = NULL;
    struct cli_judged judged;
    size_t i = 0;

    json_array_foreach(fleet->devices, i, one)
    {
        fleet->visited = one;
        TRY(cli_judged_read(one, &judged));
        TRY(visit(visitor, &judged.facts));
    }
    return RC_OK;
}

static enum rc size_of(void *with, struct bytes group, uint64_t *devices)
{
    const struct cli_fleet *fleet = with;
    const json_t *one = NULL, *name = NULL;
    size_t i = 0, k = 0;

    *devices = 0;
    json_array_foreach(fleet->devices, i, one)
    {
        json_array_foreach(json_object_get(one, "groups"), k, name)
        {
            const char *text = json_string_value(name);
            *devices += text != NULL && bytes_equal_text(group, text);
        }
    }
    return RC_OK;
}

struct policy_fleet cli_fleet_devices(struct cli_fleet *fleet)
{
    return (struct policy_fleet){ each, fleet };
}

struct policy_groups cli_fleet_groups(struct cli_fleet *fleet)
{
    return (struct policy_groups){ size_of, fleet };
}
