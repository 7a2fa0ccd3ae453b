#include "tests/support/check.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/der.h"
#include "pki/alt_name.h"
#include "pki/name.h"
#include "pki/oid.h"
#include "pki/profile.h"
#include "pki/request.h"
#include "tests/support/soft_ca.h"

static int open_verifier(void **state)
{
    struct pki_verifier *verifier = NULL;

    assert_int_equal(pki_verifier_new(&verifier), RC_OK);
    *state = verifier;
    return 0;
}

static int close_verifier(void **state)
{
    pki_verifier_free(*state);
    return 0;
}

/* A request by libcrypto; extensions in OpenSSL's own words, NULL for none. */
struct asked {
    const char *common_name, *alt_names, *usage, *challenge;
};

static void add_extension(STACK_OF(X509_EXTENSION) * list, int nid, const char *value)
{
    if (value == NULL)
        return;
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    sk_X509_EXTENSION_push(list, e);
}

static void make_request(EVP_PKEY *key, const struct asked *asked, struct buf *der)
{
    X509_REQ *r = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    unsigned char *at = NULL;

    X509_REQ_set_version(r, 0);
    if (asked->common_name != NULL)
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)asked->common_name, -1, -1, 0);
    X509_REQ_set_pubkey(r, key);
    add_extension(list, NID_subject_alt_name, asked->alt_names);
    add_extension(list, NID_key_usage, asked->usage);
    if (sk_X509_EXTENSION_num(list) > 0)
        X509_REQ_add_extensions(r, list);
    if (asked->challenge != NULL)
        X509_REQ_add1_attr_by_NID(r, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                  (const unsigned char *)asked->challenge, -1);
    bool edwards = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
    assert_true(X509_REQ_sign(r, key, edwards ? NULL : EVP_sha256()) > 0);
    int len = i2d_X509_REQ(r, &at);
    buf_add(der, (struct bytes){ at, (size_t)len });
    OPENSSL_free(at);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    X509_REQ_free(r);
}

static void reads_what_openssl_writes(void **state)
{
    static const struct asked ROWS[] = {
        { NULL, NULL, NULL, NULL },
        { "device", NULL, NULL, NULL },
        { "device", "DNS:a.example,URI:urn:x:y,IP:10.0.0.1", NULL, NULL },
        { "device", "URI:urn:x:y", "critical,digitalSignature", NULL },
        { "ger\xc3\xa4t", NULL, "digitalSignature,keyAgreement", "dGxzLXVuaXF1ZQ==" },
        { "device", NULL, NULL, "x" },
    };
    struct soft_key key;

    soft_key_make(&key, "leaf");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(der, PKI_REQUEST_MAX);
        struct pki_request r;
        struct bytes name;
        uint8_t hash[PKI_HASH_LEN];

        make_request(key.key, &ROWS[i], &der);
        if (pki_request_read(*state, buf_bytes(&der), &r) != RC_OK)
            fail_msg("row %zu: %s", i, fault_reason());
        assert_true(bytes_equal(r.point, BYTES_OF(key.point)));
        assert_int_equal(pki_name_count(r.subject), ROWS[i].common_name != NULL);
        if (ROWS[i].common_name != NULL) {
            assert_true(pki_name_find(r.subject, PKI_OID_COMMON_NAME, &name));
            assert_true(bytes_equal_text(name, ROWS[i].common_name));
        }
        assert_int_equal(r.extensions.count,
                         (ROWS[i].alt_names != NULL) + (ROWS[i].usage != NULL));
        assert_true(
            bytes_equal_text(r.challenge, ROWS[i].challenge != NULL ? ROWS[i].challenge : ""));
        EVP_Digest(r.public_key.at, r.public_key.len, hash, NULL, EVP_sha256(), NULL);
        assert_memory_equal(r.key_hash, hash, sizeof hash);
    }
    soft_key_clear(&key);
}

static void refuses_other_keys_by_name(void **state)
{
    static const struct asked PLAIN = { "device", NULL, NULL, NULL };
    EVP_PKEY *keys[] = {
        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"),
        EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048),
        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"),
    };
    static const char *const NAMED[] = {
        "RFC 5480 2.1.1.1: curve 1.3.132.0.34; allowed is an EC key",
        "RFC 5280 4.1.2.7: public key algorithm 1.2.840.113549.1.1.1; allowed is an EC key",
        "RFC 5280 4.1.2.7: public key algorithm 1.3.101.112; allowed is an EC key",
        "RFC 5480 2.1.1.1: curve 1.3.132.0.10; allowed is an EC key",
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        AUTO_BUF(der, PKI_REQUEST_MAX);
        struct pki_request r;

        make_request(keys[i], &PLAIN, &der);
        assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_DENIED);
        assert_non_null(strstr(fault_text(), NAMED[i]));
        EVP_PKEY_free(keys[i]);
    }
}

