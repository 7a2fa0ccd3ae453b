#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

enum { WATCHES = 8, TIMERS = 500 };

static int64_t hands(void *with)
{
    return *(int64_t *)with;
}

/* A loop whose time stands still until the test turns it. */
struct bench {
    int64_t now_ms;
    struct clock clock;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    b->now_ms = 1000;
    b->clock = (struct clock){ hands, hands, &b->now_ms };
    assert_int_equal(loop_new(&b->clock, &b->loop), RC_OK);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    loop_free(b->loop);
    free(b);
    return 0;
}

static void turn(struct bench *b)
{
    assert_int_equal(loop_turn_once(b->loop, 0), RC_OK);
}

/* ---- Descriptors ---- */

struct end {
    struct loop_watch watch;
    int far;
    unsigned calls, ready;
    struct end **others; /* removed and freed by whoever is called first */
    struct end *self;
};

static enum rc note(struct loop_watch *watch, unsigned ready)
{
    struct end *e = (struct end *)watch;

    e->calls++;
    e->ready = ready;
    return RC_OK;
}

static void open_end(struct bench *b, struct end *e, unsigned wanted)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *e = (struct end){ .watch.ready = note, .far = pair[1] };
    assert_int_equal(loop_add(b->loop, &e->watch, pair[0], wanted), RC_OK);
}

static void close_end(struct end *e)
{
    loop_remove(&e->watch);
    close(e->watch.fd);
    if (e->far >= 0)
        close(e->far);
}

static void hang_up(struct end *e)
{
    close(e->far);
    e->far = -1;
}

static void reports_what_is_wanted_and_no_more(void **state)
{
    struct bench *b = *state;
    struct end e;

    open_end(b, &e, LOOP_READ);
    turn(b);
    assert_int_equal(e.calls, 0);
    assert_int_equal(write(e.far, "x", 1), 1);
    turn(b);
    assert_int_equal(e.ready, LOOP_READ);
    assert_int_equal(loop_want(&e.watch, LOOP_READ | LOOP_WRITE), RC_OK);
    turn(b);
    assert_int_equal(e.ready, LOOP_READ | LOOP_WRITE);
    assert_int_equal(loop_want(&e.watch, LOOP_WRITE), RC_OK);
    turn(b);
    assert_int_equal(e.ready, LOOP_WRITE);
    assert_int_equal(e.calls, 3);
    close_end(&e);
}

static void a_watch_that_wants_nothing_hears_no_hang_up(void **state)
{
    struct bench *b = *state;
    struct end e;

    open_end(b, &e, 0);
    hang_up(&e);
    turn(b);
    assert_int_equal(e.calls, 0);
    assert_int_equal(loop_want(&e.watch, LOOP_READ), RC_OK);
    turn(b);
    assert_int_equal(e.calls, 1);
    assert_int_equal(loop_want(&e.watch, 0), RC_OK);
    turn(b);
    assert_int_equal(e.calls, 1);
    close_end(&e);
}

static void a_hang_up_reaches_one_who_only_writes(void **state)
{
    struct bench *b = *state;
    struct end e;
    int pipe_ends[2];

    assert_int_equal(pipe2(pipe_ends, O_NONBLOCK), 0);
    while (write(pipe_ends[1], "filled to the brim", 18) > 0)
        ;
    e = (struct end){ .watch.ready = note, .far = pipe_ends[0] };
    assert_int_equal(loop_add(b->loop, &e.watch, pipe_ends[1], LOOP_WRITE), RC_OK);
    turn(b);
    assert_int_equal(e.calls, 0);
    hang_up(&e);
    turn(b);
    assert_int_equal(e.ready, LOOP_WRITE);
    close_end(&e);
}

static enum rc remove_all(struct loop_watch *watch, unsigned ready)
{
    struct end **ends = ((struct end *)watch)->others;
    struct end *first = ends[0];

    (void)ready;
    first->calls++;
    assert_int_equal(first->calls, 1);
    for (int i = WATCHES - 1; i > 0; i--) {
        close_end(ends[i]);
        free(ends[i]);
        ends[i] = NULL;
    }
    loop_remove(&first->watch);
    return RC_OK;
}

