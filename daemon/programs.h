/* Where our programs are, and what of the machine may be executed at all. */
#pragma once

#include "base/buf.h"
#include "base/sandbox.h"
#include "daemon/table.h"

enum { DAEMON_PROGRAMS_PATHS_MAX = DAEMON_PROCESSES_MAX + 1 };

/* For the jail: each program of the table, and the loader that the kernel starts them with. */
struct daemon_programs {
    struct buf folder_text;
    const char *folder; /* absolute */
    struct buf texts[DAEMON_PROGRAMS_PATHS_MAX];
    struct sandbox_path paths[DAEMON_PROGRAMS_PATHS_MAX];
    size_t count;
};

/*
 * The folder of the running program (/proc/self/exe) if the first program of the table is
 * there, else ../libexec/touchmark beside it: RC_NOT_FOUND names both.
 */
enum rc daemon_programs_find(const struct daemon_table *table,
                             struct daemon_programs *programs);
void daemon_programs_clear(struct daemon_programs *programs);
