#include "store/seal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum {
    VERSION = 1,
    NONCE_BYTES = 12,
    TAG_BYTES = 16,
    NONCES = 64,
    AAD_MAX = 5 + 2 + UINT16_MAX + 2 + UINT16_MAX
};
static const uint64_t VALUES_MAX = 1ULL << 32; /* NIST SP 800-38D 8.3, random nonces */

struct store_seal {
    EVP_CIPHER_CTX *sealing, *opening; /* with the key's schedule in them */
    uint32_t key_id;
    uint64_t sealed;
    /* Drawn many at a time: one draw costs ten times what sealing 200 bytes does. */
    uint8_t nonces[NONCES][NONCE_BYTES];
    size_t nonces_left;
};

static enum rc fault_crypto(const char *what)
{
    return fault(RC_CRYPTO, "seal: %s", what);
}

enum rc store_seal_change_key(struct store_seal *seal, const struct secret *key,
                              uint32_t key_id)
{
    if (key->len != STORE_SEAL_KEY)
        return fault(RC_MALFORMED, "seal: key of %zu bytes, %d are needed", key->len,
                     STORE_SEAL_KEY);
    /* Naming it again would look it up again. */
    const EVP_CIPHER *cipher =
        EVP_CIPHER_CTX_get0_cipher(seal->opening) == NULL ? EVP_aes_256_gcm() : NULL;
    if (EVP_EncryptInit_ex(seal->sealing, cipher, NULL, key->at, NULL) != 1 ||
        EVP_DecryptInit_ex(seal->opening, cipher, NULL, key->at, NULL) != 1)
        return fault_crypto("AES-256-GCM is not to be had");
    seal->key_id = key_id;
    seal->sealed = 0;
    return RC_OK;
}

enum rc store_seal_new(const struct secret *key, uint32_t key_id, struct store_seal **seal)
{
    AUTO_OF(store_seal) *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "seal");
    made->sealing = EVP_CIPHER_CTX_new();
    made->opening = EVP_CIPHER_CTX_new();
    if (made->sealing == NULL || made->opening == NULL)
        return fault(RC_NOMEM, "seal");
    TRY(store_seal_change_key(made, key, key_id));
    *seal = TAKE(made);
    return RC_OK;
}

void store_seal_free(struct store_seal *seal)
{
    if (seal == NULL)
        return;
    EVP_CIPHER_CTX_free(seal->sealing); /* cleanses the key schedule */
    EVP_CIPHER_CTX_free(seal->opening);
    OPENSSL_cleanse(seal, sizeof *seal);
    free(seal);
}

static enum rc take_nonce(struct store_seal *seal, const uint8_t **nonce)
{
    if (seal->sealed >= VALUES_MAX)
        return fault(RC_LIMIT, "seal: key %u has sealed 2^32 values", seal->key_id);
    if (seal->nonces_left == 0) {
        if (RAND_bytes(seal->nonces[0], sizeof seal->nonces) != 1)
            return fault_crypto("no random bytes");
        seal->nonces_left = NONCES;
    }
    seal->sealed++;
    *nonce = seal->nonces[--seal->nonces_left];
    return RC_OK;
}

static void add_head(struct buf *buf, uint32_t key_id)
{
    buf_add_u8(buf, VERSION);
    buf_add_u32(buf, key_id);
}

static enum rc build_aad(const struct store_seal *seal, const struct store_place *place,
                         struct buf *aad)
{
    struct bytes unused;

    add_head(aad, seal->key_id);
    buf_add_sized16(aad, place->table);
    buf_add_sized16(aad, place->key);
    return buf_done(aad, &unused);
}

static enum rc encrypt(EVP_CIPHER_CTX *with, const uint8_t *nonce, struct bytes aad,
                       struct bytes plain, uint8_t *to)
{
    int n = 0;

    if (EVP_EncryptInit_ex(with, NULL, NULL, NULL, nonce) != 1 ||
        EVP_EncryptUpdate(with, NULL, &n, aad.at, (int)aad.len) != 1 ||
        (plain.len > 0 && EVP_EncryptUpdate(with, to, &n, plain.at, (int)plain.len) != 1) ||
        EVP_EncryptFinal_ex(with, to + plain.len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + plain.len) != 1)
        return fault_crypto("encryption failed");
    return RC_OK;
}

