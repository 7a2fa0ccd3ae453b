/* A CA of software keys for tests: root, issuing and holders' keys, always the same ones. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki/issue.h"

enum { SOFT_NOW = 1767225600 }; /* 2026-01-01T00:00:00Z */

struct soft_key {
    EVP_PKEY *key;
    uint8_t point[PKI_POINT_LEN];
    uint8_t key_id[PKI_KEY_ID_LEN];
};

/* A P-256 key whose private number is the SHA-256 of its name. */
void soft_key_make(struct soft_key *key, const char *name);
void soft_key_clear(struct soft_key *key);
/* ECDSA with SHA-256, DER; the sign of struct pki_signing, with a struct soft_key. */
enum rc soft_key_sign(void *with, const char *key, enum keys_kind kind,
                      struct bytes to_be_signed, struct buf *signature);

struct soft_ca {
    struct soft_key root, issuing;
    struct pki_verifier *verifier;
    int64_t now_s;                      /* of what it issues; SOFT_NOW at first */
    struct buf root_name, issuing_name; /* Names */
    struct buf root_der, issuing_der;   /* certificates */
    struct pki_issuer issuer;           /* the issuing CA, borrowed from here */
};

/* Everything made through pki_issue_certificate(); asserts on failure. */
void soft_ca_open(struct soft_ca *ca);
void soft_ca_close(struct soft_ca *ca);
/* A certificate under the issuing CA. */
void soft_ca_issue(struct soft_ca *ca, const struct pki_profile *profile,
                   const struct pki_holder *holder, const struct soft_key *key,
                   struct buf *certificate);
/* 16 octets from a text, good as a serial number. */
void soft_serial(uint8_t serial[PKI_SERIAL_LEN], const char *text);

/* The DER as libcrypto's object: it must take every octet. */
X509 *soft_x509(struct bytes der);
