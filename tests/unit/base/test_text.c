#include "tests/support/check.h"

#include <string.h>

#include "base/text.h"

static void hexadecimal_goes_both_ways(void **state)
{
    AUTO_BUF(text, 100);
    AUTO_BUF(bytes, 100);

    (void)state;
    text_add_hex(&text, BYTES("\x00\x9a\xff"));
    text_add_hex(&text, (struct bytes){ 0 });
    assert_true(bytes_equal_text(buf_bytes(&text), "009aff"));
    assert_int_equal(text_read_hex(BYTES("009AfF"), &bytes), RC_OK);
    assert_int_equal(text_read_hex(BYTES(""), &bytes), RC_OK);
    assert_true(bytes_equal(buf_bytes(&bytes), BYTES("\x00\x9a\xff")));
}

static void what_is_not_hexadecimal_leaves_nothing(void **state)
{
    static const char *const WRONG[] = { "0",    "0g",   "g0",   "00 11", "0x00",
                                         "00@0", "00`0", "00:0", "00/0" };
    AUTO_BUF(bytes, 100);

    (void)state;
    buf_add(&bytes, BYTES("kept"));
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        assert_int_equal(text_read_hex(bytes_of_text(WRONG[i]), &bytes), RC_MALFORMED);
        assert_true(bytes_equal_text(buf_bytes(&bytes), "kept"));
    }
}

/* RFC 4648 section 10. */
static void base64_agrees_with_its_standard(void **state)
{
    static const struct {
        const char *bytes, *text;
    } VECTORS[] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        AUTO_BUF(text, 100);
        AUTO_BUF(bytes, 100);
        text_add_base64(&text, bytes_of_text(VECTORS[i].bytes));
        assert_true(bytes_equal_text(buf_bytes(&text), VECTORS[i].text));
        assert_int_equal(text_read_base64(buf_bytes(&text), &bytes), RC_OK);
        assert_true(bytes_equal_text(buf_bytes(&bytes), VECTORS[i].bytes));
    }
}

static void base64_carries_every_byte_at_every_place(void **state)
{
    (void)state;
    for (int value = 0; value < 256; value++)
        for (size_t len = 1; len < 7; len++) {
            uint8_t raw[7];
            AUTO_BUF(text, 100);
            AUTO_BUF(bytes, 100);
            memset(raw, value, sizeof raw);
            text_add_base64(&text, (struct bytes){ raw, len });
            assert_int_equal(text_read_base64(buf_bytes(&text), &bytes), RC_OK);
            assert_true(bytes_equal(buf_bytes(&bytes), (struct bytes){ raw, len }));
        }
}

static const struct {
    const char *text, *bytes; /* NULL: refused */
    const char *offset;
} BASE64[] = {
    { "Zm9v\r\nYmFy\n", "foobar", "" }, { " Z m\t9 v ", "foo", "" },
    { "Zg =\r\n= ", "f", "" },          { " \r\n", "", "" },
    { "Zg=", NULL, "offset 3" },        { "Zg", NULL, "offset 2" },
    { "Z", NULL, "offset 1" },          { "Z===", NULL, "offset 1" },
    { "====", NULL, "offset 0" },       { "=", NULL, "offset 0" },
    { "Zg===", NULL, "offset 4" },      { "Zm9v=", NULL, "offset 4" },
    { "Zg==Zg==", NULL, "offset 4" },   { "Zm8=Z", NULL, "offset 4" },
    { "Zm8=\n\nZ", NULL, "offset 6" },  { "Z=9v", NULL, "offset 1" },
    { "Zg=v", NULL, "offset 3" },       { "Zh==", NULL, "offset 3" },
    { "Zk==", NULL, "offset 3" },       { "Zm9=", NULL, "offset 3" },
    { "Zm+v", "f\x6f\xaf", "" },        { "Zm-v", NULL, "offset 2" },
    { "Zm9_", NULL, "offset 3" },       { "Zm9v!", NULL, "offset 4" },
    { "Zm9v\v", NULL, "offset 4" },     { "Zm9\xc3", NULL, "offset 3" },
};

static void base64_has_one_form_but_for_white_space(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BASE64 / sizeof *BASE64; i++) {
        AUTO_BUF(bytes, 100);
        buf_add(&bytes, BYTES("kept"));
        enum rc rc = text_read_base64(bytes_of_text(BASE64[i].text), &bytes);
        if ((rc == RC_OK) != (BASE64[i].bytes != NULL))
            print_error("%s\n", BASE64[i].text);
        assert_int_equal(rc, BASE64[i].bytes != NULL ? RC_OK : RC_MALFORMED);
        if (rc == RC_OK) {
            assert_true(bytes_equal_text((struct bytes){ bytes.at + 4, bytes.len - 4 },
                                         BASE64[i].bytes));
        } else {
            assert_int_equal(bytes.len, 4);
            assert_non_null(strstr(fault_text(), BASE64[i].offset));
        }
    }
    AUTO_BUF(bytes, 100);
    assert_int_equal(text_read_base64(BYTES("Zm9\0"), &bytes), RC_MALFORMED);
}

