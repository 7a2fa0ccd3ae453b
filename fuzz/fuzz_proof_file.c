/* Target: audit_proof_file_read, audit_submission_read, audit_witness_read, audit_note_next */
#include <stdlib.h>

#include "audit/proof_file.h"
#include "audit/submission.h"

static void read_proof(struct bytes text)
{
    AUTO_BUF(room, AUDIT_PROOF_FILE_MAX);
    AUTO_BUF(again, AUDIT_PROOF_FILE_MAX);
    struct audit_proof_file proof;

    if (audit_proof_file_read(text, &room, &proof) == RC_OK &&
        (audit_proof_file_write(&proof, &again) != RC_OK ||
         !bytes_equal(text, buf_bytes(&again))))
        abort();
}

static void read_submission(struct bytes text)
{
    AUTO_BUF(again, AUDIT_SUBMISSION_MAX);
    struct audit_submission submission;

    if (audit_submission_read(text, &submission) == RC_OK &&
        (audit_submission_write(&submission, &again) != RC_OK ||
         !bytes_equal(text, buf_bytes(&again))))
        abort();
}

/* Of a key that is taken, the other spelling of the id's digits is the only one. */
static void read_witness(struct bytes text)
{
    AUTO_BUF(again, AUDIT_VKEY_MAX);
    struct audit_witness witness, same;

    if (audit_witness_read(text, &witness) != RC_OK)
        return;
    audit_witness_write(&witness, &again);
    if (again.len != text.len || audit_witness_read(buf_bytes(&again), &same) != RC_OK)
        abort();
}

static void count_cosignatures(struct bytes note)
{
    static const struct audit_witnesses NOBODY;
    AUTO_BUF(merged, AUDIT_NOTE_MAX);
    size_t count = 0;

    if (audit_cosignature_count(&NOBODY, note, &count) == RC_OK && count != 0)
        abort();
    buf_add(&merged, BYTES("log.example/1\n0\n\n"));
    if (audit_cosignature_merge(&NOBODY, note, &merged, &count) == RC_OK && count != 0)
        abort();
}

/* A proof from anywhere, a submission to a witness, a key from a settings file, a witness's
 * answer: none of them may cost more than its octets, or be read in two ways. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = { at, len };

    read_proof(text);
    read_submission(text);
    read_witness(text);
    count_cosignatures(text);
    return 0;
}
