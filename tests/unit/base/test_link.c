#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/link_raw.h"

enum { SEEN_MAX = 64 };

/* ---- Both ends, and what they saw ---- */

struct seen {
    uint16_t kind;
    enum rc rc;
    char text[64];
    size_t len;
    int fd;
};

struct both {
    struct clock clock;
    struct loop *loop;
    struct link *link;
    struct link_server *server;
    int raw; /* an end that a test plays itself */

    struct seen replies[SEEN_MAX], requests[SEEN_MAX];
    size_t reply_count, request_count;
    unsigned link_closed, server_closed;

    struct link_request kept[SEEN_MAX];
    size_t kept_count;
    bool keep; /* answer later */
    bool close_in_handle, close_in_done, ask_in_done;
    enum rc answer_rc, handle_rc;
    struct bytes answer;
    int answer_fd;
};

static void note(struct seen *seen, size_t *count, const struct seen *what, struct bytes body)
{
    assert_true(*count < SEEN_MAX);
    seen[*count] = *what;
    seen[*count].len = body.len;
    memcpy(seen[*count].text, body.at != NULL ? (const char *)body.at : "",
           body.len < 63 ? body.len : 63);
    ++*count;
}

static void link_gone(void *with)
{
    ((struct both *)with)->link_closed++;
}

static void server_gone(void *with)
{
    ((struct both *)with)->server_closed++;
}

static void note_reply(void *with, const struct link_reply *reply)
{
    struct both *b = with;

    note(b->replies, &b->reply_count, &(struct seen){ .rc = reply->rc, .fd = reply->fd },
         reply->body);
    if (b->ask_in_done)
        assert_int_equal(link_ask(b->link, PING, BYTES("again"), -1, note_reply, b), RC_CLOSED);
    if (b->close_in_done) {
        link_close(b->link);
        b->link = NULL;
    }
}

static enum rc handle(void *with, const struct link_request *request)
{
    struct both *b = with;

    note(b->requests, &b->request_count,
         &(struct seen){ .kind = request->kind->kind, .fd = request->fd }, request->body);
    if (b->close_in_handle) {
        link_server_close(b->server);
        b->server = NULL;
    }
    if (b->keep)
        b->kept[b->kept_count++] = *request;
    else
        link_answer(request, b->answer_rc, b->answer,
                    request->kind->reply_fd && b->answer_rc == RC_OK ? b->answer_fd : -1);
    return b->handle_rc;
}

static int set_up(void **state)
{
    struct both *b = calloc(1, sizeof *b);

    b->clock = clock_system();
    b->raw = b->answer_fd = -1;
    assert_int_equal(loop_new(&b->clock, &b->loop), RC_OK);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct both *b = *state;

    link_close(b->link);
    link_server_close(b->server);
    for (size_t i = 0; i < b->kept_count; i++)
        link_answer(&b->kept[i], RC_CLOSED, (struct bytes){ 0 }, -1);
    own_close(&b->raw);
    loop_free(b->loop);
    free(b);
    return 0;
}

static void open_asking(struct both *b, int fd)
{
    assert_int_equal(link_open(b->loop, fd, &LINK_RAW_PROTOCOL, link_gone, b, &b->link), RC_OK);
}

static void open_answering(struct both *b, int fd)
{
    assert_int_equal(
        link_serve(b->loop, fd, &LINK_RAW_PROTOCOL, handle, server_gone, b, &b->server), RC_OK);
}

static void connect_both(struct both *b)
{
    int asking, answering;

    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    open_asking(b, asking);
    open_answering(b, answering);
}

static void play_the_answering_end(struct both *b)
{
    int asking;

    assert_int_equal(link_pair(&asking, &b->raw), RC_OK);
    open_asking(b, asking);
}

static void turn(struct both *b, int times)
{
    for (int i = 0; i < times; i++)
        assert_int_equal(loop_turn_once(b->loop, 0), RC_OK);
}

static enum rc ask(struct both *b, uint16_t kind, const char *text)
{
    return link_ask(b->link, kind, bytes_of_text(text), -1, note_reply, b);
}

/* ---- Asking and answering ---- */

static void a_question_is_answered_from_the_loop(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->answer = BYTES("pong");
    assert_int_equal(ask(b, PING, "hello"), RC_OK);
    assert_int_equal(b->reply_count, 0);
    turn(b, 2);
    assert_int_equal(b->request_count, 1);
    assert_string_equal(b->requests[0].text, "hello");
    assert_int_equal(b->reply_count, 1);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_string_equal(b->replies[0].text, "pong");
    assert_int_equal(b->replies[0].fd, -1);
}

