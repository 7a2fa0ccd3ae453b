/* Bodies of EST messages: base64 as its clients really write and read it. RFC 7030 4, RFC 8951
 * 3. */
#pragma once

#include "base/buf.h"

/*
 * Appends the DER inside: base64 with any white space, or a PEM "CERTIFICATE REQUEST" (RFC 7468
 * 7; also "NEW CERTIFICATE REQUEST"), nothing before or behind it but white space.
 * Content-Transfer-Encoding is not looked at (RFC 8951 3.1). RC_MALFORMED: der is as before.
 * RC_LIMIT when der is too small, and broken.
 */
enum rc pki_est_body_read(struct bytes body, struct buf *der);

/* libest stops at long lines, strongSwan at more than one: no form suits both. */
enum pki_est_form { PKI_EST_ONE_LINE, PKI_EST_64_COLUMNS };

/* The form for a client by its User-Agent, empty when it sent none. */
enum pki_est_form pki_est_body_form(struct bytes user_agent);
/* Appends base64 in lines that end with LF. */
void pki_est_body_write(struct buf *body, struct bytes der, enum pki_est_form form);

/* Appends a certs-only CMS message, DER: SignedData without signers (RFC 5272 4.1, RFC 5652
 * 5.1). certificates are whole; SET OF puts them in order of their encoding. */
enum rc pki_est_body_write_certificates(struct buf *der, const struct bytes *certificates,
                                        size_t count);
