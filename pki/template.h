/* Writes to-be-signed certificates: what is constant for a profile and an issuer is encoded
 * once. RFC 5280 4.1. */
#pragma once

#include "pki/key.h"
#include "pki/profile.h"
#include "pki/serial.h"

/* Facts of the CA whose key will sign, from its own certificate; of a root, its future self. */
struct pki_issuer {
    struct bytes name;             /* its subject, DER */
    struct bytes key_id;           /* its subjectKeyIdentifier */
    int64_t not_before, not_after; /* no certificate of its lies outside, seconds since 1970 */
    const char *crl_url;           /* cRLDistributionPoints, http: NULL for none */
    const char *issuer_url;        /* caIssuers of authorityInfoAccess: NULL for none */
};

struct pki_template {
    const struct pki_profile *profile;
    struct pki_issuer issuer; /* of our own copies */
    struct buf memory;        /* these copies, and what is pre-encoded */
    struct bytes version, algorithm_and_issuer, extensions;
};

/* Copies the issuer. RC_MALFORMED for a name that is none, a key identifier not of 8 to 32
 * octets, a URL that is not http. */
enum rc pki_template_new(const struct pki_profile *profile, const struct pki_issuer *issuer,
                         struct pki_template **template);
void pki_template_free(struct pki_template *template);
AUTO_STRUCT(pki_template, pki_template_free)

/* What differs from certificate to certificate. */
struct pki_contents {
    uint8_t serial[PKI_SERIAL_LEN]; /* pki_serial_make() */
    int64_t not_before, not_after;
    const struct pki_holder *holder;
    struct bytes point; /* of the public key, as pki_request_read() gave it */
};

/*
 * The dates for a certificate made now: backdated as the profile says, as long as lifetime_s
 * (0: the profile's own), never outside the issuer's. RC_DENIED when the issuer is not valid
 * now, RC_LIMIT for a lifetime above the profile's.
 */
enum rc pki_template_validity(const struct pki_template *template, int64_t now,
                              int64_t lifetime_s, int64_t *not_before, int64_t *not_after);

/* Appends the TBSCertificate. RC_MALFORMED or RC_LIMIT for a holder that does not fit the
 * profile or dates in the wrong order; tbs is then as before, or broken when it was too small.
 */
enum rc pki_template_write(const struct pki_template *template,
                           const struct pki_contents *contents, struct buf *tbs);
