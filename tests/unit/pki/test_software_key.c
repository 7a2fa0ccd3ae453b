#include "tests/support/check.h"

#include <openssl/pem.h>

#include "pki/name.h"
#include "pki/request.h"
#include "pki/software_key.h"

#define WIPED [[gnu::cleanup(pki_software_key_wipe)]] struct buf

AUTO_TYPE(BIO, BIO_vfree)
AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)

static void comes_back_from_its_file(void **state)
{
    AUTO_OF(pki_software_key) *key = NULL;
    AUTO_OF(pki_software_key) *again = NULL;
    WIPED pem = BUF_MAX(4096);

    (void)state;
    assert_int_equal(pki_software_key_make(&key), RC_OK);
    assert_int_equal(pki_software_key_add_pem(key, &pem), RC_OK);
    assert_int_equal(pki_software_key_read(buf_bytes(&pem), &again), RC_OK);
    assert_true(bytes_equal(pki_software_key_public(key), pki_software_key_public(again)));
}

static void request_is_read_by_the_servers_own_reader(void **state)
{
    AUTO_OF(pki_software_key) *key = NULL;
    AUTO_OF(pki_verifier) *verifier = NULL;
    AUTO_BUF(subject, 256);
    AUTO_BUF(der, 4096);
    struct pki_request request;

    (void)state;
    assert_int_equal(pki_software_key_make(&key), RC_OK);
    assert_int_equal(pki_verifier_new(&verifier), RC_OK);
    assert_int_equal(
        pki_name_write(&subject, &(const struct pki_name){ .common_name = BYTES("pump-17") }),
        RC_OK);
    assert_int_equal(pki_software_key_request(key, buf_bytes(&subject), &der), RC_OK);
    assert_int_equal(pki_request_read(verifier, buf_bytes(&der), &request), RC_OK);
    assert_true(bytes_equal(request.public_key, pki_software_key_public(key)));
    assert_true(bytes_equal(request.subject, buf_bytes(&subject)));

    AUTO_BUF(altered, 4096);
    buf_add(&altered, buf_bytes(&der));
    altered.at[altered.len - 1] ^= 1;
    assert_int_not_equal(pki_request_read(verifier, buf_bytes(&altered), &request), RC_OK);
}

static void refuses_what_is_no_key_of_ours(void **state)
{
    AUTO_OF(pki_software_key) *key = NULL;
    AUTO(EVP_PKEY) *other = EVP_EC_gen("P-384");
    AUTO(BIO) *memory = BIO_new(BIO_s_mem());
    char *at = NULL;

    (void)state;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(memory, other, NULL, NULL, 0, NULL, NULL),
                     1);
    size_t len = (size_t)BIO_get_mem_data(memory, &at);
    assert_int_equal(pki_software_key_read((struct bytes){ (const uint8_t *)at, len }, &key),
                     RC_DENIED);
    assert_int_equal(
        pki_software_key_read((struct bytes){ (const uint8_t *)at, len / 2 }, &key),
        RC_MALFORMED);
    assert_int_equal(pki_software_key_read(BYTES("-----BEGIN"), &key), RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_from_its_file),
        cmocka_unit_test(request_is_read_by_the_servers_own_reader),
        cmocka_unit_test(refuses_what_is_no_key_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
