#include "tests/support/check.h"

#include "store/seal.h"

#include <string.h>

static struct store_seal *made(uint8_t fill, uint32_t key_id)
{
    AUTO_SECRET(key);
    uint8_t bytes[STORE_SEAL_KEY];
    struct store_seal *seal = NULL;

    memset(bytes, fill, sizeof bytes);
    assert_int_equal(secret_set(&key, BYTES_OF(bytes)), RC_OK);
    assert_int_equal(store_seal_new(&key, key_id, &seal), RC_OK);
    return seal;
}

static const struct store_place HERE = { BYTES("twins"), BYTES("device-1") };

static void what_is_sealed_opens(void **state)
{
    AUTO_OF(store_seal) *seal = made(1, 7);
    uint8_t plain[1000];

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len <= sizeof plain; len += len < 40 ? 1 : 97) {
        AUTO_BUF(sealed, 2000);
        AUTO_BUF(opened, 2000);
        uint32_t key_id = 0;
        struct bytes text = { plain, len };
        assert_int_equal(store_seal_add(seal, &HERE, text, &sealed), RC_OK);
        assert_int_equal(sealed.len, len + STORE_SEAL_OVERHEAD);
        assert_int_equal(store_seal_key_id(buf_bytes(&sealed), &key_id), RC_OK);
        assert_int_equal(key_id, 7);
        assert_int_equal(store_seal_open(seal, &HERE, buf_bytes(&sealed), &opened), RC_OK);
        assert_true(bytes_equal(buf_bytes(&opened), text));
    }
}

static void every_flipped_bit_is_seen(void **state)
{
    AUTO_OF(store_seal) *seal = made(1, 7);
    AUTO_BUF(sealed, 200);
    AUTO_BUF(opened, 200);

    (void)state;
    buf_addf(&opened, "before");
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("personal"), &sealed), RC_OK);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum rc rc = store_seal_open(seal, &HERE, buf_bytes(&sealed), &opened);
        assert_int_equal(rc, bit / 8 >= 1 && bit / 8 < 5 ? RC_NOT_FOUND : RC_CORRUPT);
        assert_true(bytes_equal_text(buf_bytes(&opened), "before"));
        sealed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(store_seal_open(seal, &HERE, buf_bytes(&sealed), &opened), RC_OK);
}

static void every_truncation_is_seen(void **state)
{
    AUTO_OF(store_seal) *seal = made(1, 7);
    AUTO_BUF(sealed, 200);
    AUTO_BUF(opened, 200);

    (void)state;
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("personal"), &sealed), RC_OK);
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(
            store_seal_open(seal, &HERE, (struct bytes){ sealed.at, len }, &opened),
            RC_CORRUPT);
    buf_add_u8(&sealed, 0);
    assert_int_equal(store_seal_open(seal, &HERE, buf_bytes(&sealed), &opened), RC_CORRUPT);
    assert_int_equal(opened.len, 0);
}

static void opens_nowhere_else(void **state)
{
    static const struct store_place ELSEWHERE[] = {
        { BYTES("twins"), BYTES("device-2") },
        { BYTES("twin"), BYTES("sdevice-1") },
        { BYTES("twinsdevice-1"), BYTES("") },
        { BYTES(""), BYTES("twinsdevice-1") },
    };
    AUTO_OF(store_seal) *seal = made(1, 7);
    AUTO_OF(store_seal) *other_key = made(2, 7);
    AUTO_OF(store_seal) *other_id = made(1, 8);
    AUTO_BUF(sealed, 200);
    AUTO_BUF(opened, 200);

    (void)state;
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("personal"), &sealed), RC_OK);
    for (size_t i = 0; i < sizeof ELSEWHERE / sizeof *ELSEWHERE; i++)
        assert_int_equal(store_seal_open(seal, &ELSEWHERE[i], buf_bytes(&sealed), &opened),
                         RC_CORRUPT);
    assert_int_equal(store_seal_open(other_key, &HERE, buf_bytes(&sealed), &opened),
                     RC_CORRUPT);
    assert_int_equal(store_seal_open(other_id, &HERE, buf_bytes(&sealed), &opened),
                     RC_NOT_FOUND);
    assert_int_equal(opened.len, 0);
}

static void no_nonce_comes_twice(void **state)
{
    enum { VALUES = 1000, NONCE_AT = 5, NONCE = 12 };
    AUTO_OF(store_seal) *seal = made(1, 7);
    static uint8_t nonces[VALUES][NONCE];

    (void)state;
    for (size_t i = 0; i < VALUES; i++) {
        AUTO_BUF(sealed, 200);
        assert_int_equal(store_seal_add(seal, &HERE, BYTES("same"), &sealed), RC_OK);
        memcpy(nonces[i], sealed.at + NONCE_AT, NONCE);
        for (size_t j = 0; j < i; j++)
            assert_false(bytes_equal(BYTES_OF(nonces[i]), BYTES_OF(nonces[j])));
    }
}

static void keeps_to_its_bounds(void **state)
{
    AUTO_OF(store_seal) *seal = made(1, 7);
    AUTO_SECRET(key);
    AUTO_BUF(small, STORE_SEAL_OVERHEAD + 3);
    static const uint8_t LONG[UINT16_MAX + 1];
    struct store_place too_long = { BYTES("t"), BYTES_OF(LONG) };
    struct store_seal *none = NULL;

    (void)state;
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("four"), &small), RC_LIMIT);
    buf_reset(&small);
    assert_int_equal(store_seal_add(seal, &too_long, BYTES("x"), &small), RC_LIMIT);
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("3rd"), &small), RC_OK);
    for (size_t len = 0; len <= 64; len++) {
        assert_int_equal(secret_make_random(&key, len), RC_OK);
        if (len != STORE_SEAL_KEY)
            assert_int_equal(store_seal_new(&key, 1, &none), RC_MALFORMED);
    }
    assert_null(none);
}

static void a_seal_with_another_key_opens_that_key_s_only(void **state)
{
    AUTO_OF(store_seal) *seal = made(1, 7), *other = made(2, 8);
    AUTO_BUF(first, 200);
    AUTO_BUF(second, 200);
    AUTO_BUF(opened, 200);
    AUTO_SECRET(key);
    uint8_t bytes[STORE_SEAL_KEY];

    (void)state;
    memset(bytes, 2, sizeof bytes);
    assert_int_equal(secret_set(&key, BYTES_OF(bytes)), RC_OK);
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("old"), &first), RC_OK);
    assert_int_equal(store_seal_change_key(seal, &key, 8), RC_OK);
    assert_int_equal(store_seal_open(seal, &HERE, buf_bytes(&first), &opened), RC_NOT_FOUND);
    assert_int_equal(store_seal_add(seal, &HERE, BYTES("new"), &second), RC_OK);
    assert_int_equal(store_seal_open(other, &HERE, buf_bytes(&second), &opened), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&opened), "new"));
    /* The same number is not the same key. */
    memset(bytes, 3, sizeof bytes);
    assert_int_equal(secret_set(&key, BYTES_OF(bytes)), RC_OK);
    assert_int_equal(store_seal_change_key(seal, &key, 8), RC_OK);
    assert_int_equal(store_seal_open(seal, &HERE, buf_bytes(&second), &opened), RC_CORRUPT);
    key.len--;
    assert_int_equal(store_seal_change_key(seal, &key, 8), RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(every_truncation_is_seen),
        cmocka_unit_test(opens_nowhere_else),
        cmocka_unit_test(no_nonce_comes_twice),
        cmocka_unit_test(keeps_to_its_bounds),
        cmocka_unit_test(a_seal_with_another_key_opens_that_key_s_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
