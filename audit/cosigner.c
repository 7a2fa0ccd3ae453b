#include "audit/cosignature.h"

#include <inttypes.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE = 64, PEM_MAX = 4096, MESSAGE_MAX = AUDIT_NOTE_MAX + 64 };

AUTO_TYPE(BIO, BIO_free_all)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

struct audit_cosigner {
    EVP_PKEY *key;
    struct audit_witness witness;
};

void audit_cosigner_free(struct audit_cosigner *cosigner)
{
    if (cosigner == NULL)
        return;
    EVP_PKEY_free(cosigner->key);
    free(cosigner);
}

/* Owns the key from here on. */
static enum rc make(struct bytes name, EVP_PKEY *key, struct audit_cosigner **cosigner)
{
    AUTO_OF(audit_cosigner) *made = calloc(1, sizeof *made);
    uint8_t public[AUDIT_WITNESS_KEY];
    size_t len = sizeof public;

    if (made == NULL) {
        EVP_PKEY_free(key);
        return fault(RC_NOMEM, "a witness's key");
    }
    made->key = key;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, public, &len) != 1 || len != sizeof public)
        return fault(RC_DENIED, "a witness's key is an Ed25519 key");
    TRY(audit_witness_of(name, public, &made->witness));
    *cosigner = TAKE(made);
    return RC_OK;
}

enum rc audit_cosigner_new(struct bytes name, struct audit_cosigner **cosigner)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    return key == NULL ? fault(RC_CRYPTO, "no Ed25519 key can be made")
                       : make(name, key, cosigner);
}

/* A passphrase is never asked for. */
static int no_passphrase(char *to, int room, int writing, void *with)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)with;
    return -1;
}

enum rc audit_cosigner_read(struct bytes name, struct bytes pem,
                            struct audit_cosigner **cosigner)
{
    AUTO(BIO) *bio = pem.len <= PEM_MAX ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;
    EVP_PKEY *key =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    return key == NULL ? fault(RC_MALFORMED, "a witness's key: not PEM of a private key")
                       : make(name, key, cosigner);
}

enum rc audit_cosigner_write(const struct audit_cosigner *cosigner, struct buf *pem)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_secmem());
    char *at = NULL;

    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, cosigner->key, NULL, NULL, 0, NULL, NULL) != 1)
        return fault(RC_CRYPTO, "a witness's key cannot be written");
    long len = BIO_get_mem_data(bio, &at);
    buf_add(pem, (struct bytes){ (const uint8_t *)at, len < 0 ? 0 : (size_t)len });
    return RC_OK;
}

const struct audit_witness *audit_cosigner_witness(const struct audit_cosigner *cosigner)
{
    return &cosigner->witness;
}

enum rc audit_cosigner_sign(const struct audit_cosigner *cosigner, struct bytes text,
                            uint64_t time_s, struct buf *line)
{
    AUTO_BUF(message, MESSAGE_MAX);
    AUTO_BUF(timed, 8 + SIGNATURE);
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();
    struct bytes bytes;
    size_t len = SIGNATURE;

    buf_addf(&message, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    buf_add(&message, text);
    TRY(buf_done(&message, &bytes));
    buf_add_u64(&timed, time_s);
    uint8_t *signature = buf_extend(&timed, SIGNATURE);
    if (context == NULL || signature == NULL ||
        EVP_DigestSignInit(context, NULL, NULL, NULL, cosigner->key) != 1 ||
        EVP_DigestSign(context, signature, &len, bytes.at, bytes.len) != 1 || len != SIGNATURE)
        return fault(RC_CRYPTO, "a witness's signature cannot be made");
    audit_note_add_line(line, bytes_of_text(cosigner->witness.name), cosigner->witness.id,
                        buf_bytes(&timed));
    return RC_OK;
}
