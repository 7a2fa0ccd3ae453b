#include "keys/ceremony.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "keys/ladder.h"
#include "keys/module.h"

enum { SLOTS_MAX = 256, NAME_MAX_LEN = 32 };

_Static_assert((int)KEYS_CEREMONY_SPKI == (int)KEYS_MODULE_SPKI,
               "one P-256 SubjectPublicKeyInfo");

struct keys_ceremony {
    struct keys_module *module;
    CK_SESSION_HANDLE session;
};

/* Cryptoki takes PINs by pointers that it does not promise to leave alone. */
struct pin {
    CK_UTF8CHAR at[SECRET_MAX];
    CK_ULONG len;
};

static struct pin pin_of(const struct secret *secret)
{
    struct pin pin = { .len = secret->len };

    memcpy(pin.at, secret_bytes(secret).at, secret->len);
    return pin;
}

static enum rc find_free_slot(const struct keys_module *module, CK_SLOT_ID *slot)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;

    CK_RV rv = module->call->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_GetSlotList", rv);
    for (CK_ULONG i = 0; i < count; i++)
        if (module->call->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            (info.flags & CKF_TOKEN_INITIALIZED) == 0) {
            *slot = slots[i];
            return RC_OK;
        }
    return fault(RC_LIMIT, "the PKCS#11 module has no slot with an empty HSM token");
}

static enum rc init_token(const struct keys_module *module, const char *label,
                          const struct secret *so_pin)
{
    CK_UTF8CHAR padded[NAME_MAX_LEN];
    CK_SLOT_ID slot = 0;

    if (strlen(label) > sizeof padded || label[0] == '\0')
        return fault(RC_LIMIT, "an HSM token's label has 1 to 32 characters: %s", label);
    enum rc rc = keys_module_find_slot(module, label, &slot, NULL);
    if (rc != RC_NOT_FOUND)
        return rc == RC_OK ? fault(RC_EXISTS, "HSM token %s exists", label) : rc;
    TRY(find_free_slot(module, &slot));
    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    struct pin pin = pin_of(so_pin);
    CK_RV rv = module->call->C_InitToken(slot, pin.at, pin.len, padded);
    OPENSSL_cleanse(&pin, sizeof pin);
    return rv == CKR_OK ? RC_OK : keys_module_fault(RC_CRYPTO, "C_InitToken", rv);
}

/* The slot is looked up again each time: SoftHSM renumbers it once its token is initialised. */
static enum rc open_session(struct keys_ceremony *ceremony, const char *label,
                            CK_USER_TYPE user, const struct secret *secret)
{
    CK_FUNCTION_LIST *call = ceremony->module->call;
    CK_SLOT_ID slot = 0;

    TRY(keys_module_find_slot(ceremony->module, label, &slot, NULL));
    CK_RV rv = call->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                   &ceremony->session);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_OpenSession", rv);
    struct pin pin = pin_of(secret);
    rv = call->C_Login(ceremony->session, user, pin.at, pin.len);
    OPENSSL_cleanse(&pin, sizeof pin);
    if (rv == CKR_OK)
        return RC_OK;
    return keys_module_fault(keys_ladder_rung(rv) == KEYS_LADDER_STOP ? RC_DENIED : RC_CRYPTO,
                             "C_Login", rv);
}

static enum rc set_user_pin(struct keys_ceremony *ceremony, const struct secret *user_pin)
{
    CK_FUNCTION_LIST *call = ceremony->module->call;
    struct pin pin = pin_of(user_pin);

    CK_RV rv = call->C_InitPIN(ceremony->session, pin.at, pin.len);
    OPENSSL_cleanse(&pin, sizeof pin);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_InitPIN", rv);
    call->C_Logout(ceremony->session);
    call->C_CloseSession(ceremony->session);
    return RC_OK;
}

static enum rc begin(const char *module, struct keys_ceremony **ceremony)
{
    struct keys_ceremony *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "key ceremony");
    enum rc rc = keys_module_open(module, &made->module);
    if (rc == RC_OK)
        *ceremony = made;
    else
        free(made);
    return rc;
}

enum rc keys_ceremony_create(const char *module, const char *label, const struct secret *so_pin,
                             const struct secret *user_pin, struct keys_ceremony **ceremony)
{
    AUTO_OF(keys_ceremony) *made = NULL;

    TRY(begin(module, &made));
    TRY(init_token(made->module, label, so_pin));
    TRY(open_session(made, label, CKU_SO, so_pin));
    TRY(set_user_pin(made, user_pin));
    TRY(open_session(made, label, CKU_USER, user_pin));
    *ceremony = TAKE(made);
    return RC_OK;
}

enum rc keys_ceremony_open(const char *module, const char *label, const struct secret *user_pin,
                           struct keys_ceremony **ceremony)
{
    AUTO_OF(keys_ceremony) *made = NULL;

    TRY(begin(module, &made));
    TRY(open_session(made, label, CKU_USER, user_pin));
    *ceremony = TAKE(made);
    return RC_OK;
}

