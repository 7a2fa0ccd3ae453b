#include "tests/support/check.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/table.h"

enum { PAGE_MAX = 256 * 1024 };

/* tests/golden/cli/touchmark.1 is what people read: a change of a command is a difference
 * there.
 */
static void manual_page_is_as_agreed(void **state)
{
    AUTO_BUF(page, PAGE_MAX);
    AUTO_BUF(golden, PAGE_MAX);
    AUTO_BUF(path, 4096);
    const char *source = getenv("TOUCHMARK_SOURCE"), *name = NULL;

    (void)state;
    buf_addf(&path, "%s/tests/golden/cli/touchmark.1", source != NULL ? source : ".");
    assert_int_equal(buf_text(&path, &name), RC_OK);
    assert_int_equal(file_read(AT_FDCWD, name, &golden), RC_OK);
    cli_manual_page(cli_table(), &page);
    if (!bytes_equal(buf_bytes(&page), buf_bytes(&golden)))
        fail_msg("touchmark manual > tests/golden/cli/touchmark.1, and look at the difference");
}

static void every_command_teaches_with_an_example(void **state)
{
    const struct cli_table *table = cli_table();

    (void)state;
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_command *command = table->commands[i];
        AUTO_BUF(example, 256);
        const char *text = NULL;
        buf_addf(&example, "  touchmark %s", command->name);
        assert_int_equal(buf_text(&example, &text), RC_OK);
        if (strstr(command->teaching, text) == NULL)
            fail_msg("%s shows no example of itself", command->name);
        assert_true(islower((unsigned char)command->summary[0]) ||
                    isupper((unsigned char)command->summary[1]));
        assert_true(command->summary[strlen(command->summary) - 1] != '.');
    }
}

static void rows_fit_their_limits_and_are_told_apart(void **state)
{
    const struct cli_table *table = cli_table();

    (void)state;
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_command *one = table->commands[i];
        assert_true(one->option_count <= CLI_OPTIONS_MAX);
        assert_true(one->words_least <= one->words_most && one->words_most <= CLI_WORDS_MAX);
        for (size_t j = 0; j < one->option_count; j++)
            for (size_t k = 0; k < j; k++)
                assert_string_not_equal(one->options[j].name, one->options[k].name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(one->name, table->commands[j]->name);
    }
}

/* Nothing is done: neither the backup nor the place exists. */
static void a_restore_says_what_keeps_an_older_state_from_being_signed(void **state)
{
    static const struct {
        const char *argv[7];
        size_t argc;
        int status;
        const char *messages[3]; /* parts that must occur */
    } ROWS[] = {
        { { "restore", "no-backup", "no-place" },
          3,
          CLI_EXIT_USAGE,
          { "--checkpoint FILE", "--journal DIR", "--no-newer-checkpoint" } },
        { { "restore", "no-backup", "no-place", "--no-newer-checkpoint", "--journal", "j" },
          6,
          CLI_EXIT_USAGE,
          { "not beside them", "", "" } },
        { { "restore", "no-backup", "no-place", "--checkpoint", "c", "--no-newer-checkpoint" },
          6,
          CLI_EXIT_USAGE,
          { "not beside them", "", "" } },
        { { "restore", "no-backup", "no-place", "--no-newer-checkpoint" },
          4,
          CLI_EXIT_NOT_FOUND,
          { "no-backup", "", "" } },
        { { "restore", "no-backup", "no-place", "--checkpoint", "c", "--journal", "j" },
          7,
          CLI_EXIT_NOT_FOUND,
          { "no-backup", "", "" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *said = NULL;
        size_t len = 0;
        FILE *messages = open_memstream(&said, &len);
        assert_non_null(messages);
        int status =
            cli_command_main(cli_table(), ROWS[i].argv, ROWS[i].argc, stdout, messages);
        fclose(messages);
        assert_int_equal(status, ROWS[i].status);
        for (size_t part = 0; part < 3; part++)
            assert_non_null(strstr(said, ROWS[i].messages[part]));
        assert_int_not_equal(faccessat(AT_FDCWD, "no-place", F_OK, 0), 0);
        assert_int_not_equal(faccessat(AT_FDCWD, "no-place.partial", F_OK, 0), 0);
        free(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_page_is_as_agreed),
        cmocka_unit_test(every_command_teaches_with_an_example),
        cmocka_unit_test(rows_fit_their_limits_and_are_told_apart),
        cmocka_unit_test(a_restore_says_what_keeps_an_older_state_from_being_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