static void what_was_removed_is_not_called_for_an_event_already_reported(void **state)
{
    struct bench *b = *state;
    struct end *ends[WATCHES];

    for (int i = 0; i < WATCHES; i++) {
        ends[i] = malloc(sizeof *ends[i]);
        open_end(b, ends[i], LOOP_READ);
        ends[i]->watch.ready = remove_all;
        ends[i]->others = ends;
        assert_int_equal(write(ends[i]->far, "x", 1), 1);
    }
    turn(b);
    turn(b);
    assert_int_equal(ends[0]->calls, 1);
    close_end(ends[0]);
    free(ends[0]);
}

static enum rc stop_wanting(struct loop_watch *watch, unsigned ready)
{
    struct end *e = (struct end *)watch, *other = e->self;

    assert_int_equal(other->calls, 0);
    if (other->watch.loop != NULL)
        assert_int_equal(loop_want(&other->watch, 0), RC_OK);
    return note(watch, ready);
}

static void what_is_no_longer_wanted_is_not_reported(void **state)
{
    struct bench *b = *state;
    struct end one, two;

    open_end(b, &one, LOOP_WRITE);
    open_end(b, &two, LOOP_WRITE);
    one.watch.ready = two.watch.ready = stop_wanting;
    one.self = &two;
    two.self = &one;
    turn(b);
    assert_int_equal(one.calls + two.calls, 1);
    close_end(&one);
    close_end(&two);
}

static enum rc add_again(struct loop_watch *watch, unsigned ready)
{
    struct loop *loop = watch->loop;

    (void)note(watch, ready);
    loop_remove(watch);
    return loop_add(loop, watch, watch->fd, LOOP_READ);
}

static void may_be_removed_and_added_from_inside(void **state)
{
    struct bench *b = *state;
    struct end e;

    open_end(b, &e, LOOP_READ);
    e.watch.ready = add_again;
    assert_int_equal(write(e.far, "x", 1), 1);
    turn(b);
    turn(b);
    assert_int_equal(e.calls, 2);
    close_end(&e);
}

static void refuses_what_epoll_cannot_watch(void **state)
{
    struct bench *b = *state;
    struct loop_watch watch = { .ready = note };
    AUTO_FD fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

    assert_int_equal(loop_add(b->loop, &watch, fd, LOOP_READ), RC_IO);
    assert_null(watch.loop);
    loop_remove(&watch);
}

static enum rc refuse(struct loop_watch *watch, unsigned ready)
{
    (void)note(watch, ready);
    return fault(RC_CORRUPT, "on purpose");
}

static void a_failing_handler_stops_the_loop_with_its_result(void **state)
{
    struct bench *b = *state;
    struct end e;

    open_end(b, &e, LOOP_WRITE);
    e.watch.ready = refuse;
    assert_int_equal(loop_run(b->loop), RC_CORRUPT);
    assert_int_equal(e.calls, 1);
    close_end(&e);
}

/* ---- Timers ---- */

struct alarm {
    struct loop_timer timer;
    struct bench *b;
    int64_t again_ms; /* -1: not again */
    struct alarm *disarms;
    int64_t at_ms;
    int *log, name;
    unsigned calls;
};

static enum rc ring(struct loop_timer *timer)
{
    struct alarm *a = (struct alarm *)timer;

    a->calls++;
    a->at_ms = loop_now_ms(a->b->loop);
    if (a->log != NULL)
        a->log[++a->log[0]] = a->name;
    if (a->disarms != NULL)
        loop_disarm(&a->disarms->timer);
    return a->again_ms >= 0 ? loop_arm(a->b->loop, timer, a->again_ms) : RC_OK;
}

#define ALARM(bench) ((struct alarm){ .timer.due = ring, .b = (bench), .again_ms = -1 })

static void arm(struct alarm *a, int64_t delay_ms)
{
    assert_int_equal(loop_arm(a->b->loop, &a->timer, delay_ms), RC_OK);
}

static void a_timer_is_due_at_its_time_and_once(void **state)
{
    struct bench *b = *state;
    struct alarm a = ALARM(b);

    arm(&a, 50);
    b->now_ms += 49;
    turn(b);
    assert_int_equal(a.calls, 0);
    b->now_ms += 1;
    turn(b);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.at_ms, 1050);
    b->now_ms += 1000;
    turn(b);
    assert_int_equal(a.calls, 1);
}

