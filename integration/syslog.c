#include "integration/syslog.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "integration/address.h"
#include "integration/tls_client.h"

enum {
    OUT_MAX = 4 * 1024 * 1024,
    OUT_LOW = 256 * 1024, /* what waits when more is wanted */
    MARKS_MAX = 256,      /* pages on their way */
    LOOK_MS = 100,
    CLOSE_MS = 30000, /* for the receiver to read what it was sent and end the connection */
    UNACKNOWLEDGED_MS = 30000,
};

enum state { AWAY, CONNECTING, SHAKING, UP, FINISHING, ENDING };

/* A page on its way. */
struct mark {
    struct integration_cursor behind;
    uint64_t plain;   /* octets of plain text up to its end */
    uint64_t wire;    /* octets of the connection, once they are with the kernel; 0 before */
    int64_t acked_ms; /* when the receiver's kernel had them; 0 before */
};

struct integration_syslog {
    struct integration_syslog_setup setup;
    const struct integration_outlet_told *told;
    struct integration_tls_identity *identity;
    struct integration_address address;
    enum state state;
    struct integration_tls *tls;
    int fd;
    struct loop_watch watch;
    struct loop_timer deadline; /* of connecting, and of the close */
    struct loop_timer look;     /* whether marks have settled */
    int64_t up_ms;
    struct buf out;
    size_t sent;              /* of out */
    uint64_t plain, accepted; /* octets given, and written, in this connection */
    struct integration_cursor behind;
    bool fresh;                   /* given, and not marked yet */
    struct mark marks[MARKS_MAX]; /* a ring */
    size_t first, count;
};

static struct mark *mark_at(struct integration_syslog *log, size_t place)
{
    return &log->marks[(log->first + place) % MARKS_MAX];
}

/* ---- The end of a try, or of a connection ---- */

static void disconnect(struct integration_syslog *log)
{
    loop_disarm(&log->deadline);
    loop_disarm(&log->look);
    loop_remove(&log->watch);
    integration_tls_free(log->tls);
    own_close(&log->fd);
    log->tls = NULL;
    log->fd = -1;
    log->state = AWAY;
    buf_reset(&log->out);
    log->sent = 0;
    log->plain = log->accepted = 0;
    log->fresh = false;
    log->first = log->count = 0;
}

static enum rc fail(struct integration_syslog *log, enum rc rc)
{
    if (rc == RC_OK)
        return RC_OK;
    disconnect(log);
    log->told->failed(log->told->with);
    return RC_OK;
}

/* ---- What has arrived ---- */

/* The first `many` pages are delivered. */
static void deliver(struct integration_syslog *log, size_t many)
{
    const struct integration_cursor behind = mark_at(log, many - 1)->behind;

    log->first = (log->first + many) % MARKS_MAX;
    log->count -= many;
    log->told->delivered(log->told->with, &behind);
}

static enum rc count_settled(struct integration_syslog *log, size_t *settled)
{
    int64_t now = loop_now_ms(log->setup.loop);
    int waiting = 0;

    *settled = 0;
    if (ioctl(log->fd, SIOCOUTQ, &waiting) != 0)
        return fault_errno("ask how much is not acknowledged");
    uint64_t acked = integration_tls_written(log->tls) - (uint64_t)waiting;
    for (size_t i = 0; i < log->count; i++) {
        struct mark *mark = mark_at(log, i);
        if (mark->wire == 0 || mark->wire > acked)
            return RC_OK;
        if (mark->acked_ms == 0)
            mark->acked_ms = now;
        if (now - mark->acked_ms >= log->setup.settle_ms)
            *settled = i + 1;
    }
    return RC_OK;
}

/* Time to end this connection in order: nothing more is taken, and all of it shall settle. */
static bool is_due(const struct integration_syslog *log)
{
    return log->setup.renew_ms > 0 && log->count > 0 &&
           loop_now_ms(log->setup.loop) - log->up_ms >= log->setup.renew_ms;
}

static enum rc finish(struct integration_syslog *log)
{
    bool wants_write = false;

    log->state = FINISHING;
    enum rc rc = integration_tls_finish(log->tls, &wants_write);
    if (rc == RC_BUSY)
        return loop_want(&log->watch, LOOP_READ | (wants_write ? LOOP_WRITE : 0));
    TRY(rc);
    if (shutdown(log->fd, SHUT_WR) != 0)
        return fault_errno("end the connection");
    log->state = ENDING;
    return loop_want(&log->watch, LOOP_READ);
}

