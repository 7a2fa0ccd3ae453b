/* The tree and its leaves as immutable files, in C2SP tlog-tiles' layout. */
#pragma once

#include "base/buf.h"

/*
 * A tile of level l holds 256 hashes of subtrees of 256^l leaves each; an entry bundle the
 * leaves of a tile of level 0, each with its length u16. Only full ones (width 256) never
 * change; the last of each level is partial, and a file of its own for each width.
 */
enum {
    AUDIT_TILE_WIDTH = 256,
    AUDIT_TILE_LOG = 8,
    AUDIT_TILE_LEVEL_MAX = 63, /* in a path; a tree of 2^64 leaves has levels 0 to 7 */
    AUDIT_TILE_LEVELS = 8,
    AUDIT_TILE_PATH_MAX = 64,
};

struct audit_tile {
    bool entries; /* a bundle; level is 0 */
    unsigned level;
    uint64_t index;
    unsigned width; /* 1 to 256 */
};

/* C2SP tlog-tiles, "Merkle Tree" and "Log entries": "tile/0/x001/x234/067.p/112",
 * "tile/entries/000"; relative to the log's prefix. */
void audit_tile_write_path(const struct audit_tile *tile, struct buf *path);
/* Only what audit_tile_write_path() makes. RC_MALFORMED. */
enum rc audit_tile_read_path(struct bytes path, struct audit_tile *tile);

/*
 * The tiles of a tree, lowest level first: full ones that a tree of this size has and one of
 * size `from` had not; and, if wanted, the partial ones at its end. Zero but for the sizes at
 * first.
 */
struct audit_tile_walk {
    uint64_t from, size;
    bool partial;
    unsigned level, step;
    uint64_t index; /* the next of this level, once begun */
};
bool audit_tile_next(struct audit_tile_walk *walk, struct audit_tile *tile);