static const struct asked FULL = { "device", "URI:urn:x:y", "digitalSignature", "binding" };

static void refuses_every_truncation_and_a_tail(void **state)
{
    struct soft_key key;
    struct pki_request r, untouched;
    AUTO_BUF(der, PKI_REQUEST_MAX);

    memset(&r, 7, sizeof r);
    memset(&untouched, 7, sizeof untouched);
    soft_key_make(&key, "leaf");
    make_request(key.key, &FULL, &der);
    for (size_t len = 0; len < der.len; len++)
        assert_int_equal(pki_request_read(*state, (struct bytes){ der.at, len }, &r),
                         RC_MALFORMED);
    buf_add_u8(&der, 0);
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_MALFORMED);
    assert_memory_equal(&r, &untouched, sizeof r);
    soft_key_clear(&key);
}

static void refuses_every_flip_of_a_bit(void **state)
{
    struct soft_key key;
    struct pki_request r;
    AUTO_BUF(der, PKI_REQUEST_MAX);

    soft_key_make(&key, "leaf");
    make_request(key.key, &FULL, &der);
    for (size_t bit = 0; bit < 8 * der.len; bit++) {
        der.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (pki_request_read(*state, buf_bytes(&der), &r) == RC_OK)
            fail_msg("bit %zu", bit);
        der.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_OK);
    soft_key_clear(&key);
}

/* Parts of a request that libcrypto would not write; signed all the same. */
struct made {
    int version;
    struct bytes public_key; /* element; empty: the key's own */
    struct bytes attributes; /* content of [0]; no_attributes: without [0] */
    bool no_attributes;
    struct bytes algorithm; /* element; empty: ecdsa-with-SHA256 */
};

static void sign_request(const struct soft_key *key, const struct made *made, struct buf *der)
{
    AUTO_BUF(info, PKI_REQUEST_MAX * 2);
    AUTO_BUF(signature, 128);
    struct soft_key copy = *key;

    size_t mark = der_begin(&info, DER_SEQUENCE);
    der_add_u63(&info, (uint64_t)made->version);
    der_add(&info, DER_SEQUENCE, (struct bytes){ 0 });
    if (made->public_key.len > 0)
        buf_add(&info, made->public_key);
    else
        pki_key_add(&info, BYTES_OF(key->point));
    if (!made->no_attributes)
        der_add(&info, DER_CONTEXT_CONSTRUCTED(0), made->attributes);
    der_end(&info, mark);
    assert_int_equal(soft_key_sign(&copy, "", 0, buf_bytes(&info), &signature), RC_OK);

    mark = der_begin(der, DER_SEQUENCE);
    buf_add(der, buf_bytes(&info));
    if (made->algorithm.len > 0)
        buf_add(der, made->algorithm);
    else
        pki_key_add_algorithm(der);
    der_add_bits(der, buf_bytes(&signature));
    der_end(der, mark);
}

/* Attribute { challengePassword, SET { UTF8String "a" } } and its relatives. */
#define CHALLENGE_A                                                                            \
    "\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x03\x0c\x01"                     \
    "a"
#define CHALLENGE_B                                                                            \
    "\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x03\x0c\x01"                     \
    "b"
#define EXTENSION_REQUEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define KEY_USAGE         "\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x80"

