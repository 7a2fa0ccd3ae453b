#include "tests/support/soft_ca.h"

#include "tests/support/check.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <string.h>

static void fill_point(const BIGNUM *number, uint8_t point[PKI_POINT_LEN])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = EC_POINT_new(group);

    assert_int_equal(EC_POINT_mul(group, p, number, NULL, NULL, NULL), 1);
    assert_int_equal(
        EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point, PKI_POINT_LEN, NULL),
        PKI_POINT_LEN);
    EC_POINT_free(p);
    EC_GROUP_free(group);
}

void soft_key_make(struct soft_key *key, const char *name)
{
    uint8_t hash[PKI_HASH_LEN];

    *key = (struct soft_key){ 0 };
    assert_int_equal(pki_key_hash(bytes_of_text(name), hash), RC_OK);
    BIGNUM *number = BN_bin2bn(hash, sizeof hash, NULL);
    fill_point(number, key->point);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, key->point, PKI_POINT_LEN);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key->key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(number);
    assert_int_equal(pki_key_identifier(BYTES_OF(key->point), key->key_id), RC_OK);
}

void soft_key_clear(struct soft_key *key)
{
    EVP_PKEY_free(key->key);
    key->key = NULL;
}

enum rc soft_key_sign(void *with, const char *key, enum keys_kind kind,
                      struct bytes to_be_signed, struct buf *signature)
{
    const struct soft_key *signer = with;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[128];
    size_t len = sizeof made;

    (void)key;
    (void)kind;
    int ok = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
             EVP_DigestSign(context, made, &len, to_be_signed.at, to_be_signed.len) == 1;
    EVP_MD_CTX_free(context);
    if (!ok)
        return fault(RC_CRYPTO, "no signature");
    buf_add(signature, (struct bytes){ made, len });
    return RC_OK;
}

void soft_serial(uint8_t serial[PKI_SERIAL_LEN], const char *text)
{
    uint8_t hash[PKI_HASH_LEN];

    assert_int_equal(pki_key_hash(bytes_of_text(text), hash), RC_OK);
    memcpy(serial, hash, PKI_SERIAL_LEN);
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
}

static void issue(struct soft_ca *ca, const struct pki_profile *profile,
                  const struct pki_issuer *issuer, struct soft_key *signer,
                  const struct pki_holder *holder, const struct soft_key *key, struct buf *out)
{
    AUTO_OF(pki_template) *template = NULL;
    struct pki_signing signing = { soft_key_sign, signer };
    struct pki_contents contents = { .holder = holder, .point = BYTES_OF(key->point) };

    assert_int_equal(pki_template_new(profile, issuer, &template), RC_OK);
    assert_int_equal(pki_template_validity(template, ca->now_s, 0, &contents.not_before,
                                           &contents.not_after),
                     RC_OK);
    soft_serial(contents.serial, profile->name);
    enum rc rc = pki_issue_certificate(template, ca->verifier, &signing, "key", &contents, out);
    if (rc != RC_OK)
        fail_msg("%s", fault_reason());
}

void soft_ca_open(struct soft_ca *ca)
{
    const struct pki_holder root = { .id = BYTES("Test root"), .organization = BYTES("Acme") };
    const struct pki_holder issuing = { .id = BYTES("Test devices"),
                                        .organization = BYTES("Acme") };
    struct pki_issuer issuer = { .not_before = 0, .not_after = INT64_MAX };

    *ca = (struct soft_ca){
        .now_s = SOFT_NOW,
        .root_name = BUF_MAX(512),
        .issuing_name = BUF_MAX(512),
        .root_der = BUF_MAX(PKI_REQUEST_MAX),
        .issuing_der = BUF_MAX(PKI_REQUEST_MAX),
    };
    soft_key_make(&ca->root, "root");
    soft_key_make(&ca->issuing, "issuing");
    assert_int_equal(pki_verifier_new(&ca->verifier), RC_OK);
    const struct pki_profile *profile = pki_profile_find("root");
    assert_int_equal(pki_profile_write_subject(profile, &root, &ca->root_name), RC_OK);
    issuer.name = buf_bytes(&ca->root_name);
    issuer.key_id = BYTES_OF(ca->root.key_id);
    issue(ca, profile, &issuer, &ca->root, &root, &ca->root, &ca->root_der);

    profile = pki_profile_find("issuing");
    assert_int_equal(pki_profile_write_subject(profile, &issuing, &ca->issuing_name), RC_OK);
    issue(ca, profile, &issuer, &ca->root, &issuing, &ca->issuing, &ca->issuing_der);
    ca->issuer = (struct pki_issuer){
        .name = buf_bytes(&ca->issuing_name),
        .key_id = BYTES_OF(ca->issuing.key_id),
        .not_before = SOFT_NOW - 300,
        .not_after = SOFT_NOW + profile->lifetime_s,
        .crl_url = "http://pki.example/devices.crl",
        .issuer_url = "http://pki.example/devices.cer",
    };
}

void soft_ca_close(struct soft_ca *ca)
{
    soft_key_clear(&ca->root);
    soft_key_clear(&ca->issuing);
    pki_verifier_free(ca->verifier);
    buf_clear(&ca->root_name);
    buf_clear(&ca->issuing_name);
    buf_clear(&ca->root_der);
    buf_clear(&ca->issuing_der);
}

void soft_ca_issue(struct soft_ca *ca, const struct pki_profile *profile,
                   const struct pki_holder *holder, const struct soft_key *key,
                   struct buf *certificate)
{
    issue(ca, profile, &ca->issuer, &ca->issuing, holder, key, certificate);
}

X509 *soft_x509(struct bytes der)
{
    const unsigned char *at = der.at;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);

    assert_non_null(x);
    assert_ptr_equal(at, der.at + der.len);
    return x;
}
