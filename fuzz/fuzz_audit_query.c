/*
 * Target: audit_query_read, audit_page_read, audit_page_next, audit_batch_read,
 * audit_batch_next
 *
 * What crosses a link in audit's own form: the first octet says which.
 */
#include <stdlib.h>

#include "audit/query.h"
#include "audit/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void read_query(struct bytes bytes)
{
    struct audit_query query;
    AUTO_BUF(again, AUDIT_QUERY_MAX);

    if (audit_query_read(bytes, &query) != RC_OK)
        return;
    audit_query_write(&query, &again);
    if (!bytes_equal(bytes, buf_bytes(&again)))
        abort();
}

static void read_page(struct bytes bytes)
{
    struct audit_page page;
    struct audit_hit hit;

    if (audit_page_read(bytes, &page) != RC_OK)
        return;
    while (audit_page_next(&page, &hit) == RC_OK)
        if (hit.entry.len > AUDIT_ENTRY_MAX)
            abort();
    audit_page_clear(&page);
}

static void read_batch(struct bytes bytes)
{
    struct audit_batch batch;
    struct bytes record;
    uint64_t sequence = 0, last = 0;

    if (audit_batch_read(bytes, &batch) != RC_OK)
        return;
    last = batch.sequence - 1;
    while (audit_batch_next(&batch, &sequence, &record) == RC_OK) {
        if (sequence != last + 1 || record.len > AUDIT_RECORD_MAX)
            abort();
        last = sequence;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static void (*const READERS[])(struct bytes) = { read_query, read_page, read_batch };

    if (len > 0)
        READERS[at[0] % 3]((struct bytes){ at + 1, len - 1 });
    return 0;
}
