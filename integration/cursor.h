/* Where a sink stands in the log, on disk. */
#pragma once

#include "journal/proof.h"

/*
 * All records below `next` are delivered for good. `last` is the leaf hash of the one before
 * `next`: a log that has another leaf there is not the log that this sink was given. Text of
 * three lines: docs/export.md.
 */
struct integration_cursor {
    uint64_t next;
    struct proof_hash last; /* zeros if next is 0 */
};

/* NAME.cursor in the folder. A sink that is new stands at 0. RC_MALFORMED for a file that is
 * none of ours. */
enum rc integration_cursor_read(int dir, const char *name, struct integration_cursor *cursor);
/* On RC_OK it survives power loss. */
enum rc integration_cursor_write(int dir, const char *name,
                                 const struct integration_cursor *cursor);
