/* A folder of tiles held against a checkpoint: whether its files are the log's, each of them.
 */
#pragma once

#include "audit/checkpoint.h"
#include "audit/tile.h"

/*
 * Each file is held against what stands above it: a bundle's leaves against their tile of level
 * 0, a full tile against its hash in the level above, a tile that is not full, with all others
 * that are not, against the root. So every file that a tree of this size has is bound to the
 * root, and a wrong one is named. One of a lesser width, which an older checkpoint needed, must
 * be the beginning of what took its place.
 */
struct audit_tile_verifier;
/* Where tiles come from: append what one holds, no more than content takes. RC_NOT_FOUND: there
 * is none; RC_LIMIT: it is longer than any; RC_IO. */
struct audit_tile_source {
    enum rc (*get)(void *with, const struct audit_tile *tile, struct buf *content);
    void *with;
};
enum rc audit_tile_verifier_from(const struct audit_tile_source *source, uint64_t size,
                                 const struct proof_hash *root,
                                 struct audit_tile_verifier **verifier);
/* Files; dir is borrowed. */
enum rc audit_tile_verifier_new(int dir, uint64_t size, const struct proof_hash *root,
                                struct audit_tile_verifier **verifier);
void audit_tile_verifier_free(struct audit_tile_verifier *verifier);
AUTO_STRUCT(audit_tile_verifier, audit_tile_verifier_free)

/* One file. RC_DENIED: it is not what it must be; or it is not there, or the tree has no such
 * tile. RC_MALFORMED: its length or a leaf's length is none. RC_IO. */
enum rc audit_tile_verifier_check(struct audit_tile_verifier *verifier,
                                  const struct audit_tile *tile);
/* The root that the tree had when it was of this size, which is not more than now; of files
 * that were checked. */
enum rc audit_tile_verifier_root(struct audit_tile_verifier *verifier, uint64_t size,
                                 struct proof_hash *root);

/* All that there must be, and those of lesser width that there are at the end of each level.
 * since (or NULL): the tree must begin with the one that this older checkpoint is over; it was
 * verified. */
enum rc audit_tile_verifier_all(struct audit_tile_verifier *verifier,
                                const struct audit_checkpoint *since);
/* The same of a folder; the checkpoints were verified. */
enum rc audit_tile_verify(int dir, const struct audit_checkpoint *checkpoint,
                          const struct audit_checkpoint *since);
