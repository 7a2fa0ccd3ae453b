#include "keys/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "keys/ladder.h"

enum { SLOTS_MAX = 256, POINT = 65, HALF = 32, NAME = 64 };

/* RFC 5480 2: SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING of 66 }. */
static const uint8_t SPKI_HEAD[KEYS_MODULE_SPKI - POINT] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

enum rc keys_module_fault(enum rc rc, const char *call, CK_RV rv)
{
    return fault(rc, "%s: %s (0x%lx)", call, keys_ladder_name(rv), rv);
}

static enum rc load(const char *path, struct keys_module *module)
{
    CK_RV (*get_list)(CK_FUNCTION_LIST **) = NULL;

    if (path[0] != '/')
        return fault(RC_MALFORMED, "PKCS#11 module %s: the path is not absolute", path);
    module->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module->library == NULL)
        return fault(RC_MALFORMED, "PKCS#11 module: %s", dlerror());
    void *symbol = dlsym(module->library, "C_GetFunctionList");
    if (symbol == NULL)
        return fault(RC_MALFORMED, "%s is not a PKCS#11 module", path);
    memcpy(&get_list, &symbol, sizeof get_list);

    CK_RV rv = get_list(&module->call);
    return rv == CKR_OK ? RC_OK : keys_module_fault(RC_CRYPTO, "C_GetFunctionList", rv);
}

static enum rc initialise(struct keys_module *module)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = module->call->C_Initialize(&args);

    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return keys_module_fault(RC_CRYPTO, "C_Initialize", rv);
    module->ours = rv == CKR_OK;
    return RC_OK;
}

enum rc keys_module_open(const char *path, struct keys_module **module)
{
    AUTO_OF(keys_module) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "PKCS#11 module");
    TRY(load(path, made));
    TRY(initialise(made));
    *module = TAKE(made);
    return RC_OK;
}

void keys_module_close(struct keys_module *module)
{
    if (module == NULL)
        return;
    if (module->ours)
        module->call->C_Finalize(NULL);
    if (module->library != NULL)
        dlclose(module->library);
    free(module);
}

/* CK_TOKEN_INFO's texts are padded with blanks and not terminated. */
static bool is_label(const CK_TOKEN_INFO *info, const char *label)
{
    size_t len = sizeof info->label;

    while (len > 0 && info->label[len - 1] == ' ')
        len--;
    return bytes_equal_text((struct bytes){ info->label, len }, label);
}

enum rc keys_module_find_slot(const struct keys_module *module, const char *label,
                              CK_SLOT_ID *slot, CK_TOKEN_INFO *info)
{
    CK_SLOT_ID slots[SLOTS_MAX], found = 0;
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO its = { 0 }, found_info = { 0 };
    unsigned matches = 0;

    CK_RV rv = module->call->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_GetSlotList", rv);
    for (CK_ULONG i = 0; i < count; i++) {
        if (module->call->C_GetTokenInfo(slots[i], &its) != CKR_OK)
            continue;
        if ((its.flags & CKF_TOKEN_INITIALIZED) == 0 || !is_label(&its, label))
            continue;
        matches++;
        found = slots[i];
        found_info = its;
    }
    if (matches == 0)
        return fault(RC_NOT_FOUND, "no HSM token is labelled %s", label);
    if (matches > 1)
        return fault(RC_EXISTS, "%u HSM tokens are labelled %s", matches, label);
    *slot = found;
    if (info != NULL)
        *info = found_info;
    return RC_OK;
}

static CK_RV find_two(const struct keys_module *module, CK_SESSION_HANDLE session,
                      CK_ATTRIBUTE *wanted, CK_ULONG wanted_count, CK_OBJECT_HANDLE found[2],
                      CK_ULONG *count)
{
    CK_RV rv = module->call->C_FindObjectsInit(session, wanted, wanted_count);

    if (rv != CKR_OK)
        return rv;
    rv = module->call->C_FindObjects(session, found, 2, count);
    CK_RV ended = module->call->C_FindObjectsFinal(session);
    return rv != CKR_OK ? rv : ended;
}

