/* What a log sends to its witness: the body of C2SP tlog-witness, "add-checkpoint". */
#pragma once

#include "audit/note.h"
#include "journal/proof.h"

/* "old <size>", the consistency proof from there, an empty line, the checkpoint's note. */
enum {
    AUDIT_SUBMISSION_NODES = 63,
    AUDIT_SUBMISSION_MAX = 64 + AUDIT_SUBMISSION_NODES * 45 + AUDIT_NOTE_MAX,
};

struct audit_submission {
    uint64_t old_size;
    struct proof_hash nodes[AUDIT_SUBMISSION_NODES];
    size_t count;
    struct bytes note;
};

enum rc audit_submission_write(const struct audit_submission *submission, struct buf *body);
/* RC_MALFORMED. note borrows from body; it is not read yet. */
enum rc audit_submission_read(struct bytes body, struct audit_submission *submission);
