#include "broker/own_key.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

AUTO_TYPE(X509, X509_free)
AUTO_TYPE(X509_REQ, X509_REQ_free)
AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)

enum { HASH = 32, PART_MAX = 4096, RENEW_AT = 3 /* a third of life is left */ };

static const struct bytes MAGIC = { (const uint8_t *)"touchmark-key-1\n", 16 };

struct broker_own_key {
    EVP_PKEY *pkey;
    X509 *leaf, *issuer;
    int64_t not_before_s, not_after_s;
};

static enum rc refused(const char *what)
{
    return fault(RC_CRYPTO, "%s: %s", what, ERR_reason_error_string(ERR_get_error()));
}

void broker_own_key_free(struct broker_own_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    X509_free(key->leaf);
    X509_free(key->issuer);
    free(key);
}

static enum rc hold(EVP_PKEY *pkey, struct broker_own_key **key)
{
    AUTO(EVP_PKEY) *owned = pkey;
    struct broker_own_key *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "the door's key");
    made->pkey = TAKE(owned);
    *key = made;
    return RC_OK;
}

enum rc broker_own_key_make(struct broker_own_key **key)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");

    return pkey == NULL ? refused("make the door's key") : hold(pkey, key);
}

enum rc broker_own_key_request(const struct broker_own_key *key, struct buf *csr)
{
    AUTO(X509_REQ) *request = X509_REQ_new();
    uint8_t *der = NULL;

    if (request == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request, key->pkey) != 1 ||
        X509_REQ_sign(request, key->pkey, EVP_sha256()) <= 0)
        return refused("request the door's certificate");
    int len = i2d_X509_REQ(request, &der);
    if (len <= 0)
        return refused("write the door's request");
    buf_add(csr, (struct bytes){ der, (size_t)len });
    OPENSSL_free(der);
    return csr->broken ? fault(RC_LIMIT, "the door's request of %d octets", len) : RC_OK;
}

static enum rc to_seconds(const ASN1_TIME *time, int64_t *seconds)
{
    struct tm civil;

    if (ASN1_TIME_to_tm(time, &civil) != 1)
        return refused("a date of the door's certificate");
    *seconds = timegm(&civil);
    return RC_OK;
}

static enum rc read_certificate(struct bytes der, X509 **certificate)
{
    const uint8_t *at = der.at;
    AUTO(X509) *read = d2i_X509(NULL, &at, (long)der.len);

    if (read == NULL || at != der.at + der.len)
        return fault(RC_MALFORMED, "the door's certificate is none");
    *certificate = TAKE(read);
    return RC_OK;
}

enum rc broker_own_key_certify(struct broker_own_key *key, struct bytes certificate)
{
    AUTO(X509) *leaf = NULL;
    int64_t not_before_s = 0, not_after_s = 0;

    TRY(read_certificate(certificate, &leaf));
    if (X509_check_private_key(leaf, key->pkey) != 1) {
        ERR_clear_error();
        return fault(RC_DENIED, "the door's certificate is for another key");
    }
    TRY(to_seconds(X509_get0_notBefore(leaf), &not_before_s));
    TRY(to_seconds(X509_get0_notAfter(leaf), &not_after_s));
    X509_free(key->leaf);
    key->leaf = TAKE(leaf);
    key->not_before_s = not_before_s;
    key->not_after_s = not_after_s;
    return RC_OK;
}

enum rc broker_own_key_chain(struct broker_own_key *key, struct bytes authorities)
{
    struct reader r = READER(authorities);

    while (!r.broken && r.left.len > 0) {
        struct bytes der = reader_sized32(&r, PART_MAX);
        AUTO(X509) *one = NULL;
        TRY(read_certificate(der, &one));
        if (X509_NAME_cmp(X509_get_subject_name(one), X509_get_issuer_name(key->leaf)) != 0)
            continue;
        X509_free(key->issuer);
        key->issuer = TAKE(one);
        return RC_OK;
    }
    return fault(RC_NOT_FOUND, "the issuer of the door's certificate is not known");
}

int64_t broker_own_key_renew_at_s(const struct broker_own_key *key)
{
    return key->not_after_s - (key->not_after_s - key->not_before_s) / RENEW_AT;
}

int64_t broker_own_key_not_after_s(const struct broker_own_key *key)
{
    return key->not_after_s;
}

/* ---- In the memfd: magic 16, SHA-256 of what follows 32, PKCS#8 sized32, certificate sized32
 * ---- */

static enum rc hash_of(struct bytes bytes, uint8_t hash[HASH])
{
    return EVP_Digest(bytes.at, bytes.len, hash, NULL, EVP_sha256(), NULL) == 1
               ? RC_OK
               : refused("hash the door's key");
}

