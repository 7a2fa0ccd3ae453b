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

/* Write it unless the file has exactly that; *written says which (may be NULL). Of a full tile
 * the partial ones are removed. */
enum rc audit_tile_file_put(int dir, const struct audit_tile *tile, struct bytes content,
                            bool *written);
/* Append what it holds, for whoever serves it. RC_NOT_FOUND. */
enum rc audit_tile_file_get(int dir, const struct audit_tile *tile, struct buf *content);
/* The head of what is there, when all that it covers is. */
enum rc audit_tile_file_publish(int dir, struct bytes note);
/* RC_NOT_FOUND. */
enum rc audit_tile_file_published(int dir, struct buf *note);
/* What is published is no checkpoint of ours: not any more. */
enum rc audit_tile_file_withdraw(int dir);
