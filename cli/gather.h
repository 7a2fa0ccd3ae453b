/* A policy on disk: its file, and the files that it imports, as one text. */
#pragma once

#include "base/buf.h"
#include "policy/policy.h"

/*
 * What `import "NAME"` names and the text has no part for is NAME or NAME.policy in the folder
 * of the policy's own file, whoever imports it, so that a name is one file. Each becomes a
 * `file "NAME"` part: what is compiled, sent and kept is whole.
 */
struct cli_text {
    const char *path; /* borrowed; what errors call it: a file, or what a server calls it */
    struct buf all;
    size_t count;
    struct cli_part {
        char name[POLICY_FILE_MAX + 1];
        bool suffixed; /* with .policy */
    } parts[POLICY_FILES_MAX];
};
#define CLI_TEXT(of, from)                                                                     \
    [[gnu::cleanup(cli_text_clear)]] struct cli_text of = { .path = (from),                    \
                                                            .all = BUF_MAX(POLICY_TEXT_MAX) }
void cli_text_clear(struct cli_text *text);

/* From text->path. RC_MALFORMED: errors has each import that could not be read, where it
 * stands; else it is the file itself. */
enum rc cli_gather(struct cli_text *text, struct policy_errors *errors);

/* "plant.policy:3:1: ", of what was read for an import "shared.policy:3:1: ", and of a part of
 * the text itself "plant.policy: shared:3:1: ". */
void cli_gather_add_place(struct buf *out, const struct cli_text *text, struct bytes file,
                          unsigned line, unsigned column);
