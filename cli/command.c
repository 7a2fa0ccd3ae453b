#include "cli/command.h"

#include <string.h>

enum { HELP_MAX = 64 * 1024 };

static const struct {
    int status;
    const char *meaning;
} EXITS[] = {
    { CLI_EXIT_OK, "done" },
    { CLI_EXIT_FAILED, "failed: input or output, damaged data, or the HSM token" },
    { CLI_EXIT_USAGE, "the command line is wrong; nothing was done" },
    { CLI_EXIT_DENIED, "understood and refused" },
    { CLI_EXIT_NOT_FOUND, "what was named does not exist" },
    { CLI_EXIT_EXISTS, "it exists already; nothing was changed" },
    { CLI_EXIT_BUSY, "in use or not reachable now; try again" },
    { CLI_EXIT_MALFORMED, "a file or value breaks its format" },
    { CLI_EXIT_PROPOSED, "a proposal now: done when another administrator approves it" },
    { CLI_EXIT_NO, "answered, and the answer is no: denied, not the same, warnings" },
};

const char *cli_command_exit_meaning(int status)
{
    for (size_t i = 0; i < sizeof EXITS / sizeof *EXITS; i++)
        if (EXITS[i].status == status)
            return EXITS[i].meaning;
    return NULL;
}

int cli_command_exit(enum rc rc)
{
    switch (rc) {
    case RC_OK:
        return CLI_EXIT_OK;
    case RC_MALFORMED:
    case RC_LIMIT:
        return CLI_EXIT_MALFORMED;
    case RC_DENIED:
        return CLI_EXIT_DENIED;
    case RC_NOT_FOUND:
        return CLI_EXIT_NOT_FOUND;
    case RC_EXISTS:
        return CLI_EXIT_EXISTS;
    case RC_BUSY:
    case RC_CLOSED:
        return CLI_EXIT_BUSY;
    case RC_NOMEM:
    case RC_IO:
    case RC_CORRUPT:
    case RC_CRYPTO:
        break;
    }
    return CLI_EXIT_FAILED;
}

const char *cli_command_value(const struct cli_call *call, size_t option, const char *otherwise)
{
    return call->values[option] != NULL ? call->values[option] : otherwise;
}

enum { PROFILE, SERVER, REMOTE_OPTIONS };

const struct cli_option *cli_command_remote_options(size_t *count)
{
    static const struct cli_option OPTIONS[REMOTE_OPTIONS] = {
        [PROFILE] = { "--profile", "FILE",
                      "operator.conf to use; else ./operator.conf, "
                      "~/.config/touchmark/operator.conf, "
                      "/etc/touchmark/operator/operator.conf" },
        [SERVER] = { "--server", "URL", "another operator door than the profile's" },
    };

    *count = REMOTE_OPTIONS;
    return OPTIONS;
}

enum rc cli_command_put(const struct cli_call *call, const struct buf *text)
{
    struct bytes bytes;

    TRY(buf_done(text, &bytes));
    if (bytes.len > 0 && fwrite(bytes.at, 1, bytes.len, call->out) != bytes.len)
        return fault_errno("write the answer");
    return RC_OK;
}

bool cli_command_in_group(const struct cli_command *command, struct bytes group)
{
    struct bytes name = bytes_of_text(command->name);

    return name.len > group.len && name.at[group.len] == ' ' && bytes_start_with(name, group);
}

/* The command line while it is taken apart. */
struct line {
    const char *const *argv;
    size_t argc;
    const char *words[CLI_WORDS_MAX];
    const char *values[CLI_OPTIONS_MAX];
    const char *remote[REMOTE_OPTIONS];
    size_t word_count;
    bool json, help;
};

/* How many of the first words name this command; 0 if they do not. */
static size_t named_by(const struct cli_command *command, const char *const *argv, size_t argc)
{
    const char *second = strchr(command->name, ' ');
    struct bytes first = bytes_of_text(command->name);

    if (second != NULL)
        first.len = (size_t)(second - command->name);
    if (argc < 1 || !bytes_equal_text(first, argv[0]))
        return 0;
    if (second == NULL)
        return 1;
    return argc >= 2 && strcmp(second + 1, argv[1]) == 0 ? 2 : 0;
}

static const struct cli_command *find(const struct cli_table *table, const char *const *argv,
                                      size_t argc, size_t *used)
{
    for (size_t i = 0; i < table->count; i++) {
        *used = named_by(table->commands[i], argv, argc);
        if (*used > 0)
            return table->commands[i];
    }
    return NULL;
}

/* Takes the word at *at, and its argument, if it is one of these options; *known says so. */
static enum rc take_if_option(const struct cli_option *options, size_t count,
                              const char **values, struct line *line, size_t *at, bool *known)
{
    const char *given = line->argv[*at];

    for (size_t i = 0; i < count && !*known; i++) {
        if (strcmp(options[i].name, given) != 0)
            continue;
        *known = true;
        if (values[i] != NULL)
            return fault(RC_MALFORMED, "%s is given twice", given);
        if (options[i].argument != NULL && *at + 1 >= line->argc)
            return fault(RC_MALFORMED, "%s needs %s", given, options[i].argument);
        values[i] = options[i].argument == NULL ? "" : line->argv[++*at];
    }
    return RC_OK;
}

static enum rc take_option(const struct cli_command *command, struct line *line, size_t *at)
{
    size_t count = 0;
    const struct cli_option *remote = cli_command_remote_options(&count);
    const char *given = line->argv[*at];
    bool known = false;

    TRY(take_if_option(command->options, command->option_count, line->values, line, at,
                       &known));
    if (command->remote)
        TRY(take_if_option(remote, count, line->remote, line, at, &known));
    return known ? RC_OK : fault(RC_MALFORMED, "%s has no option %s", command->name, given);
}