static void moving_a_timer_counts_from_now(void **state)
{
    struct bench *b = *state;
    struct alarm a = ALARM(b);

    arm(&a, 10);
    b->now_ms += 9;
    arm(&a, 10);
    b->now_ms += 9;
    turn(b);
    assert_int_equal(a.calls, 0);
    b->now_ms += 1;
    turn(b);
    assert_int_equal(a.calls, 1);
}

static void equal_times_keep_the_order_of_arming(void **state)
{
    struct bench *b = *state;
    struct alarm alarms[20];
    int log[21] = { 0 };

    for (int i = 0; i < 20; i++) {
        alarms[i] = ALARM(b);
        alarms[i].log = log;
        alarms[i].name = i;
        arm(&alarms[i], 5);
    }
    b->now_ms += 5;
    turn(b);
    assert_int_equal(log[0], 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(log[i + 1], i);
}

static void a_timer_armed_in_a_turn_waits_for_the_next(void **state)
{
    struct bench *b = *state;
    struct alarm a = ALARM(b);

    a.again_ms = 0;
    arm(&a, 0);
    turn(b);
    assert_int_equal(a.calls, 1);
    turn(b);
    assert_int_equal(a.calls, 2);
    loop_disarm(&a.timer);
    turn(b);
    assert_int_equal(a.calls, 2);
}

static void a_due_timer_can_still_be_disarmed_by_another(void **state)
{
    struct bench *b = *state;
    struct alarm first = ALARM(b), second = ALARM(b);

    first.disarms = &second;
    arm(&first, 1);
    arm(&second, 1);
    b->now_ms += 5;
    turn(b);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 0);
    assert_null(second.timer.loop);
}

static void delays_are_held_to_what_time_can_say(void **state)
{
    struct bench *b = *state;
    struct alarm never = ALARM(b), past = ALARM(b);

    arm(&never, INT64_MAX);
    arm(&past, INT64_MIN);
    assert_int_equal(never.timer.due_ms, INT64_MAX);
    turn(b);
    assert_int_equal(past.calls, 1);
    assert_int_equal(never.calls, 0);
    loop_disarm(&never.timer);
}

/* Arm, move and disarm at random, against the plain definition: what is due is due. */
static void many_timers_agree_with_a_plain_list(void **state)
{
    struct bench *b = *state;
    struct alarm *alarms = calloc(TIMERS, sizeof *alarms);
    int64_t due[TIMERS];
    unsigned seed = 7;

    for (int i = 0; i < TIMERS; i++) {
        alarms[i] = ALARM(b);
        due[i] = -1;
    }
    for (int round = 0; round < 200; round++) {
        for (int step = 0; step < 50; step++) {
            int i = rand_r(&seed) % TIMERS, delay = 1 + rand_r(&seed) % 300;
            if (rand_r(&seed) % 4 == 0) {
                loop_disarm(&alarms[i].timer);
                due[i] = -1;
            } else {
                arm(&alarms[i], delay);
                due[i] = b->now_ms + delay;
            }
        }
        b->now_ms += rand_r(&seed) % 20;
        turn(b);
        for (int i = 0; i < TIMERS; i++) {
            bool rang = due[i] >= 0 && due[i] <= b->now_ms;
            assert_int_equal(alarms[i].calls, rang);
            assert_int_equal(alarms[i].timer.loop != NULL, due[i] >= 0 && !rang);
            alarms[i].calls = 0;
            due[i] = rang ? -1 : due[i];
        }
    }
    free(alarms);
}

static enum rc stop(struct loop_timer *timer)
{
    loop_stop(((struct alarm *)timer)->b->loop);
    return RC_OK;
}

static void waits_no_longer_than_the_next_timer_on_the_real_clock(void **state)
{
    struct clock clock = clock_system();
    AUTO_OF(loop) *loop = NULL;
    struct bench b = { 0 };
    struct alarm a = { .timer.due = stop, .b = &b };

    (void)state;
    assert_int_equal(loop_new(&clock, &loop), RC_OK);
    b.loop = loop;
    arm(&a, 5);
    assert_int_equal(loop_run(loop), RC_OK);
}

/* ---- Ends of turns, signals, stopping ---- */