static enum rc look_now(struct integration_syslog *log)
{
    size_t settled = 0;

    TRY(count_settled(log, &settled));
    if (log->setup.renew_ms == 0 && settled > 0)
        deliver(log, settled);
    if (log->state != UP)
        return RC_OK; /* telling may have ended it */
    if (is_due(log) && settled == log->count && log->sent == log->out.len) {
        TRY(loop_arm(log->setup.loop, &log->deadline, CLOSE_MS));
        return finish(log);
    }
    if (log->count > 0)
        return loop_arm(log->setup.loop, &log->look, LOOK_MS);
    return RC_OK;
}

static enum rc look(struct loop_timer *timer)
{
    struct integration_syslog *log =
        (void *)((char *)timer - offsetof(struct integration_syslog, look));

    return fail(log, look_now(log));
}

/* ---- Writing ---- */

static void mark_written(struct integration_syslog *log)
{
    for (size_t i = log->count; i-- > 0;) {
        struct mark *mark = mark_at(log, i);
        if (mark->wire != 0)
            return;
        if (mark->plain <= log->accepted)
            mark->wire = integration_tls_written(log->tls);
    }
}

static enum rc write_out(struct integration_syslog *log)
{
    bool wants_write = false;
    size_t taken = 0;
    enum rc rc = RC_OK;

    while (log->sent < log->out.len) {
        struct bytes rest = { log->out.at + log->sent, log->out.len - log->sent };
        rc = integration_tls_write(log->tls, rest, &taken, &wants_write);
        if (rc != RC_OK)
            break;
        log->sent += taken;
        log->accepted += taken;
        mark_written(log);
    }
    if (rc != RC_OK && rc != RC_BUSY)
        return rc;
    if (log->sent == log->out.len) {
        buf_reset(&log->out);
        log->sent = 0;
    }
    return loop_want(&log->watch, LOOP_READ | (wants_write ? LOOP_WRITE : 0));
}

static bool takes(const void *outlet)
{
    const struct integration_syslog *log = outlet;

    return log->state == UP && log->out.len - log->sent < OUT_LOW && log->count < MARKS_MAX &&
           !is_due(log);
}

/* What was sent stands in front until all of it is: cut it off before it grows too long. */
static enum rc make_room(struct integration_syslog *log)
{
    size_t left = log->out.len - log->sent;

    if (log->sent == 0)
        return RC_OK;
    if (left > 0)
        memmove(log->out.at, log->out.at + log->sent, left);
    buf_cut(&log->out, left);
    log->sent = 0;
    return RC_OK;
}

static enum rc give(void *outlet, const struct audit_hit *hit)
{
    struct integration_syslog *log = outlet;
    size_t before;

    TRY(make_room(log));
    before = log->out.len;
    TRY(integration_syslog_write(&log->setup.style, hit, &log->out));
    log->plain += log->out.len - before;
    log->behind = (struct integration_cursor){ hit->index + 1, hit->leaf };
    log->fresh = true;
    return RC_OK;
}

static enum rc flush(void *outlet)
{
    struct integration_syslog *log = outlet;

    if (!log->fresh)
        return RC_OK;
    *mark_at(log, log->count++) = (struct mark){ log->behind, log->plain, 0, 0 };
    log->fresh = false;
    TRY(write_out(log));
    return log->look.loop == NULL ? loop_arm(log->setup.loop, &log->look, LOOK_MS) : RC_OK;
}

/* ---- Connecting ---- */

static enum rc shake(struct integration_syslog *log)
{
    bool wants_write = false;
    enum rc rc = integration_tls_handshake(log->tls, &wants_write);

    if (rc == RC_BUSY)
        return loop_want(&log->watch, LOOP_READ | (wants_write ? LOOP_WRITE : 0));
    TRY(rc);
    loop_disarm(&log->deadline);
    log->state = UP;
    log->up_ms = loop_now_ms(log->setup.loop);
    TRY(loop_want(&log->watch, LOOP_READ));
    log->told->ready(log->told->with);
    return RC_OK;
}

static enum rc connected(struct integration_syslog *log)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(log->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return fault_errno("connect to %s", log->setup.address);
    if (error != 0) {
        errno = error;
        return fault_errno("connect to %s", log->setup.address);
    }
    log->state = SHAKING;
    return shake(log);
}

