/* A copy of the log: a folder of files that anyone can verify with the checkpoint key alone.
 */
#pragma once

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/leaf.h"

/*
 * As exported. "records": "touchmark audit 1\n", then for each record: length u32 of its entry,
 * the leaf's hash, the entry (leaf.h). "checkpoint": the signed note over exactly these
 * records. The leaf's hash says nothing that the entry does not; it tells which record was
 * changed.
 */
struct audit_export;
/* Begin in an empty folder; borrowed. RC_EXISTS. */
enum rc audit_export_new(int dir, struct audit_export **export);
enum rc audit_export_add(struct audit_export *export, struct bytes entry);
/* The checkpoint, last; all is synced. */
enum rc audit_export_finish(struct audit_export *export, struct bytes note);
void audit_export_free(struct audit_export *export);
AUTO_STRUCT(audit_export, audit_export_free)

struct audit_verified {
    uint64_t records, erased;
    bool erasing;     /* erasing or pruning is under way: how many it takes is not told yet */
    bool leaves_only; /* tiles alone: no bodies, so nobody knows which were erased */
    size_t witnesses; /* of those that were named, who signed the checkpoint */
    struct audit_checkpoint checkpoint; /* without its origin */
};

/*
 * A folder of "checkpoint" and of "records", or "tile" (tile_file.h), or both: then both are
 * verified. Recompute every commitment, leaf and the tree, and hold them against the
 * checkpoint. since: a note kept from earlier, or empty; the log must begin with all that it
 * covers, so truncation and rollback show. No more records may be without bodies than its own
 * records of erasing and pruning say (bare.h). Without as many witnesses' signatures as they
 * demand the checkpoint is nothing. RC_DENIED and RC_MALFORMED name the first record or tile
 * that is wrong. RC_IO.
 */
enum rc audit_verify(int dir, const struct audit_checkpoint_key *key,
                     const struct audit_witnesses *witnesses, struct bytes since,
                     struct audit_verified *verified);
/* The same over the files' bytes as they are read: feed the parts in order, then finish. */
struct audit_verifier;
enum rc audit_verifier_new(const struct audit_checkpoint *since, struct audit_verifier **v);
enum rc audit_verifier_feed(struct audit_verifier *v, struct bytes part);
enum rc audit_verifier_finish(struct audit_verifier *v,
                              const struct audit_checkpoint *checkpoint,
                              struct audit_verified *verified);
void audit_verifier_free(struct audit_verifier *v);
AUTO_STRUCT(audit_verifier, audit_verifier_free)
