#include "audit/hold.h"

#include "base/text.h"

enum rc audit_why_check(struct bytes reason)
{
    if (reason.len == 0 || reason.len > AUDIT_WHY_MAX || !text_is_utf8(reason))
        return fault(RC_MALFORMED, "reason: a text of 1 to %d octets", AUDIT_WHY_MAX);
    for (size_t i = 0; i < reason.len; i++)
        if (reason.at[i] < 0x20 || reason.at[i] == 0x7f)
            return fault(RC_MALFORMED, "reason: a control character");
    return RC_OK;
}

enum rc audit_hold_check(const struct audit_hold *hold)
{
    if (hold->kind > AUDIT_LINE || (hold->kind == AUDIT_NOBODY) != (hold->id.len == 0) ||
        hold->id.len > AUDIT_ID_MAX)
        return fault(RC_MALFORMED, "hold: of a device, an operator or a line with its id, or "
                                   "of nobody in particular");
    if (hold->since_ms < 0 || hold->until_ms < 0 ||
        (hold->until_ms != 0 && hold->until_ms < hold->since_ms))
        return fault(RC_MALFORMED, "hold: a time before 1970, or an end before the beginning");
    return audit_why_check(hold->reason);
}

void audit_hold_write(const struct audit_hold *hold, struct buf *buf)
{
    buf_add_u8(buf, (uint8_t)hold->kind);
    buf_add_u64(buf, (uint64_t)hold->since_ms);
    buf_add_u64(buf, (uint64_t)hold->until_ms);
    buf_add_u64(buf, (uint64_t)hold->made_ms);
    buf_add_sized16(buf, hold->id);
    buf_add_sized16(buf, hold->by);
    buf_add_sized16(buf, hold->reason);
}

enum rc audit_hold_read(struct reader *r, struct audit_hold *hold)
{
    struct audit_hold read = { .kind = (enum audit_actor_kind)reader_u8(r) };

    read.since_ms = (int64_t)reader_u64(r);
    read.until_ms = (int64_t)reader_u64(r);
    read.made_ms = (int64_t)reader_u64(r);
    read.id = reader_sized16(r, AUDIT_ID_MAX);
    read.by = reader_sized16(r, AUDIT_ID_MAX);
    read.reason = reader_sized16(r, AUDIT_WHY_MAX);
    if (r->broken)
        return fault(RC_MALFORMED, "hold: cut short");
    TRY(audit_hold_check(&read));
    *hold = read;
    return RC_OK;
}

bool audit_hold_covers(const struct audit_hold *hold, const struct audit_record *record)
{
    if (record->wall_ms < hold->since_ms ||
        (hold->until_ms != 0 && record->wall_ms > hold->until_ms))
        return false;
    if (hold->kind == AUDIT_NOBODY)
        return true;
    return (record->actor_kind == hold->kind && bytes_equal(record->actor, hold->id)) ||
           (hold->kind == AUDIT_DEVICE && bytes_equal(record->device, hold->id));
}
