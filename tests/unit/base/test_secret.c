#include "tests/support/check.h"

#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/secret.h"

static const uint8_t LETTERS[SECRET_MAX + 10] = { [0 ... SECRET_MAX + 9] = 'p' };

static void a_secret_is_held_to_its_room(void **state)
{
    AUTO_SECRET(secret);

    (void)state;
    assert_int_equal(secret_set(&secret, (struct bytes){ LETTERS, SECRET_MAX }), RC_OK);
    assert_int_equal(secret.len, SECRET_MAX);
    assert_int_equal(secret_set(&secret, (struct bytes){ LETTERS, SECRET_MAX + 1 }), RC_LIMIT);
    assert_int_equal(secret.len, SECRET_MAX);
    assert_int_equal(secret_make_random(&secret, SECRET_MAX + 1), RC_LIMIT);
    assert_int_equal(secret_make_random(&secret, SECRET_MAX), RC_OK);
}

static void a_shorter_one_leaves_nothing_of_the_longer(void **state)
{
    static const uint8_t zeros[SECRET_MAX];
    AUTO_SECRET(secret);

    (void)state;
    assert_int_equal(secret_set(&secret, (struct bytes){ LETTERS, SECRET_MAX }), RC_OK);
    assert_int_equal(secret_set(&secret, BYTES("12")), RC_OK);
    assert_memory_equal(secret.at + 2, zeros, SECRET_MAX - 2);
    secret_clear(&secret);
    assert_memory_equal(secret.at, zeros, SECRET_MAX);
    assert_int_equal(secret_bytes(&secret).len, 0);
}

static void equals_only_itself(void **state)
{
    AUTO_SECRET(secret);

    (void)state;
    assert_int_equal(secret_set(&secret, BYTES("1234")), RC_OK);
    assert_true(secret_equals(&secret, BYTES("1234")));
    assert_false(secret_equals(&secret, BYTES("1235")));
    assert_false(secret_equals(&secret, BYTES("123")));
    assert_false(secret_equals(&secret, BYTES("12345")));
    assert_false(secret_equals(&secret, BYTES("")));
}

static const struct {
    struct bytes content;
    enum rc rc;
    size_t len;
} FILES[] = {
    { BYTES("1234"), RC_OK, 4 },
    { BYTES("1234\n"), RC_OK, 4 },
    { BYTES("1234\n\n"), RC_OK, 5 },
    { BYTES("\n1234"), RC_OK, 5 },
    { BYTES(""), RC_MALFORMED, 0 },
    { BYTES("\n"), RC_MALFORMED, 0 },
    { { LETTERS, SECRET_MAX }, RC_OK, SECRET_MAX },
    { { LETTERS, SECRET_MAX + 1 }, RC_LIMIT, 0 },
    { { LETTERS, SECRET_MAX + 2 }, RC_LIMIT, 0 },
    { { LETTERS, SECRET_MAX + 10 }, RC_LIMIT, 0 },
};

static void a_file_gives_its_content_less_one_newline(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        AUTO_FD fd = memfd_create("secret", MFD_CLOEXEC);
        AUTO_SECRET(secret);
        assert_int_equal(file_write_all(fd, FILES[i].content), RC_OK);
        /* The descriptor stands at its end: reading starts at the start all the same. */
        assert_int_equal(secret_read_fd(&secret, fd), FILES[i].rc);
        assert_int_equal(secret.len, FILES[i].len);
        assert_true(
            secret_equals(&secret, (struct bytes){ FILES[i].content.at, FILES[i].len }));
    }
}

static void the_longest_may_have_its_newline(void **state)
{
    AUTO_FD fd = memfd_create("secret", MFD_CLOEXEC);
    AUTO_SECRET(secret);

    (void)state;
    assert_int_equal(file_write_all(fd, (struct bytes){ LETTERS, SECRET_MAX }), RC_OK);
    assert_int_equal(file_write_all(fd, BYTES("\n")), RC_OK);
    assert_int_equal(secret_read_fd(&secret, fd), RC_OK);
    assert_int_equal(secret.len, SECRET_MAX);
    assert_int_equal(file_write_all(fd, BYTES("\n")), RC_OK);
    assert_int_equal(secret_read_fd(&secret, fd), RC_LIMIT);
    assert_int_equal(secret_read_fd(&secret, -1), RC_IO);
    assert_int_equal(secret.len, SECRET_MAX);
}

static void made_text_is_of_its_alphabet_and_differs(void **state)
{
    AUTO_SECRET(one);
    AUTO_SECRET(other);

    (void)state;
    assert_int_equal(secret_make_text(&one, 64), RC_OK);
    assert_int_equal(secret_make_text(&other, 64), RC_OK);
    assert_false(secret_equals(&one, secret_bytes(&other)));
    for (size_t i = 0; i < one.len; i++)
        assert_non_null(memchr("abcdefghijklmnopqrstuvwxyz234567", one.at[i], 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_held_to_its_room),
        cmocka_unit_test(a_shorter_one_leaves_nothing_of_the_longer),
        cmocka_unit_test(equals_only_itself),
        cmocka_unit_test(a_file_gives_its_content_less_one_newline),
        cmocka_unit_test(the_longest_may_have_its_newline),
        cmocka_unit_test(made_text_is_of_its_alphabet_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
