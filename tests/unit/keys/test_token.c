/* threaded */
#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/ceremony.h"
#include "keys/module.h"
#include "keys/token.h"
#include "tests/support/softhsm.h"

enum { THREADS = 2, SIGNATURES = 200 };

#define LABEL "issuing"

static struct secret pin_of(const char *text)
{
    struct secret pin = { 0 };

    assert_int_equal(secret_set(&pin, bytes_of_text(text)), RC_OK);
    return pin;
}

static int make_keys(uint8_t *spki)
{
    struct secret so = pin_of("87654321"), user = pin_of("1234");
    AUTO_OF(keys_ceremony) *ceremony = NULL;

    if (keys_ceremony_create(SOFTHSM_MODULE, LABEL, &so, &user, &ceremony) != RC_OK ||
        keys_ceremony_make_key(ceremony, "devices", spki) != RC_OK ||
        keys_ceremony_make_key(ceremony, "doors", spki + KEYS_CEREMONY_SPKI) != RC_OK)
        return 1;
    return 0;
}

struct fixture {
    struct softhsm hsm;
    uint8_t spki[2][KEYS_CEREMONY_SPKI];
};

static int prepare(void **state)
{
    struct fixture *made = calloc(1, sizeof *made);

    assert_non_null(made);
    softhsm_make(&made->hsm);
    assert_int_equal(make_keys(made->spki[0]), 0);
    *state = made;
    return 0;
}

static int clean(void **state)
{
    struct fixture *made = *state;

    softhsm_remove(&made->hsm);
    free(made);
    return 0;
}

static enum rc open_with(const char *module, const char *pin_text, struct keys_token **token)
{
    struct secret pin = pin_of(pin_text);
    enum rc rc = keys_token_open(module, LABEL, &pin, token);

    assert_int_equal(pin.len, 0);
    for (size_t i = 0; i < sizeof pin.at; i++)
        assert_int_equal(pin.at[i], 0);
    return rc;
}

static bool verifies(struct bytes spki, struct bytes message, struct bytes signature)
{
    const uint8_t *at = spki.at;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_MD_CTX *verify = EVP_MD_CTX_new();

    assert_non_null(key);
    bool good =
        EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(verify, signature.at, signature.len, message.at, message.len) == 1;
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(key);
    return good;
}

static void a_signature_verifies_with_openssl_under_its_own_key_only(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;

    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[0])), RC_OK);
    assert_int_equal(keys_token_add_key(token, "doors", BYTES_OF(it->spki[1])), RC_OK);
    for (int i = 0; i < SIGNATURES; i++) { /* enough to see short r and s */
        AUTO_BUF(signature, 72);
        AUTO_BUF(message, 32);

        buf_addf(&message, "message %d", i);
        assert_int_equal(keys_token_sign(token, "devices", buf_bytes(&message), &signature),
                         RC_OK);
        assert_true(
            verifies(BYTES_OF(it->spki[0]), buf_bytes(&message), buf_bytes(&signature)));
        assert_false(
            verifies(BYTES_OF(it->spki[1]), buf_bytes(&message), buf_bytes(&signature)));
    }
}

static void a_key_that_the_rules_do_not_know_is_refused(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;
    AUTO_BUF(signature, 72);

    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[1])), RC_CORRUPT);
    assert_int_equal(keys_token_add_key(token, "lines", BYTES_OF(it->spki[1])), RC_NOT_FOUND);
    assert_int_equal(keys_token_sign(token, "devices", BYTES("x"), &signature), RC_NOT_FOUND);
    assert_int_equal(signature.len, 0);
}

static void a_wrong_pin_is_tried_exactly_once(void **state)
{
    struct fixture *it = *state;
    struct keys_token *token = NULL;

    softhsm_spy(&it->hsm);
    assert_int_equal(open_with(SOFTHSM_SPY, "4321", &token), RC_DENIED);
    assert_null(token);
    assert_int_equal(softhsm_spied(&it->hsm, ": C_Login\n"), 1);
    assert_int_equal(softhsm_spied(&it->hsm, "CKR_PIN_INCORRECT"), 1);
}

