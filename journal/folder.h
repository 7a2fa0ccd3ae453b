/* Which segments a journal's folder holds. Private to journal/. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

struct segment_place {
    uint64_t first; /* sequence of its first entry */
    uint64_t bytes; /* of committed groups and the header */
};

/* Ascending by first. */
struct segment_list {
    struct segment_place *at;
    size_t count, room;
};

/*
 * Add the segments that the folder holds, with bytes 0: only opening tells. Files of other
 * names are passed over.
 */
enum rc journal_folder_list(int dir, struct segment_list *list);
/* Behind all others. RC_NOMEM. */
enum rc journal_folder_add(struct segment_list *list, struct segment_place place);
void journal_folder_drop_first(struct segment_list *list);
/* Index of the segment that holds this sequence or, past the end, would: the last one.
 * RC_NOT_FOUND before the first. */
enum rc journal_folder_find(const struct segment_list *list, uint64_t sequence, size_t *index);
void journal_folder_clear(struct segment_list *list);
