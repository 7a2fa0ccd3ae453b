/* What each key may sign: fixed at the ceremony, signed by the root, held by the signer. */
#pragma once

#include "base/buf.h"
#include "base/own.h"

enum { KEYS_NAME_MAX = 32, KEYS_PER_RULES_MAX = 32, KEYS_NAME_DER_MAX = 512 };

/* Kinds of to-be-signed bytes. */
enum keys_kind {
    KEYS_CERTIFICATE = 1, /* RFC 5280 4.1 TBSCertificate */
    KEYS_CRL = 2,         /* RFC 5280 5.1 TBSCertList */
    KEYS_CHECKPOINT = 4,  /* C2SP tlog-checkpoint: the text of a signed note */
};

/* Which purpose a key has, and so what may stand in what it signs (DESIGN.md D3): one kind per
 * key. */
enum keys_purpose { KEYS_PURPOSE_CA, KEYS_PURPOSE_CHECKPOINT };

/*
 * Everything pinned to one CA key for the certificates that it signs. keys/check.h
 * holds to-be-signed bytes against it.
 */
struct keys_rule {
    char name[KEYS_NAME_MAX]; /* "devices": the word used in requests and as CKA_LABEL */
    enum keys_purpose purpose;
    struct bytes public_key;     /* the key's own SubjectPublicKeyInfo, DER */
    struct bytes issuer;         /* Name, DER: issuer of all that it signs */
    struct bytes key_id;         /* authorityKeyIdentifier.keyIdentifier of all that it signs */
    struct bytes subject_prefix; /* see rules.c: what a subject's names must look like */
    bool ca;                     /* basicConstraints.cA that its certificates carry */
    int path_length;             /* with ca: pathLenConstraint, -1 absent */
    uint16_t key_usage; /* RFC 5280 4.2.1.3 bits that its certificates carry, exactly */
    unsigned
        extended_key_usage; /* set of KEYS_EKU_*: exactly these, never anyExtendedKeyUsage */
    int64_t backdate_most_s, postdate_most_s; /* notBefore against the signer's clock */
    int64_t lifetime_most_s;
    uint32_t rate_per_s, rate_burst; /* signatures; 0: not limited */
};