struct hook {
    struct loop_turn turn;
    unsigned calls;
    struct hook *removes;
    struct loop *stops;
};

static enum rc count(struct loop_turn *at)
{
    struct hook *h = (struct hook *)at;

    h->calls++;
    if (h->removes != NULL)
        loop_remove_turn(&h->removes->turn);
    if (h->stops != NULL)
        loop_stop(h->stops);
    return RC_OK;
}

static void each_turn_ends_once_for_each_hook(void **state)
{
    struct bench *b = *state;
    struct hook one = { .turn.ended = count }, two = one, three = one;

    loop_add_turn(b->loop, &one.turn);
    loop_add_turn(b->loop, &two.turn);
    loop_add_turn(b->loop, &three.turn);
    turn(b);
    one.removes = &two;
    turn(b);
    one.removes = &one;
    turn(b);
    turn(b);
    assert_int_equal(one.calls, 3);
    assert_int_equal(two.calls, 1);
    assert_int_equal(three.calls, 4);
    loop_remove_turn(&one.turn);
    loop_remove_turn(&three.turn);
}

static void a_stopped_loop_finishes_its_turn_and_can_run_again(void **state)
{
    struct bench *b = *state;
    struct hook first = { .turn.ended = count, .stops = b->loop }, last = first;

    last.stops = NULL;
    loop_add_turn(b->loop, &first.turn);
    loop_add_turn(b->loop, &last.turn);
    struct alarm a = ALARM(b);
    a.again_ms = 0;
    arm(&a, 0);
    assert_int_equal(loop_run(b->loop), RC_OK);
    assert_int_equal(last.calls, 1);
    assert_int_equal(loop_run(b->loop), RC_OK);
    assert_int_equal(last.calls, 2);
}

struct heard {
    struct loop_signal signal;
    int numbers[4], count;
};

static enum rc hear(struct loop_signal *signal, const struct signalfd_siginfo *info)
{
    struct heard *h = (struct heard *)signal;

    h->numbers[h->count++] = (int)info->ssi_signo;
    return RC_OK;
}

static void signals_arrive_on_the_loop(void **state)
{
    struct bench *b = *state;
    struct heard h = { .signal.received = hear };
    sigset_t which;

    sigemptyset(&which);
    sigaddset(&which, SIGUSR1);
    sigaddset(&which, SIGUSR2);
    assert_int_equal(loop_add_signals(b->loop, &h.signal, &which), RC_OK);
    turn(b);
    assert_int_equal(h.count, 0);
    raise(SIGUSR2);
    turn(b);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.numbers[0], SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR2);
    turn(b);
    turn(b);
    assert_int_equal(h.count, 3);
    loop_remove_signals(&h.signal);
    loop_remove_signals(&h.signal);
    turn(b);
    assert_int_equal(h.count, 3);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(reports_what_is_wanted_and_no_more),
        LOOP_TEST(a_watch_that_wants_nothing_hears_no_hang_up),
        LOOP_TEST(a_hang_up_reaches_one_who_only_writes),
        LOOP_TEST(what_was_removed_is_not_called_for_an_event_already_reported),
        LOOP_TEST(what_is_no_longer_wanted_is_not_reported),
        LOOP_TEST(may_be_removed_and_added_from_inside),
        LOOP_TEST(refuses_what_epoll_cannot_watch),
        LOOP_TEST(a_failing_handler_stops_the_loop_with_its_result),
        LOOP_TEST(a_timer_is_due_at_its_time_and_once),
        LOOP_TEST(moving_a_timer_counts_from_now),
        LOOP_TEST(equal_times_keep_the_order_of_arming),
        LOOP_TEST(a_timer_armed_in_a_turn_waits_for_the_next),
        LOOP_TEST(a_due_timer_can_still_be_disarmed_by_another),
        LOOP_TEST(delays_are_held_to_what_time_can_say),
        LOOP_TEST(many_timers_agree_with_a_plain_list),
        LOOP_TEST(waits_no_longer_than_the_next_timer_on_the_real_clock),
        LOOP_TEST(each_turn_ends_once_for_each_hook),
        LOOP_TEST(a_stopped_loop_finishes_its_turn_and_can_run_again),
        LOOP_TEST(signals_arrive_on_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
