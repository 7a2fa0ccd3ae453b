/* The tiles of the log, from the store into a folder. */
#pragma once

#include "audit/log.h"
#include "audit/tile.h"

/*
 * All derived: a tile that is missing is made again from the store, one that says anything else
 * than the store is replaced. A folder "tile" and a file "checkpoint" below the folder that is
 * given; folders 0755, files 0644: who may enter the folder itself may read them. Each is
 * written beside its name, synced, renamed, and its folder synced. One writer at a time.
 */
enum { AUDIT_TILE_BYTES_MAX = AUDIT_TILE_WIDTH * (2 + AUDIT_LEAF) };

/* Append what the file of this tile holds. RC_CORRUPT: the log is not that long. */
enum rc audit_tiles_read(struct audit_log *log, struct store_txn *txn,
                         const struct audit_tile *tile, struct buf *content);
/* Write it unless the file has exactly that; *written says which (may be NULL). Of a full tile
 * the partial ones are removed. */
enum rc audit_tiles_put(int dir, const struct audit_tile *tile, struct bytes content,
                        bool *written);
/* The head of what is there, when all that it covers is. */
enum rc audit_tiles_publish(int dir, struct bytes note);
/* RC_NOT_FOUND. */
enum rc audit_tiles_published(int dir, struct buf *note);
/* What is published is no checkpoint of ours: not any more. */
enum rc audit_tiles_withdraw(int dir);
/* Append the file of a tile, for whoever serves it. RC_NOT_FOUND. */
enum rc audit_tiles_get(int dir, const struct audit_tile *tile, struct buf *content);
