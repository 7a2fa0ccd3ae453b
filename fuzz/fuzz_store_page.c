/* Target: store_page_check */
#include "store/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned leaves = 0; leaves < 2; leaves++) {
        enum rc rc = store_page_check((struct bytes){ data, size }, leaves != 0);
        if (rc != RC_OK && rc != RC_CORRUPT)
            __builtin_trap();
    }
    return 0;
}
