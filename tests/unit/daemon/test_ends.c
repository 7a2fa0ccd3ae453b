#include "daemon/ends.h"

#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* What touchmarkd keeps, and a listener that refuses or goes away. */
struct world {
    struct clock clock;
    struct loop *loop;
    struct link *link;
    struct link_server *server;
    struct daemon_ends ends;
    enum rc answer;
    unsigned rested, heard;
    struct daemon_end last;
};

static enum rc hear(void *with, const struct link_request *request)
{
    struct world *w = with;

    assert_int_equal(request->kind->kind, DAEMON_CONTROL_ENDED);
    assert_int_equal(daemon_end_read(request->body, &w->last), RC_OK);
    w->heard++;
    link_answer(request, w->answer, BYTES(""), -1);
    return RC_OK;
}

static void closed(void *with)
{
    (void)with;
}

static struct link *listener(void *with)
{
    return ((struct world *)with)->link;
}

static void rests(void *with)
{
    ((struct world *)with)->rested++;
}

static void listen_to(struct world *w)
{
    int asking = -1, answering = -1;

    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    assert_int_equal(link_open(w->loop, asking, daemon_control_protocol(), closed, w, &w->link),
                     RC_OK);
    assert_int_equal(
        link_serve(w->loop, answering, daemon_control_protocol(), hear, closed, w, &w->server),
        RC_OK);
}

static void leave(struct world *w)
{
    link_close(w->link);
    link_server_close(w->server);
    w->link = NULL;
    w->server = NULL;
}

static void begin(struct world *w)
{
    *w = (struct world){ .clock = clock_system() };
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    w->ends = (struct daemon_ends){
        .loop = w->loop, .listener = listener, .rests = rests, .with = w
    };
}

static void end(struct world *w)
{
    daemon_ends_stop(&w->ends);
    leave(w);
    loop_free(w->loop);
}

static void add(struct world *w, uint32_t pid)
{
    struct daemon_end one = daemon_end_of("signer", SIGKILL, false);

    one.pid = pid;
    daemon_ends_add(&w->ends, &one);
    daemon_ends_tell(&w->ends);
}

static void turn_until(struct world *w, unsigned heard)
{
    for (int i = 0; i < 100000 && (w->heard < heard || w->ends.on_its_way); i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    assert_int_equal(w->heard, heard);
}

static void ends_wait_for_a_listener_and_come_in_their_order(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (uint32_t pid = 1; pid <= 3; pid++)
        add(&w, pid);
    listen_to(&w);
    daemon_ends_tell(&w.ends);
    turn_until(&w, 3);
    assert_int_equal(w.last.pid, 3);
    assert_int_equal(w.ends.count, 0);
    assert_int_equal(w.rested, 1);
    end(&w);
}

static void what_was_on_its_way_is_told_to_the_next_listener(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    listen_to(&w);
    add(&w, 1);
    assert_true(w.ends.on_its_way);
    leave(&w);
    assert_int_equal(w.ends.count, 1);
    listen_to(&w);
    add(&w, 2);
    turn_until(&w, 2);
    assert_int_equal(w.last.pid, 2);
    end(&w);
}

static void what_finds_no_room_there_is_tried_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    listen_to(&w);
    w.answer = RC_LIMIT;
    add(&w, 1);
    turn_until(&w, 1);
    assert_int_equal(w.ends.count, 1);
    assert_int_equal(w.rested, 1);
    w.answer = RC_OK;
    assert_int_equal(w.ends.again.due(&w.ends.again), RC_OK); /* a second later */
    turn_until(&w, 2);
    assert_int_equal(w.ends.count, 0);
    end(&w);
}

static void more_than_there_is_room_for_are_counted(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (uint32_t pid = 1; pid <= DAEMON_ENDS_MAX + 5; pid++)
        add(&w, pid);
    assert_int_equal(w.ends.count, DAEMON_ENDS_MAX);
    listen_to(&w);
    daemon_ends_tell(&w.ends);
    turn_until(&w, DAEMON_ENDS_MAX);
    assert_int_equal(w.last.pid, DAEMON_ENDS_MAX + 5);
    assert_int_equal(w.last.lost, 5);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_wait_for_a_listener_and_come_in_their_order),
        cmocka_unit_test(what_was_on_its_way_is_told_to_the_next_listener),
        cmocka_unit_test(what_finds_no_room_there_is_tried_again),
        cmocka_unit_test(more_than_there_is_room_for_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
