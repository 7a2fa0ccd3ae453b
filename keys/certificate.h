/* A TBSCertificate (RFC 5280 4.1), read strictly into its fields; judged by keys/check.h. */
#pragma once

#include "keys/rules.h"

struct keys_certificate_extension {
    bool present, critical;
    struct bytes value; /* content of extnValue */
};

/* All borrowed from the bytes that were read. */
struct keys_certificate {
    struct bytes serial;            /* content of the INTEGER */
    struct bytes algorithm, issuer; /* elements, whole */
    int64_t not_before_s, not_after_s;
    struct bytes subject;                    /* element, whole */
    struct bytes attribute[KEYS_ATTRIBUTES]; /* values, at empty where absent */
    struct bytes public_key;                 /* SubjectPublicKeyInfo, whole */
    struct keys_certificate_extension extension[KEYS_EXTENSIONS];
};

/*
 * RC_MALFORMED for what is not the one DER form of a version 3 certificate, and for attributes
 * that break their own form: more than one of a type or in an RDN, other than PrintableString
 * and UTF8String, characters outside their set, more than 64 octets. RC_DENIED for an attribute
 * or an extension outside keys/rules.h. Untouched on failure.
 */
enum rc keys_certificate_read(struct bytes tbs, struct keys_certificate *certificate);
