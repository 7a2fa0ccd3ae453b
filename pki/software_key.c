#include "pki/software_key.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/der.h"
#include "pki/signed.h"

AUTO_TYPE(BIO, BIO_vfree)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

enum { REQUEST_INFO_MAX = 4096, SIGNATURE_MAX = 256 };

struct pki_software_key {
    EVP_PKEY *pkey;
    uint8_t spki[PKI_KEY_LEN];
};

/* The element is put together by our own writer: OpenSSL 3.0's encoder costs a hundred times as
 * much. */
static enum rc read_public(struct pki_software_key *key)
{
    AUTO_BUF(spki, PKI_KEY_LEN);
    uint8_t point[PKI_POINT_LEN];
    struct bytes element;
    size_t len = 0;

    if (EVP_PKEY_get_octet_string_param(key->pkey, "pub", point, sizeof point, &len) != 1 ||
        len != sizeof point)
        return fault(RC_CRYPTO, "no uncompressed point of a new key");
    pki_key_add(&spki, BYTES_OF(point));
    TRY(buf_done(&spki, &element));
    struct reader r = READER(element);
    reader_copy(&r, key->spki, sizeof key->spki);
    return reader_done(&r) ? RC_OK
                           : fault(RC_CRYPTO, "a public key of %zu octets", element.len);
}

enum rc pki_software_key_make(struct pki_software_key **key)
{
    AUTO_OF(pki_software_key) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "software key");
    made->pkey = EVP_EC_gen("P-256");
    if (made->pkey == NULL)
        return fault(RC_CRYPTO, "no P-256 key could be made");
    TRY(read_public(made));
    *key = TAKE(made);
    return RC_OK;
}

void pki_software_key_free(struct pki_software_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

struct bytes pki_software_key_public(const struct pki_software_key *key)
{
    return BYTES_OF(key->spki);
}

enum rc pki_software_key_add_pem(const struct pki_software_key *key, struct buf *pem)
{
    AUTO(BIO) *memory = BIO_new(BIO_s_secmem());
    char *at = NULL;

    if (memory == NULL ||
        PEM_write_bio_PKCS8PrivateKey(memory, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return fault(RC_CRYPTO, "write a private key");
    long len = BIO_get_mem_data(memory, &at);
    buf_add(pem, (struct bytes){ (const uint8_t *)at, (size_t)len });
    return pem->broken ? fault(RC_LIMIT, "private key of %ld bytes", len) : RC_OK;
}

void pki_software_key_wipe(struct buf *pem)
{
    if (pem->at != NULL)
        OPENSSL_cleanse(pem->at, pem->room);
    buf_clear(pem);
}

/* An encrypted one is refused: nobody is there to be asked for its passphrase. */
static int no_passphrase(char *into, int room, int writing, void *with)
{
    (void)into;
    (void)room;
    (void)writing;
    (void)with;
    return -1;
}

enum rc pki_software_key_read(struct bytes pem, struct pki_software_key **key)
{
    AUTO_OF(pki_software_key) *read = calloc(1, sizeof *read);
    AUTO(BIO) *memory = BIO_new_mem_buf(pem.at, (int)pem.len);

    if (read == NULL || memory == NULL)
        return fault(RC_NOMEM, "software key");
    read->pkey = PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, NULL);
    if (read->pkey == NULL)
        return fault(RC_MALFORMED, "no private key in PEM, or an encrypted one");
    if (read_public(read) != RC_OK)
        return fault(RC_DENIED, "a private key that is not on P-256");
    *key = TAKE(read);
    return RC_OK;
}

static enum rc sign(const struct pki_software_key *key, struct bytes message,
                    struct buf *signature)
{
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();
    size_t len = SIGNATURE_MAX;

    if (context == NULL)
        return fault(RC_NOMEM, "signature");
    uint8_t *at = buf_extend(signature, len);
    if (at == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, at, &len, message.at, message.len) != 1)
        return fault(RC_CRYPTO, "a software key did not sign");
    buf_cut(signature, len);
    return RC_OK;
}

enum rc pki_software_key_request(const struct pki_software_key *key, struct bytes subject,
                                 struct buf *request)
{
    AUTO_BUF(info, REQUEST_INFO_MAX);
    AUTO_BUF(signature, SIGNATURE_MAX);
    struct bytes to_be_signed;
    size_t mark = der_begin(&info, DER_SEQUENCE);

    der_add_u63(&info, 0);
    buf_add(&info, subject);
    buf_add(&info, pki_software_key_public(key));
    der_add(&info, DER_CONTEXT_CONSTRUCTED(0), (struct bytes){ 0 });
    der_end(&info, mark);
    TRY(buf_done(&info, &to_be_signed));
    TRY(sign(key, to_be_signed, &signature));
    return pki_signed_assemble(to_be_signed, buf_bytes(&signature), request);
}
