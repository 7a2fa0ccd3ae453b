/* One append-only log for all: segments on disk, a hash chain through every entry, group
 * commit. */
#pragma once

#include "base/clock.h"
#include "base/own.h"

/*
 * A journal is a folder of segment files that exactly one process opens for writing. Entries
 * are numbered from 1 without gaps. Each is chained: hash(n) = SHA-256(hash(n-1) || entry n),
 * so the head commits to all before it (docs/protocol/journal.md has the bytes).
 *
 * journal_append() only buffers. journal_commit() writes and fdatasyncs all that was appended,
 * as one group: after RC_OK it survives power loss, and a crash leaves all of it or nothing.
 * Before that nothing may be acknowledged. After a failed commit its entries are not in the
 * journal. If the write failed (a full disk) and could be taken back, it is RC_LIMIT, and the
 * next append may try again. If fdatasync or taking back failed, what the disk holds is
 * unknown: the journal is stopped, says RC_IO to every append and commit, and must be closed
 * and opened again, which finds out. That may find the group whole, and then it is in the
 * journal.
 *
 * Opening reads and verifies everything, at the speed of SHA-256. What a crash left
 * half-written of the last group is cut off; damage is RC_CORRUPT and changes nothing.
 * Protocol page, "Torn or damaged": a broken group is torn only if nothing was committed after
 * it and part of it is missing or was never written. A flipped bit is damage, in the last group
 * as well, with one exception told there.
 *
 * What is missing at the end as a whole leaves no trace here: keep the head elsewhere if that
 * must be seen. One thread at a time. A journal is not for use after fork().
 */
struct journal;

enum { JOURNAL_HASH = 32, JOURNAL_BODY_MAX = 1024 * 1024 };

struct journal_limits {
    uint64_t segment_bytes; /* a new segment begins when the last one is at least this long */
    uint64_t bytes_max;     /* of all segments; an append past it is RC_LIMIT */
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

/* dir is borrowed for the journal's life; clock is copied; recovery may be NULL. RC_BUSY if it
 * is open already, in this process or another. RC_CORRUPT names the segment and offset. */
enum rc journal_open(int dir, const struct journal_limits *limits, const struct clock *clock,
                     struct journal_recovery *recovery, struct journal **journal);
void journal_close(struct journal *journal); /* does not commit */
AUTO_STRUCT(journal, journal_close)

/* Buffer one entry; *sequence (may be NULL) is its number once committed. RC_LIMIT: the body,
 * the bytes_max, or a group of 8 MiB with 22 bytes an entry. RC_NOMEM. Either leaves all as it
 * was. */
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
/*
 * Begin a new segment now, if the last one has entries, so that a trim can remove that one,
 * too: for whoever has nothing left to keep. Goes beyond journal_limits' bytes_max by a
 * segment's header; what is appended and not committed comes into it. RC_LIMIT: no room on the
 * disk; all is as it was.
 */
enum rc journal_rotate(struct journal *journal);

/* Reads committed entries in order, in the process that opened the journal; closed before it.
 * Holds one group in memory, so up to 8 MiB and 32 bytes an entry. */
struct journal_cursor;
/* from: the first sequence wanted. RC_NOT_FOUND if it was trimmed away; past the end is fine.
 */
enum rc journal_cursor_open(struct journal *journal, uint64_t from,
                            struct journal_cursor **cursor);
void journal_cursor_close(struct journal_cursor *cursor);
AUTO_STRUCT(journal_cursor, journal_cursor_close)
/* The next committed entry, verified again, its body borrowed until the next call. RC_NOT_FOUND
 * at the end: ask again after a commit. RC_CLOSED if what comes next was trimmed away.
 * RC_CORRUPT. */
enum rc journal_cursor_next(struct journal_cursor *cursor, struct journal_entry *entry);

/*
 * Read and check a whole journal without opening it for writing (backup, audit), also while
 * another process writes it: RC_BUSY if that one trimmed under it, ask again. RC_CORRUPT names
 * the segment and offset; a torn tail is reported, not an error, and not told to each.
 * each, head and found may be NULL. An error from each ends the walk and is returned.
 */
enum rc journal_verify(int dir, enum rc (*each)(void *with, const struct journal_entry *entry),
                       void *with, struct journal_head *head, struct journal_recovery *found);
