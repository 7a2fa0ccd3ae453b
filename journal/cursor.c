#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "journal/state.h"

/* Reads by its own descriptor, so that trimming takes no segment from under it. */
struct journal_cursor {
    struct journal *journal;
    uint64_t from;
    struct segment segment;
    uint64_t offset;          /* in the segment, behind the loaded group */
    struct journal_head head; /* behind the loaded group */
    struct group group;
    struct reader entries; /* of the group, not yet given out */
};

void journal_cursor_close(struct journal_cursor *cursor)
{
    if (cursor == NULL)
        return;
    journal_group_clear(&cursor->group);
    journal_segment_close(&cursor->segment);
    free(cursor);
}

/* Learn how much of the segment is committed by now. */
static enum rc update_length(struct journal_cursor *cursor)
{
    const struct segment_list *segments = &cursor->journal->segments;
    uint64_t first = cursor->segment.before.sequence + 1;
    struct stat status;
    size_t index;

    if (first >= segments->at[0].first) {
        TRY(journal_folder_find(segments, first, &index));
        cursor->segment.source.bytes = segments->at[index].bytes;
        return RC_OK;
    }
    /* Trimmed: it was not the last, so all of it is committed. */
    if (fstat(cursor->segment.source.fd, &status) != 0)
        return fault_errno("length of a trimmed segment");
    cursor->segment.source.bytes = (uint64_t)status.st_size;
    return RC_OK;
}

static enum rc enter_segment(struct journal_cursor *cursor, uint64_t first)
{
    AUTO_SEGMENT next = SEGMENT_NONE;

    TRY(journal_segment_open(cursor->journal->dir, first, O_RDONLY, cursor->journal->digest,
                             &next));
    journal_segment_close(&cursor->segment);
    cursor->segment = next;
    next.source.fd = -1;
    cursor->head = cursor->segment.before;
    cursor->offset = SEGMENT_HEADER;
    return update_length(cursor);
}

/* Past the groups of this segment that end before `from`, by their headers alone. */
static enum rc skip_groups(struct journal_cursor *cursor)
{
    const struct group_source *source = &cursor->segment.source;
    AUTO_BUF(bytes, GROUP_HEADER);
    struct group_header header;

    while (cursor->offset < source->bytes) {
        buf_reset(&bytes);
        TRY(journal_group_source_read(source, cursor->offset, GROUP_HEADER, &bytes));
        if (!journal_group_header_read(buf_bytes(&bytes), cursor->journal->digest, source->salt,
                                       &header) ||
            header.first != cursor->head.sequence + 1 || header.count == 0)
            return fault(RC_CORRUPT, "offset %" PRIu64 ": not a group header", cursor->offset);
        if (cursor->from - header.first < header.count)
            return RC_OK;
        TRY(journal_group_skip(source, cursor->offset, &header, &cursor->head));
        cursor->offset = journal_group_end(cursor->offset, &header);
    }
    return RC_OK;
}

enum rc journal_cursor_open(struct journal *journal, uint64_t from,
                            struct journal_cursor **cursor)
{
    AUTO_OF(journal_cursor) *made = calloc(1, sizeof *made);
    size_t index;

    if (made == NULL)
        return fault(RC_NOMEM, "journal cursor");
    *made = (struct journal_cursor){
        .journal = journal,
        .from = from,
        .segment = SEGMENT_NONE,
        .group = GROUP_EMPTY,
    };
    TRY(journal_folder_find(&journal->segments, from, &index));
    TRY(enter_segment(made, journal->segments.at[index].first));
    TRY(skip_groups(made));
    *cursor = TAKE(made);
    return RC_OK;
}

static enum rc follow_segment(struct journal_cursor *cursor)
{
    struct journal_head head = cursor->head;
    enum rc rc = enter_segment(cursor, head.sequence + 1);

    if (rc == RC_NOT_FOUND)
        return fault(RC_CLOSED, "journal entry %" PRIu64 " was trimmed before it was read",
                     head.sequence + 1);
    TRY(rc);
    if (!bytes_equal(BYTES_OF(cursor->head.hash), BYTES_OF(head.hash)))
        return fault(RC_CORRUPT, "segment %" PRIu64 ": does not continue the one before",
                     head.sequence + 1);
    return RC_OK;
}

static enum rc load_group(struct journal_cursor *cursor)
{
    if (cursor->head.sequence >= cursor->journal->head.sequence)
        return fault(RC_NOT_FOUND, "end of the journal");
    TRY(update_length(cursor));
    if (cursor->offset >= cursor->segment.source.bytes)
        TRY(follow_segment(cursor));
    TRY(journal_group_load(&cursor->group, &cursor->segment.source, cursor->journal->digest,
                           cursor->offset, &cursor->head));
    cursor->entries = journal_group_entries(&cursor->group);
    cursor->offset += cursor->group.bytes.len;
    cursor->head = cursor->group.head;
    return RC_OK;
}

enum rc journal_cursor_next(struct journal_cursor *cursor, struct journal_entry *entry)
{
    struct journal_entry next;

    do {
        while (!journal_group_next(&cursor->group, &cursor->entries, &next))
            TRY(load_group(cursor));
    } while (next.sequence < cursor->from);
    *entry = next;
    return RC_OK;
}
