#include "tests/support/check.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "keys/provider.h"

/* The other side: a software key that signs what it is asked to, and remembers how often. */
struct fixture {
    EVP_PKEY *real;    /* both halves, libcrypto's own */
    EVP_PKEY *checker; /* its public half */
    EVP_PKEY *key;     /* the provider's */
    struct keys_provider *provider;
    struct keys_provider_asker asker;
    unsigned asked;
    size_t asked_len;
    enum rc answer;
};

static enum rc sign(void *with, const char *key, struct bytes message, struct buf *signature)
{
    struct fixture *it = with;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[80];
    size_t len = sizeof made;

    assert_string_equal(key, "ocsp");
    it->asked++;
    it->asked_len = message.len;
    if (it->answer == RC_OK) {
        assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, it->real), 1);
        assert_int_equal(EVP_DigestSign(context, made, &len, message.at, message.len), 1);
        buf_add(signature, (struct bytes){ made, len });
    }
    EVP_MD_CTX_free(context);
    return it->answer;
}

static int prepare(void **state)
{
    struct fixture *it = calloc(1, sizeof *it);
    unsigned char *spki = NULL;

    assert_non_null(it);
    it->asker = (struct keys_provider_asker){ sign, it };
    it->real = EVP_EC_gen("P-256");
    int len = i2d_PUBKEY(it->real, &spki);
    assert_int_equal(len, 91);
    const unsigned char *at = spki;
    it->checker = d2i_PUBKEY(NULL, &at, len);
    assert_int_equal(keys_provider_open(&it->provider), RC_OK);
    assert_int_equal(keys_provider_key(it->provider, "ocsp",
                                       (struct bytes){ spki, (size_t)len }, &it->asker,
                                       &it->key),
                     RC_OK);
    OPENSSL_free(spki);
    *state = it;
    return 0;
}

static int clean(void **state)
{
    struct fixture *it = *state;

    EVP_PKEY_free(it->key);
    EVP_PKEY_free(it->real);
    EVP_PKEY_free(it->checker);
    keys_provider_close(it->provider);
    free(it);
    return 0;
}

static X509 *make_certificate(struct fixture *it)
{
    X509 *made = X509_new();
    X509_NAME *name = X509_get_subject_name(made);

    assert_int_equal(X509_set_version(made, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(made), 7), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"x", 1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(made, name), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(made), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(made), 3600));
    assert_int_equal(X509_set_pubkey(made, it->key), 1);
    assert_true(X509_sign(made, it->key, EVP_sha256()) > 0);
    /* Read again, since X509_set_pubkey() keeps our EVP_PKEY, which cannot verify. */
    unsigned char *der = NULL;
    int len = i2d_X509(made, &der);
    const unsigned char *at = der;
    X509_free(made);
    made = d2i_X509(NULL, &at, len);
    OPENSSL_free(der);
    assert_non_null(made);
    return made;
}

static void a_certificate_signed_through_it_verifies(void **state)
{
    struct fixture *it = *state;
    X509 *made = make_certificate(it);

    assert_int_equal(X509_verify(made, it->checker), 1);
    assert_int_equal(it->asked, 1);
    assert_int_equal(X509_get_signature_nid(made), NID_ecdsa_with_SHA256);
    assert_int_equal(X509_check_private_key(made, it->key), 1);
    X509_free(made);
}

static void a_request_signed_through_it_verifies(void **state)
{
    struct fixture *it = *state;
    X509_REQ *made = X509_REQ_new();

    assert_int_equal(X509_REQ_set_version(made, 0), 1);
    assert_int_equal(X509_REQ_set_pubkey(made, it->key), 1);
    assert_true(X509_REQ_sign(made, it->key, EVP_sha256()) > 0);
    assert_int_equal(X509_REQ_verify(made, it->checker), 1);
    X509_REQ_free(made);
}

static void a_cms_signature_through_it_verifies(void **state)
{
    struct fixture *it = *state;
    X509 *signer = make_certificate(it);
    BIO *data = BIO_new_mem_buf("firmware", 8);
    CMS_ContentInfo *made = CMS_sign(signer, it->key, NULL, data, CMS_BINARY | CMS_NOSMIMECAP);

    assert_non_null(made);
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(made, &der);
    const unsigned char *at = der;
    CMS_ContentInfo_free(made);
    made = d2i_CMS_ContentInfo(NULL, &at, len);
    OPENSSL_free(der);
    assert_int_equal(CMS_verify(made, NULL, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY), 1);
    CMS_ContentInfo_free(made);
    BIO_free(data);
    X509_free(signer);
}

