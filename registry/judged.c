#include "registry/judged.h"

#include <assert.h>

static_assert((int)REGISTRY_GROUPS_MAX <= (int)POLICY_GROUPS_MAX);

struct policy_facts registry_judged_device(const struct registry_subject *device,
                                           struct bytes groups[REGISTRY_GROUPS_MAX])
{
    for (size_t i = 0; i < device->groups.count; i++)
        groups[i] = bytes_of_text(device->groups.names[i]);
    return (struct policy_facts){
        .asker = POLICY_BY_DEVICE,
        .device_id = bytes_of_text(device->id),
        .groups = groups,
        .group_count = device->groups.count,
        .connection_door = BYTES("device"),
        .connection_protocol = BYTES("mqtt"),
    };
}
