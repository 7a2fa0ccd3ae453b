/* What an open journal is, as journal.c and cursor.c see it. Private to journal/. */
#pragma once

#include "journal/folder.h"
#include "journal/segment.h"

struct journal {
    int dir; /* borrowed */
    int lock;
    struct journal_limits limits;
    struct clock clock;
    struct journal_digest *digest;
    struct segment_list segments; /* never empty; the last one is open for writing */
    struct segment last;
    uint64_t bytes;           /* committed, of all segments */
    struct group group;       /* appended and not committed */
    struct journal_head head; /* committed */
    bool stopped;             /* what the last segment holds on disk is no longer known */
};
