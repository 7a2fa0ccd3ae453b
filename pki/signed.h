/* Something to be signed, its algorithm and its signature, put together: the outer shape of a
 * certificate and of a CRL. RFC 5280 4.1.1 and 5.1.1. */
#pragma once

#include "base/buf.h"

/* signature: ECDSA with SHA-256 over to_be_signed, DER. RC_CRYPTO when it is not of that shape;
 * whether it verifies is not looked at. Appends to out. RC_LIMIT when out is too small, and
 * broken. */
enum rc pki_signed_assemble(struct bytes to_be_signed, struct bytes signature, struct buf *out);
