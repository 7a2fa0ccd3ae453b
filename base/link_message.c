#include "base/link_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { FLAG_REPLY = 1 };

/* ---- The format ---- */

static bool holds_credit_of_its_lane(const struct link_protocol *protocol,
                                     const struct link_message *m)
{
    unsigned first = link_protocol_first_credit(protocol, m->kind->lane);
    unsigned credit = link_message_credit(m->id);

    return credit >= first && credit - first < protocol->credits[m->kind->lane];
}

static enum rc check_against_table(const struct link_protocol *protocol,
                                   const struct link_message *m, bool with_fd)
{
    const struct link_kind *kind = m->kind;
    size_t most = !m->reply        ? kind->request_max
                  : m->rc == RC_OK ? kind->reply_max
                                   : LINK_REASON_MAX;
    bool wants_fd = m->reply ? kind->reply_fd && m->rc == RC_OK : kind->request_fd;

    if (!holds_credit_of_its_lane(protocol, m))
        return fault(RC_MALFORMED, "%s %s: id %08x is no credit of its lane", protocol->name,
                     kind->name, m->id);
    if (m->body.len > most)
        return fault(RC_MALFORMED, "%s %s: body of %zu bytes, limit %zu", protocol->name,
                     kind->name, m->body.len, most);
    if (with_fd != wants_fd)
        return fault(RC_MALFORMED, "%s %s: %s", protocol->name, kind->name,
                     with_fd ? "came with a descriptor" : "came without its descriptor");
    return RC_OK;
}

enum rc link_message_read(const struct link_protocol *protocol, bool reply,
                          struct bytes datagram, bool with_fd, struct link_message *message)
{
    struct reader r = READER(datagram);
    uint16_t number = reader_u16(&r), flags = reader_u16(&r);
    struct link_message m = { .reply = reply, .id = reader_u32(&r) };
    uint16_t rc = reader_u16(&r), reserved = reader_u16(&r);

    m.kind = link_protocol_kind(protocol, number);
    m.body = r.left;
    if (r.broken)
        return fault(RC_MALFORMED, "%s: message of %zu bytes", protocol->name, datagram.len);
    if (m.kind == NULL)
        return fault(RC_MALFORMED, "%s: no message of kind %u", protocol->name, number);
    if (flags != (reply ? FLAG_REPLY : 0) || reserved != 0 || rc > (reply ? RC_CRYPTO : RC_OK))
        return fault(RC_MALFORMED, "%s %s: flags %u, rc %u, reserved %u", protocol->name,
                     m.kind->name, flags, rc, reserved);
    m.rc = (enum rc)rc;
    TRY(check_against_table(protocol, &m, with_fd));
    *message = m;
    return RC_OK;
}

static void put(uint8_t *at, uint32_t value, int width)
{
    for (int i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

void link_message_head(const struct link_message *message, uint8_t head[LINK_HEADER])
{
    put(head, message->kind->kind, 2);
    put(head + 2, message->reply ? FLAG_REPLY : 0, 2);
    put(head + 4, message->id, 4);
    put(head + 8, (uint32_t)message->rc, 2);
    put(head + 10, 0, 2);
}

/* ---- The socket ---- */

/* Room for one descriptor, aligned as a control message must be. */
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

enum rc link_message_send(int socket, const struct link_message *message, int fd)
{
    uint8_t head[LINK_HEADER];
    struct iovec parts[] = {
        { head, sizeof head },
        { (void *)(uintptr_t)message->body.at, message->body.len },
    };
    struct msghdr m = { .msg_iov = parts, .msg_iovlen = message->body.len > 0 ? 2 : 1 };
    union control control = { 0 };

    link_message_head(message, head);
    if (fd >= 0) {
        control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                                         .cmsg_level = SOL_SOCKET,
                                         .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        m.msg_control = &control;
        m.msg_controllen = sizeof control.room;
    }
    if (sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return RC_OK;
    if (errno == EAGAIN)
        return RC_BUSY;
    if (errno == EPIPE || errno == ECONNRESET)
        return fault(RC_CLOSED, "link: the other side is gone");
    return fault_errno("send on a link");
}

/* All that came beside a datagram: one descriptor, the rest closed and counted. */
static int take_descriptors(struct msghdr *m, size_t *surplus)
{
    int kept = -1;

    *surplus = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            ++*surplus;
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd = -1;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (kept < 0) {
                kept = fd;
                continue;
            }
            own_close(&fd);
            ++*surplus;
        }
    }
    return kept;
}

enum rc link_message_receive(int socket, uint8_t *room, size_t size, struct bytes *datagram,
                             int *fd)
{
    struct iovec part = { room, size };
    union control control;
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control.room };
    size_t surplus = 0;

    ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return RC_BUSY;
    if (n < 0 && errno != ECONNRESET)
        return fault_errno("read a link");
    AUTO_FD arrived = n < 0 ? -1 : take_descriptors(&m, &surplus);
    if (n <= 0)
        return fault(RC_CLOSED, "link: the other side is gone");
    if (m.msg_flags & MSG_TRUNC)
        return fault(RC_MALFORMED, "link: message over %zu bytes", size);
    /* The kernel also says so when this process has no descriptor left to receive one. */
    if (surplus > 0 || m.msg_flags & MSG_CTRUNC)
        return fault(RC_MALFORMED, "link: more came along than one descriptor, or than this "
                                   "process may have open");
    *datagram = (struct bytes){ room, (size_t)n };
    *fd = TAKE_FD(arrived);
    return RC_OK;
}
