/* Tiles as files in a folder, below a published checkpoint. */
#pragma once

#include "audit/leaf.h"
#include "audit/tile.h"

/*
 * A folder "tile" and a file "checkpoint" below the folder that is given; folders 0755, files
 * 0644: who may enter the folder itself may read them. Each is written beside its name, synced,
 * renamed, and its folder synced. One writer at a time, any number of readers.
 */
enum { AUDIT_TILE_BYTES_MAX = AUDIT_TILE_WIDTH * (2 + AUDIT_LEAF) };

/* What was there before. */
enum audit_tile_found {
    AUDIT_TILE_ABSENT,  /* it is written */
    AUDIT_TILE_SAME,    /* nothing is */
    AUDIT_TILE_ALTERED, /* something else, which is no file of this log: written if mend */
};
/* Of a full tile the partial ones are removed. */
enum rc audit_tile_file_put(int dir, const struct audit_tile *tile, struct bytes content,
                            bool mend, enum audit_tile_found *found);
/* Append what it holds, for whoever serves it. RC_NOT_FOUND. */
enum rc audit_tile_file_get(int dir, const struct audit_tile *tile, struct buf *content);
/* The head of what is there, when all that it covers is; in the place of this one (empty:
 * unknown, so whatever is there is as good). */
enum rc audit_tile_file_publish(int dir, struct bytes note, struct bytes former, bool mend,
                                enum audit_tile_found *found);
/* RC_NOT_FOUND. */
enum rc audit_tile_file_published(int dir, struct buf *note);
/* What is published is no checkpoint of ours: not any more. */
enum rc audit_tile_file_withdraw(int dir);
