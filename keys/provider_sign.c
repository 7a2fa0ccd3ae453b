#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>
#include <strings.h>

#include "keys/provider_key.h"

enum { SIGNATURE_MAX = 72 };

/* provider-signature(7). One DigestSign: the whole message is kept until it is asked about. */
struct signing {
    const struct keys_provider_object *key;
    struct buf message;
};

static void *new_signing(void *provider, const char *properties)
{
    struct signing *made = OPENSSL_zalloc(sizeof *made);

    (void)provider, (void)properties;
    if (made != NULL)
        made->message = BUF_MAX(KEYS_PROVIDER_MESSAGE_MAX);
    return made;
}

static void free_signing(void *with)
{
    struct signing *signing = with;

    if (signing == NULL)
        return;
    buf_clear(&signing->message);
    OPENSSL_free(signing);
}

/* OpenSSL 3.0 finishes a copy, so that the original could go on. */
static void *copy_signing(void *with)
{
    const struct signing *signing = with;
    struct signing *made = new_signing(NULL, NULL);

    if (made == NULL)
        return NULL;
    made->key = signing->key;
    buf_add(&made->message, buf_bytes(&signing->message));
    if (!signing->message.broken && !made->message.broken)
        return made;
    free_signing(made);
    return NULL;
}

static int begin(void *with, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct signing *signing = with;

    (void)params;
    if (digest != NULL && strcasecmp(digest, "SHA256") != 0 &&
        strcasecmp(digest, "SHA2-256") != 0)
        return 0;
    if (key != NULL)
        signing->key = key;
    buf_reset(&signing->message);
    return signing->key != NULL && signing->key->asker != NULL;
}

static int update(void *with, const unsigned char *at, size_t len)
{
    struct signing *signing = with;

    buf_add(&signing->message, (struct bytes){ at, len });
    return !signing->message.broken;
}

static int finish(void *with, unsigned char *to, size_t *len, size_t room)
{
    struct signing *signing = with;
    const struct keys_provider_asker *asker = signing->key->asker;
    AUTO_BUF(signature, SIGNATURE_MAX);
    struct bytes message, made;

    if (to == NULL) {
        *len = SIGNATURE_MAX;
        return 1;
    }
    if (buf_done(&signing->message, &message) != RC_OK ||
        asker->sign(asker->with, signing->key->name, message, &signature) != RC_OK ||
        buf_done(&signature, &made) != RC_OK || made.len > room)
        return 0;
    memcpy(to, made.at, made.len);
    *len = made.len;
    return 1;
}

static int sign(void *with, unsigned char *to, size_t *len, size_t room,
                const unsigned char *message, size_t message_len)
{
    struct signing *signing = with;

    if (to != NULL) {
        buf_reset(&signing->message);
        if (!update(with, message, message_len))
            return 0;
    }
    return finish(with, to, len, room);
}

static int get_params(void *with, OSSL_PARAM params[])
{
    /* RFC 5758 3.2: ecdsa-with-SHA256, parameters absent. */
    static const uint8_t ALGORITHM[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                         0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
    OSSL_PARAM *algorithm = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);

    (void)with;
    return (algorithm == NULL ||
            OSSL_PARAM_set_octet_string(algorithm, ALGORITHM, sizeof ALGORITHM)) &&
           (digest == NULL || OSSL_PARAM_set_utf8_string(digest, "SHA256"));
}

static const OSSL_PARAM *gettable(void *with, void *provider)
{
    static const OSSL_PARAM KNOWN[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)with, (void)provider;
    return KNOWN;
}

#define ENTRY(id, function)                                                                    \
    {                                                                                          \
        OSSL_FUNC_SIGNATURE_##id, (void (*)(void))(function)                                   \
    }

const OSSL_DISPATCH keys_provider_sign_dispatch[] = {
    ENTRY(NEWCTX, new_signing),
    ENTRY(FREECTX, free_signing),
    ENTRY(DUPCTX, copy_signing),
    ENTRY(DIGEST_SIGN_INIT, begin),
    ENTRY(DIGEST_SIGN_UPDATE, update),
    ENTRY(DIGEST_SIGN_FINAL, finish),
    ENTRY(DIGEST_SIGN, sign),
    ENTRY(GET_CTX_PARAMS, get_params),
    ENTRY(GETTABLE_CTX_PARAMS, gettable),
    { 0, NULL },
};
