/* What both ends of a link look up in their table. Private to link*.c and their tests. */
#pragma once

#include "base/link.h"

enum {
    LINK_HEADER = 12,
    LINK_REASON_MAX = 512,
    LINK_MESSAGE_MAX = LINK_HEADER + LINK_BODY_MAX
};

/* Our own bugs in a table: asserted. */
void link_protocol_check(const struct link_protocol *protocol);
/* NULL if there is none. */
const struct link_kind *link_protocol_kind(const struct link_protocol *protocol, uint16_t kind);
/* All lanes' together, or the number of the first credit of this lane. */
uint16_t link_protocol_credits(const struct link_protocol *protocol);
uint16_t link_protocol_first_credit(const struct link_protocol *protocol, unsigned lane);
/* Room for the longest datagram of this direction. */
size_t link_protocol_room(const struct link_protocol *protocol, bool reply);