static void a_refusal_carries_its_reason_cut_to_its_limit(void **state)
{
    struct both *b = *state;
    char reason[LINK_REASON_MAX + 2];

    connect_both(b);
    memset(reason, 'r', sizeof reason);
    b->answer = (struct bytes){ (uint8_t *)reason, sizeof reason };
    b->answer_rc = RC_DENIED;
    assert_int_equal(ask(b, PING, ""), RC_OK);
    turn(b, 2);
    assert_int_equal(b->replies[0].rc, RC_DENIED);
    assert_int_equal(b->replies[0].len, LINK_REASON_MAX);
}

static void bodies_are_held_to_their_caps_on_both_sides(void **state)
{
    struct both *b = *state;
    static const uint8_t zeros[LINK_BODY_MAX + 1];
    struct bytes at = { zeros, 100 }, over = { zeros, 101 };

    connect_both(b);
    b->answer = at;
    assert_int_equal(link_ask(b->link, PING, over, -1, note_reply, b), RC_LIMIT);
    assert_int_equal(link_ask(b->link, PING, at, -1, note_reply, b), RC_OK);
    turn(b, 2);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_int_equal(b->replies[0].len, 100);
    b->answer = over;
    assert_int_equal(link_ask(b->link, PING, at, -1, note_reply, b), RC_OK);
    turn(b, 2);
    assert_int_equal(b->replies[1].rc, RC_LIMIT);

    b->answer = (struct bytes){ zeros, LINK_BODY_MAX };
    assert_int_equal(link_ask(b->link, BULK_SIGN, b->answer, -1, note_reply, b), RC_OK);
    turn(b, 2);
    assert_int_equal(b->requests[2].len, LINK_BODY_MAX);
    assert_int_equal(b->replies[2].len, LINK_BODY_MAX);
    b->answer.len++;
    assert_int_equal(link_ask(b->link, BULK_SIGN, b->answer, -1, note_reply, b), RC_LIMIT);
}

static void an_answer_may_come_later_and_out_of_order(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->keep = true;
    assert_int_equal(ask(b, PING, "one"), RC_OK);
    assert_int_equal(ask(b, PING, "two"), RC_OK);
    turn(b, 3);
    assert_int_equal(b->kept_count, 2);
    assert_int_equal(b->reply_count, 0);
    link_answer(&b->kept[1], RC_OK, BYTES("second"), -1);
    turn(b, 1);
    link_answer(&b->kept[0], RC_OK, BYTES("first"), -1);
    b->kept_count = 0;
    turn(b, 1);
    assert_string_equal(b->replies[0].text, "second");
    assert_string_equal(b->replies[1].text, "first");
}

/* ---- Credits and lanes ---- */

static void a_lane_sends_no_more_than_its_credits(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->keep = true;
    for (int i = 0; i < 4 + WAITING; i++)
        assert_int_equal(ask(b, BULK_SIGN, "b"), RC_OK);
    assert_int_equal(ask(b, BULK_SIGN, "b"), RC_LIMIT);
    turn(b, 4);
    assert_int_equal(b->request_count, 4);
    assert_int_equal(ask(b, REVOKE, "r"), RC_OK);
    turn(b, 2);
    assert_int_equal(b->request_count, 5);

    b->keep = false;
    for (size_t i = 0; i < 5; i++)
        link_answer(&b->kept[i], RC_OK, (struct bytes){ 0 }, -1);
    b->kept_count = 0;
    turn(b, 10);
    assert_int_equal(b->reply_count, 5 + WAITING);
    assert_int_equal(b->link_closed + b->server_closed, 0);
}

static void what_waits_in_a_lane_keeps_its_order(void **state)
{
    struct both *b = *state;

    connect_both(b);
    for (int i = 0; i < 3 + WAITING; i++)
        assert_int_equal(ask(b, PING, (char[]){ (char)('a' + i), 0 }), RC_OK);
    turn(b, 12);
    assert_int_equal(b->request_count, 3 + WAITING);
    for (int i = 0; i < 3 + WAITING; i++)
        assert_int_equal(b->requests[i].text[0], 'a' + i);
}

static void the_urgent_is_handled_before_what_came_earlier(void **state)
{
    struct both *b = *state;

    connect_both(b);
    assert_int_equal(ask(b, BULK_SIGN, "b"), RC_OK);
    assert_int_equal(ask(b, PING, "n"), RC_OK);
    assert_int_equal(ask(b, REVOKE, "u"), RC_OK);
    turn(b, 1);
    assert_int_equal(b->request_count, 3);
    assert_int_equal(b->requests[0].kind, REVOKE);
    assert_int_equal(b->requests[1].kind, PING);
    assert_int_equal(b->requests[2].kind, BULK_SIGN);
}

