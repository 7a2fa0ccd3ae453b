#include "base/link_parcel.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A credit, and the request that holds it until its answer has left. */
struct credit {
    uint32_t id;
    const struct link_kind *kind; /* NULL: free */
    bool asked;                   /* handed out, not answered yet */
};

struct link_server {
    struct loop_watch watch;
    const struct link_protocol *protocol;
    enum rc (*handle)(void *with, const struct link_request *request);
    void (*closed)(void *with);
    void *with;
    struct credit *credits;
    struct link_queue requests[LINK_LANES], answers[LINK_LANES];
    size_t room_size;
    uint8_t *room;
    size_t unanswered; /* of those handed out */
    unsigned inside;   /* calls on the stack that still need this memory */
    enum rc ended;     /* why, once it broke */
    bool blocked;      /* the socket was full */
    bool failed;       /* an answer could not be sent: break at the next event */
    bool over;
    bool released; /* by its owner: free it when nothing is inside or unanswered */
};

static void free_server(struct link_server *server)
{
    own_close(&server->watch.fd);
    free(server->credits);
    free(server->room);
    free(server);
}

static void free_if_done(struct link_server *server)
{
    if (server->released && server->inside == 0 && server->unanswered == 0)
        free_server(server);
}

static enum rc add_to_loop(struct link_server *server, struct loop *loop)
{
    server->credits = calloc(link_protocol_credits(server->protocol), sizeof *server->credits);
    server->room = malloc(server->room_size);
    if (server->credits == NULL || server->room == NULL)
        return fault(RC_NOMEM, "link %s", server->protocol->name);
    return loop_add(loop, &server->watch, server->watch.fd, LOOP_READ);
}

static enum rc on_ready(struct loop_watch *watch, unsigned ready);

enum rc link_serve(struct loop *loop, int fd, const struct link_protocol *protocol,
                   enum rc (*handle)(void *with, const struct link_request *request),
                   void (*closed)(void *with), void *with, struct link_server **server)
{
    AUTO_FD owned = fd;
    struct link_server *made = calloc(1, sizeof *made);

    link_protocol_check(protocol);
    if (made == NULL)
        return fault(RC_NOMEM, "link %s", protocol->name);
    *made = (struct link_server){ .watch = { .ready = on_ready, .fd = TAKE_FD(owned) },
                                  .protocol = protocol,
                                  .handle = handle,
                                  .closed = closed,
                                  .with = with,
                                  .room_size = link_protocol_room(protocol, false) };
    enum rc rc = add_to_loop(made, loop);
    if (rc != RC_OK) {
        free_server(made);
        return rc;
    }
    *server = made;
    return RC_OK;
}

/* ---- The end of a link ---- */

static void end_server(struct link_server *server)
{
    server->over = true;
    loop_remove(&server->watch);
    own_close(&server->watch.fd);
    server->watch.fd = -1;
    for (int lane = 0; lane < LINK_LANES; lane++) {
        link_parcel_clear(&server->requests[lane]);
        link_parcel_clear(&server->answers[lane]);
    }
}

static void break_server(struct link_server *server, enum rc rc)
{
    end_server(server);
    server->ended = fault_while(rc, "link %s", server->protocol->name);
    server->closed(server->with);
}

enum rc link_server_ended(const struct link_server *server)
{
    return server->ended;
}

void link_server_close(struct link_server *server)
{
    if (server == NULL)
        return;
    server->released = true;
    if (!server->over)
        end_server(server);
    free_if_done(server);
}

/* ---- Answering ---- */

static enum rc send_answer(struct link_server *server, const struct link_message *m, int fd)
{
    TRY(link_message_send(server->watch.fd, m, fd));
    server->credits[link_message_credit(m->id)].kind = NULL;
    return RC_OK;
}

static enum rc wait_for_room(struct link_server *server, const struct link_message *m, int fd)
{
    struct link_parcel *parcel = NULL;
    AUTO_FD copy = -1;

