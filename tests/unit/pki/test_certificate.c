#include "tests/support/check.h"

#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/oid.h"
#include "pki/signed.h"
#include "tests/support/openssl.h"
#include "tests/support/soft_ca.h"

static const struct pki_alt_name HOSTS[] = {
    { PKI_ALT_DNS, { (const uint8_t *)"door.example", 12 } },
    { PKI_ALT_ADDRESS, { (const uint8_t *)"\x7f\0\0\1", 4 } },
    { PKI_ALT_ADDRESS, { (const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16 } },
};

static const struct pki_holder DEVICE = { .id = BYTES("TM-0001") };
static const struct pki_holder OPERATOR = { .id = BYTES("alice"),
                                            .organization = BYTES("Acme") };
static const struct pki_holder LINE = { .id = BYTES("line_7") };
static const struct pki_holder DOOR = { .id = BYTES("device-door"),
                                        .hosts = HOSTS,
                                        .hosts_count = 3 };

static const struct {
    const char *profile;
    const struct pki_holder *holder;
    int purpose; /* that libcrypto must find it good for */
} LEAVES[] = {
    { "device", &DEVICE, X509_PURPOSE_SSL_CLIENT },
    { "operator", &OPERATOR, X509_PURPOSE_SSL_CLIENT },
    { "line", &LINE, X509_PURPOSE_SSL_CLIENT },
    { "door", &DOOR, X509_PURPOSE_SSL_SERVER },
};

static int verify(struct soft_ca *ca, X509 *leaf, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509 *root = soft_x509(buf_bytes(&ca->root_der));
    X509 *issuing = soft_x509(buf_bytes(&ca->issuing_der));
    STACK_OF(X509) *middle = sk_X509_new_null();

    X509_STORE_add_cert(store, root);
    sk_X509_push(middle, issuing);
    X509_VERIFY_PARAM_set_time(param, SOFT_NOW);
    X509_VERIFY_PARAM_set_flags(param,
                                X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    X509_STORE_CTX_init(context, store, leaf, middle);
    X509_verify_cert(context);
    int error = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    sk_X509_free(middle);
    X509_free(issuing);
    X509_free(root);
    X509_STORE_free(store);
    return error;
}

static void every_profile_passes_path_validation_for_its_purpose_only(void **state)
{
    struct soft_ca ca;
    struct soft_key key;

    (void)state;
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    for (size_t i = 0; i < sizeof LEAVES / sizeof *LEAVES; i++) {
        AUTO_BUF(der, PKI_CERTIFICATE_MAX);
        soft_ca_issue(&ca, pki_profile_find(LEAVES[i].profile), LEAVES[i].holder, &key, &der);
        X509 *leaf = soft_x509(buf_bytes(&der));
        int other = LEAVES[i].purpose == X509_PURPOSE_SSL_CLIENT ? X509_PURPOSE_SSL_SERVER
                                                                 : X509_PURPOSE_SSL_CLIENT;
        int error = verify(&ca, leaf, LEAVES[i].purpose);
        if (error != X509_V_OK)
            fail_msg("%s: %s", LEAVES[i].profile, X509_verify_cert_error_string(error));
        assert_int_not_equal(verify(&ca, leaf, other), X509_V_OK);
        X509_free(leaf);
    }
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void write_pem(const char *path, struct bytes der)
{
    X509 *x = soft_x509(der);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    PEM_write_X509(file, x);
    assert_int_equal(fclose(file), 0);
    X509_free(x);
}

static void openssl_verify_accepts_the_chain(void **state)
{
    static const char *const VERIFY[] = { "verify",      "-x509_strict", "-attime",
                                          "1767225600",  "-purpose",     "sslclient",
                                          "-CAfile",     "root.pem",     "-untrusted",
                                          "issuing.pem", "device.pem",   NULL };
    struct soft_ca ca;
    AUTO_BUF(said, 1 << 16);
    struct soft_key key;
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);

    (void)state;
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    soft_ca_issue(&ca, pki_profile_find("device"), &DEVICE, &key, &der);
    write_pem("root.pem", buf_bytes(&ca.root_der));
    write_pem("issuing.pem", buf_bytes(&ca.issuing_der));
    write_pem("device.pem", buf_bytes(&der));
    if (openssl_run(&said, VERIFY) != 0)
        fail_msg("%.*s", BYTES_FMT(buf_bytes(&said)));
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void add_extension(X509 *x, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, context, nid, value);

    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

/* The same certificate made of libcrypto's objects: the judge of D4. */
static X509 *second_issue(struct soft_ca *ca, const struct pki_contents *contents,
                          EVP_PKEY *key)
{
    X509 *x = X509_new(), *issuing = soft_x509(buf_bytes(&ca->issuing_der));
    BIGNUM *serial = BN_bin2bn(contents->serial, PKI_SERIAL_LEN, NULL);
    X509_NAME *subject = X509_NAME_new();
    X509V3_CTX context;

    X509_set_version(x, X509_VERSION_3);
    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
    X509_set_issuer_name(x, X509_get_subject_name(issuing));
    X509_NAME_add_entry_by_txt(subject, "serialNumber", V_ASN1_PRINTABLESTRING,
                               (const unsigned char *)"TM-0001", -1, -1, 0);
    X509_set_subject_name(x, subject);
    ASN1_TIME_set(X509_getm_notBefore(x), contents->not_before);
    ASN1_TIME_set(X509_getm_notAfter(x), contents->not_after);
    X509_set_pubkey(x, key);
    X509V3_set_ctx(&context, issuing, x, NULL, NULL, 0);
    add_extension(x, &context, NID_authority_key_identifier, "keyid:always");
    add_extension(x, &context, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, &context, NID_key_usage, "critical,digitalSignature");
    add_extension(x, &context, NID_ext_key_usage, "clientAuth");
    add_extension(x, &context, NID_crl_distribution_points,
                  "URI:http://pki.example/devices.crl");
    add_extension(x, &context, NID_info_access, "caIssuers;URI:http://pki.example/devices.cer");
    AUTO_BUF(key_id, 64);
    uint8_t hash[PKI_KEY_ID_LEN];
    assert_int_equal(pki_key_identifier(contents->point, hash), RC_OK);
    for (size_t i = 0; i < sizeof hash; i++)
        buf_addf(&key_id, "%s%02X", i > 0 ? ":" : "", hash[i]);
    const char *text = NULL;
    assert_int_equal(buf_text(&key_id, &text), RC_OK);
    add_extension(x, &context, NID_subject_key_identifier, text);
    add_extension(x, &context, NID_subject_alt_name, "URI:urn:touchmark:device:TM-0001");
    assert_true(X509_sign(x, ca->issuing.key, EVP_sha256()) > 0);
    X509_NAME_free(subject);
    BN_free(serial);
    X509_free(issuing);
    return x;
}

static void a_second_issue_through_libcryptos_objects_is_identical(void **state)
{
    static const int64_t STARTS[] = { SOFT_NOW, 2524607999 - 31536000, 2524608000, 4102444800 };
    struct soft_ca ca;
    struct soft_key key;

    (void)state;
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    ca.issuer.not_after = INT64_MAX;
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++) {
        AUTO_OF(pki_template) *template = NULL;
        AUTO_BUF(tbs, PKI_CERTIFICATE_MAX);
        struct pki_contents contents = { .holder = &DEVICE, .point = BYTES_OF(key.point) };
        unsigned char *theirs = NULL;

        assert_int_equal(pki_template_new(pki_profile_find("device"), &ca.issuer, &template),
                         RC_OK);
        soft_serial(contents.serial, "some serial");
        assert_int_equal(pki_template_validity(template, STARTS[i], 0, &contents.not_before,
                                               &contents.not_after),
                         RC_OK);
        assert_int_equal(pki_template_write(template, &contents, &tbs), RC_OK);
        X509 *x = second_issue(&ca, &contents, key.key);
        int len = i2d_re_X509_tbs(x, &theirs);
        assert_int_equal(len, tbs.len);
        assert_memory_equal(theirs, tbs.at, tbs.len);
        OPENSSL_free(theirs);
        X509_free(x);
    }
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void print_text(struct bytes der, struct buf *out)
{
    X509 *x = soft_x509(der);
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;

    /* No signature: ECDSA's is random. */
    assert_int_equal(X509_print_ex(bio, x, XN_FLAG_ONELINE, X509_FLAG_NO_SIGDUMP), 1);
    long len = BIO_get_mem_data(bio, &at);
    buf_add(out, (struct bytes){ (uint8_t *)at, (size_t)len });
    BIO_free(bio);
    X509_free(x);
}

/* tests/golden/pki: a change of a profile is a readable difference there. */
static void each_profile_prints_as_committed(void **state)
{
    const char *source = getenv("TOUCHMARK_SOURCE");
    struct soft_ca ca;
    struct soft_key key;

    (void)state;
    if (source == NULL)
        skip();
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    for (size_t i = 0; i < sizeof LEAVES / sizeof *LEAVES; i++) {
        AUTO_BUF(der, PKI_CERTIFICATE_MAX);
        AUTO_BUF(made, 1 << 16);
        AUTO_BUF(golden, 1 << 16);
        AUTO_BUF(path, 4096);
        const char *name = NULL;

        soft_ca_issue(&ca, pki_profile_find(LEAVES[i].profile), LEAVES[i].holder, &key, &der);
        print_text(buf_bytes(&der), &made);
        buf_addf(&path, "%s/tests/golden/pki/%s.txt", source, LEAVES[i].profile);
        assert_int_equal(buf_text(&path, &name), RC_OK);
        if (getenv("GOLDEN_WRITE") != NULL)
            assert_int_equal(file_write(AT_FDCWD, name, buf_bytes(&made), 0644), RC_OK);
        assert_int_equal(file_read(AT_FDCWD, name, &golden), RC_OK);
        if (!bytes_equal(buf_bytes(&made), buf_bytes(&golden)))
            fail_msg("%s differs from what is issued now:\n%.*s", name,
                     BYTES_FMT(buf_bytes(&made)));
    }
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void reads_back_all_that_was_written(void **state)
{
    struct soft_ca ca;
    struct soft_key key;
    struct pki_certificate c;
    struct bytes uri, point;
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint8_t serial[PKI_SERIAL_LEN];

    (void)state;
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    soft_ca_issue(&ca, pki_profile_find("device"), &DEVICE, &key, &der);
    assert_int_equal(pki_certificate_read(buf_bytes(&der), &c), RC_OK);
    X509 *x = soft_x509(buf_bytes(&der));
    assert_int_equal(X509_digest(x, EVP_sha256(), digest, NULL), 1);
    assert_memory_equal(c.fingerprint, digest, sizeof c.fingerprint);
    X509_free(x);
    soft_serial(serial, "device");
    assert_true(bytes_equal(c.serial, BYTES_OF(serial)));
    assert_true(bytes_equal(c.issuer, buf_bytes(&ca.issuing_name)));
    assert_int_equal(c.not_before, SOFT_NOW - 300);
    assert_int_equal(c.not_after, SOFT_NOW + 365 * 86400);
    assert_int_equal(pki_key_read(c.public_key, &point), RC_OK);
    assert_true(bytes_equal(point, BYTES_OF(key.point)));
    assert_false(c.constraints.ca);
    assert_int_equal(c.key_usage, PKI_DIGITAL_SIGNATURE);
    assert_int_equal(c.purposes, PKI_CLIENT_AUTH);
    assert_true(bytes_equal(c.key_id, BYTES_OF(key.key_id)));
    assert_true(bytes_equal(c.authority_key_id, BYTES_OF(ca.issuing.key_id)));
    assert_true(pki_certificate_uri(&c, &uri));
    assert_true(bytes_equal_text(uri, "urn:touchmark:device:TM-0001"));
    assert_int_equal(pki_certificate_read(buf_bytes(&ca.root_der), &c), RC_OK);
    assert_true(c.constraints.ca);
    assert_int_equal(c.constraints.path_length, 1);
    assert_true(bytes_equal(c.issuer, c.subject));
    assert_false(pki_certificate_uri(&c, &uri));
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void refuses_every_truncation_and_a_tail(void **state)
{
    struct soft_ca ca;
    struct pki_certificate c, untouched;

    (void)state;
    memset(&c, 7, sizeof c);
    memset(&untouched, 7, sizeof untouched);
    soft_ca_open(&ca);
    struct bytes whole = buf_bytes(&ca.issuing_der);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(pki_certificate_read((struct bytes){ whole.at, len }, &c),
                         RC_MALFORMED);
    buf_add_u8(&ca.issuing_der, 0);
    assert_int_equal(pki_certificate_read(buf_bytes(&ca.issuing_der), &c), RC_MALFORMED);
    assert_memory_equal(&c, &untouched, sizeof c);
    soft_ca_close(&ca);
}

static void dates_never_pass_the_issuers(void **state)
{
    struct soft_ca ca;
    AUTO_OF(pki_template) *template = NULL;
    int64_t from = -1, to = -1;

    (void)state;
    soft_ca_open(&ca);
    assert_int_equal(pki_template_new(pki_profile_find("device"), &ca.issuer, &template),
                     RC_OK);
    int64_t start = ca.issuer.not_before, end = ca.issuer.not_after;
    assert_int_equal(pki_template_validity(template, start - 1, 0, &from, &to), RC_DENIED);
    assert_int_equal(pki_template_validity(template, end, 0, &from, &to), RC_DENIED);
    assert_int_equal(from, -1);
    assert_int_equal(pki_template_validity(template, start, 0, &from, &to), RC_OK);
    assert_int_equal(from, start);
    assert_int_equal(to, start + 365 * 86400);
    assert_int_equal(pki_template_validity(template, end - 1, 0, &from, &to), RC_OK);
    assert_int_equal(from, end - 301);
    assert_int_equal(to, end);
    int64_t most = template->profile->lifetime_most_s;
    assert_int_equal(pki_template_validity(template, start, most, &from, &to), RC_OK);
    assert_int_equal(to, start + most);
    assert_int_equal(pki_template_validity(template, start, most + 1, &from, &to), RC_LIMIT);
    assert_int_equal(pki_template_validity(template, start, -1, &from, &to), RC_LIMIT);
    soft_ca_close(&ca);
}

static void serials_are_sixteen_positive_octets_and_differ(void **state)
{
    uint8_t last[PKI_SERIAL_LEN] = { 0 }, next[PKI_SERIAL_LEN];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(pki_serial_make(next), RC_OK);
        assert_in_range(next[0], 1, 0x7f);
        assert_memory_not_equal(last, next, sizeof next);
        memcpy(last, next, sizeof next);
    }
}

static void puts_nothing_together_from_a_signature_of_another_shape(void **state)
{
    AUTO_BUF(out, 256);

    (void)state;
    assert_int_equal(pki_signed_assemble(BYTES("\x30\x00"), BYTES("\x30\x00"), &out),
                     RC_CRYPTO);
    assert_int_equal(pki_signed_assemble(BYTES("\x30\x00"), BYTES(""), &out), RC_CRYPTO);
    assert_int_equal(
        pki_signed_assemble(BYTES("\x30\x00"), BYTES("\x30\x06\x02\x01\x00\x02\x01\x01"), &out),
        RC_CRYPTO);
    assert_int_equal(out.len, 0);
    assert_int_equal(
        pki_signed_assemble(BYTES("\x30\x00"), BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"), &out),
        RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_passes_path_validation_for_its_purpose_only),
        cmocka_unit_test(openssl_verify_accepts_the_chain),
        cmocka_unit_test(a_second_issue_through_libcryptos_objects_is_identical),
        cmocka_unit_test(each_profile_prints_as_committed),
        cmocka_unit_test(reads_back_all_that_was_written),
        cmocka_unit_test(refuses_every_truncation_and_a_tail),
        cmocka_unit_test(dates_never_pass_the_issuers),
        cmocka_unit_test(serials_are_sixteen_positive_octets_and_differ),
        cmocka_unit_test(puts_nothing_together_from_a_signature_of_another_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
