/* The policy that a command is about: a file, a version of the running system, or the active
 * one. */
#pragma once

#include "cli/gather.h"
#include "cli/remote.h"
#include "policy/policy.h"

/*
 * The running system, spoken to only if something of it is needed: opened by the first
 * cli_source_open(), closed at the end of the scope of CLI_SOURCE(name, call).
 */
struct cli_source {
    const struct cli_call *call;
    struct cli_remote remote;
    bool open;
};
#define CLI_SOURCE(name, of)                                                                   \
    [[gnu::cleanup(cli_source_close)]] struct cli_source name = { .call = (of) }
enum rc cli_source_open(struct cli_source *source);
void cli_source_close(struct cli_source *source);

/* "active", or a number: a file of such a name is ./7 */
bool cli_compile_is_version(const char *word);
/*
 * word: such a version, else a file. RC_MALFORMED: each error was told to call->messages.
 * Of a file the version is 0.
 */
enum rc cli_compile(struct cli_source *source, const char *word, struct policy **policy);

/* The text of a file and of what it imports. RC_MALFORMED: told to call->messages. */
enum rc cli_compile_read(const struct cli_call *call, struct cli_text *text);
/* A line each, to call->messages. */
void cli_compile_tell(const struct cli_call *call, const struct cli_text *text,
                      const struct policy_errors *errors);
