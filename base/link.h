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
 * Format: docs/protocol/link.md. One datagram a message.
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
    uint16_t credits[LINK_LANES]; /* outstanding requests a lane may have; below 65535 in all */
    size_t waiting_max;           /* requests that may wait for credit, in each lane */
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

/*
 * A link over fd, which is owned from here on, also on failure. closed() is called
 * once, after all pending done()s, when the link broke: fault_text() then says why, and the
 * owner must still link_close() it, there or later. loop outlives the link, protocol too.
 */
enum rc link_open(struct loop *loop, int fd, const struct link_protocol *protocol,
                  void (*closed)(void *with), void *with, struct link **link);
/* Pending requests are answered RC_CLOSED first; closed() is not called. Also from inside a
 * done() or closed(); NULL is fine. */
void link_close(struct link *link);
AUTO_STRUCT(link, link_close)

/*
 * Ask; done is called exactly once, later, and never from inside link_ask(): from the loop, or
 * from link_close(). On failure it is not called: RC_LIMIT when the body is over the kind's cap
 * or waiting_max requests of this lane already wait, RC_CLOSED, RC_NOMEM, RC_IO (no descriptor
 * left). fd is -1 for none, else borrowed.
 */
enum rc link_ask(struct link *link, uint16_t kind, struct bytes body, int fd, link_done *done,
                 void *with);

/*
 * Ask and wait, without a loop, for programs that have nothing else to do: socket is a raw end
 * with no link on it, kind one without a descriptor in its reply. fd is -1 for none, else
 * borrowed. The reply is appended to reply. A refusal
 * is returned as the other side's rc, with its text as the fault. After RC_BUSY (no answer in
 * time), RC_CLOSED or RC_MALFORMED the outcome is unknown and the socket is shut down, so that
 * a late answer cannot be taken for another's; those three are also what the other side may
 * have answered.
 */
enum rc link_ask_and_wait(int socket, const struct link_protocol *protocol, uint16_t kind,
                          struct bytes body, int fd, int64_t timeout_ms, struct buf *reply);

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

/*
 * fd is owned from here on, also on failure. What handle() returns other than RC_OK stops the
 * loop with it: a refusal is an answer instead. closed() is called once when the link broke;
 * fault_text() then says why, and the owner must still close the server. Requests that had not
 * reached handle() by then never do.
 */
enum rc link_serve(struct loop *loop, int fd, const struct link_protocol *protocol,
                   enum rc (*handle)(void *with, const struct link_request *request),
                   void (*closed)(void *with), void *with, struct link_server **server);
/* Inside closed(), why: RC_CLOSED when the other side went, RC_MALFORMED when it broke the
 * protocol. RC_OK before that. */
enum rc link_server_ended(const struct link_server *server);
/* No more is handed out, closed() is not called. Requests kept by their handler must still be
 * answered: the memory goes with the last of them. */
void link_server_close(struct link_server *server);
AUTO_STRUCT(link_server, link_server_close)

/*
 * Answer, inside handle() or later: keep {server, kind, id} for that. With rc != RC_OK the body
 * is what the asker's log may know (usually fault_text()), cut to 512 bytes; with RC_OK a body
 * over the kind's cap becomes an RC_LIMIT answer. fd is borrowed; -1 unless the kind says
 * reply_fd and rc is RC_OK. An answer after the link closed is dropped.
 */
void link_answer(const struct link_request *request, enum rc rc, struct bytes body, int fd);

/* A connected pair, close-on-exec, with room for the largest message. */
enum rc link_pair(int *asking, int *answering);
