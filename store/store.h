/* Tables that remember: an ordered key-value store behind transactions, owned by one process.
 */
#pragma once

#include "base/clock.h"
#include "base/own.h"

/*
 * A store is a folder. Exactly one process has it open, and one thread uses it;
 * everyone else follows the change feed (feed.h). What can be said here could be said
 * to PostgreSQL as well: LMDB is the engine behind it, and shows nowhere.
 *
 * A change is a pure function of the transaction that it is given: what it reads
 * there and what was passed in decide all that it does. It may be run again,
 * after its first run was undone; what it leaves outside the transaction counts only
 * once RC_OK has come back, and is overwritten by a second run, not added to.
 *
 * Every committed change has a revision: 1, 2, 3, ... without gaps. A value
 * remembers the revision that wrote it; who decided on a value that was read earlier
 * compares it (txn.h).
 */
struct store;
struct store_txn;

enum {
    STORE_TABLES_MAX = 64,
    STORE_NAME_MAX = 32,
    STORE_KEY_MAX = 480,        /* LMDB 0.9.24 takes 511 */
    STORE_VALUE_MAX = 64 * 1024 /* stay under 1 KiB: more goes to overflow pages of its own */
};

/* Keys are in the order of their bytes, a prefix before what it is a prefix of. */
enum store_key_kind {
    STORE_KEY_BYTES = 1,  /* 1 to STORE_KEY_MAX bytes */
    STORE_KEY_NUMBER = 2, /* 8 bytes, big-endian: store_key_number() */
};

struct store_table {
    const char *name; /* lower-case letters, digits and '_' */
    enum store_key_kind key;
    size_t value_max; /* 1 to STORE_VALUE_MAX */
};

/*
 * What a store holds. The place of a table in the array is how it is called
 * everywhere else: keep an enum beside it. A table that a store lacks is made when it is
 * opened; the version must be the stored one.
 */
struct store_schema {
    const char *name; /* whose store this is: "registry" */
    uint32_t version;
    const struct store_table *tables;
    size_t table_count;
};

struct store_settings {
    /* Address space reserved, and the most that the file can grow to; costs nothing until it
     * is filled and must fit under RLIMIT_AS. It is never changed while open: a store that
     * reached it is reopened with more. */
    uint64_t map_bytes;
    int64_t read_most_ms; /* a read transaction past it gets RC_LIMIT; 0: no bound */
    const struct clock *clock;
    /* Run every change once for nothing before the run that counts. For tests: it finds those
     * that are not pure. */
    bool rehearse;
};

/*
 * Open, or make, the store in a folder. dir is used during the call only; schema and clock are
 * borrowed for the store's life. Needs /proc, so open before the jail.
 * RC_BUSY: another process has it open. RC_CORRUPT: the file is not a store, or is damaged:
 * both headers, the root and every inner page of each tree are held against the file's length,
 * so a truncated or foreign file never reaches the engine. A flipped bit in a leaf is not seen
 * here (LMDB has no checksums): seal what matters (seal.h), and check copies (backup.h).
 * RC_DENIED: a whole store, but another schema's, a version that this program does not know,
 * or a table whose kind of key changed. RC_IO, RC_NOMEM.
 */
enum rc store_open(int dir, const struct store_schema *schema,
                   const struct store_settings *settings, struct store **store);
void store_close(struct store *store); /* NULL is fine; not from inside a transaction */
AUTO_STRUCT(store, store_close)

/*
 * Run a change and commit it. RC_OK: it is durable. Anything that change() returns
 * undoes all that it did and is returned. RC_LIMIT also when the map or the disk is full:
 * nothing was applied, reading goes on. RC_IO from the commit: the outcome is not known to be
 * on disk; the store takes no more changes until it is reopened.
 */
enum rc store_write(struct store *store, enum rc (*change)(struct store_txn *txn, void *with),
                    void *with);

/*
 * Run look() on the committed state, which does not move under it. What it borrows
 * from the transaction ends with it. Transactions do not nest: a function that is given one
 * uses that one (assert).
 */
enum rc store_read(struct store *store, enum rc (*look)(struct store_txn *txn, void *with),
                   void *with);

/* Of the last committed change; 0 in a new store. Cheap: no transaction. */
uint64_t store_revision(const struct store *store);
/* Of the last committed record of the feed; 0 in a new store. Cheap: compare it to see whether
 * followers have something to read. */
uint64_t store_sequence(const struct store *store);

/* Key of a STORE_KEY_NUMBER table. */
struct store_number {
    uint8_t at[8];
};
struct store_number store_key_number(uint64_t number);
/* The number back; the key must be 8 bytes (assert). */
uint64_t store_key_read_number(struct bytes key);