static enum rc take_word(const struct cli_command *command, struct line *line, const char *word)
{
    if (line->word_count >= command->words_most)
        return fault(RC_MALFORMED, "%s: \"%s\" is one argument too many", command->name, word);
    line->words[line->word_count++] = word;
    return RC_OK;
}

static enum rc take_line(const struct cli_command *command, struct line *line, size_t from)
{
    bool only_words = false;

    for (size_t i = from; i < line->argc; i++) {
        const char *arg = line->argv[i];
        if (only_words || arg[0] != '-' || arg[1] == '\0')
            TRY(take_word(command, line, arg));
        else if (strcmp(arg, "--") == 0)
            only_words = true;
        else if (strcmp(arg, "--help") == 0)
            line->help = true;
        else if (strcmp(arg, "--json") == 0)
            line->json = true;
        else
            TRY(take_option(command, line, &i));
    }
    if (!line->help && line->word_count < command->words_least)
        return fault(RC_MALFORMED, "%s needs %s", command->name, command->arguments);
    return RC_OK;
}

static int complain(FILE *messages, const char *hint)
{
    fprintf(messages, "touchmark: %s\n", fault_text());
    if (hint != NULL)
        fprintf(messages, "Try \"touchmark %s--help\".\n", hint);
    return CLI_EXIT_USAGE;
}

static int complain_about(const struct cli_command *command, FILE *messages)
{
    AUTO_BUF(hint, 256);
    const char *text = NULL;

    buf_addf(&hint, "%s ", command->name);
    return complain(messages, buf_text(&hint, &text) == RC_OK ? text : "");
}

static int show(struct buf *text, FILE *to)
{
    struct bytes bytes = buf_bytes(text);

    return fwrite(bytes.at, 1, bytes.len, to) == bytes.len && bytes.len > 0 ? CLI_EXIT_OK
                                                                            : CLI_EXIT_FAILED;
}

static int show_overview(const struct cli_table *table, FILE *to)
{
    AUTO_BUF(text, HELP_MAX);

    cli_manual_overview(table, &text);
    return show(&text, to);
}

static bool is_group(const struct cli_table *table, const char *word)
{
    for (size_t i = 0; i < table->count; i++)
        if (cli_command_in_group(table->commands[i], bytes_of_text(word)))
            return true;
    return false;
}

/* The first word alone, or with a second that is none of its commands. */
static int show_group(const struct cli_table *table, struct bytes group,
                      const char *const *argv, size_t argc, FILE *out, FILE *messages)
{
    AUTO_BUF(text, HELP_MAX);
    bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;

    cli_manual_group(table, group, &text);
    if (asked)
        return show(&text, out);
    if (argc > 1 && argv[1][0] != '-')
        fprintf(messages, "touchmark: there is no command \"%s %s\"\n\n", argv[0], argv[1]);
    (void)show(&text, messages); /* the status says already that the command line is wrong */
    return CLI_EXIT_USAGE;
}

static int run(const struct cli_command *command, const struct line *line, FILE *out,
               FILE *messages)
{
    int status = CLI_EXIT_OK;
    struct cli_call call = {
        .command = command,
        .words = line->words,
        .word_count = line->word_count,
        .values = line->values,
        .profile = line->remote[PROFILE],
        .server = line->remote[SERVER],
        .json = line->json,
        .out = out,
        .messages = messages,
        .status = &status,
    };

    if (command->check != NULL && command->check(&call) != RC_OK)
        return complain_about(command, messages);
    enum rc rc = command->run(&call);
    if (rc == RC_OK && (fflush(out) != 0 || ferror(out)))
        rc = fault_errno("write the answer");
    if (rc != RC_OK)
        fprintf(messages, "touchmark: %s\n", fault_text());
    return rc == RC_OK ? status : cli_command_exit(rc);
}

/* "help device add", "help device", "help". */
static int help(const struct cli_table *table, const char *const *argv, size_t argc, FILE *out,
                FILE *messages)
{
    size_t used = 0;

    if (argc == 0)
        return show_overview(table, out);
    const struct cli_command *command = find(table, argv, argc, &used);
    if (command == NULL && argc == 1 && is_group(table, argv[0]))
        return show_group(table, bytes_of_text(argv[0]), (const char *[]){ argv[0], "--help" },
                          2, out, messages);
    if (command == NULL || used < argc) {
        (void)fault(RC_NOT_FOUND, "there is no command \"%s%s%s\"", argv[0],
                    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
        return complain(messages, "");
    }
    AUTO_BUF(text, HELP_MAX);
    cli_manual_command(command, &text);
    return show(&text, out);
}

int cli_command_main(const struct cli_table *table, const char *const *argv, size_t argc,
                     FILE *out, FILE *messages)
{
    struct line line = { .argv = argv, .argc = argc };
    size_t used = 0;

    if (argc == 0) {
        (void)show_overview(table, messages); /* the status says that nothing was asked */
        return CLI_EXIT_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0)
        return help(table, argv + 1, argc - 1, out, messages);
    const struct cli_command *command = find(table, argv, argc, &used);
    if (command == NULL) {
        if (is_group(table, argv[0]))
            return show_group(table, bytes_of_text(argv[0]), argv, argc, out, messages);
        (void)fault(RC_NOT_FOUND, "there is no command \"%s\"", argv[0]);
        return complain(messages, "");
    }
    if (take_line(command, &line, used) != RC_OK)
        return complain_about(command, messages);
    if (line.help) {
        AUTO_BUF(text, HELP_MAX);
        cli_manual_command(command, &text);
        return show(&text, out);
    }
    return run(command, &line, out, messages);
}
