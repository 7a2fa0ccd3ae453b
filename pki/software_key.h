/* A P-256 key in memory, outside any HSM token: an operator's, written to a file; never one of
 * a CA. */
#pragma once

#include "base/buf.h"
#include "pki/key.h"

struct pki_software_key;

/* RC_CRYPTO. */
enum rc pki_software_key_make(struct pki_software_key **key);
void pki_software_key_free(struct pki_software_key *key);
AUTO_STRUCT(pki_software_key, pki_software_key_free)

/* A PKCS #8 private key in PEM, not encrypted, as pki_software_key_add_pem() writes it.
 * RC_MALFORMED; RC_DENIED: it is not on P-256. */
enum rc pki_software_key_read(struct bytes pem, struct pki_software_key **key);

/* SubjectPublicKeyInfo, DER: PKI_KEY_LEN octets, borrowed from key. */
struct bytes pki_software_key_public(const struct pki_software_key *key);
/* Append PKCS #8 (RFC 5958) as PEM, not encrypted: the caller wipes pem
 * (pki_software_key_wipe()) and guards the file. */
enum rc pki_software_key_add_pem(const struct pki_software_key *key, struct buf *pem);
/* Overwrite and release what a buffer held. */
void pki_software_key_wipe(struct buf *pem);

/* Append a certification request (RFC 2986), DER, for this key under the Name subject (an
 * element, DER) and without attributes. RC_CRYPTO. */
enum rc pki_software_key_request(const struct pki_software_key *key, struct bytes subject,
                                 struct buf *request);
