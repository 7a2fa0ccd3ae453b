#include "keys/provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "keys/provider_key.h"

AUTO_TYPE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct keys_provider {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *standard; /* digests, and the encoder of SubjectPublicKeyInfo */
    OSSL_PROVIDER *ours;
};

#define PROPERTIES "provider=" KEYS_PROVIDER_NAME

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM KEYS[] = {
        { "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, keys_provider_key_dispatch, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const OSSL_ALGORITHM SIGNATURES[] = {
        { "ECDSA", PROPERTIES, keys_provider_sign_dispatch, NULL },
        { NULL, NULL, NULL, NULL },
    };

    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return KEYS;
    return operation == OSSL_OP_SIGNATURE ? SIGNATURES : NULL;
}

static int initialise(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH TABLE[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
        { 0, NULL },
    };

    (void)in;
    /* Never read, but OpenSSL takes NULL for a failure. */
    *context = (void *)(uintptr_t)core;
    *out = TABLE;
    return 1;
}

enum rc keys_provider_open(struct keys_provider **provider)
{
    AUTO_OF(keys_provider) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "provider");
    made->context = OSSL_LIB_CTX_new();
    if (made->context == NULL ||
        OSSL_PROVIDER_add_builtin(made->context, KEYS_PROVIDER_NAME, initialise) != 1)
        return fault(RC_CRYPTO, "OpenSSL does not take a built-in provider");
    made->standard = OSSL_PROVIDER_load(made->context, "default");
    made->ours = OSSL_PROVIDER_load(made->context, KEYS_PROVIDER_NAME);
    if (made->standard == NULL || made->ours == NULL)
        return fault(RC_CRYPTO, "OpenSSL does not load the built-in provider");
    *provider = TAKE(made);
    return RC_OK;
}

void keys_provider_close(struct keys_provider *provider)
{
    if (provider == NULL)
        return;
    if (provider->ours != NULL)
        OSSL_PROVIDER_unload(provider->ours);
    if (provider->standard != NULL)
        OSSL_PROVIDER_unload(provider->standard);
    OSSL_LIB_CTX_free(provider->context);
    free(provider);
}

enum rc keys_provider_key(struct keys_provider *provider, const char *name,
                          struct bytes public_key, const struct keys_provider_asker *asker,
                          struct evp_pkey_st **key)
{
    AUTO(EVP_PKEY_CTX) *making =
        EVP_PKEY_CTX_new_from_name(provider->context, "EC", PROPERTIES);
    uint8_t point[KEYS_PROVIDER_POINT], pointer[sizeof asker];
    char text[KEYS_NAME_MAX + 1] = "", group[] = "prime256v1";
    EVP_PKEY *made = NULL;

    if (public_key.len != KEYS_PUBLIC_KEY || strlen(name) > KEYS_NAME_MAX)
        return fault(RC_MALFORMED, "key %s: not the SubjectPublicKeyInfo of P-256", name);
    memcpy(point, public_key.at + KEYS_PUBLIC_KEY - sizeof point, sizeof point);
    memcpy(pointer, &asker, sizeof pointer);
    memcpy(text, name, strlen(name));
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_utf8_string(KEYS_PROVIDER_PARAM_NAME, text, strlen(text)),
        OSSL_PARAM_octet_string(KEYS_PROVIDER_PARAM_ASKER, pointer, sizeof pointer),
        OSSL_PARAM_END,
    };
    if (making == NULL || EVP_PKEY_fromdata_init(making) != 1 ||
        EVP_PKEY_fromdata(making, &made, EVP_PKEY_KEYPAIR, params) != 1)
        return fault(RC_CRYPTO, "key %s does not become an EVP_PKEY", name);
    *key = made;
    return RC_OK;
}