static enum rc begin_connection(struct integration_syslog *log);

/* The end that we asked for: the receiver has read all. */
static enum rc ended(struct integration_syslog *log, enum rc rc)
{
    if (rc != RC_CLOSED)
        return rc == RC_BUSY ? RC_OK : rc;
    size_t all = log->count;
    if (all > 0)
        deliver(log, all);
    if (log->state != ENDING)
        return RC_OK; /* telling may have ended it */
    disconnect(log);
    return begin_connection(log);
}

static enum rc go_on(struct integration_syslog *log, unsigned ready)
{
    if (log->state == CONNECTING)
        return connected(log);
    if (log->state == SHAKING)
        return shake(log);
    if (log->state == FINISHING)
        return finish(log);
    if (log->state == ENDING)
        return ended(log, integration_tls_watch(log->tls));
    enum rc rc = integration_tls_watch(log->tls);
    if (rc != RC_BUSY)
        return rc;
    if (ready & LOOP_WRITE)
        TRY(write_out(log));
    if (takes(log))
        log->told->ready(log->told->with);
    return RC_OK;
}

static enum rc on_socket(struct loop_watch *watch, unsigned ready)
{
    struct integration_syslog *log =
        (void *)((char *)watch - offsetof(struct integration_syslog, watch));

    return fail(log, go_on(log, ready));
}

static enum rc on_deadline(struct loop_timer *timer)
{
    struct integration_syslog *log =
        (void *)((char *)timer - offsetof(struct integration_syslog, deadline));
    bool closing = log->state == FINISHING || log->state == ENDING;

    return fail(log, fault(RC_IO, "%s: %s", log->setup.address,
                           closing ? "the receiver does not read what it was sent"
                                   : "no TLS connection in time"));
}

static enum rc set_options(int fd)
{
    const int on = 1;
    const unsigned within = UNACKNOWLEDGED_MS;

    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &within, sizeof within) != 0)
        return fault_errno("socket options");
    return RC_OK;
}

static enum rc begin_connection(struct integration_syslog *log)
{
    log->fd = socket(log->address.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (log->fd < 0)
        return fault_errno("socket");
    TRY(set_options(log->fd));
    if (connect(log->fd, (const void *)&log->address.at, log->address.len) != 0 &&
        errno != EINPROGRESS)
        return fault_errno("connect to %s", log->setup.address);
    TRY(integration_tls_new(log->identity, log->fd, &log->tls));
    TRY(loop_add(log->setup.loop, &log->watch, log->fd, LOOP_WRITE));
    TRY(loop_arm(log->setup.loop, &log->deadline, log->setup.connect_ms));
    log->state = CONNECTING;
    return RC_OK;
}

static enum rc begin(void *outlet, struct integration_cursor *cursor)
{
    struct integration_syslog *log = outlet;

    (void)cursor;
    enum rc rc = begin_connection(log);
    if (rc != RC_OK)
        disconnect(log);
    return rc;
}

static void end(void *outlet)
{
    disconnect(outlet);
}

/* ---- Life ---- */

static void release(void *outlet)
{
    struct integration_syslog *log = outlet;

    if (log == NULL)
        return;
    disconnect(log);
    integration_tls_identity_free(log->identity);
    buf_clear(&log->out);
    free(log);
}

static const struct integration_outlet_kind KIND = { begin, takes, give, flush, end, release };

static enum rc fill(struct integration_syslog *log)
{
    const struct integration_syslog_setup *setup = &log->setup;
    const struct integration_tls_setup tls = { setup->server_name, setup->authorities,
                                               setup->certificate, setup->key };

    TRY(integration_address_read(log->setup.address, &log->address));
    TRY(integration_syslog_check(&setup->style));
    return integration_tls_identity_new(&tls, &log->identity);
}

enum rc integration_syslog_new(const struct integration_syslog_setup *setup,
                               const struct integration_outlet_told *told,
                               struct integration_outlet *outlet)
{
    struct integration_syslog *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "a sink");
    made->setup = *setup;
    made->told = told;
    made->fd = -1;
    made->out = BUF_MAX(OUT_MAX);
    made->watch.ready = on_socket;
    made->deadline.due = on_deadline;
    made->look.due = look;
    enum rc rc = fill(made);
    if (rc != RC_OK) {
        release(made);
        return rc;
    }
    *outlet = (struct integration_outlet){ &KIND, made };
    return RC_OK;
}
