#include "keys/rules.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/own.h"
#include "keys/public_key.h"

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

enum { SIGNATURE_MAX = 72 }; /* DER of two integers of at most 33 octets */

static enum rc check_pin(struct bytes key, struct bytes pin)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    size_t len = 0;

    if (EVP_Q_digest(NULL, "SHA256", NULL, key.at, key.len, digest, &len) != 1)
        return fault(RC_CRYPTO, "SHA-256 is not available");
    if (!bytes_equal(BYTES_OF(digest), pin))
        return fault(RC_DENIED, "the ceremony key is not the one that the settings pin");
    return RC_OK;
}

enum rc keys_rules_verify(struct bytes text, struct bytes signature, struct bytes ceremony_key,
                          struct bytes pin)
{
    const uint8_t *at = ceremony_key.at;
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();
    AUTO(EVP_PKEY) *key = NULL;

    TRY(check_pin(ceremony_key, pin));
    TRY(keys_public_key_check(ceremony_key));
    key = d2i_PUBKEY(NULL, &at, (long)ceremony_key.len);
    if (context == NULL || key == NULL)
        return fault(RC_CRYPTO, "the ceremony key cannot be loaded");
    if (signature.len > SIGNATURE_MAX ||
        EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
        EVP_DigestVerify(context, signature.at, signature.len, text.at, text.len) != 1)
        return fault(RC_DENIED, "the key rules are not signed by the ceremony key");
    return RC_OK;
}