static void decimals_have_one_form_and_a_most(void **state)
{
    static const struct {
        const char *text;
        uint64_t most, value;
        enum rc rc;
    } CASES[] = {
        { "0", 0, 0, RC_OK },
        { "1", 0, 0, RC_LIMIT },
        { "65535", 65535, 65535, RC_OK },
        { "65536", 65535, 0, RC_LIMIT },
        { "18446744073709551615", UINT64_MAX, UINT64_MAX, RC_OK },
        { "18446744073709551616", UINT64_MAX, 0, RC_LIMIT },
        { "99999999999999999999999", UINT64_MAX, 0, RC_LIMIT },
        { "", 9, 0, RC_MALFORMED },
        { "00", 9, 0, RC_MALFORMED },
        { "01", 9, 0, RC_MALFORMED },
        { "+1", 9, 0, RC_MALFORMED },
        { "-1", 9, 0, RC_MALFORMED },
        { " 1", 9, 0, RC_MALFORMED },
        { "1 ", 9, 0, RC_MALFORMED },
        { "1a", 9, 0, RC_MALFORMED },
        { "/", 9, 0, RC_MALFORMED },
        { ":", 9, 0, RC_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint64_t value = 77;
        assert_int_equal(text_read_u64(bytes_of_text(CASES[i].text), CASES[i].most, &value),
                         CASES[i].rc);
        assert_true(value == (CASES[i].rc == RC_OK ? CASES[i].value : 77));
    }
}

/* RFC 3629 section 4: the bounds of each row of its syntax, both sides. */
static const struct {
    struct bytes text;
    bool good;
} UTF8[] = {
    { { 0 }, true },
    { BYTES("plain"), true },
    { BYTES("a\0b"), false },
    { BYTES("\x01"), true },
    { BYTES("\x7f"), true },
    { BYTES("\x80"), false },
    { BYTES("\xbf"), false },
    { BYTES("\xc0\x80"), false },
    { BYTES("\xc1\xbf"), false },
    { BYTES("\xc2\x80"), true },
    { BYTES("\xc2\x7f"), false },
    { BYTES("\xc2\xc0"), false },
    { BYTES("\xdf\xbf"), true },
    { BYTES("\xe0\x9f\xbf"), false },
    { BYTES("\xe0\xa0\x80"), true },
    { BYTES("\xe0\xa0\x7f"), false },
    { BYTES("\xec\xbf\xbf"), true },
    { BYTES("\xed\x9f\xbf"), true },
    { BYTES("\xed\xa0\x80"), false },
    { BYTES("\xed\xbf\xbf"), false },
    { BYTES("\xee\x80\x80"), true },
    { BYTES("\xef\xbf\xbf"), true },
    { BYTES("\xf0\x8f\xbf\xbf"), false },
    { BYTES("\xf0\x90\x80\x80"), true },
    { BYTES("\xf4\x8f\xbf\xbf"), true },
    { BYTES("\xf4\x90\x80\x80"), false },
    { BYTES("\xf5\x80\x80\x80"), false },
    { BYTES("\xff"), false },
    { BYTES("\xe2\x82\xac \xf0\x9f\x98\x80"), true },
};

static void utf8_is_well_formed_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof UTF8 / sizeof *UTF8; i++)
        assert_int_equal(text_is_utf8(UTF8[i].text), UTF8[i].good);
}

static void a_sequence_cut_short_is_not_utf8(void **state)
{
    static const struct bytes WHOLE[] = { BYTES("\xc2\x80"), BYTES("\xe2\x82\xac"),
                                          BYTES("\xf0\x9f\x98\x80") };

    (void)state;
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++)
        for (size_t len = 1; len < WHOLE[i].len; len++) {
            AUTO_BUF(followed, 10);
            assert_false(text_is_utf8((struct bytes){ WHOLE[i].at, len }));
            buf_add(&followed, (struct bytes){ WHOLE[i].at, len });
            buf_add(&followed, BYTES("aaa"));
            assert_false(text_is_utf8(buf_bytes(&followed)));
        }
}

/* Against the plain definition: a code point encoded is well-formed unless it is 0, a
 * surrogate, or past the last; each other pair of bytes follows from that. */
