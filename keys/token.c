#include "keys/token.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pkcs11-helper-1.0/pkcs11h-token.h>
#include <string.h>

#include "keys/module.h"
#include "keys/rules.h"

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

struct keys_token {
    struct keys_module *module;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    bool helped; /* pkcs11h_initialize() was called */
    enum keys_ladder state;
    size_t count;
    struct token_key {
        char name[KEYS_NAME_MAX + 1];
        CK_OBJECT_HANDLE handle;
    } keys[KEYS_PER_RULES_MAX];
};

/* Any way in which the helper might want to ask again ends here. */
static PKCS11H_BOOL never_ask(void *global, void *user, const pkcs11h_token_id_t token,
                              const unsigned retry, char *const pin, const size_t pin_max)
{
    (void)global, (void)user, (void)token, (void)retry, (void)pin, (void)pin_max;
    return FALSE;
}

static CK_RV set_provider(const char *module)
{
    static const char NAME[] = "signer";
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_C_INITIALIZE_ARGS_PTR given = &args;

    CK_RV rv = pkcs11h_registerProvider(NAME);
    if (rv == CKR_OK)
        rv = pkcs11h_setProviderProperty(NAME, PKCS11H_PROVIDER_PROPERTY_LOCATION, module,
                                         strlen(module) + 1);
    if (rv == CKR_OK)
        rv = pkcs11h_setProviderProperty(NAME, PKCS11H_PROVIDER_PROPERTY_INIT_ARGS, &given,
                                         sizeof given);
    return rv == CKR_OK ? pkcs11h_initializeProvider(NAME) : rv;
}

/* keys_module_open() came first, so that the helper's C_Initialize finds it done, locks on. */
static enum rc start_helper(struct keys_token *token, const char *module)
{
    CK_RV rv = pkcs11h_initialize();

    if (rv != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "pkcs11h_initialize", rv);
    token->helped = true;
    pkcs11h_setLogLevel(PKCS11H_LOG_QUIET);
    if ((rv = pkcs11h_setForkMode(FALSE)) != CKR_OK ||
        (rv = pkcs11h_setMaxLoginRetries(1)) != CKR_OK ||
        (rv = pkcs11h_setPINPromptHook(never_ask, NULL)) != CKR_OK)
        return keys_module_fault(RC_CRYPTO, "set up pkcs11-helper", rv);
    rv = set_provider(module);
    return rv == CKR_OK ? RC_OK
                        : keys_module_fault(RC_CRYPTO, "pkcs11h_initializeProvider", rv);
}

static enum rc refuse_locked(const CK_TOKEN_INFO *info, const char *label)
{
    if (info->flags & CKF_USER_PIN_LOCKED)
        return fault(RC_DENIED, "the PIN of HSM token %s is locked", label);
    if (info->flags & CKF_USER_PIN_FINAL_TRY)
        return fault(RC_DENIED,
                     "HSM token %s allows one more PIN try: log in to it by hand first", label);
    if ((info->flags & CKF_USER_PIN_INITIALIZED) == 0)
        return fault(RC_DENIED, "HSM token %s has no user PIN", label);
    return RC_OK;
}

static CK_RV log_in_once(const char *label, const struct secret *pin)
{
    pkcs11h_token_id_list_t all = NULL;
    char text[SECRET_MAX + 1] = "";

    CK_RV rv = pkcs11h_token_enumTokenIds(PKCS11H_ENUM_METHOD_CACHE_EXIST, &all);
    if (rv != CKR_OK)
        return rv;
    pkcs11h_token_id_list_t one = all;
    while (one != NULL && strcmp(one->token_id->label, label) != 0)
        one = one->next;
    rv = CKR_TOKEN_NOT_PRESENT;
    if (one != NULL) {
        memcpy(text, secret_bytes(pin).at, pin->len);
        rv = pkcs11h_token_login(one->token_id, TRUE, text);
    }
    OPENSSL_cleanse(text, sizeof text);
    pkcs11h_token_freeTokenIdList(all);
    return rv;
}

static enum rc log_in(struct keys_token *token, const char *label, const struct secret *pin)
{
    CK_TOKEN_INFO info;

    TRY(keys_module_find_slot(token->module, label, &token->slot, &info));
    TRY(refuse_locked(&info, label));
    CK_RV rv = log_in_once(label, pin);
    if (rv == CKR_OK)
        return RC_OK;
    bool about_pin = keys_ladder_rung(rv) == KEYS_LADDER_STOP || rv == CKR_PIN_INVALID ||
                     rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_EXPIRED;
    return keys_module_fault(about_pin ? RC_DENIED : RC_CRYPTO, "C_Login", rv);
}

static enum rc open_session(struct keys_token *token)
{
    CK_RV rv = token->module->call->C_OpenSession(token->slot, CKF_SERIAL_SESSION, NULL, NULL,
                                                  &token->session);

    return rv == CKR_OK ? RC_OK : keys_module_fault(RC_CRYPTO, "C_OpenSession", rv);
}