static void refuses_hand_made_faults_by_name(void **state)
{
    static const struct {
        struct made made;
        enum rc rc;
        const char *why;
    } ROWS[] = {
        { { .version = 0 }, RC_OK, "" },
        { { .attributes = BYTES(CHALLENGE_A) }, RC_OK, "" },
        { { .attributes = BYTES("\x30\x1c" EXTENSION_REQUEST "\x31\x0f\x30\x0d" KEY_USAGE) },
          RC_OK,
          "" },
        { { .version = 1 }, RC_MALFORMED, "RFC 2986 4.1: version" },
        { { .no_attributes = true }, RC_MALFORMED, "an element is missing" },
        { { .attributes = BYTES(CHALLENGE_A CHALLENGE_B) },
          RC_MALFORMED,
          "5.4.1: challengePassw"
          "ord twice" },
        { { .attributes = BYTES(CHALLENGE_B CHALLENGE_A) }, RC_MALFORMED, "X.690 11.6" },
        { { .attributes =
                BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x00") },
          RC_MALFORMED,
          "RFC 2985 5.4.1" },
        { { .attributes =
                BYTES("\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x02\x0c\x00") },
          RC_MALFORMED,
          "not of 1 to 255" },
        { { .attributes =
                BYTES("\x30\x29" EXTENSION_REQUEST "\x31\x1c\x30\x1a" KEY_USAGE KEY_USAGE) },
          RC_MALFORMED,
          "RFC 5280 4.2: the same extension twice" },
        { { .attributes = BYTES("\x30\x2b" EXTENSION_REQUEST "\x31\x1e\x30\x0d" KEY_USAGE
                                "\x30\x0d" KEY_USAGE) },
          RC_MALFORMED,
          "more than belongs here" },
        { { .attributes = BYTES("\x30\x0f" EXTENSION_REQUEST "\x31\x02\x30\x00") },
          RC_MALFORMED,
          "extensions without any" },
        { { .attributes = BYTES("\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00") },
          RC_DENIED,
          "attribute 1.2.3; allowed are" },
        { { .algorithm = BYTES("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00") },
          RC_MALFORMED,
          "with parameters" },
        { { .algorithm = BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03") },
          RC_DENIED,
          "1.2.840.10045.4.3.3; allowed is ecdsa-with-SHA256" },
    };
    struct soft_key key;

    soft_key_make(&key, "leaf");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(der, PKI_REQUEST_MAX);
        struct pki_request r;

        sign_request(&key, &ROWS[i].made, &der);
        enum rc rc = pki_request_read(*state, buf_bytes(&der), &r);
        if (rc != ROWS[i].rc || (rc != RC_OK && strstr(fault_text(), ROWS[i].why) == NULL))
            fail_msg("row %zu: %s: %s", i, rc_name(rc), fault_text());
    }
    soft_key_clear(&key);
}

static void refuses_points_that_are_none(void **state)
{
    static const uint8_t INFINITY_POINT[] = {
        0x30, 0x19, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x02, 0x00, 0x00,
    };
    struct soft_key key;
    struct pki_request r;
    AUTO_BUF(spki, 256);
    AUTO_BUF(der, PKI_REQUEST_MAX);

    soft_key_make(&key, "leaf");
    pki_key_add(&spki, BYTES_OF(key.point));
    spki.at[spki.len - 1] ^= 1;
    sign_request(&key, &(struct made){ .public_key = buf_bytes(&spki) }, &der);
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_DENIED);
    assert_non_null(strstr(fault_text(), "does not lie on P-256"));

    buf_reset(&der);
    sign_request(&key, &(struct made){ .public_key = BYTES_OF(INFINITY_POINT) }, &der);
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_MALFORMED);

    uint8_t compressed[59];
    memcpy(compressed, INFINITY_POINT, 26);
    compressed[1] = 0x39;
    compressed[24] = 0x22;
    compressed[26] = (uint8_t)(2 | (key.point[64] & 1));
    memcpy(compressed + 27, key.point + 1, 32);
    buf_reset(&der);
    sign_request(&key, &(struct made){ .public_key = BYTES_OF(compressed) }, &der);
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_DENIED);
    assert_non_null(strstr(fault_text(), "RFC 5480 2.2: compressed point"));
    soft_key_clear(&key);
}

/* Signatures that libcrypto's own DER reader takes, or that stand for others. */
static void judge_signature(void **state, const struct buf *whole, const ECDSA_SIG *sig,
                            enum rc expected)
{
    unsigned char *at = NULL;
    int len = i2d_ECDSA_SIG(sig, &at);
    AUTO_BUF(der, PKI_REQUEST_MAX);
    struct pki_request r;
    struct der in = der_open(buf_bytes(whole)), outer = der_enter(&in, DER_SEQUENCE);

    size_t mark = der_begin(&der, DER_SEQUENCE);
    buf_add(&der, der_take_whole(&outer));
    buf_add(&der, der_take_whole(&outer));
    der_add_bits(&der, (struct bytes){ at, (size_t)len });
    der_end(&der, mark);
    assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), expected);
    OPENSSL_free(at);
}

static struct bytes signature_of(const struct buf *whole)
{
    struct der in = der_open(buf_bytes(whole)), outer = der_enter(&in, DER_SEQUENCE);

    der_take_whole(&outer);
    der_take_whole(&outer);
    return der_take_bits(&outer);
}

