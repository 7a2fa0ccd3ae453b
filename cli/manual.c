#include "cli/command.h"

#include <string.h>

enum { SUMMARY_COLUMN = 32 };

static void add_synopsis(const struct cli_command *command, struct buf *out)
{
    buf_addf(out, "touchmark %s", command->name);
    if (command->option_count > 0)
        buf_addf(out, " [OPTIONS]");
    if (command->arguments[0] != '\0')
        buf_addf(out, " %s", command->arguments);
}

static void add_line(const struct cli_command *command, struct buf *out)
{
    int width = (int)(strlen(command->name) + 1 + strlen(command->arguments));

    buf_addf(out, "  %s %s%*s%s\n", command->name, command->arguments,
             width < SUMMARY_COLUMN ? SUMMARY_COLUMN - width : 1, "", command->summary);
}

void cli_manual_overview(const struct cli_table *table, struct buf *out)
{
    buf_addf(out, "touchmark: device identities, from the command line\n\n"
                  "Usage: touchmark COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n");
    for (size_t i = 0; i < table->count; i++)
        add_line(table->commands[i], out);
    buf_addf(out, "\nEvery command: --json for an answer that programs read, --help for more.\n"
                  "\nExit status:\n");
    for (int status = 0; cli_command_exit_meaning(status) != NULL; status++)
        buf_addf(out, "  %d  %s\n", status, cli_command_exit_meaning(status));
}

void cli_manual_group(const struct cli_table *table, struct bytes group, struct buf *out)
{
    buf_addf(out, "Usage: touchmark %.*s COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n",
             BYTES_FMT(group));
    for (size_t i = 0; i < table->count; i++)
        if (cli_command_in_group(table->commands[i], group))
            add_line(table->commands[i], out);
}

static void add_option(const struct cli_option *option, struct buf *out)
{
    bool valued = option->argument != NULL;
    int width = (int)(strlen(option->name) + 1 + (valued ? strlen(option->argument) : 0));

    buf_addf(out, "  %s %s%*s%s\n", option->name, valued ? option->argument : "",
             width < SUMMARY_COLUMN ? SUMMARY_COLUMN - width : 1, "", option->meaning);
}

static void add_options(const struct cli_command *command, struct buf *out)
{
    size_t count = 0;
    const struct cli_option *remote = cli_command_remote_options(&count);

    buf_addf(out, "\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++)
        add_option(&command->options[i], out);
    for (size_t i = 0; command->remote && i < count; i++)
        add_option(&remote[i], out);
    add_option(&(const struct cli_option){ "--json", NULL, "answer in JSON" }, out);
    add_option(&(const struct cli_option){ "--help", NULL, "this text" }, out);
}

void cli_manual_command(const struct cli_command *command, struct buf *out)
{
    buf_addf(out, "%s\n\nUsage: ", command->summary);
    add_synopsis(command, out);
    buf_addf(out, "\n\n%s", command->teaching);
    add_options(command, out);
}

/* roff reads a leading dot or quote as a request, and a bare hyphen as a typographic one. */
static void add_roff(struct buf *out, const char *text)
{
    bool line_start = true;

    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            buf_addf(out, "\\&");
        if (*text == '-' || *text == '\\')
            buf_addf(out, *text == '-' ? "\\-" : "\\e");
        else
            buf_add_u8(out, (uint8_t)*text);
        line_start = *text == '\n';
    }
}

static void add_roff_option(struct buf *out, const struct cli_option *option)
{
    buf_addf(out, ".TP\n.B ");
    add_roff(out, option->name);
    if (option->argument != NULL)
        buf_addf(out, " %s", option->argument);
    buf_addf(out, "\n");
    add_roff(out, option->meaning);
    buf_addf(out, "\n");
}

static void add_roff_command(struct buf *out, const struct cli_command *command)
{
    buf_addf(out, ".SS \"");
    add_synopsis(command, out);
    buf_addf(out, "\"\n");
    add_roff(out, command->summary);
    buf_addf(out, ".\n.PP\n.nf\n");
    add_roff(out, command->teaching);
    buf_addf(out, ".fi\n");
    for (size_t i = 0; i < command->option_count; i++)
        add_roff_option(out, &command->options[i]);
}

static void add_roff_remote(struct buf *out)
{
    size_t count = 0;
    const struct cli_option *remote = cli_command_remote_options(&count);

    buf_addf(out, ".SH \"COMMON OPTIONS\"\n.TP\n.B \\-\\-json\nanswer in JSON\n"
                  ".TP\n.B \\-\\-help\nteach the command\n.PP\n"
                  "Commands that speak to a running system also have:\n");
    for (size_t i = 0; i < count; i++)
        add_roff_option(out, &remote[i]);
}

void cli_manual_page(const struct cli_table *table, struct buf *out)
{
    buf_addf(out,
             ".TH TOUCHMARK 1\n.SH NAME\ntouchmark \\- device identities, from the command "
             "line\n.SH SYNOPSIS\n.B touchmark\nCOMMAND [OPTIONS] [ARGUMENTS]\n"
             ".SH COMMANDS\n");
    for (size_t i = 0; i < table->count; i++)
        add_roff_command(out, table->commands[i]);
    add_roff_remote(out);
    buf_addf(out, ".SH \"EXIT STATUS\"\n");
    for (int status = 0; cli_command_exit_meaning(status) != NULL; status++)
        buf_addf(out, ".TP\n.B %d\n%s\n", status, cli_command_exit_meaning(status));
}

/* "device add" and "device list" complete as device, then add or list. */
static void add_words(const struct cli_table *table, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->commands[i]->name;
        struct bytes first = { (const uint8_t *)name, strcspn(name, " ") };
        bool repeated =
            i > 0 && bytes_start_with(bytes_of_text(table->commands[i - 1]->name), first);
        if (!repeated)
            buf_addf(out, "%.*s ", BYTES_FMT(first));
    }
}

static void add_case(struct buf *out, const struct cli_command *command)
{
    buf_addf(out, "    \"%s\"*) words=\"", command->name);
    for (size_t i = 0; i < command->option_count; i++)
        buf_addf(out, "%s ", command->options[i].name);
    buf_addf(out, "%s--json --help\" ;;\n", command->remote ? "--profile --server " : "");
}

static void add_second_words(struct buf *out, const struct cli_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *space = strchr(table->commands[i]->name, ' ');
        if (space != NULL)
            buf_addf(out, "    %.*s) words=\"$words %s\" ;;&\n",
                     (int)(space - table->commands[i]->name), table->commands[i]->name,
                     space + 1);
    }
}

void cli_manual_completion(const struct cli_table *table, struct buf *out)
{
    buf_addf(out,
             "_touchmark() {\n  local words=\"\" typed=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
             "  case \"$typed\" in\n    \"\") words=\"");
    add_words(table, out);
    buf_addf(out, "\" ;;\n");
    for (size_t i = 0; i < table->count; i++)
        add_case(out, table->commands[i]);
    add_second_words(out, table);
    buf_addf(out, "  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
                  "\"${COMP_WORDS[COMP_CWORD]}\")\n"
                  "  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "
                  "\"${COMP_WORDS[COMP_CWORD]}\")\n}\ncomplete -F _touchmark touchmark\n");
}
