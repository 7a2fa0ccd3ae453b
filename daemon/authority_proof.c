#include "daemon/authority_audit.h"

#include <inttypes.h>

#include "audit/proof_file.h"

/* Proofs as files: C2SP tlog-proof, under the newest checkpoint that everybody is shown. */

static enum rc read_index(const struct daemon_authority_book *book, struct store_txn *txn,
                          uint8_t kind, struct reader *r, uint64_t *index)
{
    if (kind == 3) {
        *index = reader_u64(r);
        return reader_u64(r) == 0 && reader_done(r)
                   ? RC_OK
                   : fault(RC_MALFORMED, "a proof of a record is asked for by its index, u64");
    }
    struct bytes fingerprint = reader_take(r, AUDIT_HASH);
    if (!reader_done(r))
        return fault(RC_MALFORMED, "a certificate's proof is asked for by its fingerprint");
    return audit_log_find_certificate(book->log, txn, fingerprint, index);
}

enum rc daemon_authority_prove_file(const struct daemon_authority_book *book,
                                    struct store_txn *txn, uint8_t kind, struct reader *r,
                                    struct buf *file)
{
    struct audit_proof_file proof = { .count = 0 };
    uint64_t size = 0;

    TRY(read_index(book, txn, kind, r, &proof.index));
    enum rc rc = daemon_authority_published(book, txn, UINT64_MAX, &size, &proof.note);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_NOT_FOUND || proof.index >= size)
        return fault(RC_NOT_FOUND, "no published checkpoint covers record %" PRIu64 " yet",
                     proof.index);
    TRY(audit_log_get(book->log, txn, proof.index, &proof.extra));
    TRY(audit_log_prove_inclusion(book->log, txn, proof.index, size, proof.nodes,
                                  &proof.count));
    return audit_proof_file_write(&proof, file);
}