static void a_twin_signature_proves_as_much_and_zero_proves_nothing(void **state)
{
    struct soft_key key;
    AUTO_BUF(der, PKI_REQUEST_MAX);
    BIGNUM *order = NULL, *r = BN_new(), *s = BN_new();

    soft_key_make(&key, "leaf");
    make_request(key.key, &FULL, &der);
    struct bytes old = signature_of(&der);
    const unsigned char *at = old.at;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)old.len);
    BN_hex2bn(&order, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");

    BN_copy(r, ECDSA_SIG_get0_r(sig));
    BN_sub(s, order, ECDSA_SIG_get0_s(sig));
    ECDSA_SIG *other = ECDSA_SIG_new();
    ECDSA_SIG_set0(other, BN_dup(r), BN_dup(s));
    judge_signature(state, &der, other, RC_OK);

    BN_add(s, order, ECDSA_SIG_get0_s(sig));
    ECDSA_SIG_set0(other, BN_dup(r), BN_dup(s));
    judge_signature(state, &der, other, BN_num_bytes(s) > 32 ? RC_MALFORMED : RC_DENIED);
    ECDSA_SIG_set0(other, BN_dup(r), BN_dup(order));
    judge_signature(state, &der, other, RC_DENIED);
    BN_zero(s);
    ECDSA_SIG_set0(other, BN_dup(r), BN_dup(s));
    judge_signature(state, &der, other, RC_MALFORMED);
    ECDSA_SIG_set0(other, BN_dup(s), BN_dup(s));
    judge_signature(state, &der, other, RC_MALFORMED);
    ECDSA_SIG_set0(other, BN_dup(ECDSA_SIG_get0_s(sig)), BN_dup(r));
    judge_signature(state, &der, other, RC_DENIED);

    ECDSA_SIG_free(other);
    ECDSA_SIG_free(sig);
    BN_free(order);
    BN_free(r);
    BN_free(s);
    soft_key_clear(&key);
}

static void refuses_what_is_larger_than_the_limit_and_takes_what_is_not(void **state)
{
    struct soft_key key;
    struct pki_request r;
    AUTO_BUF(value, PKI_REQUEST_MAX * 2);
    AUTO_BUF(der, PKI_REQUEST_MAX * 2);

    soft_key_make(&key, "leaf");
    for (size_t most = 0; most < 2; most++) {
        size_t filler = PKI_REQUEST_MAX - 400 + 400 * most;
        buf_reset(&value);
        buf_reset(&der);
        size_t attribute = der_begin(&value, DER_SEQUENCE);
        der_add_oid(&value, PKI_OID_EXTENSION_REQUEST);
        size_t set = der_begin(&value, DER_SET), list = der_begin(&value, DER_SEQUENCE);
        struct pki_extension_mark mark = pki_extension_begin(&value, "1.2.3", false);
        assert_non_null(buf_extend(&value, filler));
        memset(value.at + value.len - filler, 0, filler);
        pki_extension_end(&value, mark);
        der_end(&value, list);
        der_end(&value, set);
        der_end(&value, attribute);
        sign_request(&key, &(struct made){ .attributes = buf_bytes(&value) }, &der);
        assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r),
                         most == 0 ? RC_OK : RC_LIMIT);
    }
    soft_key_clear(&key);
}

static void names_each_wish_that_is_not_fulfilled(void **state)
{
    static const struct {
        struct asked asked;
        const char *differences;
    } ROWS[] = {
        { { NULL, NULL, NULL, NULL }, "" },
        { { NULL, "URI:urn:touchmark:device:TM-1", "critical,digitalSignature", NULL }, "" },
        { { "root", NULL, NULL, NULL },
          "subject: asked commonName=\"root\", given serialNumber=\"TM-1\"\n" },
        { { NULL, "URI:urn:touchmark:device:TM-2,DNS:x.example", NULL, NULL },
          "subjectAltName: asked otherwise than profile device gives: URI "
          "\"urn:touchmark:device:TM-2\" DNS \"x.example\"\n" },
        { { NULL, NULL, "keyCertSign,cRLSign", NULL },
          "keyUsage: asked otherwise than profile device gives\n" },
    };
    const struct pki_holder holder = { .id = BYTES("TM-1") };
    struct soft_key key;

    soft_key_make(&key, "leaf");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(der, PKI_REQUEST_MAX);
        AUTO_BUF(differences, 4096);
        const char *text = NULL;
        struct pki_request r;

        make_request(key.key, &ROWS[i].asked, &der);
        assert_int_equal(pki_request_read(*state, buf_bytes(&der), &r), RC_OK);
        assert_int_equal(
            pki_profile_compare(pki_profile_find("device"), &holder, &r, &differences), RC_OK);
        assert_int_equal(buf_text(&differences, &text), RC_OK);
        assert_string_equal(text, ROWS[i].differences);
    }
    soft_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_openssl_writes),
        cmocka_unit_test(refuses_other_keys_by_name),
        cmocka_unit_test(refuses_every_truncation_and_a_tail),
        cmocka_unit_test(refuses_every_flip_of_a_bit),
        cmocka_unit_test(refuses_hand_made_faults_by_name),
        cmocka_unit_test(refuses_points_that_are_none),
        cmocka_unit_test(a_twin_signature_proves_as_much_and_zero_proves_nothing),
        cmocka_unit_test(refuses_what_is_larger_than_the_limit_and_takes_what_is_not),
        cmocka_unit_test(names_each_wish_that_is_not_fulfilled),
    };
    return cmocka_run_group_tests(tests, open_verifier, close_verifier);
}
