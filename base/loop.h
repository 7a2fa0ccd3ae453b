/* One thread's event loop: descriptors (epoll), timers, signals. */
#pragma once

#include "base/clock.h"
#include "base/own.h"

#include <signal.h>
#include <sys/signalfd.h>

/*
 * A loop belongs to one thread. Handlers run on it one at a time, may add,
 * change and remove anything, themselves included, and what was removed is
 * not called again, not even for an event that epoll has already reported.
 * A handler that returns anything but RC_OK stops the loop with that result:
 * return it only for what the process cannot live with.
 */
struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/*
 * Embedded in the caller's object; lives until removed. Zero it first and set
 * ready. Remove it before closing its descriptor, and leave fd and wanted to
 * the loop. With wanted 0 nothing is reported, not even a hang-up; otherwise a
 * hang-up or an error arrives as all that is wanted: the read or write will tell.
 */
struct loop_watch {
    enum rc (*ready)(struct loop_watch *watch, unsigned ready); /* a set of LOOP_* */
    struct loop *loop;                                          /* NULL when not added */
    int fd;
    unsigned wanted;
};

struct loop_timer {
    enum rc (*due)(struct loop_timer *timer);
    struct loop *loop; /* NULL when not armed */
    int64_t due_ms;    /* monotonic */
    uint64_t order;    /* of arming: what is due in the same millisecond keeps it */
    size_t place;      /* in the loop's heap */
};

/* Called once after the events and timers of each turn, in the order added: the place for
 * group commit and gathered writes. */
struct loop_turn {
    enum rc (*ended)(struct loop_turn *turn);
    struct loop *loop; /* NULL when not added */
    struct loop_turn *next;
};

/* clock is borrowed for the loop's life. */
enum rc loop_new(const struct clock *clock, struct loop **loop);
/* What is still in it is forgotten, not touched: descriptors stay open. Never from a handler.
 */
void loop_free(struct loop *loop);
AUTO_STRUCT(loop, loop_free)

/* RC_IO for a descriptor that epoll cannot watch (a regular file), RC_NOMEM. Any number of
 * watches, one a descriptor. */
enum rc loop_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned wanted);
enum rc loop_want(struct loop_watch *watch, unsigned wanted);
void loop_remove(struct loop_watch *watch); /* no effect if not added */

/*
 * Arm, or move if armed; delays count from now, a negative one is 0. One shot:
 * arm again from due() for a period. A timer armed by a handler is due in a later
 * turn at the earliest. RC_NOMEM only for a timer that was not armed.
 */
enum rc loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms);
void loop_disarm(struct loop_timer *timer); /* no effect if not armed */

void loop_add_turn(struct loop *loop, struct loop_turn *turn);
void loop_remove_turn(struct loop_turn *turn); /* no effect if not added */

/*
 * Block these signals in the thread and have received() called on the loop
 * instead, by signalfd. Add them before any other thread starts. They stay
 * blocked after removal.
 */
struct loop_signal {
    struct loop_watch watch;
    enum rc (*received)(struct loop_signal *signal, const struct signalfd_siginfo *info);
};
enum rc loop_add_signals(struct loop *loop, struct loop_signal *signal, const sigset_t *which);
void loop_remove_signals(struct loop_signal *signal); /* no effect if not added */

/* Monotonic time at the start of this turn; cheap. */
int64_t loop_now_ms(const struct loop *loop);

/* Until loop_stop() (RC_OK, the turn is finished first) or a handler's failure (at once). */
enum rc loop_run(struct loop *loop);
/* One turn, waiting at most this long (negative: until something happens); for tests and for
 * embedding. */
enum rc loop_turn_once(struct loop *loop, int64_t wait_most_ms);
void loop_stop(struct loop *loop);