static void every_code_point_is_judged(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        uint8_t at[4] = { (uint8_t)code };
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        static const uint8_t LEADS[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
        for (size_t i = len - 1; len > 1 && i > 0; i--)
            at[i] = (uint8_t)(0x80 | (code >> 6 * (len - 1 - i) & 0x3f));
        if (len > 1)
            at[0] = (uint8_t)(LEADS[len] | code >> 6 * (len - 1));
        bool good = code != 0 && (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;
        if (text_is_utf8((struct bytes){ at, len }) != good)
            fail_msg("U+%04X", code);
    }
}

static void printable_is_what_a_terminal_shows_as_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(text_is_printable((struct bytes){ &byte, 1 }), i >= 0x20 && i <= 0x7e);
    }
    assert_true(text_is_printable((struct bytes){ 0 }));
    for (size_t at = 0; at < 19; at++) /* whole words and what is behind them */
        for (int i = 0; i < 256; i++) {
            char text[] = " ~ ~ ~ ~ ~ ~ ~ ~ ~ ";
            text[at] = (char)i;
            assert_int_equal(text_is_printable((struct bytes){ (const uint8_t *)text, 19 }),
                             i >= 0x20 && i <= 0x7e);
        }
}

static void escaping_leaves_only_the_printable(void **state)
{
    AUTO_BUF(out, 100);

    (void)state;
    text_add_escaped(&out, BYTES("a \"\\\n\0\x7f\xc3\xa9~"));
    assert_true(bytes_equal_text(buf_bytes(&out), "a \\x22\\x5c\\x0a\\x00\\x7f\\xc3\\xa9~"));
}

static void what_people_can_see_is_shown_as_it_is(void **state)
{
    static const struct {
        struct bytes text;
        const char *shown;
    } ROWS[] = {
        { BYTES("caf\xc3\xa9"), "caf\xc3\xa9" },
        { BYTES("\xe6\xb3\xb5\xf0\x9f\x94\xa5"), "\xe6\xb3\xb5\xf0\x9f\x94\xa5" },
        { BYTES("a\"\\\n\0"), "a\\x22\\x5c\\x0a\\x00" },
        { BYTES("\t\x7f"), "\\x09\\x7f" },
        { BYTES("\xc2\x85"), "\\xc2\\x85" },                          /* a control */
        { BYTES("\xe2\x80\xa9"), "\\xe2\\x80\\xa9" },                 /* U+2029 */
        { BYTES("\xe2\x80\xaa"), "\\xe2\\x80\\xaa" },                 /* U+202A */
        { BYTES("\xe2\x80\xae"), "\\xe2\\x80\\xae" },                 /* U+202E */
        { BYTES("\xe2\x81\xa6"), "\\xe2\\x81\\xa6" },                 /* U+2066 */
        { BYTES("\xe2\x81\xa9"), "\\xe2\\x81\\xa9" },                 /* U+2069 */
        { BYTES("\xe2\x81\xb0"), "\xe2\x81\xb0" },                    /* U+2070 */
        { BYTES("\xef\xbf\xbe"), "\\xef\\xbf\\xbe" },                 /* no character */
        { BYTES("\xee\x80\x80"), "\\xee\\x80\\x80" },                 /* private */
        { BYTES("\xc3"), "\\xc3" },                                   /* cut short */
        { BYTES("\xed\xa0\x80\xc3\xa9"), "\\xed\\xa0\\x80\xc3\xa9" }, /* a surrogate */
        { BYTES("\xc0\xafz"), "\\xc0\\xafz" },                        /* overlong */
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(out, 100);
        text_add_shown(&out, ROWS[i].text);
        assert_true(bytes_equal_text(buf_bytes(&out), ROWS[i].shown));
    }
}

static void cutting_spares_characters(void **state)
{
    static const size_t LEFT[] = { 0, 1, 1, 3, 3, 3, 6, 6 };
    const struct bytes text = BYTES("a\xc3\xa9\xe6\xb3\xb5");

    (void)state;
    for (size_t most = 0; most < sizeof LEFT / sizeof *LEFT; most++)
        assert_int_equal(text_cut(text, most).len, LEFT[most]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_goes_both_ways),
        cmocka_unit_test(what_is_not_hexadecimal_leaves_nothing),
        cmocka_unit_test(base64_agrees_with_its_standard),
        cmocka_unit_test(base64_carries_every_byte_at_every_place),
        cmocka_unit_test(base64_has_one_form_but_for_white_space),
        cmocka_unit_test(decimals_have_one_form_and_a_most),
        cmocka_unit_test(utf8_is_well_formed_or_not),
        cmocka_unit_test(a_sequence_cut_short_is_not_utf8),
        cmocka_unit_test(every_code_point_is_judged),
        cmocka_unit_test(printable_is_what_a_terminal_shows_as_it_is),
        cmocka_unit_test(escaping_leaves_only_the_printable),
        cmocka_unit_test(what_people_can_see_is_shown_as_it_is),
        cmocka_unit_test(cutting_spares_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
