#include "tests/support/check.h"

#include <string.h>

#include "daemon/table.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct daemon_descriptor TO_B[] = { { DAEMON_CHANNEL, "b" } };
static const struct daemon_descriptor TO_A[] = { { DAEMON_CHANNEL, "a" } };
static const struct daemon_descriptor TO_A_TWICE[] = { { DAEMON_CHANNEL, "a" },
                                                       { DAEMON_CHANNEL, "a" } };
static const struct daemon_descriptor COMMA[] = { { DAEMON_SUPPLIED, "p,q" } };
static const struct daemon_channel B_ASKS_A[] = { { "b", "a" } };
static const struct daemon_channel A_ASKS_B[] = { { "a", "b" } };
static const struct daemon_channel A_ASKS_A[] = { { "a", "a" } };
static const struct daemon_channel A_ASKS_NOBODY[] = { { "a", "nobody" } };

static const char LONG_NAME[] = "abcdefghijabcdefghijabcdefghijabc";
static const char LONGEST_NAME[] = "abcdefghijabcdefghijabcdefghijab";

static const struct row {
    const char *claim;
    struct daemon_process processes[2];
    const struct daemon_channel *channel;
    enum rc expected;
    const char *text;
} ROWS[] = {
    { "two strangers", { { "a", "pa", NULL, 0 }, { "b", "pb", NULL, 0 } }, NULL, RC_OK, "" },
    { "two that talk",
      { { "a", "pa", TO_B, 1 }, { "b", "pb", TO_A, 1 } },
      B_ASKS_A,
      RC_OK,
      "" },
    { "longest name",
      { { LONGEST_NAME, "p", NULL, 0 }, { "b", "p", NULL, 0 } },
      NULL,
      RC_OK,
      "" },
    { "name too long",
      { { LONG_NAME, "p", NULL, 0 }, { "b", "p", NULL, 0 } },
      NULL,
      RC_MALFORMED,
      "expected 1 to 32 bytes" },
    { "no name",
      { { "", "p", NULL, 0 }, { "b", "p", NULL, 0 } },
      NULL,
      RC_MALFORMED,
      "name ''" },
    { "comma", { { "a", "p", COMMA, 1 }, { "b", "p", NULL, 0 } }, NULL, RC_MALFORMED, "'p,q'" },
    { "same name",
      { { "a", "pa", NULL, 0 }, { "a", "pb", NULL, 0 } },
      NULL,
      RC_MALFORMED,
      "a stands twice" },
    { "folder",
      { { "a", "../pa", NULL, 0 }, { "b", "pb", NULL, 0 } },
      NULL,
      RC_MALFORMED,
      "names a folder" },
    { "no channel",
      { { "a", "pa", TO_B, 1 }, { "b", "pb", NULL, 0 } },
      NULL,
      RC_MALFORMED,
      "no channel joins them" },
    { "one end only",
      { { "a", "pa", TO_B, 1 }, { "b", "pb", NULL, 0 } },
      B_ASKS_A,
      RC_MALFORMED,
      "both ends" },
    { "listed twice",
      { { "a", "pa", TO_B, 1 }, { "b", "pb", TO_A_TWICE, 2 } },
      B_ASKS_A,
      RC_MALFORMED,
      "lists a twice" },
    { "asks who starts later",
      { { "a", "pa", TO_B, 1 }, { "b", "pb", TO_A, 1 } },
      A_ASKS_B,
      RC_MALFORMED,
      "who answers starts first" },
    { "asks itself",
      { { "a", "pa", NULL, 0 }, { "b", "pb", NULL, 0 } },
      A_ASKS_A,
      RC_MALFORMED,
      "one end is no process" },
    { "asks nobody",
      { { "a", "pa", NULL, 0 }, { "b", "pb", NULL, 0 } },
      A_ASKS_NOBODY,
      RC_MALFORMED,
      "one end is no process" },
};

static void names_each_contradiction(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct daemon_table table = { ROWS[i].processes, 2, ROWS[i].channel,
                                      ROWS[i].channel != NULL };
        enum rc rc = daemon_table_check(&table);
        if (rc != ROWS[i].expected)
            print_error("%s: %s\n", ROWS[i].claim, rc_name(rc));
        assert_int_equal(rc, ROWS[i].expected);
        if (rc != RC_OK)
            assert_non_null(strstr(fault_text(), ROWS[i].text));
    }
}

static void what_we_ship_is_sound(void **state)
{
    (void)state;
    assert_int_equal(daemon_table_check(daemon_table_shipped()), RC_OK);
    assert_int_equal(daemon_table_find(daemon_table_shipped(), "signer"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_each_contradiction),
        cmocka_unit_test(what_we_ship_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
