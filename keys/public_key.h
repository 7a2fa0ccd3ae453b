/* The one form of public key that we sign with and for: an uncompressed point on P-256. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

/*
 * RFC 5480 2: id-ecPublicKey with the named curve secp256r1 and an uncompressed point, as its
 * one DER encoding of 91 octets. RC_MALFORMED for anything else, and for a point that is not on
 * the curve (SP 800-56A 5.6.2.3.3).
 */
enum rc keys_public_key_check(struct bytes spki);
