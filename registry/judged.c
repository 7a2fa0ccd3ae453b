#include "registry/judged.h"

#include <assert.h>
#include <string.h>

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

/* "192.0.2.1" of "192.0.2.1:55000", "::1" of "[::1]:55000". */
static struct bytes host_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? strlen(address) : (size_t)(colon - address);
    bool brackets = len > 1 && address[0] == '[';

    return (struct bytes){ (const uint8_t *)address + brackets, len - 2 * brackets };
}

/* "1.3" of "TLSv1.3 TLS_AES_256_GCM_SHA384". */
static struct bytes version_of(const char *tls)
{
    struct bytes text = bytes_of_text(tls);

    return bytes_start_with(text, BYTES("TLSv1.")) && text.len > 6
               ? (struct bytes){ text.at + 4, 3 }
               : (struct bytes){ NULL, 0 };
}

void registry_judged_connect(struct policy_facts *facts, const char *address, const char *tls,
                             int64_t certificate_ends_s)
{
    facts->connection_address = host_of(address);
    facts->connection_tls = version_of(tls);
    facts->certificate_ends_ms = certificate_ends_s * 1000;
}
