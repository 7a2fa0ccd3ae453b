/* Target: audit_verifier_feed, audit_verifier_finish */
#include <stdlib.h>

#include "audit/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* No export verifies against a root of zeros: nobody knows what hashes to that. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_OF(audit_verifier) *verifier = NULL;
    const struct audit_checkpoint checkpoint = { .size = 1 };
    struct audit_verified verified;

    if (audit_verifier_new(NULL, &verifier) != RC_OK)
        return 0;
    if (audit_verifier_feed(verifier, (struct bytes){ at, len }) == RC_OK &&
        audit_verifier_finish(verifier, &checkpoint, &verified) == RC_OK)
        abort();
    return 0;
}
