#include "tests/support/check.h"

#include "base/bytes.h"

static const struct bytes NONE = { 0 };

static void equality_is_of_length_and_content(void **state)
{
    static const struct {
        struct bytes a, b;
        bool equal;
    } CASES[] = {
        { BYTES("ab"), BYTES("ab"), true },
        { BYTES("ab"), BYTES("ac"), false },
        { BYTES("ab"), BYTES("abc"), false },
        { BYTES("a\0b"), BYTES("a\0b"), true },
        { BYTES("a\0b"), BYTES("a\0c"), false },
        { { 0 }, BYTES(""), true },
        { { 0 }, BYTES("a"), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(bytes_equal(CASES[i].a, CASES[i].b), CASES[i].equal);
        assert_int_equal(bytes_equal(CASES[i].b, CASES[i].a), CASES[i].equal);
        assert_int_equal(bytes_equal_secret(CASES[i].a, CASES[i].b), CASES[i].equal);
        assert_int_equal(bytes_compare(CASES[i].a, CASES[i].b) == 0, CASES[i].equal);
    }
    assert_true(bytes_equal_text(BYTES("ab"), "ab"));
    assert_false(bytes_equal_text(BYTES("ab\0"), "ab"));
}

static void order_is_by_unsigned_byte_and_a_prefix_comes_first(void **state)
{
    static const struct bytes ASCENDING[] = {
        { 0 },       BYTES("\0"), BYTES("\0\0"), BYTES("a"),
        BYTES("ab"), BYTES("b"),  BYTES("\x80"), BYTES("\xff"),
    };
    enum { COUNT = sizeof ASCENDING / sizeof *ASCENDING };

    (void)state;
    for (int a = 0; a < COUNT; a++)
        for (int b = 0; b < COUNT; b++) {
            int order = bytes_compare(ASCENDING[a], ASCENDING[b]);
            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
        }
}

static void a_prefix_may_be_empty_or_all(void **state)
{
    (void)state;
    assert_true(bytes_start_with(BYTES("abc"), NONE));
    assert_true(bytes_start_with(BYTES("abc"), BYTES("abc")));
    assert_true(bytes_start_with(NONE, NONE));
    assert_false(bytes_start_with(BYTES("abc"), BYTES("abcd")));
    assert_false(bytes_start_with(BYTES("abc"), BYTES("b")));
}

static void numbers_are_big_endian(void **state)
{
    struct reader r =
        READER(BYTES("\x01\x02\x03\x04\x05\x06\x07\xf8\x09\x0a\x0b\x0c\x0d\x0e\x0f"));

    (void)state;
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_true(reader_u64(&r) == 0xf8090a0b0c0d0e0f);
    assert_true(reader_done(&r));
}

static void a_short_read_gives_zeros_from_then_on(void **state)
{
    struct reader r = READER(BYTES("\x01\x02\x03"));
    uint8_t copy[2] = { 9, 9 };

    (void)state;
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.broken);
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_take(&r, 0).at);
    reader_copy(&r, copy, sizeof copy);
    assert_int_equal(copy[0] | copy[1], 0);
    assert_false(reader_done(&r));
}

static void a_tail_is_not_done(void **state)
{
    struct reader r = READER(BYTES("ab"));

    (void)state;
    assert_int_equal(reader_take(&r, 1).len, 1);
    assert_false(reader_done(&r));
    assert_int_equal(reader_take(&r, 1).at[0], 'b');
    assert_true(reader_done(&r));
    assert_int_equal(reader_take(&r, 0).len, 0);
    assert_true(reader_done(&r));
    assert_int_equal(reader_take(&r, SIZE_MAX).len, 0);
    assert_true(r.broken);
}

static void sized_fields_are_held_to_their_most(void **state)
{
    static const struct bytes two = BYTES("\0\2ab"), four = BYTES("\0\0\0\2ab");

    (void)state;
    for (size_t most = 0; most < 4; most++) {
        struct reader r = READER(two), s = READER(four);
        size_t expected = most >= 2 ? 2 : 0;
        assert_int_equal(reader_sized16(&r, most).len, expected);
        assert_int_equal(reader_sized32(&s, most).len, expected);
        assert_int_equal(reader_done(&r), most >= 2);
        assert_int_equal(reader_done(&s), most >= 2);
    }
}

static void every_truncation_is_seen(void **state)
{
    static const struct bytes WHOLE = BYTES("\7\0\2ab\0\0\0\3xyz\0\0\0\0\0\0\0\1");

    (void)state;
    for (size_t len = 0; len <= WHOLE.len; len++) {
        struct reader r = READER(((struct bytes){ WHOLE.at, len }));
        reader_u8(&r);
        reader_sized16(&r, 10);
        reader_sized32(&r, 10);
        uint64_t last = reader_u64(&r);
        assert_int_equal(reader_done(&r), len == WHOLE.len);
        assert_int_equal(last, len == WHOLE.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_length_and_content),
        cmocka_unit_test(order_is_by_unsigned_byte_and_a_prefix_comes_first),
        cmocka_unit_test(a_prefix_may_be_empty_or_all),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(a_short_read_gives_zeros_from_then_on),
        cmocka_unit_test(a_tail_is_not_done),
        cmocka_unit_test(sized_fields_are_held_to_their_most),
        cmocka_unit_test(every_truncation_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
