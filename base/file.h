/* Whole small files: read with a ceiling, written so that a crash leaves the old or the new,
 * never a mixture. */
#pragma once

#include "base/buf.h"

#include <sys/types.h>

/*
 * Append the whole file to out, from its start. RC_NOT_FOUND, RC_LIMIT when it does not fit,
 * RC_IO. Relative names resolve against dir (AT_FDCWD for the working directory); a symbolic
 * link as the last component is refused with RC_DENIED.
 */
enum rc file_read(int dir, const char *name, struct buf *out);
/* Likewise of a name that leads through folders below dir, of which none may be a symbolic link
 * either. RC_NOT_FOUND also if there is a folder of that name. */
enum rc file_read_below(int dir, const char *name, struct buf *out);
/* The same from an open descriptor, by pread from offset 0. */
enum rc file_read_fd(int fd, struct buf *out);

/*
 * Replace name by these bytes: a temporary file in the same folder is written,
 * synced and renamed, then the folder is synced. On RC_OK it survives power loss.
 * The old file is untouched after any error, and the temporary one is gone.
 */
enum rc file_write(int dir, const char *name, struct bytes bytes, mode_t mode);
/* As file_write(), but RC_EXISTS if there is one already; nothing is replaced. */
enum rc file_create(int dir, const char *name, struct bytes bytes, mode_t mode);

/* Write all, going on after short writes and signals. */
enum rc file_write_all(int fd, struct bytes bytes);
enum rc file_sync_dir(int dir);
/* Create a folder (RC_EXISTS if there is one) and open it; *fd is the caller's. */
enum rc file_make_dir(int dir, const char *name, mode_t mode, int *fd);
/* Open a folder for use as `dir`. RC_NOT_FOUND, RC_IO. */
enum rc file_open_dir(int dir, const char *name, int *fd);
