/* Checks P-256 signatures with one reused key object: OpenSSL 3.0 spends more on decoding a
 * public key than on using it. */
#pragma once

#include "pki/key.h"

/* For one thread at a time. */
struct pki_verifier;

/* RC_CRYPTO, RC_NOMEM. */
enum rc pki_verifier_new(struct pki_verifier **verifier);
void pki_verifier_free(struct pki_verifier *verifier);
AUTO_STRUCT(pki_verifier, pki_verifier_free)

/* RC_DENIED unless the point lies on the curve and is not the point at infinity (SP 800-56A
 * 5.6.2.3.3; P-256 has cofactor 1). */
enum rc pki_verifier_check_point(struct pki_verifier *verifier, struct bytes point);
/* Is signature (DER, ECDSA with SHA-256) one over message by the key with this point? RC_DENIED
 * if not, or if the point is none; RC_MALFORMED as pki_key_check_signature(). */
enum rc pki_verifier_check(struct pki_verifier *verifier, struct bytes point,
                           struct bytes message, struct bytes signature);
