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

/* Its key is 32 times 'k'. */
#define VKEY "witness.example/w+db6b39f0+BIMgpRl32MOMqKSSfGcN9YIeRJdhlF4V6e+yahUJ0jDq"

static void count_cosignatures(struct bytes note)
{
    struct audit_witnesses set = { .count = 0 };
    AUTO_BUF(merged, AUDIT_NOTE_MAX);
    size_t count = 0;

    if (audit_witnesses_add(&set, BYTES(VKEY)) != RC_OK)
        abort();
    if (audit_cosignature_count(&set, note, &count) == RC_OK && count > 1)
        abort();
    count = 0;
    buf_add(&merged, BYTES("log.example/1\n0\n\n"));
    if (audit_cosignature_merge(&set, note, &merged, &count) != RC_OK)
        return;
    if (count > 1 || audit_cosignature_merge(&set, note, &merged, &count) != RC_OK || count > 0)
        abort(); /* what is in it already is not added again */
}

/* No key stands twice in what is taken, so none of it is taken again. */
static void read_list(struct bytes text)
{
    struct audit_witnesses set = { .count = 0 };
    enum rc rc = audit_witnesses_add(&set, text);

    if (rc != RC_OK ? set.count > 0
                    : set.count > AUDIT_WITNESSES_MAX ||
                          (set.count > 0 && audit_witnesses_add(&set, text) == RC_OK))
        abort();
}

/* A proof from anywhere, a submission to a witness, keys from a settings file, a witness's
 * answer: none of them may cost more than its octets, or be read in two ways. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = { at, len };

    read_proof(text);
    read_submission(text);
    read_witness(text);
    read_list(text);
    count_cosignatures(text);
    return 0;
}
