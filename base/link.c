#include "base/link_parcel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/text.h"

enum { READS_A_TURN = 64, NO_CREDIT = UINT16_MAX };

/* A credit, and the request that holds it. */
struct credit {
    uint32_t id;
    uint16_t next_free;
    const struct link_kind *kind; /* NULL: free */
    link_done *done;
    void *with;
};

struct link {
    struct loop_watch watch;
    const struct link_protocol *protocol;
    void (*closed)(void *with);
    void *with;
    struct credit *credits;
    uint16_t free[LINK_LANES];
    struct link_queue waiting[LINK_LANES];
    size_t room_size;
    uint8_t *room;
    unsigned inside; /* calls on the stack that still need this memory */
    bool blocked;    /* the socket was full */
    bool over;
    bool released; /* by its owner: free it when nothing is inside */
};

static void free_link(struct link *link)
{
    own_close(&link->watch.fd);
    free(link->credits);
    free(link->room);
    free(link);
}

/* Each lane's credits as a list, the lowest number first. */
static void number_credits(struct link *link)
{
    uint16_t next = 0;

    for (int lane = 0; lane < LINK_LANES; lane++) {
        uint16_t end = (uint16_t)(next + link->protocol->credits[lane]);
        link->free[lane] = next < end ? next : NO_CREDIT;
        for (; next < end; next++) {
            link->credits[next].id = next;
            link->credits[next].next_free = next + 1 < end ? (uint16_t)(next + 1) : NO_CREDIT;
        }
    }
}

static enum rc add_to_loop(struct link *link, struct loop *loop)
{
    link->credits = calloc(link_protocol_credits(link->protocol), sizeof *link->credits);
    link->room = malloc(link->room_size);
    if (link->credits == NULL || link->room == NULL)
        return fault(RC_NOMEM, "link %s", link->protocol->name);
    number_credits(link);
    return loop_add(loop, &link->watch, link->watch.fd, LOOP_READ);
}

static enum rc on_ready(struct loop_watch *watch, unsigned ready);

enum rc link_open(struct loop *loop, int fd, const struct link_protocol *protocol,
                  void (*closed)(void *with), void *with, struct link **link)
{
    AUTO_FD owned = fd;
    struct link *made = calloc(1, sizeof *made);

    link_protocol_check(protocol);
    if (made == NULL)
        return fault(RC_NOMEM, "link %s", protocol->name);
    *made = (struct link){ .watch = { .ready = on_ready, .fd = TAKE_FD(owned) },
                           .protocol = protocol,
                           .closed = closed,
                           .with = with,
                           .room_size = link_protocol_room(protocol, true) };
    enum rc rc = add_to_loop(made, loop);
    if (rc != RC_OK) {
        free_link(made);
        return rc;
    }
    *link = made;
    return RC_OK;
}

/* ---- The end of a link ---- */

static void answer_closed(link_done *done, void *with)
{
    const struct link_reply reply = { .rc = RC_CLOSED,
                                      .body = BYTES("the link closed before an answer came"),
                                      .fd = -1 };

    done(with, &reply);
}

/* The done()s may ask (refused) and close (noted) this link. */
static void answer_all_closed(struct link *link)
{
    for (uint16_t i = 0; i < link_protocol_credits(link->protocol); i++)
        if (link->credits[i].kind != NULL)
            answer_closed(link->credits[i].done, link->credits[i].with);
    for (int lane = 0; lane < LINK_LANES; lane++)
        for (;;) {
            AUTO_OF(link_parcel) *parcel = link_parcel_take(&link->waiting[lane]);
            if (parcel == NULL)
                break;
            answer_closed(parcel->done, parcel->with);
        }
}

static void end_link(struct link *link)
{
    link->over = true;
    loop_remove(&link->watch);
    own_close(&link->watch.fd);
    link->watch.fd = -1;
    answer_all_closed(link);
}

static void break_link(struct link *link, enum rc rc)
{
    AUTO_BUF(why, 1024);
    const char *text = "";

    buf_addf(&why, "%s", fault_text());
    rc = buf_text(&why, &text) == RC_OK ? rc : RC_CLOSED;
    end_link(link);
    if (link->released)
        return;
    (void)!fault(rc, "link %s: %s", link->protocol->name, text);
    link->closed(link->with);
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    link->released = true;
    if (!link->over) {
        link->inside++;
        end_link(link);
        link->inside--;
    }
    if (link->inside == 0)
        free_link(link);
}

/* ---- Asking ---- */

static enum rc send_request(struct link *link, struct link_message *m, int fd, link_done *done,
                            void *with)
{
    uint16_t *free = &link->free[m->kind->lane];
    struct credit *credit = &link->credits[*free];

    m->id = credit->id;
    TRY(link_message_send(link->watch.fd, m, fd));
    *free = credit->next_free;
    credit->kind = m->kind;
    credit->done = done;
    credit->with = with;
    return RC_OK;
}

