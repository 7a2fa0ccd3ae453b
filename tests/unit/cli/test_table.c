#include "tests/support/check.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_page_is_as_agreed),
        cmocka_unit_test(every_command_teaches_with_an_example),
        cmocka_unit_test(rows_fit_their_limits_and_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
