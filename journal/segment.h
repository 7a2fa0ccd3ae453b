/* Segment files: their names, their header, how one begins and ends. Private to journal/. */
#pragma once

#include "journal/group.h"

enum { SEGMENT_HEADER = 100 };

/* One file of the chain: it holds `first` and what follows, and continues `before`. */
struct segment {
    struct group_source source; /* its descriptor is owned */
    struct journal_head before;
};

#define SEGMENT_NONE ((struct segment){ .source.fd = -1 })
#define AUTO_SEGMENT [[gnu::cleanup(journal_segment_close)]] struct segment

/* Create the segment that continues `before`, synced together with its folder. */
enum rc journal_segment_create(int dir, struct journal_digest *digest,
                               const struct journal_head *before, struct segment *segment);
/*
 * Open the segment that starts with this sequence and check its header: RC_CORRUPT. flags as
 * for open(2). RC_NOT_FOUND.
 */
enum rc journal_segment_open(int dir, uint64_t first, int flags, struct journal_digest *digest,
                             struct segment *segment);
/* The same over an open file, which the segment then owns, also after a failure. */
enum rc journal_segment_adopt(int fd, struct journal_digest *digest, struct segment *segment);
void journal_segment_close(struct segment *segment);

/* Remove the file, if it is there, and sync the folder. */
enum rc journal_segment_remove(int dir, uint64_t first);
