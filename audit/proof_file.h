/* A proof that one record is in the log, as a file that is checked without us: C2SP tlog-proof.
 */
#pragma once

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/leaf.h"

/*
 * The line "extra" holds the entry as it is hashed (leaf.h), so that the file alone tells what
 * the record says and that it is in the log. Whoever must not learn the former gets the file
 * without that line, and the leaf's 80 octets, or only their hash.
 */
enum { AUDIT_PROOF_FILE_MAX = 2 * AUDIT_ENTRY_MAX + 63 * 45 + AUDIT_NOTE_MAX + 256 };

struct audit_proof_file {
    struct bytes extra; /* empty: none */
    uint64_t index;
    struct proof_hash nodes[PROOF_NODES_MAX];
    size_t count;
    struct bytes note;
};

/* Append. */
enum rc audit_proof_file_write(const struct audit_proof_file *proof, struct buf *text);
/* RC_MALFORMED. note borrows from text, extra from room. */
enum rc audit_proof_file_read(struct bytes text, struct buf *room,
                              struct audit_proof_file *proof);
/*
 * Is the leaf with this hash where the proof says, in the tree under a checkpoint that this key
 * signed, and as many of the witnesses as they demand? RC_DENIED, RC_MALFORMED.
 */
enum rc audit_proof_file_check(const struct audit_proof_file *proof,
                               const struct proof_hash *leaf,
                               const struct audit_checkpoint_key *key,
                               const struct audit_witnesses *witnesses,
                               struct audit_checkpoint *checkpoint);
