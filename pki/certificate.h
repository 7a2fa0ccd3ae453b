/* A certificate as the registry and the lint see it, read strictly. RFC 5280 4.1. */
#pragma once

#include "pki/alt_name.h"
#include "pki/extension.h"
#include "pki/key.h"

enum { PKI_CERTIFICATE_MAX = 16 * 1024, PKI_SERIAL_MAX = 20 };

/*
 * A view: all bytes are borrowed. Reading says nothing about trust: no signature, date or chain
 * is checked here. The key may be of any kind: pki_key_read() knows ours.
 */
struct pki_certificate {
    struct bytes tbs;              /* TBSCertificate element */
    struct bytes serial;           /* positive, as its magnitude: up to PKI_SERIAL_MAX octets */
    struct bytes algorithm;        /* AlgorithmIdentifier element, the same in both places */
    struct bytes issuer, subject;  /* Name elements */
    int64_t not_before, not_after; /* seconds since 1970, both inclusive */
    struct bytes public_key;       /* SubjectPublicKeyInfo element */
    struct bytes signature;        /* octets of the BIT STRING */
    struct pki_extensions extensions;

    /* Of the extensions, with the values of absent ones: */
    struct pki_constraints constraints;    /* false, -1 */
    uint16_t key_usage;                    /* 0 */
    unsigned purposes;                     /* 0 */
    struct bytes key_id, authority_key_id; /* empty */
    struct bytes alt_names; /* empty; else the value of subjectAltName, all names well-formed */

    uint8_t fingerprint[PKI_HASH_LEN]; /* SHA-256 of the certificate */
    uint8_t key_hash[PKI_HASH_LEN];    /* SHA-256 of public_key */
};

/*
 * Version 3 only, no unique identifiers. RC_MALFORMED; RC_DENIED for a critical extension that
 * is not known here (RFC 5280 4.2), by name; RC_LIMIT above PKI_CERTIFICATE_MAX. *certificate
 * is untouched unless RC_OK.
 */
enum rc pki_certificate_read(struct bytes der, struct pki_certificate *certificate);
/* The same of a TBSCertificate alone; signature is empty, fingerprint that of the TBS. */
enum rc pki_certificate_read_tbs(struct bytes tbs, struct pki_certificate *certificate);

/* The only URI of subjectAltName; false when there is none, or more than one. */
bool pki_certificate_uri(const struct pki_certificate *certificate, struct bytes *uri);
