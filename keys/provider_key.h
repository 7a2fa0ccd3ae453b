/* The two dispatch tables of the built-in provider. Only keys/provider*.c includes this. */
#pragma once

#include <openssl/core.h>

#include "keys/provider.h"
#include "keys/rules.h"

#define KEYS_PROVIDER_NAME "touchmark-signer"
/* Parameters of EVP_PKEY_fromdata() beyond OpenSSL's own. */
#define KEYS_PROVIDER_PARAM_NAME  "touchmark-name"
#define KEYS_PROVIDER_PARAM_ASKER "touchmark-asker" /* the pointer's own octets */

enum { KEYS_PROVIDER_POINT = 65 };

/* The provider's key object: what it can do depends on asker alone. */
struct keys_provider_object {
    char name[KEYS_NAME_MAX + 1];
    uint8_t point[KEYS_PROVIDER_POINT];
    const struct keys_provider_asker *asker; /* NULL: a public key only */
};

extern const OSSL_DISPATCH keys_provider_key_dispatch[], keys_provider_sign_dispatch[];
