/* The one walk over all segments that opening and verifying share. Private to journal/. */
#pragma once

#include "journal/folder.h"
#include "journal/segment.h"

/* Whom to tell of each entry; each may be NULL. */
struct visitor {
    enum rc (*each)(void *with, const struct journal_entry *entry);
    void *with;
};

/* What a whole journal holds: its segments up to the last whole group, and the head there. */
struct survey {
    struct segment_list segments;
    struct journal_head head;
    uint64_t torn_bytes;
};

#define AUTO_SURVEY(name) [[gnu::cleanup(journal_verify_clear)]] struct survey name = { 0 }
void journal_verify_clear(struct survey *survey);
struct journal_recovery journal_verify_recovery(const struct survey *survey);

/* survey is empty at first. RC_BUSY if a segment
 * was trimmed away during the walk. */
enum rc journal_verify_folder(int dir, struct journal_digest *digest,
                              const struct visitor *visitor, struct survey *survey);
/*
 * From *head, which the segment must continue, to the one behind its last whole group, which
 * ends at *end. Only the last segment may have a torn tail behind that.
 */
enum rc journal_verify_segment(const struct segment *segment, struct journal_digest *digest,
                               bool last, const struct visitor *visitor,
                               struct journal_head *head, uint64_t *end);