/* After a failed send the answers that already came are still good: reading them, then
 * the end, is what breaks the link. */
static void stop_sending(struct link *link)
{
    shutdown(link->watch.fd, SHUT_RDWR);
}

static enum rc wait_for_turn(struct link *link, const struct link_message *m, int fd,
                             link_done *done, void *with)
{
    struct link_queue *queue = &link->waiting[m->kind->lane];
    struct link_parcel *parcel = NULL;
    AUTO_FD copy = -1;

    if (queue->count >= link->protocol->waiting_max)
        return fault(RC_LIMIT, "link %s: %zu requests wait already", link->protocol->name,
                     queue->count);
    if (fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return fault_errno("link %s: copy a descriptor", link->protocol->name);
    TRY(link_parcel_new(m, copy, &parcel));
    TAKE_FD(copy);
    parcel->done = done;
    parcel->with = with;
    link_parcel_add(queue, parcel);
    return RC_OK;
}

enum rc link_ask(struct link *link, uint16_t kind, struct bytes body, int fd, link_done *done,
                 void *with)
{
    struct link_message m = { .kind = link_protocol_kind(link->protocol, kind), .body = body };

    assert(m.kind != NULL && m.kind->request_fd == (fd >= 0));
    if (link->over)
        return fault(RC_CLOSED, "link %s is closed", link->protocol->name);
    if (body.len > m.kind->request_max)
        return fault(RC_LIMIT, "link %s: %s of %zu bytes, limit %u", link->protocol->name,
                     m.kind->name, body.len, m.kind->request_max);
    if (!link->blocked && link->waiting[m.kind->lane].count == 0 &&
        link->free[m.kind->lane] != NO_CREDIT) {
        enum rc rc = send_request(link, &m, fd, done, with);
        if (rc == RC_OK)
            return RC_OK;
        if (rc != RC_BUSY) {
            stop_sending(link);
            return fault_while(RC_CLOSED, "link %s", link->protocol->name);
        }
        TRY(loop_want(&link->watch, LOOP_READ | LOOP_WRITE));
        link->blocked = true;
    }
    return wait_for_turn(link, &m, fd, done, with);
}

/* Send what has waited, the urgent first, as far as credit and the socket let it. */
static enum rc send_waiting(struct link *link)
{
    for (int lane = 0; lane < LINK_LANES; lane++)
        while (link->waiting[lane].count > 0 && link->free[lane] != NO_CREDIT) {
            struct link_parcel *first = link->waiting[lane].first;
            enum rc rc =
                send_request(link, &first->message, first->fd, first->done, first->with);
            if (rc == RC_BUSY) {
                link->blocked = true;
                return loop_want(&link->watch, LOOP_READ | LOOP_WRITE);
            }
            if (rc != RC_OK) {
                stop_sending(link);
                return loop_want(&link->watch, LOOP_READ);
            }
            link_parcel_free(link_parcel_take(&link->waiting[lane]));
        }
    link->blocked = false;
    return loop_want(&link->watch, LOOP_READ);
}

/* ---- Replies ---- */

static enum rc take_reply(struct link *link, struct bytes datagram, int fd)
{
    AUTO_FD owned = fd;
    struct link_message m;

    TRY(link_message_read(link->protocol, true, datagram, fd >= 0, &m));
    struct credit *credit = &link->credits[link_message_credit(m.id)];
    if (credit->kind != m.kind || credit->id != m.id)
        return fault(RC_MALFORMED, "%s: id %08x answers nothing that was asked", m.kind->name,
                     m.id);

    struct link_reply reply = { .rc = m.rc, .body = m.body, .fd = TAKE_FD(owned) };
    credit->kind = NULL;
    credit->id += 1U << 16;
    credit->next_free = link->free[m.kind->lane];
    link->free[m.kind->lane] = link_message_credit(m.id);
    credit->done(credit->with, &reply);
    return RC_OK;
}

static enum rc take_replies(struct link *link)
{
    for (int i = 0; i < READS_A_TURN && !link->over; i++) {
        struct bytes datagram;
        int fd = -1;
        enum rc rc =
            link_message_receive(link->watch.fd, link->room, link->room_size, &datagram, &fd);
        if (rc == RC_BUSY)
            return RC_OK;
        TRY(rc);
        TRY(take_reply(link, datagram, fd));
    }
    return RC_OK;
}

static enum rc on_ready(struct loop_watch *watch, unsigned ready)
{
    struct link *link = (struct link *)watch;
    enum rc rc = RC_OK;

    link->inside++;
    if (ready & LOOP_READ)
        rc = take_replies(link);
    if (rc == RC_OK && !link->over)
        rc = send_waiting(link);
    if (rc != RC_OK && !link->over)
        break_link(link, rc);
    link->inside--;
    if (link->released && link->inside == 0)
        free_link(link);
    return RC_OK;
}

/* ---- Without a loop ---- */

static enum rc wait_until(int socket, short events, int64_t deadline_ms)
{
    const struct clock clock = clock_system();
    int64_t left = deadline_ms - clock_monotonic_ms(&clock);
    struct pollfd one = { .fd = socket, .events = events };
    int n = poll(&one, 1, left <= 0 ? 0 : left > 60000 ? 60000 : (int)left);

    if (n < 0 && errno != EINTR)
        return fault_errno("wait on a link");
    return n <= 0 && left <= 0 ? fault(RC_BUSY, "link: no answer in time") : RC_OK;
}

static enum rc send_in_time(int socket, const struct link_message *m, int fd,
                            int64_t deadline_ms)
{
    enum rc rc;

    while ((rc = link_message_send(socket, m, fd)) == RC_BUSY)
        TRY(wait_until(socket, POLLOUT, deadline_ms));
    return rc;
}

static enum rc receive_in_time(int socket, const struct link_protocol *protocol, uint8_t *room,
                               int64_t deadline_ms, struct link_message *m)
{
    size_t size = link_protocol_room(protocol, true);
    struct bytes datagram;
    int fd = -1;
    enum rc rc;

    while ((rc = link_message_receive(socket, room, size, &datagram, &fd)) == RC_BUSY)
        TRY(wait_until(socket, POLLIN, deadline_ms));
    AUTO_FD owned = fd;
    TRY(rc);
    return link_message_read(protocol, true, datagram, owned >= 0, m);
}

static enum rc hand_over_reply(const struct link_message *m, struct buf *reply)
{
    struct bytes why = text_is_printable(m->body) ? m->body : BYTES("no printable reason");

    if (m->rc != RC_OK)
        return fault(m->rc, "%.*s", BYTES_FMT(why));
    if (m->body.len > reply->max - reply->len)
        return fault(RC_LIMIT, "reply of %zu bytes, room for %zu", m->body.len,
                     reply->max - reply->len);
    buf_add(reply, m->body);
    return reply->broken ? fault(RC_NOMEM, "reply of %zu bytes", m->body.len) : RC_OK;
}

enum rc link_ask_and_wait(int socket, const struct link_protocol *protocol, uint16_t kind,
                          struct bytes body, int fd, int64_t timeout_ms, struct buf *reply)
{
    const struct clock clock = clock_system();
    int64_t deadline_ms = clock_monotonic_ms(&clock) + timeout_ms;
    struct link_message asked = { .kind = link_protocol_kind(protocol, kind), .body = body };
    struct link_message got = { 0 };

    assert(asked.kind != NULL && asked.kind->request_fd == (fd >= 0) && !asked.kind->reply_fd);
    if (body.len > asked.kind->request_max)
        return fault(RC_LIMIT, "%s of %zu bytes, limit %u", asked.kind->name, body.len,
                     asked.kind->request_max);
    AUTO_BUF(room, link_protocol_room(protocol, true));
    uint8_t *at = buf_extend(&room, room.max);
    if (at == NULL)
        return fault(RC_NOMEM, "reply");

    /* One request at a time: the first credit of its lane is always free. */
    asked.id = link_protocol_first_credit(protocol, asked.kind->lane);
    enum rc rc = send_in_time(socket, &asked, fd, deadline_ms);
    if (rc == RC_OK)
        rc = receive_in_time(socket, protocol, at, deadline_ms, &got);
    if (rc == RC_OK && (got.kind != asked.kind || got.id != asked.id))
        rc = fault(RC_MALFORMED, "link %s: an answer to what was not asked", protocol->name);
    if (rc != RC_OK) {
        shutdown(socket, SHUT_RDWR);
        return rc;
    }
    return hand_over_reply(&got, reply);
}

enum rc link_pair(int *asking, int *answering)
{
    /* The kernel refuses a datagram over the send buffer less its own 32 bytes (unix(7),
     * net/unix). */
    const int room = 2 * LINK_MESSAGE_MAX;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_errno("socket pair");
    AUTO_FD one = ends[0], other = ends[1];
    for (int i = 0; i < 2; i++) {
        int got = 0;
        socklen_t len = sizeof got;
        if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) != 0 ||
            getsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &got, &len) != 0)
            return fault_errno("SO_SNDBUF");
        if (got < room)
            return fault(RC_IO, "SO_SNDBUF is %d, a link needs %d: raise net.core.wmem_max",
                         got, room);
    }
    *asking = TAKE_FD(one);
    *answering = TAKE_FD(other);
    return RC_OK;
}
