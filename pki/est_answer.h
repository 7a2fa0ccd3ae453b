/* EST from the device's side: what a server answers. RFC 7030 4.1.3 and 4.2.3. */
#pragma once

#include "base/buf.h"

enum { PKI_EST_ANSWER_CERTIFICATES = 8, PKI_EST_ANSWER_MAX = 256 * 1024 };

struct pki_est_answer {
    struct buf der;                                         /* pki_est_answer_clear() */
    struct bytes certificates[PKI_EST_ANSWER_CERTIFICATES]; /* elements, borrowed from der */
    size_t count;
};

/* A certs-only CMS message (RFC 5652 5.1, RFC 5272 4.1) in base64: at least one certificate, no
 * signer, no other form of certificate. RC_MALFORMED, RC_LIMIT. */
enum rc pki_est_answer_read(struct bytes body, struct pki_est_answer *answer);
void pki_est_answer_clear(struct pki_est_answer *answer);
