/* Target: audit_saying_check, audit_saying_bound */
#include <stdlib.h>

#include "audit/log.h"
#include "audit/saying.h"

enum { HEAD = 9, DAY_MS = 24 * 3600 * 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* Nobody but the authority itself says what it did. */
static void check(enum audit_source source, const struct audit_record *record)
{
    if (audit_saying_check(source, record) != RC_OK)
        return;
    if (source == AUDIT_FROM_AUTHORITY || record->certificate.fingerprint.len > 0 ||
        record->certificate.serial.len > 0 || record->action == AUDIT_POLICY_APPLY ||
        record->action == AUDIT_CERTIFICATE_ISSUE || record->action == AUDIT_LOG_ERASE)
        abort();
}

static void is_near(int64_t at_ms, int64_t now_ms)
{
    if (at_ms < 0 || (at_ms > 0 && at_ms - DAY_MS > now_ms))
        abort();
}

/* Whatever its clock said, it can be written down, in its order, and is of today when it is
 * bound again. */
static void bound(struct audit_record *record, int64_t now_ms)
{
    const bool ordered = record->aggregate.first_ms <= record->aggregate.last_ms;
    AUTO_BUF(room, AUDIT_REASON_MAX);
    AUTO_BUF(again_room, AUDIT_REASON_MAX);
    AUTO_BUF(form, AUDIT_RECORD_MAX);

    audit_saying_bound(record, now_ms, &room);
    if (room.broken || audit_record_write(record, &form) != RC_OK)
        abort();
    if (ordered && record->aggregate.first_ms > record->aggregate.last_ms)
        abort();
    is_near(record->wall_ms, now_ms);
    is_near(record->aggregate.first_ms, now_ms);
    is_near(record->aggregate.last_ms, now_ms);
    const struct bytes reason = record->reason;
    audit_saying_bound(record, now_ms, &again_room);
    if (!bytes_equal(reason, record->reason))
        abort();
}

/* An octet for the source, eight for the time when the record is taken; the rest is it. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct audit_record record;
    uint64_t now = 0;

    if (len < HEAD)
        return 0;
    for (size_t i = 1; i < HEAD; i++)
        now = now << 8 | at[i];
    if (audit_record_read((struct bytes){ at + HEAD, len - HEAD }, &record) != RC_OK)
        return 0;
    check(at[0] % AUDIT_SOURCE_ROOM, &record);
    bound(&record, (int64_t)(now >> 1));
    return 0;
}
