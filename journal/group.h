/* One group of entries, committed by one write: how it is built, read and checked. Private to
 * journal/. */
#pragma once

#include "journal/digest.h"
#include "journal/journal.h"

enum {
    ENTRY_HEADER = 22,
    GROUP_HEADER = 36,
    GROUP_TRAILER = 36,
    GROUP_ENTRIES_MAX = 8 * 1024 * 1024,
    GROUP_MAX = GROUP_HEADER + GROUP_ENTRIES_MAX + GROUP_TRAILER,
    GROUP_SALT = 16,
};

/*
 * bytes are as on disk (docs/protocol/journal.md). before and head are the chain ahead of the
 * first entry and behind the last one. hashes, one per entry, are there once loaded.
 */
struct group {
    struct buf bytes;
    struct buf hashes;
    struct buf header; /* room to make one in */
    struct journal_head before, head;
};

#define GROUP_EMPTY                                                                            \
    ((struct group){ .bytes = BUF_MAX(GROUP_MAX),                                              \
                     .header = BUF_MAX(GROUP_HEADER),                                          \
                     .hashes = BUF_MAX(GROUP_ENTRIES_MAX / ENTRY_HEADER * JOURNAL_HASH) })

void journal_group_clear(struct group *group);

/* Writing: restart behind this head, add, seal. */
void journal_group_restart(struct group *group, const struct journal_head *before);
/* RC_LIMIT past GROUP_ENTRIES_MAX, RC_NOMEM; the group is then as it was. */
enum rc journal_group_add(struct group *group, struct journal_digest *digest, int64_t wall_ms,
                          uint16_t kind, struct bytes body);
/* What the file grows by when the group as it is now gets one more entry with this body. */
size_t journal_group_bytes_with(const struct group *group, size_t body);
/* Fill in header and trailer, for which add made room: no memory is asked for. The bytes to
 * write are borrowed until the next change. */
enum rc journal_group_seal(struct group *group, struct journal_digest *digest,
                           const uint8_t salt[GROUP_SALT], struct bytes *bytes);

/* Where groups are read from: the file up to its length, and the salt of its segment. */
struct group_source {
    int fd;
    uint64_t bytes;
    uint8_t salt[GROUP_SALT];
};

struct group_header {
    uint32_t count;
    uint32_t entries_bytes;
    uint64_t first;
};

/* The header in these bytes, if they are one that was written into a segment with this salt. */
bool journal_group_header_read(struct bytes bytes, struct journal_digest *digest,
                               const uint8_t salt[GROUP_SALT], struct group_header *header);
/* Offset behind the group with this header at this offset. */
uint64_t journal_group_end(uint64_t offset, const struct group_header *header);
/* Length bytes of the source at the offset into empty bytes; RC_CORRUPT if it ends before. */
enum rc journal_group_source_read(const struct group_source *source, uint64_t offset,
                                  size_t length, struct buf *bytes);
/*
 * Read and check the group at the offset, which continues `before`. RC_CORRUPT says what is
 * broken and where; whether a crash or damage broke it is for journal/tail.h to tell. After a
 * failure the group is empty.
 */
enum rc journal_group_load(struct group *group, const struct group_source *source,
                           struct journal_digest *digest, uint64_t offset,
                           const struct journal_head *before);
/* The chain's head behind the whole group with this header, as its trailer says, unchecked. */
enum rc journal_group_skip(const struct group_source *source, uint64_t offset,
                           const struct group_header *header, struct journal_head *head);

/* The entries of a loaded group, one at a time; false behind the last one. The body is
 * borrowed. */
struct reader journal_group_entries(const struct group *group);
bool journal_group_next(const struct group *group, struct reader *entries,
                        struct journal_entry *entry);
