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

/* Embedded in the caller's object; lives until removed. Zero it first. */
struct loop_watch {
    /* ready is a set of LOOP_*; hang-ups and errors arrive as LOOP_READ (the read will tell).
     */
    enum rc (*ready)(struct loop_watch *watch, unsigned ready);
    struct loop *loop; /* NULL when not added */
    int fd;
    unsigned wanted;
};

struct loop_timer {
    enum rc (*due)(struct loop_timer *timer);
    struct loop *loop; /* NULL when not armed */
    int64_t due_ms;    /* monotonic */
    size_t place;      /* in the loop's heap */
};

/* Called once after the events of each turn: the place for group commit and gathered writes. */
struct loop_turn {
    enum rc (*ended)(struct loop_turn *turn);
    struct loop_turn *next;
};

enum rc loop_new(const struct clock *clock, struct loop **loop);
void loop_free(struct loop *loop); /* watches and timers still in it are forgotten, descriptors
                                      stay open */
AUTO_STRUCT(loop, loop_free)

enum rc loop_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned wanted);
enum rc loop_want(struct loop_watch *watch, unsigned wanted);
void loop_remove(struct loop_watch *watch); /* no effect if not added */

/* Arm, or move if armed. One shot: arm again from due() for a period. */
enum rc loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms);
void loop_disarm(struct loop_timer *timer);

void loop_add_turn(struct loop *loop, struct loop_turn *turn);

/* Block this signal in the thread and have received() called on the loop instead, by signalfd.
 */
struct loop_signal {
    struct loop_watch watch;
    enum rc (*received)(struct loop_signal *signal, const struct signalfd_siginfo *info);
};
enum rc loop_add_signals(struct loop *loop, struct loop_signal *signal, const sigset_t *which);

/* Monotonic time at the start of this turn; cheap. */
int64_t loop_now_ms(const struct loop *loop);

/* Until loop_stop() (RC_OK) or a handler's failure. */
enum rc loop_run(struct loop *loop);
/* One turn, waiting at most this long; for tests and for embedding. */
enum rc loop_turn_once(struct loop *loop, int64_t wait_most_ms);
void loop_stop(struct loop *loop);
