#include "broker/peer.h"

#include <string.h>

struct audit_record broker_peer_record(const struct broker_peer *peer)
{
    struct audit_record record = { .peer = bytes_of_text(peer->address),
                                   .tls = bytes_of_text(peer->tls) };

    memcpy(record.correlation, peer->correlation, sizeof record.correlation);
    if (!peer->actor.known)
        return record;
    record.actor_kind = (enum audit_actor_kind)peer->kind;
    record.actor = bytes_of_text(peer->id);
    record.actor_certificate = (struct audit_certificate){
        .fingerprint = BYTES_OF(peer->actor.fingerprint.at),
        .serial = { peer->serial, peer->serial_len },
        .issuer = BYTES_OF(peer->issuer_hash),
        .key = BYTES_OF(peer->key_hash),
    };
    return record;
}