enum rc keys_module_find_object(const struct keys_module *module, CK_SESSION_HANDLE session,
                                CK_OBJECT_CLASS class, const char *label,
                                CK_OBJECT_HANDLE *object)
{
    char name[NAME] = "";
    CK_ATTRIBUTE wanted[] = {
        { CKA_CLASS, &class, sizeof class },
        { CKA_LABEL, name, strlen(label) },
    };
    CK_OBJECT_HANDLE found[2] = { 0 };
    CK_ULONG count = 0;

    if (strlen(label) > sizeof name)
        return fault(RC_LIMIT, "the label %s is longer than %d", label, NAME);
    memcpy(name, label, strlen(label));
    CK_RV rv = find_two(module, session, wanted, 2, found, &count);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_FindObjects", rv);
    if (count == 0)
        return fault(RC_NOT_FOUND, "the HSM token has no %s key labelled %s",
                     class == CKO_PRIVATE_KEY ? "private" : "public", label);
    if (count > 1)
        return fault(RC_EXISTS, "the HSM token has two keys labelled %s", label);
    *object = found[0];
    return RC_OK;
}

/* PKCS#11 2.40 section 2.3.3: CKA_EC_POINT is the point inside an OCTET STRING. */
static bool read_point(struct bytes value, const uint8_t **point)
{
    static const uint8_t HEAD[] = { 0x04, POINT, 0x04 };

    if (value.len != POINT + 2 || !bytes_start_with(value, BYTES_OF(HEAD)))
        return false;
    *point = value.at + 2;
    return true;
}

enum rc keys_module_read_public(const struct keys_module *module, CK_SESSION_HANDLE session,
                                const char *label, uint8_t spki[KEYS_MODULE_SPKI])
{
    uint8_t value[POINT + 2], params[16];
    const uint8_t *point = NULL;
    CK_ATTRIBUTE asked[] = { { CKA_EC_POINT, value, sizeof value },
                             { CKA_EC_PARAMS, params, sizeof params } };
    CK_OBJECT_HANDLE object = 0;

    TRY(keys_module_find_object(module, session, CKO_PUBLIC_KEY, label, &object));
    CK_RV rv = module->call->C_GetAttributeValue(session, object, asked, 2);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_GetAttributeValue", rv);
    struct bytes curve = { params, asked[1].ulValueLen };
    if (!bytes_equal(curve, (struct bytes){ SPKI_HEAD + 13, 10 }) ||
        !read_point((struct bytes){ value, asked[0].ulValueLen }, &point))
        return fault(RC_CRYPTO, "key %s is not an uncompressed P-256 point", label);
    memcpy(spki, SPKI_HEAD, sizeof SPKI_HEAD);
    memcpy(spki + sizeof SPKI_HEAD, point, POINT);
    return RC_OK;
}

/* One half of the raw signature as a minimal positive INTEGER (X.690 8.3). */
static size_t write_integer(const uint8_t half[HALF], uint8_t *to)
{
    size_t skip = 0;

    while (skip < HALF - 1 && half[skip] == 0)
        skip++;
    size_t sign = half[skip] >= 0x80, len = HALF - skip;
    to[0] = 0x02;
    to[1] = (uint8_t)(len + sign);
    to[2] = 0;
    memcpy(to + 2 + sign, half + skip, len);
    return 2 + sign + len;
}

enum rc keys_module_sign(const struct keys_module *module, CK_SESSION_HANDLE session,
                         CK_OBJECT_HANDLE key, struct bytes digest,
                         uint8_t signature[KEYS_MODULE_SIGNATURE], size_t *len, CK_RV *rv)
{
    CK_MECHANISM mechanism = { .mechanism = CKM_ECDSA };
    uint8_t raw[2 * HALF], copy[KEYS_MODULE_DIGEST];
    CK_ULONG raw_len = sizeof raw;

    *rv = CKR_DATA_LEN_RANGE;
    if (digest.len != sizeof copy)
        return fault(RC_MALFORMED, "a SHA-256 digest has 32 bytes, not %zu", digest.len);
    memcpy(copy, digest.at, sizeof copy);
    *rv = module->call->C_SignInit(session, &mechanism, key);
    if (*rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_SignInit", *rv);
    *rv = module->call->C_Sign(session, copy, sizeof copy, raw, &raw_len);
    if (*rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_Sign", *rv);
    if (raw_len != sizeof raw) {
        *rv = CKR_DEVICE_ERROR;
        return fault(RC_CRYPTO, "C_Sign: a P-256 signature of %lu bytes", raw_len);
    }
    /* RFC 5480 appendix A: ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER } */
    size_t used = 2 + write_integer(raw, signature + 2);
    used += write_integer(raw + HALF, signature + used);
    signature[0] = 0x30;
    signature[1] = (uint8_t)(used - 2);
    *len = used;
    return RC_OK;
}