/* The largest bodies fill the socket before the credits are gone, in both directions. */
static void a_full_socket_delays_and_loses_nothing(void **state)
{
    struct both *b = *state;
    static const uint8_t zeros[LINK_BODY_MAX];

    connect_both(b);
    b->keep = true;
    for (int i = 0; i < 4 + WAITING; i++)
        assert_int_equal(link_ask(b->link, BULK_SIGN, BYTES_OF(zeros), -1, note_reply, b),
                         RC_OK);
    assert_int_equal(ask(b, REVOKE, "u"), RC_OK);
    turn(b, 8);
    assert_int_equal(b->request_count, 5);
    for (int round = 0; round < 4 && b->kept_count > 0; round++) {
        size_t count = b->kept_count;
        b->kept_count = 0;
        for (size_t i = 0; i < count; i++) {
            struct link_request request = b->kept[i];
            link_answer(&request, RC_OK, (struct bytes){ zeros, request.kind->reply_max }, -1);
        }
        turn(b, 8);
    }
    assert_int_equal(b->reply_count, 5 + WAITING);
    for (size_t i = 0; i < b->reply_count; i++)
        assert_int_equal(b->replies[i].rc, RC_OK);
}

/* ---- Descriptors ---- */

static void a_descriptor_travels_each_way_and_the_senders_stays_open(void **state)
{
    struct both *b = *state;
    AUTO_FD mine = open("/dev/null", O_RDONLY | O_CLOEXEC);

    connect_both(b);
    b->answer_fd = mine;
    assert_int_equal(link_ask(b->link, SEND_FILE, BYTES("f"), mine, note_reply, b), RC_OK);
    assert_int_equal(ask(b, OPEN_FILE, "f"), RC_OK);
    turn(b, 3);
    assert_true(b->requests[0].fd >= 0 && b->requests[0].fd != mine);
    assert_true(b->replies[1].fd >= 0 && b->replies[1].fd != mine);
    assert_true(fcntl(b->requests[0].fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(b->replies[1].fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(mine, F_GETFD) >= 0);
    close(b->requests[0].fd);
    close(b->replies[1].fd);
}

static void a_waiting_descriptor_is_a_copy_and_is_not_leaked(void **state)
{
    struct both *b = *state;
    size_t before = link_raw_open_descriptors();
    AUTO_FD mine = open("/dev/null", O_RDONLY | O_CLOEXEC);

    connect_both(b);
    b->keep = true;
    for (int i = 0; i < 3 + 2; i++)
        assert_int_equal(link_ask(b->link, SEND_FILE, BYTES("f"), mine, note_reply, b), RC_OK);
    close(TAKE_FD(mine));
    turn(b, 2);
    assert_int_equal(b->request_count, 3);
    for (int i = 0; i < 3; i++)
        close(b->requests[i].fd);
    link_answer(&b->kept[0], RC_OK, (struct bytes){ 0 }, -1);
    turn(b, 2);
    assert_int_equal(b->request_count, 4);
    assert_true(fcntl(b->requests[3].fd, F_GETFD) >= 0);
    close(b->requests[3].fd);
    for (int i = 1; i < 4; i++)
        link_answer(&b->kept[i], RC_OK, (struct bytes){ 0 }, -1);
    b->kept_count = 0;
    link_close(TAKE(b->link));
    link_server_close(TAKE(b->server));
    assert_int_equal(link_raw_open_descriptors(), before);
}

/* ---- The end ---- */

static void every_pending_question_is_answered_once_when_the_link_breaks(void **state)
{
    struct both *b = *state;

    play_the_answering_end(b);
    b->ask_in_done = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(b, PING, "p"), RC_OK);
    close(TAKE_FD(b->raw));
    turn(b, 2);
    assert_int_equal(b->reply_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(b->replies[i].rc, RC_CLOSED);
    assert_int_equal(b->link_closed, 1);
    assert_non_null(strstr(fault_text(), "the other side is gone"));
    b->ask_in_done = false;
    assert_int_equal(ask(b, PING, "late"), RC_CLOSED);
}

static void answers_that_came_before_the_end_still_count(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->keep = true;
    assert_int_equal(ask(b, PING, "one"), RC_OK);
    assert_int_equal(ask(b, PING, "two"), RC_OK);
    turn(b, 1);
    link_answer(&b->kept[0], RC_OK, BYTES("yes"), -1);
    link_server_close(TAKE(b->server));
    link_answer(&b->kept[1], RC_OK, BYTES("dropped"), -1);
    b->kept_count = 0;
    turn(b, 2);
    assert_int_equal(b->reply_count, 2);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_int_equal(b->replies[1].rc, RC_CLOSED);
    assert_int_equal(b->link_closed, 1);
}

/* A failed send must not swallow the answers that already lie in the socket. */
static void a_failed_send_still_reads_what_came(void **state)
{
    struct both *b = *state;

    play_the_answering_end(b);
    assert_int_equal(ask(b, PING, "p"), RC_OK);
    link_raw_send(b->raw, LINK_RAW("\1", "\1", "\0\2", "\0", "\0", "x"), 0);
    assert_int_equal(shutdown(b->raw, SHUT_RD), 0);
    assert_int_equal(ask(b, PING, "late"), RC_CLOSED);
    assert_int_equal(b->reply_count, 0);
    turn(b, 2);
    assert_int_equal(b->reply_count, 1);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_int_equal(b->link_closed, 1);
}

static void closing_answers_what_is_pending_and_tells_nobody_else(void **state)
{
    struct both *b = *state;

    connect_both(b);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(b, PING, "p"), RC_OK);
    link_close(TAKE(b->link));
    assert_int_equal(b->reply_count, 5);
    assert_int_equal(b->replies[4].rc, RC_CLOSED);
    turn(b, 2);
    assert_int_equal(b->link_closed, 0);
    assert_int_equal(b->server_closed, 1);
}

static void may_be_closed_from_inside_an_answer(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->close_in_done = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(b, PING, "p"), RC_OK);
    turn(b, 3);
    assert_int_equal(b->reply_count, 5);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_int_equal(b->replies[4].rc, RC_CLOSED);
    assert_int_equal(b->link_closed, 0);
}