enum rc keys_token_open(const char *module, const char *label, struct secret *pin,
                        struct keys_token **token)
{
    AUTO_OF(keys_token) *made = calloc(1, sizeof *made);
    enum rc rc = made == NULL ? fault(RC_NOMEM, "HSM token") : RC_OK;

    if (rc == RC_OK)
        rc = keys_module_open(module, &made->module);
    if (rc == RC_OK)
        rc = start_helper(made, module);
    if (rc == RC_OK)
        rc = log_in(made, label, pin);
    secret_clear(pin);
    TRY(rc);
    TRY(open_session(made));
    *token = TAKE(made);
    return RC_OK;
}

void keys_token_close(struct keys_token *token)
{
    if (token == NULL)
        return;
    if (token->helped)
        pkcs11h_terminate();
    keys_module_close(token->module);
    free(token);
}

static struct token_key *find_key(struct keys_token *token, const char *name)
{
    for (size_t i = 0; i < token->count; i++)
        if (bytes_equal_text(bytes_of_text(token->keys[i].name), name))
            return &token->keys[i];
    return NULL;
}

/* true if the rung was climbed, so that another try makes sense. */
static bool climb(struct keys_token *token, struct token_key *key, enum keys_ladder rung)
{
    if (rung == KEYS_LADDER_SESSION)
        return open_session(token) == RC_OK;
    if (rung == KEYS_LADDER_FIND)
        return keys_module_find_object(token->module, token->session, CKO_PRIVATE_KEY,
                                       key->name, &key->handle) == RC_OK;
    return false;
}

static enum rc sign_digest(struct keys_token *token, struct token_key *key, struct bytes digest,
                           struct buf *signature)
{
    uint8_t made[KEYS_MODULE_SIGNATURE];
    size_t len = 0;
    CK_RV rv = CKR_OK;

    for (unsigned climbed = 0;;) {
        enum rc rc = keys_module_sign(token->module, token->session, key->handle, digest, made,
                                      &len, &rv);
        if (rc == RC_OK)
            break;
        enum keys_ladder rung = keys_ladder_rung(rv);
        if (rung == KEYS_LADDER_REFUSE)
            return rc;
        if ((climbed & 1U << rung) != 0 || !climb(token, key, rung)) {
            token->state = rung == KEYS_LADDER_STOP ? KEYS_LADDER_STOP : KEYS_LADDER_INITIALISE;
            return keys_module_fault(RC_CRYPTO, "the HSM token must be opened again: sign", rv);
        }
        climbed |= 1U << rung;
    }
    buf_add(signature, (struct bytes){ made, len });
    return RC_OK;
}

enum rc keys_token_sign(struct keys_token *token, const char *name, struct bytes message,
                        struct buf *signature)
{
    uint8_t digest[KEYS_MODULE_DIGEST];
    struct token_key *key = find_key(token, name);

    if (key == NULL)
        return fault(RC_NOT_FOUND, "no key %s", name);
    if (message.len == 0)
        return fault(RC_MALFORMED, "nothing to sign");
    if (token->state != KEYS_LADDER_DONE)
        return fault(RC_CRYPTO, "the HSM token must be opened again");
    if (EVP_Digest(message.at, message.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256");
    return sign_digest(token, key, BYTES_OF(digest), signature);
}

enum keys_ladder keys_token_state(const struct keys_token *token)
{
    return token->state;
}

static enum rc prove(struct keys_token *token, const char *name, struct bytes public_key)
{
    static const char MESSAGE[] = "touchmark: this key and this public key belong together";
    AUTO_BUF(signature, KEYS_MODULE_SIGNATURE);
    const uint8_t *at = public_key.at;
    AUTO(EVP_PKEY) *key = d2i_PUBKEY(NULL, &at, (long)public_key.len);
    AUTO(EVP_MD_CTX) *verify = EVP_MD_CTX_new();

    TRY(keys_token_sign(token, name, BYTES_OF(MESSAGE), &signature));
    if (key == NULL || verify == NULL ||
        EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestVerify(verify, signature.at, signature.len, (const uint8_t *)MESSAGE,
                         sizeof MESSAGE) != 1)
        return fault(RC_CORRUPT, "the HSM token's keys labelled %s are not a pair", name);
    return RC_OK;
}

enum rc keys_token_add_key(struct keys_token *token, const char *name, struct bytes public_key)
{
    uint8_t found[KEYS_MODULE_SPKI];

    if (token->count == KEYS_PER_RULES_MAX || strlen(name) > KEYS_NAME_MAX)
        return fault(RC_LIMIT, "key %s: too many keys, or too long a name", name);
    TRY(keys_module_read_public(token->module, token->session, name, found));
    if (!bytes_equal(BYTES_OF(found), public_key))
        return fault(RC_CORRUPT, "the HSM token's key %s is not the one in the key rules",
                     name);

    struct token_key *key = &token->keys[token->count];
    *key = (struct token_key){ 0 };
    TRY(keys_module_find_object(token->module, token->session, CKO_PRIVATE_KEY, name,
                                &key->handle));
    memcpy(key->name, name, strlen(name));
    token->count++;
    enum rc rc = prove(token, name, public_key);
    if (rc != RC_OK)
        token->count--;
    return rc;
}
