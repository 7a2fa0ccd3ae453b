/* A copy of the whole log, from the door into a folder. */
#pragma once

#include "cli/remote.h"

/* Into an empty folder: records and the newest checkpoint, which covers `size` of them. Nothing
 * is verified. */
enum rc cli_audit_download(struct cli_remote *remote, int dir, uint64_t *size);
/* The files of one, and the folder. */
void cli_audit_remove_copy(const char *name, int dir);
