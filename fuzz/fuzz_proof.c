/* Target: journal_proof_check_consistency */
#include <stdlib.h>

#include "journal/proof.h"

/* Old and new size, old and new root, and the nodes: what a stranger sends to prove that a log
 * only grew. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct reader r = READER(((struct bytes){ at, len }));
    struct proof_hash nodes[PROOF_NODES_MAX] = { 0 }, old_root, new_root;
    uint64_t old_size = reader_u64(&r), new_size = reader_u64(&r);
    size_t count = 0;

    reader_copy(&r, old_root.at, PROOF_HASH);
    reader_copy(&r, new_root.at, PROOF_HASH);
    while (r.left.len >= PROOF_HASH && count < PROOF_NODES_MAX)
        reader_copy(&r, nodes[count++].at, PROOF_HASH);
    bool grew = journal_proof_check_consistency(old_size, &old_root, new_size, &new_root, nodes,
                                                count) == RC_OK;
    if (grew && old_size > new_size)
        abort();
    bool inside = journal_proof_check_inclusion(old_size, new_size, &old_root, nodes, count,
                                                &new_root) == RC_OK;
    if (inside && (old_size >= new_size || count > 64))
        abort();
    return 0;
}
