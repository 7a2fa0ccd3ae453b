#include "tests/support/check.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"
#include "pki/crl.h"
#include "pki/signed.h"
#include "tests/support/openssl.h"
#include "tests/support/soft_ca.h"

static const struct pki_revoked SOME[] = {
    { { (const uint8_t *)"\x01", 1 }, SOFT_NOW - 10, PKI_UNSPECIFIED },
    { { (const uint8_t *)"\x80", 1 }, SOFT_NOW - 20, PKI_KEY_COMPROMISE },
    { { (const uint8_t *)"\x01\x00", 2 }, 2524608000, PKI_CERTIFICATE_HOLD },
    { { (const uint8_t *)"\x66\x3a\x4d\xbe\x41\x48\x8f\xb8\x72\x14\xb0\x03\x23\x39\xdb\xb9",
        16 },
      SOFT_NOW,
      PKI_PRIVILEGE_WITHDRAWN },
};

struct sample {
    struct pki_crl crl;
    const struct pki_revoked *revoked;
    size_t count;
};

static enum rc write_all(const struct sample *sample, struct buf *tbs)
{
    struct pki_crl_list list;

    TRY(pki_crl_begin(&sample->crl, tbs, &list));
    for (size_t i = 0; i < sample->count; i++)
        TRY(pki_crl_add(&list, &sample->revoked[i]));
    return pki_crl_end(&list);
}

static struct sample list_of(struct soft_ca *ca)
{
    return (struct sample){
        .crl = { .issuer = buf_bytes(&ca->issuing_name),
                 .key_id = BYTES_OF(ca->issuing.key_id),
                 .this_update = SOFT_NOW,
                 .next_update = SOFT_NOW + 86400,
                 .number = 7 },
        .revoked = SOME,
        .count = sizeof SOME / sizeof *SOME,
    };
}

static X509_CRL *make(struct soft_ca *ca, const struct sample *crl, struct buf *der)
{
    AUTO_BUF(tbs, 64 << 20);
    AUTO_BUF(signature, 128);

    if (write_all(crl, &tbs) != RC_OK)
        fail_msg("%s", fault_reason());
    assert_int_equal(soft_key_sign(&ca->issuing, "", 0, buf_bytes(&tbs), &signature), RC_OK);
    assert_int_equal(pki_signed_assemble(buf_bytes(&tbs), buf_bytes(&signature), der), RC_OK);
    const unsigned char *at = der->at;
    X509_CRL *theirs = d2i_X509_CRL(NULL, &at, (long)der->len);
    assert_non_null(theirs);
    assert_ptr_equal(at, der->at + der->len);
    assert_int_equal(X509_CRL_verify(theirs, ca->issuing.key), 1);
    return theirs;
}

static void libcrypto_finds_each_serial_and_reason(void **state)
{
    struct soft_ca ca;
    AUTO_BUF(der, 1 << 20);

    (void)state;
    soft_ca_open(&ca);
    struct sample crl = list_of(&ca);
    X509_CRL *theirs = make(&ca, &crl, &der);
    assert_int_equal(X509_CRL_get_version(theirs), X509_CRL_VERSION_2);
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(theirs, NID_crl_number, NULL, NULL);
    assert_int_equal(ASN1_INTEGER_get(number), 7);
    ASN1_INTEGER_free(number);
    for (size_t i = 0; i < crl.count; i++) {
        X509_REVOKED *entry = NULL;
        BIGNUM *serial = BN_bin2bn(SOME[i].serial.at, (int)SOME[i].serial.len, NULL);
        ASN1_INTEGER *wanted = BN_to_ASN1_INTEGER(serial, NULL);
        int critical = 0;

        assert_int_equal(X509_CRL_get0_by_serial(theirs, &entry, wanted), 1);
        ASN1_ENUMERATED *reason =
            X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &critical, NULL);
        assert_int_equal(reason != NULL, SOME[i].reason != PKI_UNSPECIFIED);
        assert_int_equal(reason != NULL ? ASN1_ENUMERATED_get(reason) : 0, SOME[i].reason);
        assert_int_equal(
            ASN1_TIME_cmp_time_t(X509_REVOKED_get0_revocationDate(entry), SOME[i].at), 0);
        ASN1_ENUMERATED_free(reason);
        ASN1_INTEGER_free(wanted);
        BN_free(serial);
    }
    X509_CRL_free(theirs);
    soft_ca_close(&ca);
}

static void write_files(struct soft_ca *ca, X509_CRL *crl, struct bytes leaf)
{
    FILE *file = fopen("all.pem", "w");
    X509 *certificates[] = { soft_x509(buf_bytes(&ca->root_der)),
                             soft_x509(buf_bytes(&ca->issuing_der)), soft_x509(leaf) };

    PEM_write_X509(file, certificates[0]);
    PEM_write_X509(file, certificates[1]);
    fclose(file);
    file = fopen("leaf.pem", "w");
    PEM_write_X509(file, certificates[2]);
    fclose(file);
    file = fopen("list.pem", "w");
    PEM_write_X509_CRL(file, crl);
    fclose(file);
    for (size_t i = 0; i < 3; i++)
        X509_free(certificates[i]);
}

static bool says(const struct buf *said, struct bytes words)
{
    return said->len > 0 && memmem(said->at, said->len, words.at, words.len) != NULL;
}