static void the_right_pin_is_given_exactly_once_however_much_is_signed(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;

    softhsm_spy(&it->hsm);
    assert_int_equal(open_with(SOFTHSM_SPY, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[0])), RC_OK);
    for (int i = 0; i < 10; i++) {
        AUTO_BUF(signature, 72);
        assert_int_equal(keys_token_sign(token, "devices", BYTES("x"), &signature), RC_OK);
    }
    assert_int_equal(softhsm_spied(&it->hsm, ": C_Login\n"), 1);
    assert_int_equal(softhsm_spied(&it->hsm, ": C_Logout\n"), 0);
}

static void the_module_is_initialised_with_its_locks_on(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;

    softhsm_spy(&it->hsm);
    assert_int_equal(open_with(SOFTHSM_SPY, "1234", &token), RC_OK);
    assert_true(softhsm_spied(&it->hsm, ": C_Initialize\n") >= 1);
    assert_int_equal(softhsm_spied(&it->hsm, ": C_Initialize\n"),
                     softhsm_spied(&it->hsm, "flags: 2"));
}

/* A session a thread on the module that keys_token_open() initialised. */
static void *sign_in_thread(void *with)
{
    struct keys_module *module = with;
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_HANDLE key = 0;
    CK_SLOT_ID slot = 0;
    uint8_t digest[32] = { 1 }, signature[72];
    size_t len = 0;
    CK_RV rv = CKR_OK;

    if (keys_module_find_slot(module, LABEL, &slot, NULL) != RC_OK ||
        module->call->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
        return NULL;
    for (int i = 0; i < SIGNATURES; i++)
        if (keys_module_find_object(module, session, CKO_PRIVATE_KEY, "devices", &key) !=
                RC_OK ||
            keys_module_sign(module, session, key, BYTES_OF(digest), signature, &len, &rv) !=
                RC_OK)
            return NULL;
    return module;
}

static void two_threads_on_the_token_do_not_crash(void **state)
{
    AUTO_OF(keys_token) *token = NULL;
    AUTO_OF(keys_module) *module = NULL;
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_module_open(SOFTHSM_MODULE, &module), RC_OK);
    assert_false(module->ours);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_in_thread, module), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, module);
    }
}

static void a_digest_of_any_length_but_32_never_reaches_the_token(void **state)
{
    static const uint8_t MANY[200];
    static const size_t LENGTHS[] = { 0, 1, 20, 31, 33, 48, 64, 200 };
    struct fixture *it = *state;
    AUTO_OF(keys_module) *module = NULL;
    uint8_t signature[72];
    size_t len = 0;
    CK_RV rv = CKR_OK;

    softhsm_spy(&it->hsm);
    assert_int_equal(keys_module_open(SOFTHSM_SPY, &module), RC_OK);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++)
        assert_int_equal(keys_module_sign(module, 1, 1, (struct bytes){ MANY, LENGTHS[i] },
                                          signature, &len, &rv),
                         RC_MALFORMED);
    assert_int_equal(len, 0);
    assert_int_equal(softhsm_spied(&it->hsm, ": C_Sign"), 0);
}

static void nothing_to_sign_is_refused(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;
    AUTO_BUF(signature, 72);

    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[0])), RC_OK);
    assert_int_equal(keys_token_sign(token, "devices", BYTES(""), &signature), RC_MALFORMED);
    assert_int_equal(keys_token_state(token), KEYS_LADDER_DONE);
}

static void a_token_folder_that_goes_spends_the_token_until_it_is_opened_again(void **state)
{
    struct fixture *it = *state;
    struct keys_token *token = NULL;
    AUTO_BUF(signature, 72);
    AUTO_BUF(away, 128);
    const char *aside = NULL;

    buf_addf(&away, "%s.away", it->hsm.tokens);
    assert_int_equal(buf_text(&away, &aside), RC_OK);
    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[0])), RC_OK);

    assert_int_equal(rename(it->hsm.tokens, aside), 0);
    assert_int_equal(keys_token_sign(token, "devices", BYTES("x"), &signature), RC_CRYPTO);
    assert_int_equal(keys_token_state(token), KEYS_LADDER_INITIALISE);
    keys_token_close(token);
    token = NULL;
    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_CRYPTO);

    assert_int_equal(rename(aside, it->hsm.tokens), 0);
    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_token_add_key(token, "devices", BYTES_OF(it->spki[0])), RC_OK);
    assert_int_equal(signature.len, 0);
    assert_int_equal(keys_token_sign(token, "devices", BYTES("x"), &signature), RC_OK);
    assert_true(verifies(BYTES_OF(it->spki[0]), BYTES("x"), buf_bytes(&signature)));
    keys_token_close(token);
}

