/* Capped, typed messages between two of our processes, over a Unix SOCK_SEQPACKET pair. */
#pragma once

#include "base/loop.h"

/*
 * A link has an asking end and an answering end, for good: calls go one way
 * (DESIGN.md D6). A protocol is a table that both ends compile in: the kinds
 * of request, the most bytes of each request and reply, its lane, and whether
 * a descriptor travels with it. What is not in the table, is longer than it
 * says, answers nothing that was asked, or exceeds the credits, closes the link:
 * a peer that breaks the protocol is broken or hostile, and there is no repair.
 *
 * Lanes keep what is urgent from waiting behind what is bulk: requests wait at the
 * asking end until their lane has credit (an outstanding request holds one),
 * and the answering end hands urgent ones to its handler first within a turn.
 *
 * On the wire (docs/protocol/link.md): kind u16, flags u16 (bit 0 reply), id u32,
 * rc u16 and reserved u16 (0), body; big-endian; one datagram a message.
 */
enum link_lane { LINK_URGENT, LINK_NORMAL, LINK_BULK };
enum { LINK_LANES = 3, LINK_BODY_MAX = 64 * 1024 };

struct link_kind {
    uint16_t kind; /* unique in the table, not 0 */
    const char *name;
    enum link_lane lane;
    uint32_t request_max, reply_max; /* bytes of body, <= LINK_BODY_MAX */
    bool request_fd,
        reply_fd; /* exactly one descriptor travels along (in a reply: with RC_OK) */
};

struct link_protocol {
    const char *name;
    const struct link_kind *kinds;
    size_t count;
    uint16_t credits[LINK_LANES]; /* outstanding requests a lane may have */
};

/* ---- The asking end ---- */
struct link;

struct link_reply {
    enum rc rc; /* of the other side; RC_CLOSED if the link broke before an answer came: the
                   outcome is unknown */
    struct bytes body; /* borrowed for the call; with rc != RC_OK a short text for the log */
    int fd;            /* -1, or the callee's to keep */
};
typedef void link_done(void *with, const struct link_reply *reply);

/* A link over fd (owned from here on, also on failure). closed() is called once, after all
 * pending done()s. */
enum rc link_open(struct loop *loop, int fd, const struct link_protocol *protocol,
                  void (*closed)(void *with), void *with, struct link **link);
void link_close(
    struct link *link); /* pending requests are answered RC_CLOSED first; NULL is fine */
AUTO_STRUCT(link, link_close)

/*
 * Ask; done is called exactly once, later, from the loop, never from inside. RC_LIMIT when the
 * body is over the kind's cap or waiting_max requests of this lane already wait, RC_CLOSED. fd
 * -1 for none, else borrowed.
 */
enum rc link_ask(struct link *link, uint16_t kind, struct bytes body, int fd, link_done *done,
                 void *with);
/* Ask and wait, without a loop, for programs that have nothing else to do (fd is a raw end; no
 * link on it). */
enum rc link_ask_and_wait(int socket, const struct link_protocol *protocol, uint16_t kind,
                          struct bytes body, int64_t timeout_ms, struct buf *reply);

/* ---- The answering end ---- */
struct link_server;

/* One request that must be answered exactly once, at once or later. */
struct link_request {
    struct link_server *server;
    const struct link_kind *kind;
    uint32_t id;
    struct bytes body; /* borrowed during handle() only */
    int fd;            /* -1, or the handler's to keep */
};

enum rc link_serve(struct loop *loop, int fd, const struct link_protocol *protocol,
                   enum rc (*handle)(void *with, const struct link_request *request),
                   void (*closed)(void *with), void *with, struct link_server **server);
void link_server_close(struct link_server *server);
AUTO_STRUCT(link_server, link_server_close)

/*
 * Answer. With rc != RC_OK the body is what the asker's log may know (usually fault_text()),
 * cut to 512 bytes. handle() may answer inside or keep {server, kind, id} and answer later; an
 * answer after the link closed is dropped.
 */
void link_answer(const struct link_request *request, enum rc rc, struct bytes body, int fd);

/* A connected pair, close-on-exec, with room for the largest message. */
enum rc link_pair(int *asking, int *answering);
