#include "tests/support/check.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/link_raw.h"

/* The answering end, and an asking one that keeps to no rule. */
struct counter {
    struct clock clock;
    struct loop *loop;
    struct link_server *server;
    int raw;
    unsigned handled, closed;
    enum rc ended; /* as told inside closed() */
    struct link_request kept;
    bool keep;
    struct bytes answer;
};

static enum rc handle(void *with, const struct link_request *request)
{
    struct counter *c = with;

    c->handled++;
    if (c->keep)
        c->kept = *request;
    else
        link_answer(request, RC_OK, c->answer, -1);
    return RC_OK;
}

static void closed(void *with)
{
    struct counter *c = with;

    c->closed++;
    c->ended = link_server_ended(c->server);
}

static int set_up(void **state)
{
    struct counter *c = test_calloc(1, sizeof *c);
    int answering;

    c->clock = clock_system();
    assert_int_equal(loop_new(&c->clock, &c->loop), RC_OK);
    assert_int_equal(link_pair(&c->raw, &answering), RC_OK);
    assert_int_equal(
        link_serve(c->loop, answering, &LINK_RAW_PROTOCOL, handle, closed, c, &c->server),
        RC_OK);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct counter *c = *state;

    link_server_close(c->server);
    own_close(&c->raw);
    loop_free(c->loop);
    test_free(c);
    return 0;
}

static void turn(struct counter *c)
{
    assert_int_equal(loop_turn_once(c->loop, 0), RC_OK);
}

static void an_unwanted_descriptor_breaks_the_link_and_is_closed(void **state)
{
    struct counter *c = *state;
    size_t before = link_raw_open_descriptors();

    link_raw_send(c->raw, LINK_RAW("\1", "\0", "\0\2", "\0", "\0", ""), 1);
    turn(c);
    assert_int_equal(c->handled, 0);
    assert_int_equal(c->closed, 1);
    assert_int_equal(link_raw_open_descriptors(), before - 1);
}

static void a_descriptor_of_a_request_never_handed_out_is_closed(void **state)
{
    struct counter *c = *state;
    size_t before = link_raw_open_descriptors();

    link_raw_send(c->raw, LINK_RAW("\5", "\0", "\0\2", "\0", "\0", ""), 1);
    own_close(&c->raw);
    c->raw = -1;
    turn(c);
    assert_int_equal(c->handled, 0);
    assert_int_equal(c->closed, 1);
    assert_int_equal(link_raw_open_descriptors(), before - 2);
}

static void a_credit_may_be_used_again_only_after_its_answer(void **state)
{
    struct counter *c = *state;
    static const struct bytes ping = LINK_RAW("\1", "\0", "\0\2", "\0", "\0", "");

    for (unsigned i = 1; i <= 3; i++) {
        c->keep = i == 3;
        link_raw_send(c->raw, ping, 0);
        turn(c);
        assert_int_equal(c->handled, i);
    }
    link_raw_send(c->raw, ping, 0);
    turn(c);
    assert_int_equal(c->handled, 3);
    assert_int_equal(c->closed, 1);
    assert_non_null(strstr(fault_text(), "credit that is taken"));
    link_answer(&c->kept, RC_OK, (struct bytes){ 0 }, -1);
}

static void who_ended_the_link_is_told(void **state)
{
    struct counter *c = *state;

    assert_int_equal(link_server_ended(c->server), RC_OK);
    link_raw_send(c->raw, BYTES("no message"), 0);
    turn(c);
    assert_int_equal(c->ended, RC_MALFORMED);
    tear_down(state);

    set_up(state);
    c = *state;
    own_close(&c->raw);
    c->raw = -1;
    turn(c);
    assert_int_equal(c->closed, 1);
    assert_int_equal(c->ended, RC_CLOSED);
}

/* The memory that the server keeps for a late answer goes with it. */
static void a_late_answer_after_closing_is_dropped(void **state)
{
    struct counter *c = *state;

    c->keep = true;
    link_raw_send(c->raw, LINK_RAW("\1", "\0", "\0\2", "\0", "\0", ""), 0);
    turn(c);
    link_server_close(TAKE(c->server));
    link_answer(&c->kept, RC_OK, BYTES("late"), -1);
    char byte;
    assert_int_equal(read(c->raw, &byte, 1), 0);
    assert_int_equal(c->closed, 0);
}

/* One who asks and never reads gets no more than its credits' worth of memory. */
static void one_who_reads_no_answers_is_cut_off_at_its_credits(void **state)
{
    struct counter *c = *state;
    static const uint8_t zeros[LINK_BODY_MAX];
    uint8_t head[LINK_HEADER] = { 0, BULK_SIGN };
    int sent = 0;

    c->answer = BYTES_OF(zeros);
    for (; c->closed == 0 && sent < 100; sent++) {
        head[7] = (uint8_t)(5 + sent % 4);
        link_raw_send(c->raw, BYTES_OF(head), 0);
        turn(c);
    }
    assert_in_range(sent, 5, 30);
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SERVER_TEST(an_unwanted_descriptor_breaks_the_link_and_is_closed),
        SERVER_TEST(who_ended_the_link_is_told),
        SERVER_TEST(a_descriptor_of_a_request_never_handed_out_is_closed),
        SERVER_TEST(a_credit_may_be_used_again_only_after_its_answer),
        SERVER_TEST(a_late_answer_after_closing_is_dropped),
        SERVER_TEST(one_who_reads_no_answers_is_cut_off_at_its_credits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