static void what_is_no_module_or_no_token_is_named(void **state)
{
    struct secret pin = pin_of("1234");
    struct keys_token *token = NULL;

    (void)state;
    assert_int_equal(keys_token_open("libsofthsm2.so", LABEL, &pin, &token), RC_MALFORMED);
    assert_int_equal(keys_token_open("/nowhere.so", LABEL, &pin, &token), RC_MALFORMED);
    assert_int_equal(
        keys_token_open("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", LABEL, &pin, &token),
        RC_MALFORMED);
    assert_int_equal(keys_token_open(SOFTHSM_MODULE, "another", &pin, &token), RC_NOT_FOUND);
    assert_null(token);
}

static void the_ceremony_makes_each_label_once(void **state)
{
    struct secret so = pin_of("87654321"), user = pin_of("1234"), wrong = pin_of("0000");
    AUTO_OF(keys_ceremony) *ceremony = NULL;
    uint8_t spki[KEYS_CEREMONY_SPKI];
    struct fixture *it = *state;
    AUTO_BUF(signature, 72);

    assert_int_equal(keys_ceremony_create(SOFTHSM_MODULE, LABEL, &so, &user, &ceremony),
                     RC_EXISTS);
    assert_int_equal(keys_ceremony_open(SOFTHSM_MODULE, LABEL, &wrong, &ceremony), RC_DENIED);
    assert_int_equal(keys_ceremony_open(SOFTHSM_MODULE, LABEL, &user, &ceremony), RC_OK);
    assert_int_equal(keys_ceremony_make_key(ceremony, "devices", spki), RC_EXISTS);
    assert_int_equal(keys_ceremony_read_key(ceremony, "devices", spki), RC_OK);
    assert_memory_equal(spki, it->spki[0], sizeof spki);
    assert_int_equal(keys_ceremony_sign(ceremony, "devices", BYTES("root"), &signature), RC_OK);
    assert_true(verifies(BYTES_OF(spki), BYTES("root"), buf_bytes(&signature)));
}

static void a_private_key_tells_nothing_of_itself(void **state)
{
    struct fixture *it = *state;
    AUTO_OF(keys_token) *token = NULL;
    AUTO_OF(keys_module) *module = NULL;
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_HANDLE key = 0;
    CK_SLOT_ID slot = 0;
    uint8_t value[64];
    CK_ATTRIBUTE asked = { CKA_VALUE, value, sizeof value };

    (void)it;
    assert_int_equal(open_with(SOFTHSM_MODULE, "1234", &token), RC_OK);
    assert_int_equal(keys_module_open(SOFTHSM_MODULE, &module), RC_OK);
    assert_int_equal(keys_module_find_slot(module, LABEL, &slot, NULL), RC_OK);
    assert_int_equal(
        module->call->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
    assert_int_equal(keys_module_find_object(module, session, CKO_PRIVATE_KEY, "devices", &key),
                     RC_OK);
    assert_int_equal(module->call->C_GetAttributeValue(session, key, &asked, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
}

#define WITH_HSM(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HSM(a_signature_verifies_with_openssl_under_its_own_key_only),
        WITH_HSM(a_key_that_the_rules_do_not_know_is_refused),
        WITH_HSM(a_wrong_pin_is_tried_exactly_once),
        WITH_HSM(the_right_pin_is_given_exactly_once_however_much_is_signed),
        WITH_HSM(the_module_is_initialised_with_its_locks_on),
        WITH_HSM(two_threads_on_the_token_do_not_crash),
        WITH_HSM(a_digest_of_any_length_but_32_never_reaches_the_token),
        WITH_HSM(nothing_to_sign_is_refused),
        WITH_HSM(a_token_folder_that_goes_spends_the_token_until_it_is_opened_again),
        WITH_HSM(what_is_no_module_or_no_token_is_named),
        WITH_HSM(the_ceremony_makes_each_label_once),
        WITH_HSM(a_private_key_tells_nothing_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