static void the_server_may_be_closed_from_inside_a_request(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->close_in_handle = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(b, PING, "p"), RC_OK);
    turn(b, 3);
    assert_int_equal(b->request_count, 1);
    assert_int_equal(b->reply_count, 3);
    assert_int_equal(b->server_closed, 0);
}

static void a_failing_handler_stops_the_loop(void **state)
{
    struct both *b = *state;

    connect_both(b);
    b->handle_rc = RC_CORRUPT;
    assert_int_equal(ask(b, PING, "p"), RC_OK);
    assert_int_equal(loop_run(b->loop), RC_CORRUPT);
}

/* ---- A hostile end ---- */

static void an_answer_that_nothing_asked_for_breaks_the_link(void **state)
{
    static const struct bytes ANSWERS[] = {
        LINK_RAW("\1", "\1", "\0\3", "\0", "\0", ""), /* to a credit not taken */
        LINK_RAW("\4", "\1", "\0\2", "\1", "\0", ""), /* of another kind */
        BYTES("\0\1\0\1\0\1\0\2\0\0\0\0"),            /* to another use of the credit */
        BYTES("\0\1\0\1"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        void *made = NULL;
        set_up(&made);
        struct both *b = made;
        play_the_answering_end(b);
        assert_int_equal(ask(b, PING, "p"), RC_OK);
        link_raw_send(b->raw, ANSWERS[i], 0);
        turn(b, 2);
        assert_int_equal(b->link_closed, 1);
        assert_int_equal(b->reply_count, 1);
        assert_int_equal(b->replies[0].rc, RC_CLOSED);
        tear_down(&made);
    }
}

static void an_answer_counts_once(void **state)
{
    struct both *b = *state;
    static const struct bytes pong = LINK_RAW("\1", "\1", "\0\2", "\0", "\0", "x");

    play_the_answering_end(b);
    assert_int_equal(ask(b, PING, "p"), RC_OK);
    link_raw_send(b->raw, pong, 0);
    link_raw_send(b->raw, pong, 0);
    turn(b, 2);
    assert_int_equal(b->reply_count, 1);
    assert_int_equal(b->replies[0].rc, RC_OK);
    assert_int_equal(b->link_closed, 1);
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_question_is_answered_from_the_loop),
        LINK_TEST(a_refusal_carries_its_reason_cut_to_its_limit),
        LINK_TEST(bodies_are_held_to_their_caps_on_both_sides),
        LINK_TEST(an_answer_may_come_later_and_out_of_order),
        LINK_TEST(a_lane_sends_no_more_than_its_credits),
        LINK_TEST(what_waits_in_a_lane_keeps_its_order),
        LINK_TEST(the_urgent_is_handled_before_what_came_earlier),
        LINK_TEST(a_full_socket_delays_and_loses_nothing),
        LINK_TEST(a_descriptor_travels_each_way_and_the_senders_stays_open),
        LINK_TEST(a_waiting_descriptor_is_a_copy_and_is_not_leaked),
        LINK_TEST(every_pending_question_is_answered_once_when_the_link_breaks),
        LINK_TEST(answers_that_came_before_the_end_still_count),
        LINK_TEST(a_failed_send_still_reads_what_came),
        LINK_TEST(closing_answers_what_is_pending_and_tells_nobody_else),
        LINK_TEST(may_be_closed_from_inside_an_answer),
        LINK_TEST(the_server_may_be_closed_from_inside_a_request),
        LINK_TEST(a_failing_handler_stops_the_loop),
        LINK_TEST(an_answer_that_nothing_asked_for_breaks_the_link),
        LINK_TEST(an_answer_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