static void an_ocsp_answer_signed_through_it_verifies(void **state)
{
    struct fixture *it = *state;
    X509 *signer = make_certificate(it);
    OCSP_BASICRESP *made = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha256(), signer, signer);
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);

    assert_non_null(
        OCSP_basic_add1_status(made, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, NULL));
    assert_int_equal(OCSP_basic_sign(made, signer, it->key, EVP_sha256(), NULL, 0), 1);
    STACK_OF(X509) *certs = sk_X509_new_null();
    sk_X509_push(certs, signer);
    assert_int_equal(OCSP_basic_verify(made, certs, NULL, OCSP_NOVERIFY), 1);
    sk_X509_free(certs);
    ASN1_TIME_free(now);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(made);
    X509_free(signer);
}

static void a_message_in_pieces_is_asked_about_once_and_whole(void **state)
{
    struct fixture *it = *state;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[80];
    size_t len = sizeof made;

    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, it->key, NULL),
                     1);
    assert_int_equal(EVP_DigestSignUpdate(context, "abc", 3), 1);
    assert_int_equal(EVP_DigestSignUpdate(context, "defg", 4), 1);
    assert_int_equal(EVP_DigestSignFinal(context, made, &len), 1);
    assert_int_equal(it->asked, 1);
    assert_int_equal(it->asked_len, 7);
    EVP_MD_CTX_free(context);

    context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, it->checker), 1);
    assert_int_equal(EVP_DigestVerify(context, made, len, (const uint8_t *)"abcdefg", 7), 1);
    EVP_MD_CTX_free(context);
}

static void a_refusal_of_the_signer_fails_the_signature(void **state)
{
    struct fixture *it = *state;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[80] = { 0 };
    size_t len = sizeof made;

    it->answer = RC_DENIED;
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, it->key, NULL),
                     1);
    assert_int_not_equal(EVP_DigestSign(context, made, &len, (const uint8_t *)"x", 1), 1);
    for (size_t i = 0; i < sizeof made; i++)
        assert_int_equal(made[i], 0);
    EVP_MD_CTX_free(context);
}

static void a_bare_digest_is_not_signed(void **state)
{
    struct fixture *it = *state;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, it->key, NULL);

    assert_non_null(context);
    assert_int_not_equal(EVP_PKEY_sign_init(context), 1);
    assert_int_equal(it->asked, 0);
    EVP_PKEY_CTX_free(context);
}

static void another_hash_than_sha256_is_refused(void **state)
{
    struct fixture *it = *state;
    static const char *const HASHES[] = { "SHA1", "SHA384", "SHA512" };

    for (size_t i = 0; i < sizeof HASHES / sizeof *HASHES; i++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_not_equal(
            EVP_DigestSignInit_ex(context, NULL, HASHES[i], NULL, NULL, it->key, NULL), 1);
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(it->asked, 0);
}

static void the_private_half_is_not_exported(void **state)
{
    struct fixture *it = *state;
    unsigned char *der = NULL;
    BIGNUM *secret = NULL;

    assert_true(i2d_PrivateKey(it->key, &der) <= 0);
    assert_null(der);
    assert_int_not_equal(EVP_PKEY_get_bn_param(it->key, "priv", &secret), 1);
    assert_null(secret);
    ERR_clear_error();
}

static void what_is_not_a_p256_key_makes_none(void **state)
{
    struct fixture *it = *state;
    uint8_t spki[91] = { 0x30, 0x59 };
    EVP_PKEY *made = NULL;

    assert_int_equal(
        keys_provider_key(it->provider, "ocsp", (struct bytes){ spki, 90 }, &it->asker, &made),
        RC_MALFORMED);
    assert_int_equal(keys_provider_key(it->provider, "ocsp", BYTES_OF(spki), &it->asker, &made),
                     RC_CRYPTO);
    assert_null(made);
}

#define WITH_KEY(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEY(a_certificate_signed_through_it_verifies),
        WITH_KEY(a_request_signed_through_it_verifies),
        WITH_KEY(a_cms_signature_through_it_verifies),
        WITH_KEY(an_ocsp_answer_signed_through_it_verifies),
        WITH_KEY(a_message_in_pieces_is_asked_about_once_and_whole),
        WITH_KEY(a_refusal_of_the_signer_fails_the_signature),
        WITH_KEY(a_bare_digest_is_not_signed),
        WITH_KEY(another_hash_than_sha256_is_refused),
        WITH_KEY(the_private_half_is_not_exported),
        WITH_KEY(what_is_not_a_p256_key_makes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
