#include "pki/verifier.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct pki_verifier {
    EVP_PKEY *key;
    EVP_MD_CTX *context;
    EVP_MD *digest;
};

AUTO_TYPE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

/* P-256's base point: any point will do until the first set1_encoded_public_key. */
static const uint8_t BASE_POINT[PKI_POINT_LEN] = {
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
    0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
    0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
    0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
    0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

static enum rc make_key(EVP_PKEY **key)
{
    AUTO(EVP_PKEY_CTX) *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    char curve[] = "prime256v1";
    uint8_t point[sizeof BASE_POINT];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };

    for (size_t i = 0; i < sizeof point; i++)
        point[i] = BASE_POINT[i];
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return fault(RC_CRYPTO, "libcrypto made no P-256 key");
    return RC_OK;
}

enum rc pki_verifier_new(struct pki_verifier **verifier)
{
    AUTO_OF(pki_verifier) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "verifier");
    TRY(make_key(&made->key));
    made->context = EVP_MD_CTX_new();
    made->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (made->context == NULL || made->digest == NULL)
        return fault(RC_CRYPTO, "libcrypto gave no SHA-256");
    *verifier = TAKE(made);
    return RC_OK;
}

void pki_verifier_free(struct pki_verifier *verifier)
{
    if (verifier == NULL)
        return;
    EVP_MD_free(verifier->digest);
    EVP_MD_CTX_free(verifier->context);
    EVP_PKEY_free(verifier->key);
    free(verifier);
}

enum rc pki_verifier_check_point(struct pki_verifier *verifier, struct bytes point)
{
    if (point.len == PKI_POINT_LEN &&
        EVP_PKEY_set1_encoded_public_key(verifier->key, point.at, point.len) == 1)
        return RC_OK;
    ERR_clear_error();
    return fault(RC_DENIED, "RFC 5480 2.2: the point does not lie on P-256");
}

enum rc pki_verifier_check(struct pki_verifier *verifier, struct bytes point,
                           struct bytes message, struct bytes signature)
{
    TRY(pki_key_check_signature(signature));
    TRY(pki_verifier_check_point(verifier, point));
    EVP_MD_CTX_reset(verifier->context);
    if (EVP_DigestVerifyInit(verifier->context, NULL, verifier->digest, NULL, verifier->key) !=
        1)
        return fault(RC_CRYPTO, "libcrypto refused to begin a verification");
    if (EVP_DigestVerify(verifier->context, signature.at, signature.len, message.at,
                         message.len) == 1)
        return RC_OK;
    ERR_clear_error();
    return fault(RC_DENIED, "the signature does not match the key");
}
