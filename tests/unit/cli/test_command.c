#include "tests/support/check.h"

#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

/* What the command under test saw, told through its answer. */
static enum rc echo(const struct cli_call *call)
{
    for (size_t i = 0; i < call->word_count; i++)
        fprintf(call->out, "word=%s ", call->words[i]);
    for (size_t i = 0; i < call->command->option_count; i++)
        fprintf(call->out, "%s=%s ", call->command->options[i].name,
                call->values[i] == NULL ? "(absent)" : call->values[i]);
    fprintf(call->out, "json=%d", call->json);
    return RC_OK;
}

static enum rc refuse(const struct cli_call *call)
{
    return fault(RC_DENIED, "%s is not for you", call->words[0]);
}

static enum rc not_with_wait(const struct cli_call *call)
{
    return call->values[1] != NULL ? fault(RC_DENIED, "not with --wait") : RC_OK;
}

static const struct cli_option OPTIONS[] = {
    { "--under", "FILE", "stand under this root" },
    { "--wait", NULL, "wait until it is done" },
};

static const struct cli_command COMMANDS[] = {
    { "init", "DIR", 1, 1, "make a new one", "Makes.\n", OPTIONS, 2, NULL, echo, false },
    { "device add", "ID", 1, 2, "add a device", ".dotted line\nAdds -it.\n", NULL, 0, NULL,
      echo, false },
    { "device show", "ID", 1, 1, "refuse a device", "Refuses.\n", NULL, 0, NULL, refuse, true },
    { "look", "", 0, 0, "look at it", "Looks.\n", OPTIONS, 2, not_with_wait, echo, false },
};
static const struct cli_command *const ALL[] = { &COMMANDS[0], &COMMANDS[1], &COMMANDS[2],
                                                 &COMMANDS[3] };
static const struct cli_table TABLE = { ALL, 4 };

struct spoken {
    char *out, *messages;
    size_t out_len, messages_len;
    int status;
};

static struct spoken run(const char *const *argv)
{
    struct spoken s = { 0 };
    size_t argc = 0;

    while (argv[argc] != NULL)
        argc++;
    FILE *out = open_memstream(&s.out, &s.out_len);
    FILE *messages = open_memstream(&s.messages, &s.messages_len);
    s.status = cli_command_main(&TABLE, argv, argc, out, messages);
    fclose(out);
    fclose(messages);
    return s;
}

static const struct {
    const char *argv[8];
    int status;
    const char *out, *messages; /* parts that must occur */
} CASES[] = {
    { { "init", "d" }, CLI_EXIT_OK, "word=d --under=(absent) --wait=(absent) json=0", "" },
    { { "init", "--json", "d", "--under", "f" }, CLI_EXIT_OK, "--under=f", "" },
    { { "init", "--wait", "--", "-d" }, CLI_EXIT_OK, "word=-d --under=(absent) --wait= ", "" },
    { { "init", "-" }, CLI_EXIT_OK, "word=- ", "" },
    { { "device", "add", "a", "b" }, CLI_EXIT_OK, "word=a word=b", "" },
    { { "init" }, CLI_EXIT_USAGE, "", "init needs DIR" },
    { { "init", "a", "b" }, CLI_EXIT_USAGE, "", "\"b\" is one argument too many" },
    { { "init", "a", "--under" }, CLI_EXIT_USAGE, "", "--under needs FILE" },
    { { "init", "a", "--wait", "--wait" }, CLI_EXIT_USAGE, "", "--wait is given twice" },
    { { "init", "a", "--frob" }, CLI_EXIT_USAGE, "", "init has no option --frob" },
    { { "device" }, CLI_EXIT_USAGE, "", "device show ID" },
    { { "device", "--help" }, CLI_EXIT_OK, "device show ID", "" },
    { { "device", "eat" }, CLI_EXIT_USAGE, "", "there is no command \"device eat\"" },
    { { "devic", "add" }, CLI_EXIT_USAGE, "", "there is no command \"devic\"" },
    { { "device", "show", "x", "--profile", "p", "--server", "s" }, CLI_EXIT_DENIED, "", "" },
    { { "device", "show", "x", "--server" }, CLI_EXIT_USAGE, "", "--server needs URL" },
    { { "device", "show", "--help" }, CLI_EXIT_OK, "--profile FILE", "" },
    { { "device", "add", "x", "--server", "s" }, CLI_EXIT_USAGE, "", "no option --server" },
    { { "ini", "d" }, CLI_EXIT_USAGE, "", "there is no command \"ini\"" },
    { { "device", "show", "x" }, CLI_EXIT_DENIED, "", "touchmark: x is not for you\n" },
    { { "look" }, CLI_EXIT_OK, "--wait=(absent)", "" },
    { { "look", "--wait" },
      CLI_EXIT_USAGE,
      "",
      "touchmark: not with --wait\nTry \"touchmark look --help\".\n" },
    { { "look", "--wait", "--help" }, CLI_EXIT_OK, "Looks.", "" },
    { { "--help" }, CLI_EXIT_OK, "make a new one", "" },
    { { "help", "init" }, CLI_EXIT_OK, "stand under this root", "" },
    { { "help", "device", "add" }, CLI_EXIT_OK, "Adds -it.", "" },
    { { "help", "device" }, CLI_EXIT_OK, "device show ID", "" },
    { { "help" }, CLI_EXIT_OK, "Exit status:\n  0  done", "" },
    { { "help", "absent" }, CLI_EXIT_USAGE, "", "there is no command \"absent\"" },
    { { "help", "device", "absent" },
      CLI_EXIT_USAGE,
      "",
      "there is no command \"device absent\"" },
    { { "help", "init", "more" }, CLI_EXIT_USAGE, "", "there is no command \"init more\"" },
    { { "init", "--help" }, CLI_EXIT_OK, "stand under this root", "" },
    { { NULL }, CLI_EXIT_USAGE, "", "Commands:" },
};

static void does_or_says_what_was_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct spoken s = run(CASES[i].argv);
        print_message("  %s: %s%s\n", CASES[i].argv[0] ? CASES[i].argv[0] : "(nothing)", s.out,
                      s.messages);
        assert_int_equal(s.status, CASES[i].status);
        assert_non_null(strstr(s.out, CASES[i].out));
        assert_non_null(strstr(s.messages, CASES[i].messages));
        if (s.status != CLI_EXIT_OK)
            assert_string_equal(s.out, "");
        free(s.out);
        free(s.messages);
    }
}

static void every_result_has_a_documented_exit_status(void **state)
{
    (void)state;
    for (int rc = RC_OK; strcmp(rc_name((enum rc)rc), "unknown") != 0; rc++) {
        int status = cli_command_exit((enum rc)rc);
        assert_non_null(cli_command_exit_meaning(status));
        assert_int_equal(status == CLI_EXIT_OK, rc == RC_OK);
    }
}

static void manual_page_names_everything_and_escapes_roff(void **state)
{
    AUTO_BUF(page, 64 * 1024);
    const char *text = NULL;

    (void)state;
    cli_manual_page(&TABLE, &page);
    assert_int_equal(buf_text(&page, &text), RC_OK);
    assert_non_null(strstr(text, "touchmark device add"));
    assert_non_null(strstr(text, "\\&.dotted line\nAdds \\-it.\n"));
    assert_non_null(strstr(text, "\\-\\-under FILE"));
    assert_non_null(strstr(text, "understood and refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_or_says_what_was_wrong),
        cmocka_unit_test(every_result_has_a_documented_exit_status),
        cmocka_unit_test(manual_page_names_everything_and_escapes_roff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
