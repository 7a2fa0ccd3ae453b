/* Target: audit_verifier_feed, audit_verifier_finish, audit_bare_add, audit_bare_check */
#include <stdlib.h>

#include "audit/verify.h"

/* Input: size u64 and root of a checkpoint, the same of an older one (2^64-1: there is none),
 * then an export. */
static enum rc verify(const struct audit_checkpoint *checkpoint,
                      const struct audit_checkpoint *since, struct bytes export, size_t part,
                      struct audit_verified *verified)
{
    AUTO_OF(audit_verifier) *verifier = NULL;
    struct reader r = READER(export);

    TRY(audit_verifier_new(since->size == UINT64_MAX ? NULL : since, &verifier));
    while (r.left.len > 0)
        TRY(audit_verifier_feed(verifier,
                                reader_take(&r, r.left.len < part ? r.left.len : part)));
    return audit_verifier_finish(verifier, checkpoint, verified);
}

/* However it comes, it is the same log; and none has a root of zeros: nobody knows what hashes
 * to that. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const uint8_t NONE[PROOF_HASH];
    struct audit_checkpoint checkpoint = { 0 }, since = { 0 };
    struct audit_verified whole = { 0 }, parts = { 0 };
    struct reader r = READER(((struct bytes){ at, len }));

    checkpoint.size = reader_u64(&r);
    reader_copy(&r, checkpoint.root.at, PROOF_HASH);
    since.size = reader_u64(&r);
    reader_copy(&r, since.root.at, PROOF_HASH);
    if (r.broken)
        return 0;
    enum rc rc = verify(&checkpoint, &since, r.left, SIZE_MAX, &whole);
    if (verify(&checkpoint, &since, r.left, 61, &parts) != rc || whole.erased != parts.erased ||
        whole.erasing != parts.erasing)
        abort();
    if (rc == RC_OK && (whole.records != checkpoint.size || whole.erased > whole.records ||
                        bytes_equal(BYTES_OF(checkpoint.root.at), BYTES_OF(NONE))))
        abort();
    return 0;
}
