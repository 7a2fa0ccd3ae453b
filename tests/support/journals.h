/* Folders for journals under test, copies of what they hold, and numbered entries to fill them.
 */
#pragma once

#include "base/buf.h"
#include "journal/journal.h"

struct scratch {
    char path[64];
    int dir;
};

void scratch_open(struct scratch *scratch);  /* in the working directory */
void scratch_close(struct scratch *scratch); /* removes all */
/* As fixtures of one test, whose state it is. */
int scratch_setup(void **state);
int scratch_teardown(void **state);
int scratch_dir(void **state);

/* The segments of the folder, oldest first, as bytes. */
enum { SEGMENTS_MAX = 32 };
struct copy {
    char name[32];
    struct buf bytes;
};
struct copies {
    struct copy at[SEGMENTS_MAX];
    size_t count;
};
void copies_take(int dir, struct copies *copies);
/* Make the folder hold exactly the first `count` of these. */
void copies_put(int dir, const struct copies *copies, size_t count);
void copies_clear(struct copies *copies);
void segment_overwrite(int dir, const char *name, struct bytes bytes);

/* A clock that stands at 1000 ms. */
struct clock clock_standing(void);
struct journal *open_or_fail(int dir, uint64_t segment_bytes, struct journal_recovery *found);
/* Entry n of these has kind n and body "entry n". */
void append_numbered(struct journal *journal, unsigned count);
/* Read all by a cursor from here; every body is as append_numbered() wrote it. Returns how
 * many. */
unsigned read_numbered(struct journal *journal, uint64_t from);
