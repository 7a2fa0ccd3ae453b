#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 128, FIRST_ROOM = 16 };

struct loop {
    const struct clock *clock;
    int epoll;
    int64_t now_ms;
    bool stopped;

    /* What epoll reported and is not handed out yet: [next, count). */
    struct epoll_event events[EVENTS_MAX];
    int next, count;

    /* A binary heap: each timer is no later than its children at 2i+1 and 2i+2. */
    struct loop_timer **heap;
    size_t timers, room;
    uint64_t armings;

    struct loop_turn *turns;
    struct loop_turn *next_turn; /* the one that follows the one running */
};

enum rc loop_new(const struct clock *clock, struct loop **loop)
{
    AUTO_FD epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        return fault_errno("event loop");
    struct loop *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "event loop");
    made->epoll = TAKE_FD(epoll);
    made->clock = clock;
    made->now_ms = clock_monotonic_ms(clock);
    *loop = made;
    return RC_OK;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    own_close(&loop->epoll);
    free(loop->heap);
    free(loop);
}

/* ---- Watches ---- */

/*
 * epoll reports hang-ups whether asked for or not, and would for ever. So a watch
 * that wants nothing is not in the epoll set at all.
 */
static enum rc tell_epoll(struct loop_watch *watch, unsigned wanted)
{
    struct epoll_event event = { .data.ptr = watch };
    int how = watch->wanted == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (wanted == watch->wanted)
        return RC_OK;
    if (wanted == 0)
        how = EPOLL_CTL_DEL;
    event.events = (wanted & LOOP_READ ? (uint32_t)EPOLLIN : 0) |
                   (wanted & LOOP_WRITE ? (uint32_t)EPOLLOUT : 0);
    if (epoll_ctl(watch->loop->epoll, how, watch->fd, &event) != 0)
        return fault_errno("watch descriptor %d", watch->fd);
    watch->wanted = wanted;
    return RC_OK;
}

enum rc loop_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned wanted)
{
    assert(watch->loop == NULL && watch->ready != NULL);
    watch->loop = loop;
    watch->fd = fd;
    watch->wanted = 0;
    enum rc rc = tell_epoll(watch, wanted);
    if (rc != RC_OK)
        watch->loop = NULL;
    return rc;
}

enum rc loop_want(struct loop_watch *watch, unsigned wanted)
{
    assert(watch->loop != NULL);
    return tell_epoll(watch, wanted);
}

