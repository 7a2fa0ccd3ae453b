/* Copies of a store: made while it serves, checked bit by bit, put back to work by opening
 * them. */
#pragma once

#include "store/feed.h"

/* Beside a copy's data, until store_backup_adopt(). */
#define STORE_BACKUP_MANIFEST "store.copy"

enum { STORE_NOTE_MAX = 160 };

/* What a copy holds. */
struct store_copy {
    uint64_t bytes;
    uint64_t revision;
    struct store_position position;
};

/*
 * Copy the state of the last commit, without free pages, into a folder that
 * holds no store (RC_EXISTS). On RC_OK it is on disk, with a manifest "store.copy" beside it
 * that holds its SHA-256; after any error nothing of it is left. May be called from another
 * thread than the store's, for as long as the store stays open; the engine starts a thread of
 * its own for it.
 *
 * The copy is as secret as the store. The manifest shows damage, not forgery: whoever can
 * alter the copy can alter the manifest.
 */
enum rc store_backup_copy(struct store *store, int dir, struct store_copy *copy);

/*
 * Read a whole copy again: its SHA-256, every page of it, and what it says it holds.
 * RC_NOT_FOUND: no copy, or one that was not finished. RC_CORRUPT. Alters nothing.
 * To put it to work: place it in a folder and store_open() it, which draws a new
 * lineage, each time, until a change has recorded it.
 */
enum rc store_backup_check(int dir, struct store_copy *copy);
/* Say in a copy's manifest how it is put back, for its owner to write down: printable text.
 * RC_MALFORMED, RC_LIMIT: the text. */
enum rc store_backup_note(int dir, struct bytes note);

/* Is it a copy that was put back and not recorded yet? Its note, empty without one, is borrowed
 * for the store's life. */
bool store_backup_unrecorded(const struct store *store, struct bytes *note);
/* In the change by which the owner writes down that a copy was put back: once it is committed
 * the store is one like others, and opens as one, so that it is written down once. */
enum rc store_backup_record(struct store_txn *txn);
/* After that commit: the manifest goes. Whoever dies before it, the next opening does it.
 * Nothing happens if it was no copy. */
enum rc store_backup_adopt(struct store *store);
