/* Target: link_message_read */
#include "base/link_message.h"

#include <assert.h>

static const struct link_kind KINDS[] = {
    { 1, "ping", LINK_NORMAL, 10, 20, false, false },
    { 2, "revoke", LINK_URGENT, 10, 0, false, false },
    { 256, "bulk", LINK_BULK, LINK_BODY_MAX, LINK_BODY_MAX, false, false },
    { 4, "open", LINK_NORMAL, 10, 0, false, true },
    { 5, "send", LINK_NORMAL, 10, 0, true, false },
};
static const struct link_protocol PROTOCOL = {
    "fuzz", KINDS, sizeof KINDS / sizeof *KINDS, { 2, 3, 400 }, 8
};

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* The first byte says which end reads, and whether a descriptor came along. What is taken is
 * within the table, and has only this one form. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct link_message m;
    uint8_t head[LINK_HEADER];

    if (len < 1)
        return 0;
    bool reply = at[0] & 1, with_fd = at[0] & 2;
    struct bytes datagram = { at + 1, len - 1 };
    if (link_message_read(&PROTOCOL, reply, datagram, with_fd, &m) != RC_OK)
        return 0;
    assert(m.kind != NULL && m.reply == reply && (m.rc == RC_OK || reply));
    assert(link_message_credit(m.id) < link_protocol_credits(&PROTOCOL));
    assert(m.body.len <= link_protocol_room(&PROTOCOL, reply) - LINK_HEADER);
    assert(with_fd == (reply ? m.kind->reply_fd && m.rc == RC_OK : m.kind->request_fd));
    link_message_head(&m, head);
    assert(bytes_start_with(datagram, BYTES_OF(head)));
    assert(m.body.at == datagram.at + LINK_HEADER && m.body.len == datagram.len - LINK_HEADER);
    return 0;
}
