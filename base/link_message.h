/* What a link sends: messages as datagrams, descriptors beside them. Private to link*.c and
 * their tests; the format is docs/protocol/link.md. */
#pragma once

#include "base/link_protocol.h"

/*
 * The low half of an id is the number of the credit that the request holds; each
 * lane has a range of numbers, so that an id within its range and not taken is
 * the proof of credit. The high half tells apart the uses of one credit.
 */
struct link_message {
    const struct link_kind *kind;
    uint32_t id;
    bool reply;
    enum rc rc;        /* RC_OK in a request */
    struct bytes body; /* borrowed */
};

static inline uint16_t link_message_credit(uint32_t id)
{
    return (uint16_t)id;
}

/* Read one datagram against the table; anything else than it allows is RC_MALFORMED. */
enum rc link_message_read(const struct link_protocol *protocol, bool reply,
                          struct bytes datagram, bool with_fd, struct link_message *message);
void link_message_head(const struct link_message *message, uint8_t head[LINK_HEADER]);

/* RC_BUSY: nothing was sent, the socket is full; that is no fault. Anything else but RC_OK: the
 * link is over. */
enum rc link_message_send(int socket, const struct link_message *message, int fd);
/*
 * One datagram into room; *fd is the caller's, or -1. RC_BUSY: none is there, no fault.
 * RC_CLOSED: the other side is gone. RC_MALFORMED: too long, or more beside it than one
 * descriptor; whatever came is closed.
 */
enum rc link_message_receive(int socket, uint8_t *room, size_t size, struct bytes *datagram,
                             int *fd);
