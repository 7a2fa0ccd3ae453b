/* A certification request, read from untrusted bytes together with its proof of possession.
 * RFC 2986 (PKCS#10), with the attributes of RFC 2985 5.4. */
#pragma once

#include "pki/extension.h"
#include "pki/key.h"
#include "pki/verifier.h"

enum { PKI_REQUEST_MAX = 16 * 1024, PKI_CHALLENGE_MAX = 255 };

/*
 * What somebody asks for. Only the key is proven; subject and extensions are wishes: what a
 * certificate says comes from the registry (profile.h). All borrowed from the request's bytes.
 */
struct pki_request {
    struct bytes subject; /* Name element, may be empty */
    struct bytes
        public_key;     /* SubjectPublicKeyInfo element: P-256, uncompressed, on the curve */
    struct bytes point; /* its PKI_POINT_LEN octets */
    uint8_t key_hash[PKI_HASH_LEN];   /* SHA-256 of public_key */
    struct pki_extensions extensions; /* of extensionRequest; none asked: count 0 */
    /* challengePassword: never a password here. EST puts the channel binding in it (RFC 7030
     * 3.5); who knows the channel compares it. Empty if absent. */
    struct bytes challenge;
};

/*
 * Reads the DER and verifies its signature with its own key; there is no way to have one
 * without the other. RC_MALFORMED: not the DER of a request, an attribute or extension twice.
 * RC_DENIED: the signature does not match, or something by name that is not accepted here (key
 * type, curve, point form, signature algorithm, attribute), with what is. RC_LIMIT above
 * PKI_REQUEST_MAX. *request is untouched unless RC_OK.
 */
enum rc pki_request_read(struct pki_verifier *verifier, struct bytes der,
                         struct pki_request *request);
