/* The file that says which process is touchmarkd, and that only one is. */
#pragma once

#include "base/rc.h"

/* Write our process id to path (mode 0644) and hold a lock on it with *fd, the caller's, until
 * that is closed. RC_EXISTS when another touchmarkd holds it. */
enum rc daemon_pid_file_open(const char *path, int *fd);
