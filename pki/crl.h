/* Certificate revocation lists, version 2, complete: written as to-be-signed bytes, then put
 * together by pki_signed_assemble(). RFC 5280 5. */
#pragma once

#include "base/buf.h"

/* CRLReason, RFC 5280 5.3.1. unspecified is written by leaving the extension out; 7 does not
 * exist; removeFromCRL and the AA's are not for complete lists of certificates. */
enum pki_reason {
    PKI_UNSPECIFIED = 0,
    PKI_KEY_COMPROMISE = 1,
    PKI_CA_COMPROMISE = 2,
    PKI_AFFILIATION_CHANGED = 3,
    PKI_SUPERSEDED = 4,
    PKI_CESSATION_OF_OPERATION = 5,
    PKI_CERTIFICATE_HOLD = 6,
    PKI_PRIVILEGE_WITHDRAWN = 9,
};

struct pki_revoked {
    struct bytes serial; /* magnitude, without leading zeros, up to 20 octets */
    int64_t at;          /* revocationDate, seconds since 1970 */
    enum pki_reason reason;
};

struct pki_crl {
    struct bytes issuer;              /* Name, DER */
    struct bytes key_id;              /* the issuer's subjectKeyIdentifier */
    int64_t this_update, next_update; /* seconds since 1970 */
    uint64_t number;                  /* cRLNumber: greater than that of every list before */
    /* In ascending order of the serial as a number, each once. */
    const struct pki_revoked *revoked;
    size_t count;
};

/* Appends the TBSCertList. RC_MALFORMED for serials out of order or twice, a reason that is
 * none, dates in the wrong order, an empty issuer: tbs is as before. RC_LIMIT when tbs is too
 * small, and broken. */
enum rc pki_crl_write(const struct pki_crl *crl, struct buf *tbs);
/* keyCompromise and so on; NULL for a number that is no reason of ours. */
const char *pki_crl_reason_name(enum pki_reason reason);
