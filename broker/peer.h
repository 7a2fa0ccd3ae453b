/* Who is at the other end of a connection, as TLS and the projection say. */
#pragma once

#include "audit/record.h"
#include "registry/door_protocol.h"

/*
 * Plain data, copied freely. What it says was true at the handshake: whoever acts for the peer
 * later asks the projection or the authority again. The authority trusts none of it but as the
 * door's word (DESIGN.md D1).
 */
enum { BROKER_BINDING_MAX = 64 };

struct broker_peer {
    struct registry_actor actor; /* known: a certificate that was accepted */
    enum registry_kind kind;     /* 0 unless known, as what follows */
    enum registry_role role;
    char id[REGISTRY_ID_MAX + 1];
    /* Of the certificate, for the audit log; zeros unless known. */
    uint8_t serial[REGISTRY_SERIAL_MAX], serial_len;
    uint8_t issuer_hash[AUDIT_HASH], key_hash[AUDIT_HASH];
    char address[REGISTRY_PEER_MAX + 1]; /* "192.0.2.1:55000" */
    char tls[REGISTRY_TLS_MAX + 1]; /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" on plain HTTP */
    /* For RFC 7030 3.5: tls-unique (RFC 5929 section 3) of TLS 1.2, tls-exporter (RFC 9266) of
     * 1.3; none on plain HTTP and on a resumed TLS 1.2 session, where tls-unique is not safe.
     */
    uint8_t binding[BROKER_BINDING_MAX];
    size_t binding_len;
    /* Of the connection; zeros: each request draws its own. */
    uint8_t correlation[REGISTRY_CORRELATION];
};

/* What each record about this peer's request begins with: who, with which certificate, from
 * where, under which correlation id. Borrows from the peer. */
struct audit_record broker_peer_record(const struct broker_peer *peer);
