/* Witnesses' signatures under checkpoints: C2SP tlog-cosignature, Ed25519 (cosignature/v1). */
#pragma once

#include "audit/note.h"

/*
 * A witness signs "cosignature/v1", a line with the hour, and the checkpoint's text: as of then
 * this is the largest tree of this log that it has seen, and it continues all that it saw
 * before. Whoever demands a quorum of witnesses is shown the same log as everyone whom they
 * serve. The later signature type with ML-DSA-44 (0x06) is not read: libcrypto 3.0 has it not.
 */
enum {
    AUDIT_WITNESS_KEY = 32,
    AUDIT_WITNESSES_MAX = 8,
    AUDIT_VKEY_MAX = AUDIT_NAME_MAX + 64,
};

struct audit_witness {
    char name[AUDIT_NAME_MAX + 1];
    uint8_t key[AUDIT_WITNESS_KEY], id[AUDIT_KEY_ID];
};
/* Of C2SP signed-note's verifier keys, "<name>+<8 hexadecimal digits>+<base64>", those of type
 * 0x04. RC_MALFORMED, RC_DENIED: of another type. */
enum rc audit_witness_read(struct bytes vkey, struct audit_witness *witness);
void audit_witness_write(const struct audit_witness *witness, struct buf *vkey);
/* RC_MALFORMED: the name. */
enum rc audit_witness_of(struct bytes name, const uint8_t key[AUDIT_WITNESS_KEY],
                         struct audit_witness *witness);

/* Whose word counts, and how many of them are demanded. */
struct audit_witnesses {
    struct audit_witness at[AUDIT_WITNESSES_MAX];
    size_t count, quorum;
};
/* Verifier keys with white space between them, added to the set. RC_EXISTS: a name or a key
 * stands twice, so one witness would count as two; RC_LIMIT. */
enum rc audit_witnesses_add(struct audit_witnesses *set, struct bytes vkeys);

/* Is this line by this witness (name and key id)? */
bool audit_cosignature_is_by(const struct audit_witness *witness,
                             const struct audit_note_line *line);
/* signature: time and Ed25519 signature. RC_DENIED: not the witness's over this text. */
enum rc audit_cosignature_check(const struct audit_witness *witness, struct bytes text,
                                struct bytes signature, uint64_t *time_s);
/* How many of the set signed this note, each counted once. RC_DENIED: a line of one of them is
 * wrong; RC_MALFORMED. */
enum rc audit_cosignature_count(const struct audit_witnesses *set, struct bytes note,
                                size_t *count);
/* RC_DENIED names how many are missing. */
enum rc audit_cosignature_demand(const struct audit_witnesses *set, struct bytes note);
/*
 * Append to note the lines of witnesses of the set that are right and not in it yet; *added is
 * their number. Other keys' lines are passed over. RC_DENIED: a line of one of ours is wrong;
 * nothing is added then.
 */
enum rc audit_cosignature_merge(const struct audit_witnesses *set, struct bytes lines,
                                struct buf *note, size_t *added);

/* The witness's own side of it. */
struct audit_cosigner;
enum rc audit_cosigner_new(struct bytes name, struct audit_cosigner **cosigner);
/* PEM of a PKCS#8 private key. RC_MALFORMED, RC_DENIED: not an Ed25519 key. */
enum rc audit_cosigner_read(struct bytes name, struct bytes pem,
                            struct audit_cosigner **cosigner);
/* The private key, PEM; wipe it. */
enum rc audit_cosigner_write(const struct audit_cosigner *cosigner, struct buf *pem);
const struct audit_witness *audit_cosigner_witness(const struct audit_cosigner *cosigner);
/* Append the signature line over a checkpoint's text. */
enum rc audit_cosigner_sign(const struct audit_cosigner *cosigner, struct bytes text,
                            uint64_t time_s, struct buf *line);
void audit_cosigner_free(struct audit_cosigner *cosigner);
AUTO_STRUCT(audit_cosigner, audit_cosigner_free)
