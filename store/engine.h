/* LMDB behind one narrow door: every mdb_ call, and every answer of it turned into an rc. */
#pragma once

#include "base/bytes.h"
#include "base/own.h"
#include "base/rc.h"

/*
 * Inside store/ only; a second engine would take this file's place. It knows bytes: no
 * revisions, no schema, no feed.
 *
 * LMDB runs with a lock file of its own, which is thrown away at each opening: our lock on the
 * folder (store.c) says that nobody else has the store, so whatever a killed process left in
 * there is stale. That leaves a reader table that only this process writes, so that a copy can
 * be made by another thread. Never MDB_NOSYNC, MDB_NOMETASYNC, MDB_WRITEMAP.
 */
struct store_engine;
struct MDB_txn;
struct MDB_cursor;

struct store_engine_settings {
    const char *folder;
    uint64_t map_bytes;
    unsigned tables;
    bool read_only; /* no lock file, nothing is created: for a copy that nobody else opens */
};

enum rc store_engine_open(const struct store_engine_settings *settings,
                          struct store_engine **engine);
void store_engine_close(struct store_engine *engine);
AUTO_STRUCT(store_engine, store_engine_close)

/* parent: NULL, or the writing transaction that this one is a part of; while it lives, the
 * parent rests. */
enum rc store_engine_begin(struct store_engine *engine, struct MDB_txn *parent, bool writes,
                           struct MDB_txn **txn);
/* Either ends the transaction, whatever comes back. */
enum rc store_engine_commit(struct store_engine *engine, struct MDB_txn *txn);
void store_engine_abort(struct MDB_txn *txn);

/* RC_NOT_FOUND without create. A new table's handle stays good once its transaction committed.
 */
enum rc store_engine_table(struct MDB_txn *txn, const char *name, bool create,
                           unsigned *handle);
/* Are there no tables at all? */
enum rc store_engine_is_empty(struct MDB_txn *txn, bool *empty);
enum rc store_engine_count(struct MDB_txn *txn, unsigned handle, uint64_t *count);

/* Absence is RC_NOT_FOUND without a fault() text, everywhere below. */
enum rc store_engine_get(struct MDB_txn *txn, unsigned handle, struct bytes key,
                         struct bytes *value);
enum store_engine_how { STORE_ENGINE_REPLACE, STORE_ENGINE_INSERT, STORE_ENGINE_APPEND };
/* The value is head, then body. RC_EXISTS without a text for INSERT. APPEND: the key is above
 * all others. */
enum rc store_engine_put(struct MDB_txn *txn, unsigned handle, enum store_engine_how how,
                         struct bytes key, struct bytes head, struct bytes body);
enum rc store_engine_remove(struct MDB_txn *txn, unsigned handle, struct bytes key);

enum rc store_engine_cursor_open(struct MDB_txn *txn, unsigned handle,
                                 struct MDB_cursor **cursor);
void store_engine_cursor_close(struct MDB_cursor *cursor);
/* Move; AT_LEAST goes to the first key that is not below *key. */
enum store_engine_move {
    STORE_ENGINE_FIRST,
    STORE_ENGINE_LAST,
    STORE_ENGINE_NEXT,
    STORE_ENGINE_PREVIOUS,
    STORE_ENGINE_AT_LEAST
};
enum rc store_engine_cursor_move(struct MDB_cursor *cursor, enum store_engine_move move,
                                 struct bytes *key, struct bytes *value);

/* Write the committed state, compacted, to a descriptor. LMDB starts a thread for it. */
enum rc store_engine_copy(struct store_engine *engine, int fd);
