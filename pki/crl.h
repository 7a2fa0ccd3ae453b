/* Certificate revocation lists, version 2, complete: written entry by entry as to-be-signed
 * bytes, then put together by pki_signed_assemble(). RFC 5280 5. */
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
    struct bytes serial; /* magnitude, without leading zeros, up to PKI_CRL_SERIAL_MAX */
    int64_t at;          /* revocationDate, seconds since 1970 */
    enum pki_reason reason;
};

struct pki_crl {
    struct bytes issuer;              /* Name, DER */
    struct bytes key_id;              /* the issuer's subjectKeyIdentifier */
    int64_t this_update, next_update; /* seconds since 1970 */
    uint64_t number;                  /* cRLNumber: greater than that of every list before */
};

/* A list in the making, and what it borrows until pki_crl_end(). */
enum { PKI_CRL_SERIAL_MAX = 20 };
struct pki_crl_list {
    const struct pki_crl *crl;
    struct buf *tbs;
    size_t count; /* entries so far */
    size_t before, outer, entries;
    uint8_t last[PKI_CRL_SERIAL_MAX];
    size_t last_len;
};

/*
 * Append a TBSCertList: begin, add its entries in ascending order of the serial as a number,
 * each once, end. RC_MALFORMED for dates in the wrong order, an empty issuer, serials out of
 * order or twice, a reason that is none: tbs is as before, and the list is over. RC_LIMIT when
 * tbs is too small, and broken.
 */
enum rc pki_crl_begin(const struct pki_crl *crl, struct buf *tbs, struct pki_crl_list *list);
enum rc pki_crl_add(struct pki_crl_list *list, const struct pki_revoked *revoked);
enum rc pki_crl_end(struct pki_crl_list *list);
/* keyCompromise and so on; NULL for a number that is no reason of ours. */
const char *pki_crl_reason_name(enum pki_reason reason);
