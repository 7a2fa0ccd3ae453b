#include "keys/provider_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

/* provider-keymgmt(7). */
#define GROUP "prime256v1"

static void *new_object(void *provider)
{
    (void)provider;
    return OPENSSL_zalloc(sizeof(struct keys_provider_object));
}

static void free_object(void *object)
{
    OPENSSL_free(object);
}

static int has(const void *key, int selection)
{
    const struct keys_provider_object *object = key;

    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || object->asker != NULL;
}

static int match(const void *one, const void *other, int selection)
{
    const struct keys_provider_object *a = one, *b = other;

    (void)selection;
    return bytes_equal(BYTES_OF(a->point), BYTES_OF(b->point));
}

static int import_point(struct keys_provider_object *object, const OSSL_PARAM params[])
{
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    const char *name = NULL;
    void *to = object->point;
    size_t len = 0;

    return group != NULL && point != NULL &&
           OSSL_PARAM_get_utf8_string_ptr(group, &name) == 1 && strcmp(name, GROUP) == 0 &&
           OSSL_PARAM_get_octet_string(point, &to, sizeof object->point, &len) == 1 &&
           len == sizeof object->point && object->point[0] == 0x04;
}

static int import(void *key, int selection, const OSSL_PARAM params[])
{
    struct keys_provider_object *object = key;
    const OSSL_PARAM *name = OSSL_PARAM_locate_const(params, KEYS_PROVIDER_PARAM_NAME);
    const OSSL_PARAM *asker = OSSL_PARAM_locate_const(params, KEYS_PROVIDER_PARAM_ASKER);
    char *to = object->name;
    void *pointer = &object->asker;
    size_t len = 0;

    (void)selection;
    if (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL)
        return 0;
    if (!import_point(object, params))
        return 0;
    if (name == NULL || asker == NULL)
        return 1;
    return OSSL_PARAM_get_utf8_string(name, &to, sizeof object->name) == 1 &&
           OSSL_PARAM_get_octet_string(asker, &pointer, sizeof object->asker, &len) == 1 &&
           len == sizeof object->asker;
}

static int export(void *key, int selection, OSSL_CALLBACK *callback, void *with)
{
    struct keys_provider_object *object = key;
    char group[] = GROUP;
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, object->point, sizeof object->point),
        OSSL_PARAM_END,
    };

    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
        return 0;
    return callback(params, with);
}

static const OSSL_PARAM *exchanged(int selection)
{
    static const OSSL_PARAM TYPES[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_utf8_string(KEYS_PROVIDER_PARAM_NAME, NULL, 0),
        OSSL_PARAM_octet_string(KEYS_PROVIDER_PARAM_ASKER, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)selection;
    return TYPES;
}

static int put_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *at = OSSL_PARAM_locate(params, name);

    return at == NULL || OSSL_PARAM_set_int(at, value);
}

static int put_text(OSSL_PARAM params[], const char *name, const char *value)
{
    OSSL_PARAM *at = OSSL_PARAM_locate(params, name);

    return at == NULL || OSSL_PARAM_set_utf8_string(at, value);
}

static int put_octets(OSSL_PARAM params[], const char *name, const uint8_t *at, size_t len)
{
    OSSL_PARAM *to = OSSL_PARAM_locate(params, name);

    return to == NULL || OSSL_PARAM_set_octet_string(to, at, len);
}

static int get_params(void *key, OSSL_PARAM params[])
{
    const struct keys_provider_object *object = key;

    return put_int(params, OSSL_PKEY_PARAM_BITS, 256) &&
           put_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, 128) &&
           put_int(params, OSSL_PKEY_PARAM_MAX_SIZE, 72) &&
           put_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256") &&
           put_text(params, OSSL_PKEY_PARAM_GROUP_NAME, GROUP) &&
           put_octets(params, OSSL_PKEY_PARAM_PUB_KEY, object->point, sizeof object->point) &&
           put_octets(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, object->point,
                      sizeof object->point);
}

static const OSSL_PARAM *gettable(void *provider)
{
    static const OSSL_PARAM KNOWN[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provider;
    return KNOWN;
}

static const char *operation_name(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define ENTRY(id, function)                                                                    \
    {                                                                                          \
        OSSL_FUNC_KEYMGMT_##id, (void (*)(void))(function)                                     \
    }

const OSSL_DISPATCH keys_provider_key_dispatch[] = {
    ENTRY(NEW, new_object),
    ENTRY(FREE, free_object),
    ENTRY(HAS, has),
    ENTRY(MATCH, match),
    ENTRY(IMPORT, import),
    ENTRY(IMPORT_TYPES, exchanged),
    ENTRY(EXPORT, export),
    ENTRY(EXPORT_TYPES, exchanged),
    ENTRY(GET_PARAMS, get_params),
    ENTRY(GETTABLE_PARAMS, gettable),
    ENTRY(QUERY_OPERATION_NAME, operation_name),
    { 0, NULL },
};
