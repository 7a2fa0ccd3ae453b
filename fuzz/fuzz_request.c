/* Target: pki_request_read, and what is done with a request that it takes. */
#include "pki/profile.h"
#include "pki/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct pki_verifier *verifier;
    const struct pki_holder holder = { .id = BYTES("TM-0001") };
    AUTO_BUF(differences, 1 << 20);
    struct pki_request request;

    if (verifier == NULL && pki_verifier_new(&verifier) != RC_OK)
        __builtin_trap();
    if (pki_request_read(verifier, (struct bytes){ at, len }, &request) != RC_OK)
        return 0;
    if (pki_profile_compare(pki_profile_find("device"), &holder, &request, &differences) !=
            RC_OK ||
        differences.broken)
        __builtin_trap();
    return 0;
}
