/* Public keys that we certify: SubjectPublicKeyInfo of an uncompressed P-256 point, and
 * signatures checked with them. RFC 5480 2. */
#pragma once

#include "base/buf.h"

enum { PKI_KEY_LEN = 91, PKI_POINT_LEN = 65, PKI_HASH_LEN = 32, PKI_KEY_ID_LEN = 20 };

/*
 * A SubjectPublicKeyInfo element: id-ecPublicKey, secp256r1, uncompressed. Everything else is
 * refused by name, with what is allowed: RC_MALFORMED, or RC_DENIED for a good key of another
 * kind. point is borrowed. Whether it lies on the curve: pki_verifier.
 */
enum rc pki_key_read(struct bytes spki, struct bytes *point);
/* The element for a point of PKI_POINT_LEN octets. */
void pki_key_add(struct buf *buf, struct bytes point);
/* SHA-256 of any bytes: of the SubjectPublicKeyInfo it is the key hash, of a certificate its
 * fingerprint. RC_CRYPTO. */
enum rc pki_key_hash(struct bytes bytes, uint8_t hash[PKI_HASH_LEN]);
/* Key identifier: RFC 7093 2, method 1, the first 160 bits of SHA-256 of the BIT STRING's
 * octets. */
enum rc pki_key_identifier(struct bytes point, uint8_t key_id[PKI_KEY_ID_LEN]);

/* AlgorithmIdentifier ecdsa-with-SHA256 (RFC 5758 3.2: parameters absent), and the refusal of
 * any other by name. */
void pki_key_add_algorithm(struct buf *buf);
enum rc pki_key_check_algorithm(struct bytes algorithm);
/* An ECDSA-Sig-Value (RFC 3279 2.2.3) for P-256: two positive integers of at most 32 octets in
 * DER. Of a signature (r, s) the twin (r, n - s) verifies, too: never name anything by it. */
enum rc pki_key_check_signature(struct bytes signature);