enum rc store_seal_add(struct store_seal *seal, const struct store_place *place,
                       struct bytes plain, struct buf *out)
{
    AUTO_BUF(aad, AAD_MAX);
    const uint8_t *nonce = NULL;
    size_t before = out->len;

    if (plain.len > INT_MAX - STORE_SEAL_OVERHEAD)
        return fault(RC_LIMIT, "seal: %zu bytes are too many", plain.len);
    TRY(build_aad(seal, place, &aad));
    TRY(take_nonce(seal, &nonce));
    add_head(out, seal->key_id);
    buf_add(out, (struct bytes){ nonce, NONCE_BYTES });
    uint8_t *to = buf_extend(out, plain.len + TAG_BYTES);
    if (to == NULL)
        return fault(RC_LIMIT, "seal: no room for %zu bytes", plain.len);
    enum rc rc = encrypt(seal->sealing, nonce, buf_bytes(&aad), plain, to);
    if (rc != RC_OK)
        buf_cut(out, before);
    return rc;
}

struct sealed {
    uint32_t key_id;
    struct bytes nonce, text, tag;
};

static enum rc split(struct bytes bytes, struct sealed *sealed)
{
    struct reader r = READER(bytes);

    if (bytes.len < STORE_SEAL_OVERHEAD || bytes.len > INT_MAX)
        return fault(RC_CORRUPT, "seal: a sealed value of %zu bytes", bytes.len);
    unsigned version = reader_u8(&r);
    if (version != VERSION)
        return fault(RC_CORRUPT, "seal: version %u, %d is known", version, VERSION);
    sealed->key_id = reader_u32(&r);
    sealed->nonce = reader_take(&r, NONCE_BYTES);
    sealed->text = reader_take(&r, r.left.len - TAG_BYTES);
    sealed->tag = r.left;
    return RC_OK;
}

static bool decrypt(EVP_CIPHER_CTX *with, const struct sealed *sealed, struct bytes aad,
                    uint8_t *to)
{
    void *tag = (void *)(uintptr_t)sealed->tag.at; /* not const in OpenSSL, and only read */
    uint8_t nothing[1];
    int n = 0;

    return EVP_DecryptInit_ex(with, NULL, NULL, NULL, sealed->nonce.at) == 1 &&
           EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptUpdate(with, NULL, &n, aad.at, (int)aad.len) == 1 &&
           (sealed->text.len == 0 ||
            EVP_DecryptUpdate(with, to, &n, sealed->text.at, (int)sealed->text.len) == 1) &&
           EVP_DecryptFinal_ex(with, nothing, &n) == 1;
}

enum rc store_seal_open(struct store_seal *seal, const struct store_place *place,
                        struct bytes bytes, struct buf *out)
{
    AUTO_BUF(aad, AAD_MAX);
    struct sealed sealed = { 0 };
    size_t before = out->len;

    TRY(split(bytes, &sealed));
    if (sealed.key_id != seal->key_id)
        return fault(RC_NOT_FOUND, "seal: sealed under key %u, this is key %u", sealed.key_id,
                     seal->key_id);
    TRY(build_aad(seal, place, &aad));
    uint8_t *to = sealed.text.len > 0 ? buf_extend(out, sealed.text.len) : NULL;
    if (to == NULL && sealed.text.len > 0)
        return fault(RC_LIMIT, "seal: no room for %zu bytes", sealed.text.len);
    if (decrypt(seal->opening, &sealed, buf_bytes(&aad), to))
        return RC_OK;
    /* What did not authenticate must not be used, not even by mistake. */
    if (sealed.text.len > 0)
        OPENSSL_cleanse(to, sealed.text.len);
    buf_cut(out, before);
    return fault(RC_CORRUPT, "seal: the value is altered, or not of this place");
}

enum rc store_seal_key_id(struct bytes bytes, uint32_t *key_id)
{
    struct sealed sealed = { 0 };

    TRY(split(bytes, &sealed));
    *key_id = sealed.key_id;
    return RC_OK;
}
