#include "audit/spool_protocol.h"

static const struct link_kind KINDS[] = {
    { AUDIT_SPOOL_READ, "read", LINK_NORMAL, 8, LINK_BODY_MAX, false, false },
};

static const struct link_protocol PROTOCOL = {
    .name = "spool",
    .kinds = KINDS,
    .count = sizeof KINDS / sizeof *KINDS,
    .credits = { [LINK_NORMAL] = 1 },
    .waiting_max = 1,
};

const struct link_protocol *audit_spool_protocol(void)
{
    return &PROTOCOL;
}

void audit_spool_protocol_ask(uint64_t after, struct buf *request)
{
    buf_add_u64(request, after);
}

enum rc audit_spool_protocol_asked(struct bytes request, uint64_t *after)
{
    struct reader r = READER(request);
    uint64_t sequence = reader_u64(&r);

    if (!reader_done(&r))
        return fault(RC_MALFORMED, "spool READ: %zu octets, expected 8", request.len);
    *after = sequence;
    return RC_OK;
}