void keys_ceremony_close(struct keys_ceremony *ceremony)
{
    if (ceremony == NULL)
        return;
    if (ceremony->session != 0) {
        ceremony->module->call->C_Logout(ceremony->session);
        ceremony->module->call->C_CloseSession(ceremony->session);
    }
    keys_module_close(ceremony->module);
    free(ceremony);
}

/* What the token made of our wishes counts, not what we wished. */
static enum rc check_private(const struct keys_ceremony *ceremony, CK_OBJECT_HANDLE key,
                             const char *name)
{
    CK_BBOOL sensitive = CK_FALSE, confined = CK_FALSE;
    CK_ATTRIBUTE asked[] = { { CKA_ALWAYS_SENSITIVE, &sensitive, sizeof sensitive },
                             { CKA_NEVER_EXTRACTABLE, &confined, sizeof confined } };

    CK_RV rv = ceremony->module->call->C_GetAttributeValue(ceremony->session, key, asked, 2);
    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "C_GetAttributeValue", rv);
    if (sensitive != CK_TRUE || confined != CK_TRUE)
        return fault(RC_CRYPTO, "the HSM token made key %s so that it could leave it", name);
    return RC_OK;
}

static enum rc generate(const struct keys_ceremony *ceremony, const char *name,
                        CK_OBJECT_HANDLE *private_key)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    uint8_t curve[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    char label[NAME_MAX_LEN] = "";
    size_t len = strlen(name);
    CK_MECHANISM mechanism = { .mechanism = CKM_EC_KEY_PAIR_GEN };
    CK_OBJECT_HANDLE public_key = 0;

    memcpy(label, name, len);
    CK_ATTRIBUTE public_wanted[] = {
        { CKA_TOKEN, &yes, sizeof yes },
        { CKA_VERIFY, &yes, sizeof yes },
        { CKA_LABEL, label, len },
        { CKA_ID, label, len },
        { CKA_ENCRYPT, &no, sizeof no },
        { CKA_WRAP, &no, sizeof no },
        { CKA_EC_PARAMS, curve, sizeof curve },
    };
    CK_ATTRIBUTE private_wanted[] = {
        { CKA_TOKEN, &yes, sizeof yes },     { CKA_PRIVATE, &yes, sizeof yes },
        { CKA_SENSITIVE, &yes, sizeof yes }, { CKA_EXTRACTABLE, &no, sizeof no },
        { CKA_SIGN, &yes, sizeof yes },      { CKA_DECRYPT, &no, sizeof no },
        { CKA_DERIVE, &no, sizeof no },      { CKA_UNWRAP, &no, sizeof no },
        { CKA_LABEL, label, len },           { CKA_ID, label, len },
    };
    CK_RV rv = ceremony->module->call->C_GenerateKeyPair(
        ceremony->session, &mechanism, public_wanted,
        sizeof public_wanted / sizeof *public_wanted, private_wanted,
        sizeof private_wanted / sizeof *private_wanted, &public_key, private_key);
    return rv == CKR_OK ? RC_OK : keys_module_fault(RC_CRYPTO, "C_GenerateKeyPair", rv);
}

enum rc keys_ceremony_make_key(struct keys_ceremony *ceremony, const char *name,
                               uint8_t spki[KEYS_CEREMONY_SPKI])
{
    CK_OBJECT_HANDLE key = 0;

    if (name[0] == '\0' || strlen(name) > NAME_MAX_LEN)
        return fault(RC_LIMIT, "a key's label has 1 to 32 characters: %s", name);
    enum rc rc = keys_module_find_object(ceremony->module, ceremony->session, CKO_PRIVATE_KEY,
                                         name, &key);
    if (rc != RC_NOT_FOUND)
        return rc == RC_OK ? fault(RC_EXISTS, "key %s exists", name) : rc;
    TRY(generate(ceremony, name, &key));
    TRY(check_private(ceremony, key, name));
    return keys_ceremony_read_key(ceremony, name, spki);
}

enum rc keys_ceremony_read_key(struct keys_ceremony *ceremony, const char *name,
                               uint8_t spki[KEYS_CEREMONY_SPKI])
{
    return keys_module_read_public(ceremony->module, ceremony->session, name, spki);
}

enum rc keys_ceremony_sign(struct keys_ceremony *ceremony, const char *name,
                           struct bytes message, struct buf *signature)
{
    uint8_t digest[KEYS_MODULE_DIGEST], made[KEYS_MODULE_SIGNATURE];
    CK_OBJECT_HANDLE key = 0;
    size_t len = 0;
    CK_RV rv = CKR_OK;

    TRY(keys_module_find_object(ceremony->module, ceremony->session, CKO_PRIVATE_KEY, name,
                                &key));
    if (EVP_Digest(message.at, message.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256");
    TRY(keys_module_sign(ceremony->module, ceremony->session, key, BYTES_OF(digest), made, &len,
                         &rv));
    buf_add(signature, (struct bytes){ made, len });
    return RC_OK;
}