    if (fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return fault_errno("copy a descriptor");
    TRY(loop_want(&server->watch, LOOP_READ | LOOP_WRITE));
    TRY(link_parcel_new(m, copy, &parcel));
    TAKE_FD(copy);
    link_parcel_add(&server->answers[m->kind->lane], parcel);
    server->blocked = true;
    return RC_OK;
}

/* The server may be used by whoever called link_answer(): it only breaks in its own event,
 * which the shutdown brings about. */
static void fail_later(struct link_server *server)
{
    server->failed = true;
    shutdown(server->watch.fd, SHUT_RDWR);
}

static void answer(struct link_server *server, const struct link_message *m, int fd)
{
    enum rc rc = server->blocked ? RC_BUSY : send_answer(server, m, fd);

    if (rc == RC_BUSY)
        rc = wait_for_room(server, m, fd);
    if (rc != RC_OK)
        fail_later(server);
}

void link_answer(const struct link_request *request, enum rc rc, struct bytes body, int fd)
{
    struct link_server *server = request->server;
    struct credit *credit = &server->credits[link_message_credit(request->id)];
    struct link_message m = { request->kind, request->id, true, rc, body };

    assert(credit->asked && credit->id == request->id && credit->kind == request->kind);
    assert((fd >= 0) == (rc == RC_OK && request->kind->reply_fd));
    if (rc != RC_OK && body.len > LINK_REASON_MAX)
        m.body.len = LINK_REASON_MAX;
    if (rc == RC_OK && body.len > request->kind->reply_max) {
        m.rc = RC_LIMIT;
        m.body = BYTES("the answer is too long for its message");
        fd = -1;
    }
    credit->asked = false;
    server->unanswered--;
    if (!server->over && !server->failed)
        answer(server, &m, fd);
    free_if_done(server);
}

static enum rc send_waiting(struct link_server *server)
{
    for (int lane = 0; lane < LINK_LANES; lane++)
        while (server->answers[lane].count > 0) {
            struct link_parcel *first = server->answers[lane].first;
            enum rc rc = send_answer(server, &first->message, first->fd);
            if (rc == RC_BUSY)
                return RC_OK;
            TRY(rc);
            link_parcel_free(link_parcel_take(&server->answers[lane]));
        }
    server->blocked = false;
    return loop_want(&server->watch, LOOP_READ);
}

/* ---- Requests ---- */

static enum rc take_request(struct link_server *server, struct bytes datagram, int fd)
{
    struct link_parcel *parcel = NULL;
    AUTO_FD owned = fd;
    struct link_message m;

    TRY(link_message_read(server->protocol, false, datagram, fd >= 0, &m));
    struct credit *credit = &server->credits[link_message_credit(m.id)];
    if (credit->kind != NULL)
        return fault(RC_MALFORMED, "%s: id %08x on a credit that is taken", m.kind->name, m.id);
    TRY(link_parcel_new(&m, owned, &parcel));
    TAKE_FD(owned);
    credit->kind = m.kind;
    credit->id = m.id;
    link_parcel_add(&server->requests[m.kind->lane], parcel);
    return RC_OK;
}

/* All that is there: no more than there are credits, since none is given back meanwhile. */
static enum rc take_requests(struct link_server *server)
{
    for (;;) {
        struct bytes datagram;
        int fd = -1;
        enum rc rc = link_message_receive(server->watch.fd, server->room, server->room_size,
                                          &datagram, &fd);
        if (rc == RC_BUSY)
            return RC_OK;
        TRY(rc);
        TRY(take_request(server, datagram, fd));
    }
}

static enum rc hand_out(struct link_server *server, struct link_parcel *next)
{
    AUTO_OF(link_parcel) *parcel = next;
    const struct link_request request = { .server = server,
                                          .kind = parcel->message.kind,
                                          .id = parcel->message.id,
                                          .body = parcel->message.body,
                                          .fd = TAKE_FD(parcel->fd) };

    server->credits[link_message_credit(request.id)].asked = true;
    server->unanswered++;
    return server->handle(server->with, &request);
}

/* The urgent first. handle() may close the server, which empties the queues. */
static enum rc hand_out_all(struct link_server *server)
{
    for (int lane = 0; lane < LINK_LANES; lane++)
        while (server->requests[lane].count > 0 && !server->failed)
            TRY(hand_out(server, link_parcel_take(&server->requests[lane])));
    return RC_OK;
}

static enum rc on_ready(struct loop_watch *watch, unsigned ready)
{
    struct link_server *server = (struct link_server *)watch;
    enum rc handled = RC_OK, rc = RC_OK;

    server->inside++;
    if (server->failed)
        rc = fault(RC_CLOSED, "an answer could not be sent");
    if (rc == RC_OK && (ready & LOOP_WRITE))
        rc = send_waiting(server);
    if (rc == RC_OK && (ready & LOOP_READ))
        rc = take_requests(server);
    if (rc == RC_OK)
        handled = hand_out_all(server);
    if (rc != RC_OK)
        break_server(server, rc);
    server->inside--;
    free_if_done(server);
    return handled;
}
