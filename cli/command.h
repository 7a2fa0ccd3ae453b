/* The commands of touchmark: one table that is dispatcher, help, completion and manual page. */
#pragma once

#include "base/buf.h"

#include <stdio.h>

/*
 * What a command is run with. Words are borrowed from argv. out is for the answer (and only
 * the answer: it may be piped), messages is for people.
 */
struct cli_call {
    const struct cli_command *command;
    const char *const *words; /* the positional arguments */
    size_t word_count;
    const char *const *values;    /* by place in the command's options: NULL if absent, "" for a
                                     switch that is given */
    const char *profile, *server; /* of a remote command: as given, or NULL */
    bool json;
    FILE *out, *messages;
    int *
        status; /* to exit with when run() gives RC_OK: CLI_EXIT_OK, unless it says otherwise */
};

struct cli_option {
    const char *name;     /* "--under" */
    const char *argument; /* "DIR" in the help; NULL for a switch */
    const char *meaning;
};

enum { CLI_OPTIONS_MAX = 24, CLI_WORDS_MAX = 8 };

struct cli_command {
    const char *name;      /* one or two words: "init", "device add" */
    const char *arguments; /* for the help: "DIR" */
    size_t words_least, words_most;
    const char *summary;  /* one line, lower case, no full stop */
    const char *teaching; /* what it does, what it leaves alone, an example: shown by --help and
                             in the manual page */
    const struct cli_option *options;
    size_t option_count;
    /* Of options that need or exclude each other: what it refuses is a wrong command line.
     * NULL: there are none. */
    enum rc (*check)(const struct cli_call *call);
    enum rc (*run)(const struct cli_call *call);
    bool remote; /* speaks to a running system: --profile FILE and --server URL besides */
};

struct cli_table {
    const struct cli_command *const *commands;
    size_t count;
};

/* Exit status of touchmark, documented in its manual page; scripts may rely on them. */
enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILED = 1, /* an error not listed below: input/output, corrupt data, the token */
    CLI_EXIT_USAGE = 2,  /* the command line is wrong; nothing was done */
    CLI_EXIT_DENIED = 3, /* understood and refused */
    CLI_EXIT_NOT_FOUND = 4,
    CLI_EXIT_EXISTS = 5,
    CLI_EXIT_BUSY = 6,      /* try again: in use, or not reachable now */
    CLI_EXIT_MALFORMED = 7, /* a file or value breaks its format */
    CLI_EXIT_PROPOSED = 8,  /* not done yet: another administrator must approve it */
    CLI_EXIT_NO = 9,        /* asked and answered: no, not the same, not without warnings */
};
int cli_command_exit(enum rc rc);
/* The option's value, or `otherwise` if it was not given. */
const char *cli_command_value(const struct cli_call *call, size_t option,
                              const char *otherwise);
/* What every remote command understands besides its own options. */
const struct cli_option *cli_command_remote_options(size_t *count);
/* Write the answer to `out`. */
enum rc cli_command_put(const struct cli_call *call, const struct buf *text);
/* Whether the command is one of this group: "device" of "device add". */
bool cli_command_in_group(const struct cli_command *command, struct bytes group);
/* One row an exit status, for the manual page and the tests. */
const char *cli_command_exit_meaning(int status);

/* Parse, run and report; returns the exit status. Errors go to `messages` as "touchmark: <what
 * was wrong>". */
int cli_command_main(const struct cli_table *table, const char *const *argv, size_t argc,
                     FILE *out, FILE *messages);

/* ---- The same table, told in other ways (cli/manual.c) ---- */
void cli_manual_overview(const struct cli_table *table, struct buf *out);
/* The commands that share a first word. */
void cli_manual_group(const struct cli_table *table, struct bytes group, struct buf *out);
void cli_manual_command(const struct cli_command *command, struct buf *out);
/* man(7) source of touchmark(1). */
void cli_manual_page(const struct cli_table *table, struct buf *out);
/* A completion script for bash. */
void cli_manual_completion(const struct cli_table *table, struct buf *out);
