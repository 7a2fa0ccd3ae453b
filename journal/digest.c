#include "journal/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct journal_digest {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

void journal_digest_free(struct journal_digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->algorithm);
    free(digest);
}

enum rc journal_digest_new(struct journal_digest **digest)
{
    AUTO_OF(journal_digest) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "digest");
    made->algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    made->context = EVP_MD_CTX_new();
    if (made->algorithm == NULL || made->context == NULL ||
        EVP_DigestInit_ex2(made->context, made->algorithm, NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256 is not to be had from libcrypto");
    *digest = TAKE(made);
    return RC_OK;
}

void journal_digest_of(struct journal_digest *digest, struct bytes a, struct bytes b,
                       uint8_t hash[DIGEST_BYTES])
{
    if (EVP_DigestInit_ex2(digest->context, NULL, NULL) != 1 ||
        EVP_DigestUpdate(digest->context, a.at, a.len) != 1 ||
        EVP_DigestUpdate(digest->context, b.at, b.len) != 1 ||
        EVP_DigestFinal_ex(digest->context, hash, NULL) != 1)
        abort();
}
