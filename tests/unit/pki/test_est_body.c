#include "tests/support/check.h"

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <string.h>

#include "base/text.h"
#include "pki/est_body.h"
#include "tests/support/soft_ca.h"

#define BEGIN     "-----BEGIN CERTIFICATE REQUEST-----"
#define END       "-----END CERTIFICATE REQUEST-----"
#define BEGIN_NEW "-----BEGIN NEW CERTIFICATE REQUEST-----"
#define END_NEW   "-----END NEW CERTIFICATE REQUEST-----"

static void takes_what_clients_send(void **state)
{
    static const char *const BODIES[] = {
        "MAMCAQU=",
        "MAMCAQU=\n",
        "MAMC\nAQU=\n",
        " M A\tM C\r\nA Q U = \r\n\r\n",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n-----END CERTIFICATE REQUEST-----\n",
        "\r\n" BEGIN_NEW "\r\nMAMCAQU=\r\n" END_NEW,
    };

    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        AUTO_BUF(der, 64);

        if (pki_est_body_read(bytes_of_text(BODIES[i]), &der) != RC_OK)
            fail_msg("body %zu: %s", i, fault_text());
        assert_true(bytes_equal(buf_bytes(&der), BYTES("\x30\x03\x02\x01\x05")));
    }
}

static void refuses_what_is_no_body_and_leaves_the_buffer(void **state)
{
    static const char *const BODIES[] = {
        "",
        " \r\n",
        "MAMCAQU",
        "MAMCAQV=",
        "MAMCAQU==",
        "MAMCAQU=MAMCAQU=",
        "MAMC*QU=",
        "0\x03\x02\x01\x05",
        "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n-----END CERTIFICATE REQUEST-----\nx",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n-----END NEW CERTIFICATE REQUEST-----",
        "x\n-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n-----END CERTIFICATE REQUEST-----",
        BEGIN "\nX: y\n\nMAMCAQU=\n" END,
        "-----BEGIN CERTIFICATE REQUEST----------END CERTIFICATE REQUEST-----",
        "-----BEGIN CERTIFICATE REQUEST-----",
        "-----",
    };

    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        AUTO_BUF(der, 64);

        buf_add(&der, BYTES("before"));
        if (pki_est_body_read(bytes_of_text(BODIES[i]), &der) != RC_MALFORMED)
            fail_msg("body %zu was taken", i);
        assert_true(bytes_equal(buf_bytes(&der), BYTES("before")));
    }
    AUTO_BUF(small, 4);
    assert_int_equal(pki_est_body_read(BYTES("MAMCAQU="), &small), RC_LIMIT);
}

static void writes_the_form_that_a_client_can_read(void **state)
{
    uint8_t der[200];
    AUTO_BUF(one, 1024);
    AUTO_BUF(lines, 1024);
    AUTO_BUF(again, 1024);

    (void)state;
    memset(der, 0xa5, sizeof der);
    assert_int_equal(pki_est_body_form(BYTES("libest 3.2.0p")), PKI_EST_64_COLUMNS);
    assert_int_equal(pki_est_body_form(BYTES("")), PKI_EST_ONE_LINE);
    assert_int_equal(pki_est_body_form(BYTES("curl/7.88.1")), PKI_EST_ONE_LINE);

    pki_est_body_write(&one, BYTES_OF(der), PKI_EST_ONE_LINE);
    assert_ptr_equal(memchr(one.at, '\n', one.len), one.at + one.len - 1);
    pki_est_body_write(&lines, BYTES_OF(der), PKI_EST_64_COLUMNS);
    for (size_t at = 0; at < lines.len; at += 65) {
        const uint8_t *end = memchr(lines.at + at, '\n', lines.len - at);
        assert_true(end == lines.at + at + 64 || end == lines.at + lines.len - 1);
    }
    assert_int_equal(pki_est_body_read(buf_bytes(&one), &again), RC_OK);
    assert_true(bytes_equal(buf_bytes(&again), BYTES_OF(der)));
    buf_reset(&again);
    assert_int_equal(pki_est_body_read(buf_bytes(&lines), &again), RC_OK);
    assert_true(bytes_equal(buf_bytes(&again), BYTES_OF(der)));
}

static void libcrypto_finds_the_certificates_in_a_certs_only_message(void **state)
{
    struct soft_ca ca;
    AUTO_BUF(der, 1 << 16);

    (void)state;
    soft_ca_open(&ca);
    const struct bytes both[] = { buf_bytes(&ca.root_der), buf_bytes(&ca.issuing_der) };
    assert_int_equal(pki_est_body_write_certificates(&der, both, 2), RC_OK);
    const unsigned char *at = der.at;
    CMS_ContentInfo *message = d2i_CMS_ContentInfo(NULL, &at, (long)der.len);
    assert_non_null(message);
    assert_ptr_equal(at, der.at + der.len);
    STACK_OF(X509) *found = CMS_get1_certs(message);
    assert_int_equal(sk_X509_num(found), 2);
    sk_X509_pop_free(found, X509_free);
    unsigned char *again = NULL;
    assert_int_equal(i2d_CMS_ContentInfo(message, &again), der.len);
    assert_memory_equal(again, der.at, der.len);
    OPENSSL_free(again);
    CMS_ContentInfo_free(message);

    at = der.at;
    PKCS7 *older = d2i_PKCS7(NULL, &at, (long)der.len);
    assert_non_null(older);
    assert_int_equal(sk_X509_num(older->d.sign->cert), 2);
    PKCS7_free(older);
    assert_int_equal(pki_est_body_write_certificates(&der, both, 0), RC_LIMIT);
    soft_ca_close(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_clients_send),
        cmocka_unit_test(refuses_what_is_no_body_and_leaves_the_buffer),
        cmocka_unit_test(writes_the_form_that_a_client_can_read),
        cmocka_unit_test(libcrypto_finds_the_certificates_in_a_certs_only_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
