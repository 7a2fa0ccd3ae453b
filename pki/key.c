#include "pki/key.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/der.h"
#include "pki/oid.h"

/* SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING of 65 octets: the octets up to
 * the point, which then starts with 04. */
static const uint8_t BEFORE_POINT[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

static const uint8_t ECDSA_WITH_SHA256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                             0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

enum { UNCOMPRESSED = 0x04, COORDINATE_LEN = 32 };

static enum rc refuse_oid(struct bytes oid, const char *what, const char *allowed)
{
    AUTO_BUF(text, 256);
    const char *dotted = "";

    der_add_oid_text(&text, oid);
    TRY(buf_text(&text, &dotted));
    return fault(RC_DENIED, "%s %s; allowed is %s", what, dotted, allowed);
}

/* Why a SubjectPublicKeyInfo is not the one form: only run for a refusal. */
static enum rc explain(struct bytes spki)
{
    static const char ALLOWED[] = "an EC key on P-256 (secp256r1, 1.2.840.10045.3.1.7)";
    struct der der = der_open(spki);
    struct der info = der_enter(&der, DER_SEQUENCE);
    struct der algorithm = der_enter(&info, DER_SEQUENCE);
    struct bytes type = der_take_oid(&algorithm), curve = { 0 };

    bool ec = der_oid_is(type, PKI_OID_EC_PUBLIC_KEY);
    bool named = ec && der_peek(&algorithm) == DER_OID;
    if (named)
        curve = der_take_oid(&algorithm);
    else if (der_peek(&algorithm) != 0)
        der_take_whole(&algorithm);
    der_leave(&info, &algorithm);
    struct bytes key = der_take_bits(&info);
    der_leave(&der, &info);
    TRY(der_finish(&der, "subjectPublicKeyInfo"));
    if (!ec)
        return refuse_oid(type, "RFC 5280 4.1.2.7: public key algorithm", ALLOWED);
    if (!named)
        return fault(RC_MALFORMED, "RFC 5480 2.1.1: curve parameters without a curve's name");
    if (!der_oid_is(curve, PKI_OID_SECP256R1))
        return refuse_oid(curve, "RFC 5480 2.1.1.1: curve", ALLOWED);
    if (key.len == COORDINATE_LEN + 1 && (key.at[0] == 2 || key.at[0] == 3))
        return fault(RC_DENIED,
                     "RFC 5480 2.2: compressed point; allowed is the uncompressed form");
    return fault(RC_MALFORMED, "RFC 5480 2.2: no uncompressed point of %d octets",
                 PKI_POINT_LEN);
}

enum rc pki_key_read(struct bytes spki, struct bytes *point)
{
    if (spki.len != PKI_KEY_LEN || !bytes_start_with(spki, BYTES_OF(BEFORE_POINT)) ||
        spki.at[sizeof BEFORE_POINT] != UNCOMPRESSED)
        return explain(spki);
    *point = (struct bytes){ spki.at + sizeof BEFORE_POINT, PKI_POINT_LEN };
    return RC_OK;
}

void pki_key_add(struct buf *buf, struct bytes point)
{
    buf->broken = buf->broken || point.len != PKI_POINT_LEN;
    buf_add(buf, BYTES_OF(BEFORE_POINT));
    buf_add(buf, point);
}

enum rc pki_key_hash(struct bytes bytes, uint8_t hash[PKI_HASH_LEN])
{
    uint8_t made[EVP_MAX_MD_SIZE];

    if (EVP_Digest(bytes.at, bytes.len, made, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256 failed");
    memcpy(hash, made, PKI_HASH_LEN);
    return RC_OK;
}

enum rc pki_key_identifier(struct bytes point, uint8_t key_id[PKI_KEY_ID_LEN])
{
    uint8_t hash[PKI_HASH_LEN];

    TRY(pki_key_hash(point, hash));
    memcpy(key_id, hash, PKI_KEY_ID_LEN);
    return RC_OK;
}

void pki_key_add_algorithm(struct buf *buf)
{
    buf_add(buf, BYTES_OF(ECDSA_WITH_SHA256));
}

enum rc pki_key_check_algorithm(struct bytes algorithm)
{
    struct der der = der_open(algorithm);

    if (bytes_equal(algorithm, BYTES_OF(ECDSA_WITH_SHA256)))
        return RC_OK;
    struct der in = der_enter(&der, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&in);
    if (in.why == NULL && der_oid_is(oid, PKI_OID_ECDSA_WITH_SHA256))
        return fault(RC_MALFORMED, "RFC 5758 3.2: ecdsa-with-SHA256 with parameters");
    if (in.why == NULL)
        return refuse_oid(oid, "RFC 5280 4.1.1.2: signature algorithm",
                          "ecdsa-with-SHA256 (1.2.840.10045.4.3.2)");
    der_leave(&der, &in);
    return der_finish(&der, "signature algorithm");
}

enum rc pki_key_check_signature(struct bytes signature)
{
    struct der der = der_open(signature);
    struct der in = der_enter(&der, DER_SEQUENCE);

    for (int i = 0; i < 2; i++) {
        struct bytes number = der_take_unsigned(&in);
        if (in.why == NULL && (number.len == 0 || number.len > COORDINATE_LEN))
            der_break(&in, "RFC 3279 2.2.3: r or s not in 1 to 2^256");
    }
    der_leave(&der, &in);
    return der_finish(&der, "ECDSA signature");
}