void loop_remove(struct loop_watch *watch)
{
    struct loop *loop = watch->loop;

    if (loop == NULL)
        return;
    /* Fails only where the descriptor was closed first: then a copy of it could go on
     * reporting events for memory that is gone. */
    bool gone = tell_epoll(watch, 0) == RC_OK;
    assert(gone && "remove a watch before closing its descriptor");
    for (int i = loop->next; i < loop->count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    watch->loop = NULL;
}

/* What was reported may since have been removed, or be wanted no more. */
static enum rc hand_out(const struct epoll_event *event)
{
    struct loop_watch *watch = event->data.ptr;
    unsigned ready = 0;

    if (watch == NULL)
        return RC_OK;
    if (event->events & EPOLLIN)
        ready |= LOOP_READ;
    if (event->events & EPOLLOUT)
        ready |= LOOP_WRITE;
    if (event->events & (EPOLLHUP | EPOLLERR))
        ready |= LOOP_READ | LOOP_WRITE;
    ready &= watch->wanted;
    return ready != 0 ? watch->ready(watch, ready) : RC_OK;
}

static enum rc hand_out_all(struct loop *loop)
{
    while (loop->next < loop->count) {
        struct epoll_event event = loop->events[loop->next++];
        TRY(hand_out(&event));
    }
    return RC_OK;
}

/* ---- Timers ---- */

static bool is_earlier(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void put_timer(struct loop *loop, size_t place, struct loop_timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

/* Find the place of a timer whose time changed, starting where it, or a gap for it, is. */
static void settle(struct loop *loop, size_t place, struct loop_timer *timer)
{
    for (; place > 0 && is_earlier(timer, loop->heap[(place - 1) / 2]); place = (place - 1) / 2)
        put_timer(loop, place, loop->heap[(place - 1) / 2]);
    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < loop->timers && is_earlier(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (child >= loop->timers || !is_earlier(loop->heap[child], timer))
            break;
        put_timer(loop, place, loop->heap[child]);
        place = child;
    }
    put_timer(loop, place, timer);
}

static enum rc make_timer_room(struct loop *loop)
{
    size_t room = loop->room ? loop->room * 2 : FIRST_ROOM;

    if (loop->timers < loop->room)
        return RC_OK;
    struct loop_timer **heap = reallocarray(loop->heap, room, sizeof(struct loop_timer *));
    if (heap == NULL)
        return fault(RC_NOMEM, "timer");
    loop->heap = heap;
    loop->room = room;
    return RC_OK;
}

enum rc loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
    assert(timer->due != NULL && (timer->loop == NULL || timer->loop == loop));
    if (timer->loop == NULL) {
        TRY(make_timer_room(loop));
        timer->loop = loop;
        timer->place = loop->timers++;
    }
    timer->order = loop->armings++;
    if (__builtin_add_overflow(clock_monotonic_ms(loop->clock), delay_ms > 0 ? delay_ms : 0,
                               &timer->due_ms))
        timer->due_ms = INT64_MAX;
    settle(loop, timer->place, timer);
    return RC_OK;
}

void loop_disarm(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;

    if (loop == NULL)
        return;
    struct loop_timer *last = loop->heap[--loop->timers];
    if (last != timer)
        settle(loop, timer->place, last);
    timer->loop = NULL;
}

/* Timers armed meanwhile sort behind all that were due before, and wait for the next turn. */
static enum rc run_due(struct loop *loop)
{
    uint64_t newer = loop->armings;

    while (loop->timers > 0) {
        struct loop_timer *first = loop->heap[0];
        if (first->due_ms > loop->now_ms || first->order >= newer)
            break;
        loop_disarm(first);
        TRY(first->due(first));
    }
    return RC_OK;
}

/* ---- Ends of turns ---- */

void loop_add_turn(struct loop *loop, struct loop_turn *turn)
{
    struct loop_turn **last = &loop->turns;

    assert(turn->loop == NULL && turn->ended != NULL);
    while (*last != NULL)
        last = &(*last)->next;
    *last = turn;
    turn->loop = loop;
    turn->next = NULL;
}

void loop_remove_turn(struct loop_turn *turn)
{
    if (turn->loop == NULL)
        return;
    struct loop_turn **at = &turn->loop->turns;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    if (turn->loop->next_turn == turn)
        turn->loop->next_turn = turn->next;
    turn->loop = NULL;
}

static enum rc end_turn(struct loop *loop)
{
    for (struct loop_turn *turn = loop->turns; turn != NULL; turn = loop->next_turn) {
        loop->next_turn = turn->next;
        TRY(turn->ended(turn));
    }
    return RC_OK;
}

/* ---- Signals ---- */

/* One a call: received() may remove, and free, the signal. The rest is reported again. */
static enum rc read_signal(struct loop_watch *watch, unsigned ready)
{
    struct loop_signal *signal = (struct loop_signal *)watch;
    struct signalfd_siginfo info;

    (void)ready;
    ssize_t n = read(watch->fd, &info, sizeof info);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return RC_OK;
    if (n != (ssize_t)sizeof info)
        return fault_errno("read a signal");
    return signal->received(signal, &info);
}

enum rc loop_add_signals(struct loop *loop, struct loop_signal *signal, const sigset_t *which)
{
    static_assert(offsetof(struct loop_signal, watch) == 0);
    AUTO_FD fd = signalfd(-1, which, SFD_NONBLOCK | SFD_CLOEXEC);

    if (fd < 0)
        return fault_errno("signalfd");
    errno = pthread_sigmask(SIG_BLOCK, which, NULL);
    if (errno != 0)
        return fault_errno("block signals");
    signal->watch.ready = read_signal;
    TRY(loop_add(loop, &signal->watch, fd, LOOP_READ));
    TAKE_FD(fd);
    return RC_OK;
}

void loop_remove_signals(struct loop_signal *signal)
{
    if (signal->watch.loop == NULL)
        return;
    loop_remove(&signal->watch);
    own_close(&signal->watch.fd);
}

/* ---- Turning ---- */

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* As epoll_wait() takes it: -1 for ever. */
static int wait_ms(const struct loop *loop, int64_t most_ms)
{
    int64_t wait = most_ms;

    if (loop->timers > 0) {
        int64_t left = loop->heap[0]->due_ms - clock_monotonic_ms(loop->clock);
        left = left > 0 ? left : 0;
        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait < 0 ? -1 : wait > INT_MAX ? INT_MAX : (int)wait;
}

enum rc loop_turn_once(struct loop *loop, int64_t wait_most_ms)
{
    int count = epoll_wait(loop->epoll, loop->events, EVENTS_MAX, wait_ms(loop, wait_most_ms));

    loop->next = 0;
    loop->count = count > 0 ? count : 0;
    if (count < 0 && errno != EINTR)
        return fault_errno("wait for events");
    loop->now_ms = clock_monotonic_ms(loop->clock);
    TRY(hand_out_all(loop));
    /* After the events: an answer that came in time beats its own timeout. */
    TRY(run_due(loop));
    return end_turn(loop);
}

enum rc loop_run(struct loop *loop)
{
    while (!loop->stopped)
        TRY(loop_turn_once(loop, -1));
    loop->stopped = false;
    return RC_OK;
}
