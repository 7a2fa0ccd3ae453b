/* What a link sends: messages as datagrams, descriptors beside them. Private to link.c,
 * link_server.c and their fuzzer; the format is docs/protocol/link.md. */
#pragma once

#include "base/link.h"

enum {
    LINK_HEADER = 12,
    LINK_REASON_MAX = 512,
    LINK_MESSAGE_MAX = LINK_HEADER + LINK_BODY_MAX
};

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

/* Our own bugs in a table: asserted. */
void link_protocol_check(const struct link_protocol *protocol);
/* NULL if there is none. */
const struct link_kind *link_protocol_kind(const struct link_protocol *protocol, uint16_t kind);
/* All lanes' together, or the number of the first credit of this lane. */
uint16_t link_protocol_credits(const struct link_protocol *protocol);
uint16_t link_protocol_first_credit(const struct link_protocol *protocol, unsigned lane);
/* Room for the longest datagram of this direction. */
size_t link_protocol_room(const struct link_protocol *protocol, bool reply);

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

/* A message that waits, with a copy of its body and a descriptor of its own. */
struct link_parcel {
    struct link_parcel *next;
    struct link_message message;
    int fd;
    link_done *done; /* of the asking end */
    void *with;
    uint8_t body[];
};

struct link_queue {
    struct link_parcel *first, *last;
    size_t count;
};

/* RC_NOMEM. The parcel takes fd over only on RC_OK. */
enum rc link_parcel_new(const struct link_message *message, int fd,
                        struct link_parcel **parcel);
void link_parcel_free(struct link_parcel *parcel);
AUTO_STRUCT(link_parcel, link_parcel_free)
void link_queue_add(struct link_queue *queue, struct link_parcel *parcel);
struct link_parcel *link_queue_take(struct link_queue *queue); /* NULL if empty */
void link_queue_clear(struct link_queue *queue);
