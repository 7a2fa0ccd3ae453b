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

#define SET(fact) (1U << (fact))

uint32_t registry_judged_untold(enum policy_action action)
{
    enum {
        ALL = SET(POLICY_CONNECTION_ADDRESS) | SET(POLICY_CONNECTION_TLS) |
              SET(POLICY_TIME_NOW) | SET(POLICY_TIME_OF_DAY) | SET(POLICY_TIME_WEEKDAY),
        SHOWN = SET(POLICY_CERTIFICATE_ISSUER) | SET(POLICY_CERTIFICATE_SUBJECT) |
                SET(POLICY_CERTIFICATE_SERIAL) | SET(POLICY_CERTIFICATE_FINGERPRINT) |
                SET(POLICY_CERTIFICATE_LEFT),
        CLIENT = SET(POLICY_CLIENT_ID),
        MESSAGE = SET(POLICY_MESSAGE_SIZE) | SET(POLICY_MESSAGE_QOS) |
                  SET(POLICY_MESSAGE_RETAIN) | SET(POLICY_MESSAGE_CONTENT_TYPE),
    };
    static const uint32_t UNTOLD[POLICY_ACTIONS] = {
        [POLICY_CONNECT] = ALL | SHOWN | CLIENT,
        [POLICY_SUBSCRIBE] = ALL | SHOWN | CLIENT,
        [POLICY_PUBLISH] = ALL | SHOWN | CLIENT | MESSAGE,
        [POLICY_RECEIVE] = ALL | SHOWN | CLIENT | MESSAGE,
        [POLICY_RETAIN] = ALL | SHOWN | CLIENT | MESSAGE,
        [POLICY_WILL] = ALL | SHOWN | CLIENT | MESSAGE,
        [POLICY_INGEST] = ALL | SHOWN | MESSAGE,
        [POLICY_READ] = ALL | SHOWN,
        [POLICY_DELIVER] = ALL | SHOWN | MESSAGE,
        [POLICY_CALL] = ALL | SHOWN,
        [POLICY_ENROLL] = ALL | SET(POLICY_REQUEST_KEY),
        [POLICY_RENEW] = ALL | SHOWN | SET(POLICY_REQUEST_KEY),
        [POLICY_REVOKE] = ALL | SHOWN,
    };

    return UNTOLD[action];
}

void registry_judged_connect(struct policy_facts *facts, const char *address, const char *tls,
                             int64_t certificate_ends_s)
{
    facts->connection_address = registry_peer_host(address);
    facts->connection_tls = registry_peer_tls(tls);
    facts->certificate_ends_ms = certificate_ends_s * 1000;
}
