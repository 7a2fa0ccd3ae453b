/* Our CAs: a root, or a customer's, and under it one issuing CA for each family of holders; and
 * the rules of their keys. */
#pragma once

#include "keys/rules.h"
#include "pki/certificate.h"
#include "pki/issue.h"

/*
 * Devices, operators with lines, and doors are signed by different keys (DESIGN.md D3), so that
 * none of them can be passed off as another. Checkpoints have a key without a certificate.
 */
struct pki_issuing {
    const char *key;         /* CKA_LABEL, and the word in the key rules: "devices" */
    const char *common_name; /* behind the organization's: "Devices" */
    const char *profiles[2]; /* of what it signs; NULL ends */
    uint32_t rate_per_s, rate_burst;
};
const struct pki_issuing *pki_hierarchy_issuing(size_t *count);

#define PKI_HIERARCHY_ROOT       "root"
#define PKI_HIERARCHY_CHECKPOINT "checkpoints"

/* Of the rules for a door's names, one is for its URI. */
enum { PKI_HIERARCHY_HOSTS_MAX = KEYS_SAN_RULES_MAX - 1 };

struct pki_hierarchy_names {
    struct bytes organization; /* 1 to 40 octets of UTF-8; the CAs' commonName starts with it */
    const char *origin;        /* of checkpoints: C2SP tlog-checkpoint */
    /* What the doors' key may certify: host names, ".suffix" for all hosts below it, addresses,
     * networks. */
    struct bytes hosts[PKI_HIERARCHY_HOSTS_MAX];
    size_t host_count; /* at least 1 */
};

/* RC_MALFORMED for an organization or origin that cannot stand in a Name or a checkpoint. */
enum rc pki_hierarchy_check_names(const struct pki_hierarchy_names *names);

/*
 * Append a CA's certificate, DER: of the root itself with under NULL (self-signed by `key`),
 * else of an issuing CA under that one. suffix: "Root CA", or the row's common_name.
 */
struct pki_hierarchy_wish {
    const struct pki_hierarchy_names *names;
    const char *suffix;
    struct bytes public_key; /* SubjectPublicKeyInfo */
    int64_t now_s;
};
enum rc pki_hierarchy_certify(const struct pki_hierarchy_wish *wish,
                              const struct pki_certificate *under,
                              struct pki_verifier *verifier, const struct pki_signing *signing,
                              const char *key, struct buf *certificate);

/* Append a PKCS #10 request (RFC 2986) for an issuing CA under somebody else's root, signed by
 * its own key. */
enum rc pki_hierarchy_request(const struct pki_hierarchy_wish *wish,
                              const struct pki_signing *signing, const char *key,
                              struct buf *request);

/*
 * Is this what a foreign root may give our issuing key? Its public key, CA true, keyCertSign
 * and cRLSign, valid now for at least a year more, subjectKeyIdentifier present. RC_DENIED
 * names what is wrong.
 */
enum rc pki_hierarchy_check_issuing(const struct pki_certificate *certificate,
                                    struct bytes public_key, int64_t now_s);

/* The key rules of the whole system, revision 1: certificates and public keys in the order of
 * pki_hierarchy_issuing(). */
enum rc pki_hierarchy_rules(const struct pki_hierarchy_names *names,
                            const struct pki_certificate *certificates,
                            struct bytes checkpoint_key, struct keys_rules *rules);

/* What a CA's certificate says to those who write certificates under it; borrowed from it. */
struct pki_issuer pki_hierarchy_issuer(const struct pki_certificate *certificate);
