/* Who a certificate says is there, and whether that counts now (DESIGN.md D2). */
#pragma once

#include "audit/record.h"
#include "broker/front.h"

enum { BROKER_ISSUER_MAX = 64 }; /* RFC 5280: ub-common-name */

/*
 * What was shown, whoever it was: for the audit log and for judging again. Plain data.
 * expires_s is the certificate's last second, 0 unless it was accepted.
 */
struct broker_identity {
    bool shown; /* false: no certificate; all else is zero */
    enum registry_verdict verdict;
    enum registry_kind kind; /* 0 unless known */
    enum registry_role role;
    char id[REGISTRY_ID_MAX + 1];
    int64_t expires_s;
    struct registry_fingerprint fingerprint;
    uint8_t issuer_hash[32], key_hash[32];
    uint8_t serial[REGISTRY_SERIAL_MAX];
    uint8_t serial_len;
    char issuer_name[BROKER_ISSUER_MAX + 1]; /* its only Common Name, UTF-8; or empty */
};

struct x509_st;

/* Sets of kinds that a listener lets in. */
enum {
    BROKER_DEVICES = 1 << REGISTRY_DEVICE,
    BROKER_OPERATORS = 1 << REGISTRY_OPERATOR | 1 << REGISTRY_LINE
};

/* The leaf's names and hashes, not judged yet; verdict is REGISTRY_UNKNOWN. RC_CRYPTO. */
enum rc broker_identity_read(const struct x509_st *leaf, struct broker_identity *identity);
/* Append the leaf, DER. */
enum rc broker_identity_der(const struct x509_st *leaf, struct buf *der);

/* Append what a stranger's leaf says of itself: "; shown: until 2027-01-01T00:00:00Z, issuer
 * CN=ca, subject CN=x". Printable; each name's first 80 octets. */
void broker_identity_describe(const struct x509_st *leaf, struct buf *text);

/*
 * Judge by the projection, again and again: at the handshake, at a resumption, at CONNECT, at a
 * change, when a will is due. A holder of a kind that is not in kinds is REGISTRY_FOREIGN here.
 * subject, if not NULL, is filled when it is known.
 */
enum registry_verdict broker_identity_judge(struct broker_identity *identity,
                                            struct broker_front *front, unsigned kinds,
                                            int64_t now_s, struct registry_subject *subject);
/* The same by what the authority answered to LOOK_UP. */
enum registry_verdict broker_identity_learn(struct broker_identity *identity, unsigned kinds,
                                            const struct registry_answer *answer);

/* Borrowed from identity. */
struct audit_certificate broker_identity_certificate(const struct broker_identity *identity);
enum audit_actor_kind broker_identity_actor(const struct broker_identity *identity);