static void openssl_verify_refuses_what_is_listed_only(void **state)
{
    static const char *const VERIFY[] = { "verify",     "-x509_strict", "-attime", "1767225600",
                                          "-crl_check", "-CAfile",      "all.pem", "-CRLfile",
                                          "list.pem",   "leaf.pem",     NULL };
    static const char *const CHECK[] = { "crl",     "-in",     "list.pem", "-noout",
                                         "-CAfile", "all.pem", NULL };
    const struct pki_holder device = { .id = BYTES("TM-0001") };
    struct soft_ca ca;
    struct soft_key key;
    AUTO_BUF(leaf, PKI_REQUEST_MAX);
    AUTO_BUF(said, 1 << 16);

    (void)state;
    soft_ca_open(&ca);
    soft_key_make(&key, "leaf");
    soft_ca_issue(&ca, pki_profile_find("device"), &device, &key, &leaf);
    struct sample crl = list_of(&ca);
    for (size_t listed = 0; listed < 2; listed++) {
        AUTO_BUF(der, 1 << 20);
        /* soft_ca gives the device the last serial of SOME. */
        crl.count = sizeof SOME / sizeof *SOME - 1 + listed;
        X509_CRL *theirs = make(&ca, &crl, &der);
        write_files(&ca, theirs, buf_bytes(&leaf));
        buf_reset(&said);
        assert_int_equal(openssl_run(&said, VERIFY) == 0, listed == 0);
        assert_int_equal(says(&said, BYTES("certificate revoked")), listed == 1);
        X509_CRL_free(theirs);
    }
    buf_reset(&said);
    assert_int_equal(openssl_run(&said, CHECK), 0);
    assert_true(says(&said, BYTES("verify OK")));
    soft_key_clear(&key);
    soft_ca_close(&ca);
}

static void an_empty_list_has_no_empty_sequence(void **state)
{
    struct soft_ca ca;
    AUTO_BUF(der, 1 << 20);

    (void)state;
    soft_ca_open(&ca);
    struct sample crl = list_of(&ca);
    crl.count = 0;
    X509_CRL *theirs = make(&ca, &crl, &der);
    assert_null(X509_CRL_get_REVOKED(theirs));
    X509_CRL_free(theirs);
    soft_ca_close(&ca);
}

static void a_hundred_thousand_entries_are_in_order_for_libcrypto(void **state)
{
    enum { MANY = 100000 };
    struct soft_ca ca;
    AUTO_BUF(der, 16 << 20);
    uint8_t *serials = calloc(MANY, 8);
    struct pki_revoked *all = calloc(MANY, sizeof *all);

    (void)state;
    assert_true(serials != NULL && all != NULL);
    soft_ca_open(&ca);
    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t *at = serials + 8 * (size_t)i;
        at[0] = 0x7f;
        for (int b = 0; b < 4; b++)
            at[4 + b] = (uint8_t)(i >> 8 * (3 - b));
        all[i] = (struct pki_revoked){ { at, 8 }, SOFT_NOW, PKI_SUPERSEDED };
    }
    struct sample crl = list_of(&ca);
    crl.revoked = all;
    crl.count = MANY;
    X509_CRL *theirs = make(&ca, &crl, &der);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs)), MANY);
    X509_CRL_free(theirs);
    free(all);
    free(serials);
    soft_ca_close(&ca);
}

static void refuses_lists_that_are_none(void **state)
{
    struct pki_revoked two[] = { SOME[1], SOME[0] };
    struct soft_ca ca;
    AUTO_BUF(tbs, 1 << 20);
    AUTO_BUF(small, 100);

    (void)state;
    soft_ca_open(&ca);
    struct sample crl = list_of(&ca);
    crl.revoked = two;
    crl.count = 2;
    buf_add(&tbs, BYTES("before"));
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "entry 1: serial numbers out of order"));
    assert_true(bytes_equal(buf_bytes(&tbs), BYTES("before")));
    buf_reset(&tbs);
    two[0] = two[1];
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    two[1].serial = BYTES("\x00\x05");
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    two[1].serial = BYTES("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11"
                          "\x12\x13\x14\x15");
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    two[1] = SOME[1];
    for (int reason = -1; reason < 12; reason++) {
        bool good = reason >= 0 && reason != 7 && reason != 8 && reason < 10;
        two[1].reason = (enum pki_reason)reason;
        buf_reset(&tbs);
        assert_int_equal(write_all(&crl, &tbs), good ? RC_OK : RC_MALFORMED);
    }
    two[1].reason = PKI_UNSPECIFIED;
    buf_reset(&tbs);
    crl.crl.next_update = crl.crl.this_update;
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    crl.crl.next_update++;
    assert_int_equal(write_all(&crl, &tbs), RC_OK);
    crl.crl.issuer = BYTES("\x30\x00");
    assert_int_equal(write_all(&crl, &tbs), RC_MALFORMED);
    crl = list_of(&ca);
    assert_int_equal(write_all(&crl, &small), RC_LIMIT);
    assert_non_null(strstr(fault_text(), "no room for more than 0 revocations in 100 octets"));
    assert_true(small.broken);
    soft_ca_close(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libcrypto_finds_each_serial_and_reason),
        cmocka_unit_test(openssl_verify_refuses_what_is_listed_only),
        cmocka_unit_test(an_empty_list_has_no_empty_sequence),
        cmocka_unit_test(a_hundred_thousand_entries_are_in_order_for_libcrypto),
        cmocka_unit_test(refuses_lists_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
