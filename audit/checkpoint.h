/* Checkpoints of the log: C2SP tlog-checkpoint text, signed as a C2SP signed-note. */
#pragma once

#include "audit/note.h"
#include "journal/proof.h"

/*
 * The text has four lines: origin, size, root, and an extension line with the head of the
 * signer's journal. The signer signs it (kind checkpoint) after its own check that the tree
 * only grew, so the caller gives it the consistency proof from the size that it remembers.
 */
enum { AUDIT_ORIGIN_MAX = AUDIT_NAME_MAX };

struct audit_checkpoint {
    struct bytes
        origin; /* printable, without space and plus; also the key's name in the note */
    uint64_t size;
    struct proof_hash root;
    uint64_t journal_sequence;
    uint8_t journal_hash[PROOF_HASH];
};

/* Append the text that is signed. RC_MALFORMED: the origin. */
enum rc audit_checkpoint_write(const struct audit_checkpoint *checkpoint, struct buf *text);
/* Only what audit_checkpoint_write() makes. The origin borrows from text. */
enum rc audit_checkpoint_read(struct bytes text, struct audit_checkpoint *checkpoint);

/* The public key that checkpoints are signed with: ECDSA on P-256. */
struct audit_checkpoint_key;
/* From PEM (a public key or a certificate) or the DER of a SubjectPublicKeyInfo. RC_MALFORMED;
 * RC_DENIED: another kind of key. */
enum rc audit_checkpoint_key_read(struct bytes bytes, struct audit_checkpoint_key **key);
void audit_checkpoint_key_free(struct audit_checkpoint_key *key);
AUTO_STRUCT(audit_checkpoint_key, audit_checkpoint_key_free)

/* Append the note: text, empty line, one signature line. The key id is the first four octets of
 * the SHA-256 of the SubjectPublicKeyInfo, as C2SP signed-note says of type 0x02 (ECDSA).
 * signature is DER (RFC 3279 2.2.3). */
enum rc audit_checkpoint_note(const struct audit_checkpoint_key *key, struct bytes text,
                              struct bytes signature, struct buf *note);
/* What a note says, no signature looked at: for one that was verified before it was kept. The
 * origin borrows from note. RC_MALFORMED. */
enum rc audit_checkpoint_of_note(struct bytes note, struct audit_checkpoint *checkpoint);
/*
 * Read a note and verify it: RC_MALFORMED; RC_DENIED: no line is by this key under the
 * origin's name, or its signature does not verify. Lines of other keys (witnesses) are passed
 * over, as C2SP signed-note demands. The origin borrows from note.
 */
enum rc audit_checkpoint_verify(const struct audit_checkpoint_key *key, struct bytes note,
                                struct audit_checkpoint *checkpoint);
