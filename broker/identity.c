#include "broker/identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

static enum rc hash_der(uint8_t *der, int len, uint8_t hash[32])
{
    int done = len > 0 && EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    if (done)
        return RC_OK;
    ERR_clear_error();
    return fault(RC_CRYPTO, "hash a part of a certificate");
}

static enum rc read_hashes(const X509 *leaf, struct broker_identity *identity)
{
    uint8_t *issuer = NULL, *key = NULL;
    unsigned len = sizeof identity->fingerprint.at;

    if (X509_digest(leaf, EVP_sha256(), identity->fingerprint.at, &len) != 1)
        return fault(RC_CRYPTO, "hash a certificate");
    int issuer_len = i2d_X509_NAME(X509_get_issuer_name(leaf), &issuer);
    TRY(hash_der(issuer, issuer_len, identity->issuer_hash));
    int key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &key);
    return hash_der(key, key_len, identity->key_hash);
}

/* What it is called, for policies; a name with several is called nothing. */
static void read_issuer(const X509 *leaf, struct broker_identity *identity)
{
    X509_NAME *name = X509_get_issuer_name(leaf);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    uint8_t *text = NULL;

    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return;
    int len =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len > 0 && len <= BROKER_ISSUER_MAX && memchr(text, '\0', (size_t)len) == NULL)
        memcpy(identity->issuer_name, text, (size_t)len);
    OPENSSL_free(text);
    ERR_clear_error();
}

enum rc broker_identity_read(const struct x509_st *leaf, struct broker_identity *identity)
{
    struct broker_identity read = { .shown = true, .verdict = REGISTRY_UNKNOWN };
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);

    TRY(read_hashes(leaf, &read));
    read_issuer(leaf, &read);
    /* A longer one is none of ours, and not told. */
    if (serial->length > 0 && serial->length <= REGISTRY_SERIAL_MAX) {
        memcpy(read.serial, serial->data, (size_t)serial->length);
        read.serial_len = (uint8_t)serial->length;
    }
    *identity = read;
    return RC_OK;
}

enum rc broker_identity_der(const struct x509_st *leaf, struct buf *der)
{
    uint8_t *out = NULL;
    int len = i2d_X509(leaf, &out);

    if (len > 0)
        buf_add(der, (struct bytes){ out, (size_t)len });
    OPENSSL_free(out);
    return len > 0 && !der->broken ? RC_OK : fault(RC_LIMIT, "a certificate of %d octets", len);
}

/* ---- What a stranger shows ---- */

enum { NAME_SHOWN = 80 };

static void add_name(const X509_NAME *name, const char *lead, struct buf *text)
{
    BIO *made = BIO_new(BIO_s_mem());
    char *at = NULL;

    if (made != NULL && X509_NAME_print_ex(made, name, 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(made, &at);
        buf_addf(text, "%s", lead);
        buf_add(text,
                (struct bytes){ (uint8_t *)at, len < NAME_SHOWN ? (size_t)len : NAME_SHOWN });
        buf_addf(text, len > NAME_SHOWN ? "..." : "");
    }
    BIO_free(made);
}

void broker_identity_describe(const struct x509_st *leaf, struct buf *text)
{
    struct tm end;

    buf_addf(text, "; shown: until ");
    if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) == 1)
        buf_addf(text, "%04d-%02d-%02dT%02d:%02d:%02dZ", end.tm_year + 1900, end.tm_mon + 1,
                 end.tm_mday, end.tm_hour, end.tm_min, end.tm_sec);
    else
        buf_addf(text, "no time");
    add_name(X509_get_issuer_name(leaf), ", issuer ", text);
    add_name(X509_get_subject_name(leaf), ", subject ", text);
    ERR_clear_error();
}

/* ---- Judged ---- */

static enum registry_verdict conclude(struct broker_identity *identity, unsigned kinds,
                                      enum registry_verdict verdict,
                                      const struct registry_certificate *certificate,
                                      const struct registry_subject *subject)
{
    if (certificate->kind != 0) {
        identity->kind = certificate->kind;
        identity->role = subject->kind != 0 ? subject->role : REGISTRY_ROLE_NONE;
        memcpy(identity->id, certificate->subject, sizeof identity->id);
        identity->expires_s = certificate->not_after_s;
        if (verdict == REGISTRY_ACCEPTED && (kinds & 1U << certificate->kind) == 0)
            verdict = REGISTRY_FOREIGN;
    }
    identity->verdict = verdict;
    return verdict;
}

enum registry_verdict broker_identity_judge(struct broker_identity *identity,
                                            struct broker_front *front, unsigned kinds,
                                            int64_t now_s, struct registry_subject *subject)
{
    struct registry_certificate certificate;
    struct registry_subject holder;

    enum registry_verdict verdict =
        broker_front_judge(front, &identity->fingerprint, now_s, &certificate, &holder);
    if (subject != NULL)
        *subject = holder;
    return conclude(identity, kinds, verdict, &certificate, &holder);
}

enum registry_verdict broker_identity_learn(struct broker_identity *identity, unsigned kinds,
                                            const struct registry_answer *answer)
{
    return conclude(identity, kinds, answer->verdict, &answer->certificate, &answer->subject);
}

struct audit_certificate broker_identity_certificate(const struct broker_identity *identity)
{
    if (!identity->shown)
        return (struct audit_certificate){ 0 };
    return (struct audit_certificate){
        .fingerprint = BYTES_OF(identity->fingerprint.at),
        .serial = { identity->serial, identity->serial_len },
        .issuer = BYTES_OF(identity->issuer_hash),
        .key = BYTES_OF(identity->key_hash),
    };
}

enum audit_actor_kind broker_identity_actor(const struct broker_identity *identity)
{
    switch (identity->kind) {
    case REGISTRY_DEVICE:
        return AUDIT_DEVICE;
    case REGISTRY_OPERATOR:
        return AUDIT_OPERATOR;
    case REGISTRY_LINE:
        return AUDIT_LINE;
    case REGISTRY_DOOR:
        break;
    }
    return AUDIT_NOBODY;
}
