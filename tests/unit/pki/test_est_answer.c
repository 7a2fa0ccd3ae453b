#include "tests/support/check.h"

#include <string.h>

#include "pki/est_answer.h"
#include "pki/est_body.h"

/* What our own server writes; the elements need not be certificates to be carried. */
static void write_message(struct buf *body, size_t count)
{
    static const struct bytes SOME[] = {
        { (const uint8_t *)"\x30\x03\x02\x01\x05", 5 },
        { (const uint8_t *)"\x30\x03\x02\x01\x07", 5 },
    };
    AUTO_BUF(der, 4096);

    assert_int_equal(pki_est_body_write_certificates(&der, SOME, count), RC_OK);
    pki_est_body_write(body, buf_bytes(&der), PKI_EST_64_COLUMNS);
}

static void gives_the_certificates_inside(void **state)
{
    AUTO_BUF(body, 4096);
    struct pki_est_answer answer;

    (void)state;
    write_message(&body, 2);
    assert_int_equal(pki_est_answer_read(buf_bytes(&body), &answer), RC_OK);
    assert_int_equal(answer.count, 2);
    assert_true(bytes_equal(answer.certificates[0], BYTES("\x30\x03\x02\x01\x05")));
    assert_true(bytes_equal(answer.certificates[1], BYTES("\x30\x03\x02\x01\x07")));
    pki_est_answer_clear(&answer);
}

static void refuses_every_message_that_was_cut(void **state)
{
    AUTO_BUF(body, 4096);
    struct pki_est_answer answer;

    (void)state;
    write_message(&body, 1);
    struct bytes whole = buf_bytes(&body);
    for (size_t len = 0; len + 1 < whole.len; len++)
        assert_int_not_equal(pki_est_answer_read((struct bytes){ whole.at, len }, &answer),
                             RC_OK);
    assert_int_equal(pki_est_answer_read(whole, &answer), RC_OK);
    pki_est_answer_clear(&answer);
}

static void refuses_what_is_not_certs_only(void **state)
{
    /* a request, an empty SEQUENCE, SignedData without certificates */
    static const char *const OTHERS[] = {
        "MAMCAQU=", "MAA=", "MCMGCSqGSIb3DQEHAqAWMBQCAQExADALBgkqhkiG9w0BBwExAA=="
    };
    struct pki_est_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        assert_int_equal(pki_est_answer_read(bytes_of_text(OTHERS[i]), &answer), RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_certificates_inside),
        cmocka_unit_test(refuses_every_message_that_was_cut),
        cmocka_unit_test(refuses_what_is_not_certs_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
