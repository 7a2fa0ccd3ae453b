/* What a store and its transactions are made of. Inside store/ only. */
#pragma once

#include "store/backup.h"
#include "store/engine.h"
#include "store/queue.h"

/* Read at opening, kept in memory, written with every commit. */
struct store_state {
    uint64_t revision;
    uint64_t sequence; /* of the feed's last record */
    uint64_t first;    /* of the oldest record held; sequence + 1 when there is none */
};

/* A copy's manifest beside the data: the store was put back, and is that copy until a change
 * recorded it. */
enum { STORE_MANIFEST_HASH = 32 };
struct store_put_back {
    bool there, recorded;
    uint8_t hash[STORE_MANIFEST_HASH]; /* of the manifest: which copy it is */
    char note[STORE_NOTE_MAX + 1];
};

struct store {
    struct store_engine *engine;
    const struct store_schema *schema;
    struct store_settings settings;
    unsigned tables[STORE_TABLES_MAX]; /* the engine's handles */
    unsigned records, feed, followers; /* and those of our own tables */
    uint8_t lineage[STORE_LINEAGE];
    struct store_state state;
    struct store_put_back put_back;
    int lock;        /* the folder, locked */
    uint64_t serial; /* of the latest change; begins at random, so that no other store has it */
    uint64_t undone; /* changes that came to nothing; begins at random, too */
    bool in_transaction;
    bool broken; /* a commit ended in an unknown way, or damage was met: no more changes */
};

struct store_txn {
    struct store *store;
    struct MDB_txn *engine;
    bool writes;
    uint64_t serial;          /* 0: reading */
    struct store_state state; /* as it will be */
    int64_t wall_ms;
    uint64_t changes; /* made so far */
    unsigned cursors; /* open now */
    int64_t until_ms; /* monotonic; 0: no bound */
    unsigned steps;
    enum rc failed; /* sticky: RC_OK, or why this transaction cannot commit */
    char reason[STORE_REASON_MAX];
};

/* Our own tables: no schema can name these, a '.' is no letter. */
#define STORE_RECORDS_TABLE   ".store"
#define STORE_FEED_TABLE      ".feed"
#define STORE_FOLLOWERS_TABLE ".followers"
enum { STORE_OWN_TABLES = 3 };

/* Keep the latest fault()'s text; it may be cut. */
void store_txn_keep_reason(char reason[STORE_REASON_MAX]);
/* Pass rc on; what the engine could not do makes the transaction unable to commit. */
enum rc store_txn_settle(struct store_txn *txn, enum rc rc);
/* RC_LIMIT once a read transaction is past its time. */
enum rc store_txn_step(struct store_txn *txn);

/* Run the jobs from first, `count` of them, and commit; sets rc and reason of each, calls no
 * done(). The result is the store's own health. */
enum rc store_commit_jobs(struct store *store, struct store_job *first, size_t count);

/* The record of our own that holds the state; opening reads it, each commit writes it. */
enum rc store_record_put_state(struct store *store, struct MDB_txn *txn,
                               const struct store_state *state);
/*
 * Find out whose store this is, or make it ours: format, schema, lineage, tables and
 * state. A copy that nobody recorded draws a lineage; of another, put_back.recorded is set.
 */
enum rc store_record_open(struct store *store, struct MDB_txn *txn);
/* That the copy of this manifest was recorded. */
enum rc store_record_put_copy(struct store *store, struct MDB_txn *txn);
/* What a copy is asked, without a schema. */
enum rc store_record_read(struct MDB_txn *txn, struct store_state *state,
                          uint8_t lineage[STORE_LINEAGE]);

/* Is there a manifest, and what does it say? RC_CORRUPT. */
enum rc store_backup_find(int dir, struct store_put_back *found);
