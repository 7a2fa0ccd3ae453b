/* One append-only log for all: segments on disk, a hash chain through every entry, group
 * commit. */
#pragma once

#include "base/clock.h"
#include "base/own.h"

/*
 * A journal is a folder of segment files that exactly one process opens for
 * writing. Entries are numbered from 1 without gaps. Each is chained: hash(n) =
 * SHA-256(hash(n-1) || header and body of n), so that the head commits to all
 * that came before (docs/protocol/journal.md has the bytes).
 *
 * journal_append() only buffers. journal_commit() writes and fdatasyncs all that
 * was appended: after its RC_OK they survive power loss; before it nothing may
 * be acknowledged. After a failed commit the entries are not in the journal,
 * the file is cut back to the last good commit where the disk still allows, and the next append
 * may try again.
 *
 * Opening recovers: what a crash left half-written behind the last whole entry is
 * cut off; damage before that is RC_CORRUPT and opens nothing. A torn
 * tail and damage differ: damage is a broken entry with a whole later entry behind it, or in a
 * segment that is not the last.
 */
struct journal;

enum { JOURNAL_HASH = 32, JOURNAL_BODY_MAX = 1024 * 1024 };

struct journal_limits {
    uint64_t
        segment_bytes;  /* a new segment begins when the current one is at least this long */
    uint64_t bytes_max; /* of all segments; an append past it is RC_LIMIT */
};

struct journal_entry {
    uint64_t sequence; /* 1, 2, 3, ... */
    int64_t wall_ms;   /* when appended; may step back with the clock */
    uint16_t kind;     /* the owner's word for what the body is */
    struct bytes body;
    uint8_t hash[JOURNAL_HASH]; /* of the chain up to and including this entry */
};

/* The last committed entry; sequence 0 and a hash of zeros when empty. */
struct journal_head {
    uint64_t sequence;
    uint8_t hash[JOURNAL_HASH];
};

/* What opening found and did, for the owner's log. */
struct journal_recovery {
    uint64_t torn_bytes; /* cut off the end */
    size_t segments;
};

/* dir is borrowed for the journal's life. RC_BUSY if another process has it open. */
enum rc journal_open(int dir, const struct journal_limits *limits, const struct clock *clock,
                     struct journal_recovery *recovery, struct journal **journal);
void journal_close(struct journal *journal); /* does not commit */
AUTO_STRUCT(journal, journal_close)

/* Buffer one entry; *sequence is the number that it has once committed. RC_LIMIT for the body,
 * the bytes_max, or memory held by one group (8 MiB). */
enum rc journal_append(struct journal *journal, uint16_t kind, struct bytes body,
                       uint64_t *sequence);
enum rc journal_commit(struct journal *journal);
struct journal_head journal_head(const struct journal *journal);
/* The head as it will be when what is appended now is committed. */
struct journal_head journal_pending_head(const struct journal *journal);
uint64_t journal_first_sequence(const struct journal *journal); /* 1, or more after trimming */

/*
 * Remove whole segments of which every entry is below `before`; the last segment always stays.
 * What remains still verifies: each segment starts with the hash it continues from.
 */
enum rc journal_trim(struct journal *journal, uint64_t before);

/* Reads committed entries in order. Belongs to the process that opened the journal. */
struct journal_cursor;
/* from: the first sequence wanted. RC_NOT_FOUND if it was trimmed away; past the end is fine.
 */
enum rc journal_cursor_open(struct journal *journal, uint64_t from,
                            struct journal_cursor **cursor);
void journal_cursor_close(struct journal_cursor *cursor);
AUTO_STRUCT(journal_cursor, journal_cursor_close)
/* The next committed entry, its body borrowed until the next call. RC_NOT_FOUND at the end: ask
 * again after a commit. */
enum rc journal_cursor_next(struct journal_cursor *cursor, struct journal_entry *entry);

/*
 * Read and check a whole journal without opening it for writing (backup, audit): every hash,
 * every number. each may be NULL. RC_CORRUPT names the segment and offset. A torn tail is
 * reported, not an error.
 */
enum rc journal_verify(int dir, enum rc (*each)(void *with, const struct journal_entry *entry),
                       void *with, struct journal_head *head, struct journal_recovery *found);
