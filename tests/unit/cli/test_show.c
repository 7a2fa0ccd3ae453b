#include "tests/support/check.h"

#include <string.h>

#include "cli/show.h"

static const struct cli_show_column COLUMNS[] = {
    { "ID", "id" },
    { "OWNER", "owner.name" },
    { "GROUPS", "groups" },
};

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    AUTO(json_value) *rows = json_loads("[{\"id\":\"d1\",\"owner\":{\"name\":\"J\\u00fcrgen\"},"
                                        "\"groups\":[\"a\",\"b\"]},"
                                        "{\"id\":\"device-2\",\"owner\":null,\"groups\":[]}]",
                                        0, NULL);
    AUTO_BUF(text, 4096);

    (void)state;
    cli_show_table(rows, COLUMNS, 3, &text);
    assert_true(bytes_equal_text(buf_bytes(&text), "ID        OWNER   GROUPS\n"
                                                   "d1        J\u00fcrgen  a,b\n"
                                                   "device-2  -       -\n"));
}

static void what_a_terminal_would_act_upon_is_not_printed(void **state)
{
    static const struct {
        const char *json, *shown;
    } CASES[] = {
        { "\"\\u001b[2J\"", "?[2J" },
        { "\"a\\nb\\u007f\"", "a?b?" },
        { "\"\\u009b31m\"", "?31m" },
        { "\"\\u00e9\\u20ac\"", "\u00e9\u20ac" },
        { "42", "42" },
        { "true", "yes" },
        { "false", "no" },
        { "null", "-" },
        { "[]", "-" },
        { "[\"a\",\"\\u0007\"]", "a,?" },
        { "{\"not\":\"for a cell\"}", "-" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(json_value) *value = json_loads(CASES[i].json, JSON_DECODE_ANY, NULL);
        AUTO_BUF(text, 256);
        cli_show_value(value, &text);
        if (!bytes_equal_text(buf_bytes(&text), CASES[i].shown))
            fail_msg("%s shows as %.*s", CASES[i].json, BYTES_FMT(buf_bytes(&text)));
    }
}

static void facts_stand_one_a_line(void **state)
{
    static const struct cli_show_column FACTS[] = { { "id", "id" }, { "owner", "owner.name" } };
    AUTO(json_value) *object = json_loads("{\"id\":7}", 0, NULL);
    AUTO_BUF(text, 256);

    (void)state;
    cli_show_facts(object, FACTS, 2, &text);
    assert_true(bytes_equal_text(buf_bytes(&text), "id     7\nowner  -\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(what_a_terminal_would_act_upon_is_not_printed),
        cmocka_unit_test(facts_stand_one_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
