#include "base/link_protocol.h"

#include <assert.h>

void link_protocol_check(const struct link_protocol *protocol)
{
    size_t credits = 0;

    for (int lane = 0; lane < LINK_LANES; lane++)
        credits += protocol->credits[lane];
    assert(credits > 0 && credits < UINT16_MAX);
    for (size_t i = 0; i < protocol->count; i++) {
        const struct link_kind *kind = &protocol->kinds[i];
        assert(kind->kind != 0 && link_protocol_kind(protocol, kind->kind) == kind);
        assert(kind->request_max <= LINK_BODY_MAX && kind->reply_max <= LINK_BODY_MAX);
        assert((unsigned)kind->lane < LINK_LANES && protocol->credits[kind->lane] > 0);
    }
}

const struct link_kind *link_protocol_kind(const struct link_protocol *protocol, uint16_t kind)
{
    for (size_t i = 0; i < protocol->count; i++)
        if (protocol->kinds[i].kind == kind)
            return &protocol->kinds[i];
    return NULL;
}

uint16_t link_protocol_first_credit(const struct link_protocol *protocol, unsigned lane)
{
    unsigned first = 0;

    for (unsigned before = 0; before < lane; before++)
        first += protocol->credits[before];
    return (uint16_t)first;
}

uint16_t link_protocol_credits(const struct link_protocol *protocol)
{
    return link_protocol_first_credit(protocol, LINK_LANES);
}

size_t link_protocol_room(const struct link_protocol *protocol, bool reply)
{
    size_t room = reply ? LINK_REASON_MAX : 0;

    for (size_t i = 0; i < protocol->count; i++) {
        const struct link_kind *kind = &protocol->kinds[i];
        size_t most = reply ? kind->reply_max : kind->request_max;
        room = most > room ? most : room;
    }
    return LINK_HEADER + room;
}
