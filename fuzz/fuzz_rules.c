/* Target: keys_rules_read, keys_rules_write */
#include <stdint.h>
#include <stdlib.h>

#include "keys/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(again, KEYS_RULES_TEXT_MAX);
    struct bytes text = { at, len };
    struct keys_rules *rules = NULL;

    if (keys_rules_read(text, &rules) != RC_OK)
        return 0;
    if (keys_rules_write(rules, &again) != RC_OK || !bytes_equal(text, buf_bytes(&again)))
        abort();
    free(rules);
    return 0;
}
