/* Target: audit_checkpoint_read, audit_checkpoint_write */
#include <stdlib.h>

#include "audit/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(again, AUDIT_NOTE_MAX);
    struct bytes text = { at, len };
    struct audit_checkpoint checkpoint;

    if (audit_checkpoint_read(text, &checkpoint) != RC_OK)
        return 0;
    if (audit_checkpoint_write(&checkpoint, &again) != RC_OK ||
        !bytes_equal(text, buf_bytes(&again)))
        abort();
    return 0;
}
