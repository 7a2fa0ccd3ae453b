/* Target: audit_record_read, audit_record_write */
#include <stdlib.h>

#include "audit/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(again, AUDIT_RECORD_MAX);
    struct bytes bytes = { at, len };
    struct audit_record record;

    if (audit_record_read(bytes, &record) != RC_OK)
        return 0;
    if (audit_record_write(&record, &again) != RC_OK || !bytes_equal(bytes, buf_bytes(&again)))
        abort();
    return 0;
}
