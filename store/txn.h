/* What can be done inside a transaction: look up, compare, put, remove, scan. */
#pragma once

#include "store/store.h"

/*
 * Bytes that come out of a transaction are borrowed: until the next change made in it,
 * or its end. A transaction in which something failed for want of room, or
 * because the store is damaged, cannot commit any more, even if the function goes on
 * and returns RC_OK.
 *
 * A key or value outside what its table declares is RC_LIMIT. Changing anything in a
 * transaction of store_read() is our own bug (assert).
 */
struct store_value {
    struct bytes bytes;
    uint64_t revision; /* of the change that wrote it */
};

/* RC_NOT_FOUND. */
enum rc store_txn_get(struct store_txn *txn, unsigned table, struct bytes key,
                      struct store_value *value);
/*
 * RC_OK if the key's value is still the one that this revision wrote; 0 says that there is
 * none. RC_BUSY otherwise: read again, decide again.
 */
enum rc store_txn_expect(struct store_txn *txn, unsigned table, struct bytes key,
                         uint64_t revision);

enum rc store_txn_put(struct store_txn *txn, unsigned table, struct bytes key,
                      struct bytes value);
/* RC_EXISTS, and nothing is changed. */
enum rc store_txn_insert(struct store_txn *txn, unsigned table, struct bytes key,
                         struct bytes value);
/* The same where the key belongs behind all that are there; RC_EXISTS also if it does not. */
enum rc store_txn_append(struct store_txn *txn, unsigned table, struct bytes key,
                         struct bytes value);
/* RC_NOT_FOUND. */
enum rc store_txn_remove(struct store_txn *txn, unsigned table, struct bytes key);

/* The number of keys in a table. */
enum rc store_txn_count(struct store_txn *txn, unsigned table, uint64_t *count);

/* Which run of a change this is: no other one of this process has its number, not even if this
 * one came to nothing (they begin at random, of 2^64). So what was read under a number may be
 * remembered for it. 0: none. */
uint64_t store_txn_serial(const struct store_txn *txn);

/* How many changes of this process came to nothing, or may have: while it stays the same, all
 * that was read or written under earlier numbers is as it was left. */
uint64_t store_txn_undone(const struct store_txn *txn);

/* The revision that this transaction will have, or, when reading, that it sees. */
uint64_t store_txn_revision(const struct store_txn *txn);

/* Which keys to scan: those that satisfy all that is not empty. The bytes are borrowed for the
 * cursor's life. */
struct store_range {
    struct bytes prefix;
    struct bytes from;  /* first key wanted */
    struct bytes after; /* last key not wanted, below them: where the previous page ended */
    struct bytes below; /* first key not wanted, above them */
    bool backward;      /* from the highest to the lowest */
};

/*
 * A cursor closes before its transaction ends (assert). Changes may be made
 * while it stands: it goes on behind the key that it gave last, and sees what is there by then.
 */
struct store_cursor;
/* RC_LIMIT: a bound longer than STORE_KEY_MAX. */
enum rc store_cursor_open(struct store_txn *txn, unsigned table,
                          const struct store_range *range, struct store_cursor **cursor);
/* RC_NOT_FOUND at the end, without a fault() text: it is an answer. */
enum rc store_cursor_next(struct store_cursor *cursor, struct bytes *key,
                          struct store_value *value);
void store_cursor_close(struct store_cursor *cursor);
AUTO_STRUCT(store_cursor, store_cursor_close)