static enum rc add_parts(const struct broker_own_key *key, struct buf *parts)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    uint8_t *pkcs8 = NULL, *leaf = NULL;
    int pkcs8_len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &pkcs8);
    int leaf_len = i2d_X509(key->leaf, &leaf);

    if (pkcs8_len > 0 && leaf_len > 0) {
        buf_add_sized32(parts, (struct bytes){ pkcs8, (size_t)pkcs8_len });
        buf_add_sized32(parts, (struct bytes){ leaf, (size_t)leaf_len });
    }
    OPENSSL_clear_free(pkcs8, pkcs8_len > 0 ? (size_t)pkcs8_len : 0);
    OPENSSL_free(leaf);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (parts->len == 0 || parts->broken)
        return refused("write the door's key");
    return RC_OK;
}

static void wipe(struct buf *buf)
{
    if (buf->at != NULL)
        OPENSSL_cleanse(buf->at, buf->room);
    buf_clear(buf);
}

enum rc broker_own_key_keep(const struct broker_own_key *key, int memfd)
{
    [[gnu::cleanup(wipe)]] struct buf parts = BUF_MAX(2 * PART_MAX);
    [[gnu::cleanup(wipe)]] struct buf whole = BUF_MAX(BROKER_OWN_KEY_BYTES);
    uint8_t hash[HASH];

    buf_extend(&parts, PART_MAX); /* grown once: growing would leave copies of the key */
    buf_reset(&parts);
    buf_extend(&whole, BROKER_OWN_KEY_BYTES);
    buf_reset(&whole);
    TRY(add_parts(key, &parts));
    TRY(hash_of(buf_bytes(&parts), hash));
    buf_add(&whole, MAGIC);
    buf_add(&whole, BYTES_OF(hash));
    buf_add(&whole, buf_bytes(&parts));
    if (whole.broken)
        return fault(RC_LIMIT, "the door's key and certificate are too long");
    if (pwrite(memfd, whole.at, whole.len, 0) != (ssize_t)whole.len)
        return fault_errno("keep the door's key");
    return RC_OK;
}

static enum rc read_parts(struct bytes parts, struct broker_own_key **key)
{
    struct reader r = READER(parts);
    struct bytes pkcs8 = reader_sized32(&r, PART_MAX);
    struct bytes leaf = reader_sized32(&r, PART_MAX);
    const uint8_t *at = pkcs8.at;
    AUTO_OF(broker_own_key) *read = NULL;

    if (r.broken)
        return fault(RC_CORRUPT, "the kept key of the door is cut short");
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)pkcs8.len);
    if (pkey == NULL) {
        ERR_clear_error();
        return fault(RC_CORRUPT, "the kept key of the door is no key");
    }
    TRY(hold(pkey, &read));
    TRY(broker_own_key_certify(read, leaf));
    *key = TAKE(read);
    return RC_OK;
}

/* Parts are as long as they say; the rest of the memfd is zeros. */
static size_t parts_len(struct bytes from)
{
    struct reader r = READER(from);

    reader_sized32(&r, PART_MAX);
    reader_sized32(&r, PART_MAX);
    return r.broken ? 0 : from.len - r.left.len;
}

enum rc broker_own_key_recall(int memfd, struct broker_own_key **key)
{
    [[gnu::cleanup(wipe)]] struct buf whole = BUF_MAX(BROKER_OWN_KEY_BYTES);
    uint8_t *at = buf_extend(&whole, BROKER_OWN_KEY_BYTES), hash[HASH];

    if (at == NULL)
        return fault(RC_NOMEM, "the kept key of the door");
    ssize_t got = pread(memfd, at, BROKER_OWN_KEY_BYTES, 0);
    if (got < 0)
        return fault_errno("read the kept key of the door");
    struct reader r = READER(((struct bytes){ at, (size_t)got }));
    struct bytes magic = reader_take(&r, MAGIC.len), said = reader_take(&r, HASH);
    if (r.broken || !bytes_equal(magic, MAGIC))
        return fault(RC_NOT_FOUND, "no key of the door is kept");
    struct bytes parts = { r.left.at, parts_len(r.left) };
    TRY(hash_of(parts, hash));
    if (parts.len == 0 || !bytes_equal(BYTES_OF(hash), said))
        return fault(RC_CORRUPT, "the kept key of the door is not whole");
    return read_parts(parts, key);
}

enum rc broker_own_key_install(const struct broker_own_key *key, struct ssl_ctx_st *context)
{
    if (SSL_CTX_use_certificate(context, key->leaf) != 1 ||
        SSL_CTX_use_PrivateKey(context, key->pkey) != 1 ||
        (key->issuer != NULL && SSL_CTX_add1_chain_cert(context, key->issuer) != 1))
        return refused("use the door's key");
    return RC_OK;
}
