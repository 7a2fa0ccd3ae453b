/* Where a door writes its audit records before it acts; it pushes them to the authority. */
#pragma once

#include "audit/leaf.h"
#include "journal/journal.h"

/*
 * A folder with a journal and the spool's id, 16 random octets drawn when it was made, so that
 * a new spool's sequences are not taken for an old one's. audit_spool_add() buffers;
 * audit_spool_commit() makes all of a turn durable, and only then may what they tell of be
 * done. Bounded: RC_LIMIT from add means that the act must not happen (administration,
 * certificates) or the session is closed (devices); nothing is dropped. One thread's.
 */
struct audit_spool;

/* dir is borrowed, clock copied. RC_BUSY, RC_CORRUPT: journal.h. */
enum rc audit_spool_open(int dir, const struct journal_limits *limits,
                         const struct clock *clock, struct audit_spool **spool);
void audit_spool_close(struct audit_spool *spool);
AUTO_STRUCT(audit_spool, audit_spool_close)

/* source and source_sequence of the record are ignored. RC_MALFORMED, RC_LIMIT. */
enum rc audit_spool_add(struct audit_spool *spool, const struct audit_record *record);
enum rc audit_spool_commit(struct audit_spool *spool);
/* The sequence that the last added record has once it is committed. */
uint64_t audit_spool_pending(const struct audit_spool *spool);
const uint8_t *audit_spool_id(const struct audit_spool *spool); /* AUDIT_SPOOL_ID octets */

/*
 * Append to batch what follows this sequence, which is thereby acknowledged: id 16, sequence of
 * the first u64, then records sized16, as many as fit into `most` octets. RC_NOT_FOUND: what
 * follows was acknowledged before. RC_DENIED: the spool never got that far: it lost records.
 */
enum rc audit_spool_read(struct audit_spool *spool, uint64_t after, size_t most,
                         struct buf *batch);

/* This one and all before are acknowledged, and leave, to the last: for one that is full.
 * Nothing may be added and not committed. */
enum rc audit_spool_trim(struct audit_spool *spool, uint64_t after);
/*
 * All up to this sequence is acknowledged. If that is all there is, it goes from the disk: at
 * once in a new life, and then every six hours, so that what the log erases does not lie here
 * for as long as a segment takes to fill. RC_LIMIT, RC_IO: ask again.
 */
enum rc audit_spool_forget(struct audit_spool *spool, uint64_t after);

/* Append a batch without records, for whoever does not know yet how far the other side came: id
 * and the first sequence that is kept. Acknowledges nothing. */
enum rc audit_spool_greet(const struct audit_spool *spool, struct buf *batch);
/* The last committed record; 0: none ever. */
uint64_t audit_spool_sequence(const struct audit_spool *spool);

/* The other side of it. Records borrow from the bytes. */
struct audit_batch {
    uint8_t spool[AUDIT_SPOOL_ID];
    uint64_t sequence; /* of the next record */
    struct reader left;
};
enum rc audit_batch_read(struct bytes bytes, struct audit_batch *batch);
/* RC_NOT_FOUND at the end; RC_MALFORMED. */
enum rc audit_batch_next(struct audit_batch *batch, uint64_t *sequence, struct bytes *record);
