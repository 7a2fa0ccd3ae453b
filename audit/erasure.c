#include "audit/erasure.h"

void audit_erasure_write(const struct audit_erasure *erasure, struct buf *buf)
{
    buf_add_u8(buf, (uint8_t)erasure->kind);
    buf_add_sized16(buf, erasure->id);
    buf_add_u64(buf, erasure->limit);
    buf_add_u64(buf, erasure->next);
    buf_add_u64(buf, erasure->records);
}

enum rc audit_erasure_read(struct reader *r, struct audit_erasure *erasure)
{
    struct audit_erasure read = { .kind = (enum audit_actor_kind)reader_u8(r) };

    read.id = reader_sized16(r, AUDIT_ID_MAX);
    read.limit = reader_u64(r);
    read.next = reader_u64(r);
    read.records = reader_u64(r);
    if (r->broken || read.kind < AUDIT_DEVICE || read.kind > AUDIT_LINE)
        return fault(RC_MALFORMED, "erasure: cut short, or of nobody");
    *erasure = read;
    return RC_OK;
}
