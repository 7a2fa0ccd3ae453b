/* The change feed: numbered records, written in the transaction of the change that they tell
 * of. */
#pragma once

#include "store/txn.h"

/*
 * Records have sequences 1, 2, 3, ... without gaps, in the order in which their changes
 * committed; a change that is undone leaves no record and no gap. A follower holds
 * a position and reads what comes after it: nothing is missed, nothing comes twice,
 * and what it has read never changes.
 *
 * A follower starts with a snapshot: one store_read() in which it reads the tables and
 * store_feed_position(); it then reads from there. It does so again when the feed answers
 * RC_NOT_FOUND: what it needs was trimmed, or its position belongs to another life of
 * the store. A lineage is such a life: drawn when the store is made, and drawn anew when a
 * copy of it is put back to work (backup.h), since the copy will give the same
 * sequences to other changes.
 *
 * How followers are woken and spoken to is not here; store_sequence() tells that there
 * is something.
 */
enum { STORE_LINEAGE = 16, STORE_FOLLOWER_MAX = 64 };

struct store_position {
    uint8_t lineage[STORE_LINEAGE];
    uint64_t sequence; /* all up to this one is known */
};

struct store_record {
    uint64_t sequence;
    uint64_t revision; /* of the change; records of one change share it */
    int64_t wall_ms;   /* when it was made; may step back with the clock */
    uint16_t kind;     /* the owner's word for what the body is */
    struct bytes body; /* borrowed as all that comes out of a transaction */
};

/* RC_LIMIT: a body over STORE_VALUE_MAX. */
enum rc store_feed_add(struct store_txn *txn, uint16_t kind, struct bytes body);

/* The end of the feed as this transaction sees it. */
struct store_position store_feed_position(const struct store_txn *txn);
/* The sequence of the oldest record held; one past the last when there is none. */
uint64_t store_feed_first(const struct store_txn *txn);

/*
 * Call each() for at most `most` records after the position, in order, and move the position
 * to the last one that each() took; what it returns other than RC_OK ends the call.
 * RC_OK and an unmoved position: nothing is new. RC_NOT_FOUND: take a snapshot.
 * RC_CORRUPT: a record is missing or broken.
 */
enum rc store_feed_watch(struct store_txn *txn, struct store_position *position, size_t most,
                         enum rc (*each)(void *with, const struct store_record *record),
                         void *with);

/*
 * A follower says how far it has come; its first word makes it known. Names are 1 to
 * STORE_FOLLOWER_MAX bytes. It may say less than before, when it begins again.
 * RC_NOT_FOUND: another lineage. RC_MALFORMED: a sequence that the feed has not reached.
 */
enum rc store_feed_acknowledge(struct store_txn *txn, struct bytes follower,
                               const struct store_position *position);
/* RC_NOT_FOUND. */
enum rc store_feed_forget(struct store_txn *txn, struct bytes follower);
/* How far one follower has come: RC_NOT_FOUND if it is not known. */
enum rc store_feed_acknowledged(struct store_txn *txn, struct bytes follower,
                                uint64_t *sequence);
/* How far all have come: the lowest word of all followers; the end of the feed if there are
 * none. */
enum rc store_feed_acknowledged_by_all(struct store_txn *txn, uint64_t *sequence);

/* What is kept: all that some follower has not acknowledged, and all that is young; but never
 * more than `most` records, whoever still wants them. */
struct store_feed_keep {
    int64_t age_ms;
    uint64_t most;
};

/*
 * Remove from the old end what need not be kept, at most `work` records in this
 * transaction; *removed says how many. Call it again while it equals work.
 */
enum rc store_feed_trim(struct store_txn *txn, const struct store_feed_keep *keep, size_t work,
                        size_t *removed);
