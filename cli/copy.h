/* Files copied as they are, durably, from folder to folder. */
#pragma once

#include "base/file.h"

/* Streams the file; RC_EXISTS if there is one, RC_NOT_FOUND, RC_DENIED for what is no regular
 * file. After an error nothing of it is left. */
enum rc cli_copy_file(int from, const char *from_name, int to, const char *to_name,
                      mode_t mode);
/* Remove a whole tree, if it is there. */
enum rc cli_copy_remove(int dir, const char *name);
