#include "registry/judged.h"

#include <assert.h>

#include "registry/door_protocol.h"

static_assert((int)REGISTRY_GROUPS_MAX <= (int)POLICY_GROUPS_MAX);

struct policy_facts registry_judged_device(const struct registry_subject *device,
                                           struct bytes groups[REGISTRY_GROUPS_MAX])
{
    for (size_t i = 0; i < device->groups.count; i++)
        groups[i] = bytes_of_text(device->groups.names[i]);
    return (struct policy_facts){
        .asker = POLICY_BY_DEVICE,
        .device_id = bytes_of_text(device->id),
        .device_profile = BYTES("device"), /* the only one that devices have */
        .groups = groups,
        .group_count = device->groups.count,
        .connection_door = BYTES("device"),
        .connection_protocol = BYTES("mqtt"),
    };
}

void registry_judged_connect(struct policy_facts *facts, const char *address, const char *tls,
                             int64_t certificate_ends_s)
{
    facts->connection_address = registry_peer_host(address);
    facts->connection_tls = registry_peer_tls(tls);
    facts->certificate_ends_ms = certificate_ends_s * 1000;
}
