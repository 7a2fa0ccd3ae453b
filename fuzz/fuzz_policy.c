/* Target: policy_parse, policy_source_check */
#include <stdint.h>
#include <stdlib.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = { at, len };
    struct policy_errors errors;
    AUTO_OF(policy) *policy = NULL;

    enum rc rc = policy_compile(text, 1, &errors, &policy);
    if ((rc == RC_OK) != (policy != NULL) || (rc == RC_MALFORMED) != (errors.count > 0))
        abort();
    if (rc == RC_OK && !bytes_equal(text, policy_text(policy)))
        abort();
    return 0;
}
