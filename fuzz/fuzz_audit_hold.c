/*
 * Target: audit_hold_read, audit_erasure_read
 *
 * Holds and erasures as they cross a link: the first octet says which. What is read is what
 * would be written.
 */
#include <stdlib.h>

#include "audit/erasure.h"
#include "audit/hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void read_hold(struct bytes bytes)
{
    struct reader r = READER(bytes);
    struct audit_hold hold;
    AUTO_BUF(again, AUDIT_HOLD_BYTES_MAX);

    if (audit_hold_read(&r, &hold) != RC_OK)
        return;
    audit_hold_write(&hold, &again);
    bytes.len -= r.left.len;
    if (again.broken || !bytes_equal(bytes, buf_bytes(&again)))
        abort();
}

static void read_erasures(struct bytes bytes)
{
    struct reader r = READER(bytes);
    struct audit_erasure erasure;

    while (r.left.len > 0) {
        AUTO_BUF(again, 256);
        struct bytes before = r.left;
        if (audit_erasure_read(&r, &erasure) != RC_OK)
            return;
        audit_erasure_write(&erasure, &again);
        before.len -= r.left.len;
        if (again.broken || !bytes_equal(before, buf_bytes(&again)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len == 0)
        return 0;
    if (at[0] % 2 == 0)
        read_hold((struct bytes){ at + 1, len - 1 });
    else
        read_erasures((struct bytes){ at + 1, len - 1 });
    return 0;
}
