/* Files copied as they are, durably, from folder to folder. */
#pragma once

#include "base/file.h"

/* A folder below `dir`. RC_DENIED: a symbolic link is on the way. */
enum rc cli_copy_open_dir(int dir, const char *name, int *fd);
/* Streams the file; RC_EXISTS if there is one, RC_NOT_FOUND, RC_DENIED for what is no regular
 * file or lies behind a symbolic link. After an error nothing of it is left. */
enum rc cli_copy_file(int from, const char *from_name, int to, const char *to_name,
                      mode_t mode);
/* Remove a whole tree, if it is there: only what nobody else can write to. */
enum rc cli_copy_remove(const char *path);
