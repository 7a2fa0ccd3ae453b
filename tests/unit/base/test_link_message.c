#include "tests/support/check.h"

#include <sys/socket.h>

#include "tests/support/link_raw.h"

static const struct {
    const char *what;
    struct bytes sent;
    int reply, fds;
    bool good;
} CASES[] = {
    { "a ping", LINK_RAW("\1", "\0", "\0\2", "\0", "\0", "x"), false, 0, true },
    { "a ping on its lane's last credit", LINK_RAW("\1", "\0", "\0\4", "\0", "\0", ""), false,
      0, true },
    { "a credit of the lane below", LINK_RAW("\1", "\0", "\0\1", "\0", "\0", ""), false, 0,
      false },
    { "a credit of the lane above", LINK_RAW("\1", "\0", "\0\5", "\0", "\0", ""), false, 0,
      false },
    { "a credit past all", LINK_RAW("\3", "\0", "\0\11", "\0", "\0", ""), false, 0, false },
    { "the last credit of all", LINK_RAW("\3", "\0", "\0\10", "\0", "\0", ""), false, 0, true },
    { "kind 0", LINK_RAW("\0", "\0", "\0\2", "\0", "\0", ""), false, 0, false },
    { "an unknown kind", LINK_RAW("\6", "\0", "\0\2", "\0", "\0", ""), false, 0, false },
    { "a reply to the answering end", LINK_RAW("\1", "\1", "\0\2", "\0", "\0", ""), false, 0,
      false },
    { "an unknown flag", LINK_RAW("\1", "\2", "\0\2", "\0", "\0", ""), false, 0, false },
    { "a result in a request", LINK_RAW("\1", "\0", "\0\2", "\1", "\0", ""), false, 0, false },
    { "reserved bits", LINK_RAW("\1", "\0", "\0\2", "\0", "\1", ""), false, 0, false },
    { "half a head", BYTES("\0\1\0\0\0\0"), false, 0, false },
    { "a head short of a byte", BYTES("\0\1\0\0\0\0\0\2\0\0\0"), false, 0, false },
    { "nothing", BYTES(""), false, 0, false },
    { "a descriptor that none asked for", LINK_RAW("\1", "\0", "\0\2", "\0", "\0", ""), false,
      1, false },
    { "nothing but a descriptor", BYTES(""), false, 1, false },
    { "a file", LINK_RAW("\5", "\0", "\0\2", "\0", "\0", ""), false, 1, true },
    { "a file without it", LINK_RAW("\5", "\0", "\0\2", "\0", "\0", ""), false, 0, false },
    { "two files", LINK_RAW("\5", "\0", "\0\2", "\0", "\0", ""), false, 2, false },
    { "many files", LINK_RAW("\5", "\0", "\0\2", "\0", "\0", ""), false, 200, false },
    { "the answer", LINK_RAW("\1", "\1", "\0\2", "\0", "\0", "x"), true, 0, true },
    { "a refusal", LINK_RAW("\1", "\1", "\0\2", "\2", "\0", "no"), true, 0, true },
    { "the last result there is", LINK_RAW("\1", "\1", "\0\2", "\13", "\0", ""), true, 0,
      true },
    { "a result past the last", LINK_RAW("\1", "\1", "\0\2", "\14", "\0", ""), true, 0, false },
    { "a request to the asking end", LINK_RAW("\1", "\0", "\0\2", "\0", "\0", ""), true, 0,
      false },
    { "an answer with a descriptor", LINK_RAW("\1", "\1", "\0\2", "\0", "\0", ""), true, 1,
      false },
    { "an answer that opens a file", LINK_RAW("\4", "\1", "\0\2", "\0", "\0", ""), true, 1,
      true },
    { "the same without it", LINK_RAW("\4", "\1", "\0\2", "\0", "\0", ""), true, 0, false },
    { "a refusal to open it", LINK_RAW("\4", "\1", "\0\2", "\2", "\0", "no"), true, 0, true },
    { "a refusal with a file", LINK_RAW("\4", "\1", "\0\2", "\2", "\0", "no"), true, 1, false },
    { "an answer beyond the lane", LINK_RAW("\1", "\1", "\0\5", "\0", "\0", ""), true, 0,
      false },
};

static enum rc receive(int socket, bool reply, struct link_message *m, int *fd)
{
    static uint8_t room[LINK_MESSAGE_MAX];
    struct bytes datagram;

    TRY(link_message_receive(socket, room, link_protocol_room(&LINK_RAW_PROTOCOL, reply),
                             &datagram, fd));
    return link_message_read(&LINK_RAW_PROTOCOL, reply, datagram, *fd >= 0, m);
}

static void only_what_the_table_allows_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int one = -1, other = -1, fd = -1;
        struct link_message m = { .id = 77 };
        assert_int_equal(link_pair(&one, &other), RC_OK);
        size_t before = link_raw_open_descriptors();
        link_raw_send(one, CASES[i].sent, CASES[i].fds);
        enum rc rc = receive(other, CASES[i].reply, &m, &fd);
        own_close(&fd);
        if ((rc == RC_OK) != CASES[i].good)
            print_error("%s: %s\n", CASES[i].what, fault_text());
        assert_int_equal(rc == RC_OK, CASES[i].good);
        assert_int_equal(m.id == 77, !CASES[i].good);
        assert_int_equal(link_raw_open_descriptors(), before);
        own_close(&one);
        own_close(&other);
    }
}

static void what_was_sent_arrives(void **state)
{
    struct link_message got = { 0 };
    int one = -1, other = -1, fd = -1;
    const struct link_message sent = {
        .kind = link_protocol_kind(&LINK_RAW_PROTOCOL, OPEN_FILE),
        .id = 0xabcd0003,
        .reply = true,
        .rc = RC_OK,
    };

    (void)state;
    assert_int_equal(link_pair(&one, &other), RC_OK);
    assert_int_equal(receive(other, true, &got, &fd), RC_BUSY);
    assert_int_equal(link_message_send(one, &sent, 0), RC_OK);
    assert_int_equal(receive(other, true, &got, &fd), RC_OK);
    assert_ptr_equal(got.kind, sent.kind);
    assert_int_equal(got.id, sent.id);
    assert_int_equal(got.body.len, 0);
    assert_true(fd > 2);
    own_close(&fd);
    own_close(&one);
    assert_int_equal(receive(other, true, &got, &fd), RC_CLOSED);
    assert_int_equal(link_message_send(other, &sent, 0), RC_CLOSED);
    own_close(&other);
}

static void every_truncated_head_is_refused(void **state)
{
    struct link_message m = { .id = 7 };
    struct bytes whole = LINK_RAW("\1", "\0", "\0\2", "\0", "\0", "");

    (void)state;
    for (struct bytes cut = whole; cut.len > 0; cut.len--)
        assert_int_equal(link_message_read(&LINK_RAW_PROTOCOL, false, cut, false, &m),
                         cut.len == LINK_HEADER ? RC_OK : RC_MALFORMED);
    assert_int_equal(m.id, 2);
    assert_int_equal(m.kind->kind, PING);
}

static void a_message_is_as_long_as_it_may_be_and_no_longer(void **state)
{
    static uint8_t message[LINK_MESSAGE_MAX + 1] = { 0, BULK_SIGN, 0, 0, 0, 0, 0, 5 };
    struct link_message m = { 0 };
    int one = -1, other = -1, fd = -1;

    (void)state;
    assert_int_equal(link_pair(&one, &other), RC_OK);
    link_raw_send(one, (struct bytes){ message, LINK_MESSAGE_MAX }, 0);
    assert_int_equal(receive(other, false, &m, &fd), RC_OK);
    assert_int_equal(m.body.len, LINK_BODY_MAX);
    link_raw_send(one, BYTES_OF(message), 1);
    assert_int_equal(receive(other, false, &m, &fd), RC_MALFORMED);
    assert_int_equal(fd, -1);
    own_close(&one);
    own_close(&other);
}

static void a_full_socket_is_busy_and_nothing_is_sent(void **state)
{
    static const uint8_t zeros[LINK_BODY_MAX];
    const struct link_message m = { .kind = link_protocol_kind(&LINK_RAW_PROTOCOL, BULK_SIGN),
                                    .id = 5,
                                    .body = BYTES_OF(zeros) };
    struct link_message got = { 0 };
    int one = -1, other = -1, fd = -1, sent = 0;

    (void)state;
    assert_int_equal(link_pair(&one, &other), RC_OK);
    while (link_message_send(one, &m, -1) == RC_OK)
        sent++;
    assert_in_range(sent, 1, 100);
    assert_int_equal(link_message_send(one, &m, -1), RC_BUSY);
    for (; sent > 0; sent--)
        assert_int_equal(receive(other, false, &got, &fd), RC_OK);
    assert_int_equal(receive(other, false, &got, &fd), RC_BUSY);
    own_close(&one);
    own_close(&other);
}

static void waits_for_its_answer_without_a_loop(void **state)
{
    AUTO_FD raw = -1;
    static const struct bytes pong = LINK_RAW("\1", "\1", "\0\2", "\0", "\0", "pong");
    static const struct bytes denied = LINK_RAW("\1", "\1", "\0\2", "\2", "\0", "no");
    AUTO_BUF(reply, 4);
    int asking;

    (void)state;
    assert_int_equal(link_pair(&asking, &raw), RC_OK);
    AUTO_FD owned = asking;
    link_raw_send(raw, pong, 0);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 1000, &reply), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&reply), "pong"));
    link_raw_send(raw, denied, 0);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 1000, &reply),
        RC_DENIED);
    assert_string_equal(fault_text(), "no");
    link_raw_send(raw, pong, 0);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 1000, &reply),
        RC_LIMIT);
    assert_true(bytes_equal_text(buf_bytes(&reply), "pong"));
}

static void a_descriptor_goes_along_without_a_loop(void **state)
{
    static const struct bytes taken = LINK_RAW("\5", "\1", "\0\2", "\0", "\0", "");
    AUTO_FD raw = -1;
    AUTO_BUF(reply, 4);
    struct link_message got;
    int asking, fd = -1;

    (void)state;
    assert_int_equal(link_pair(&asking, &raw), RC_OK);
    AUTO_FD owned = asking;
    link_raw_send(raw, taken, 0);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, SEND_FILE, BYTES("f"), raw, 1000, &reply),
        RC_OK);
    assert_int_equal(receive(raw, false, &got, &fd), RC_OK);
    assert_true(fd >= 0);
    own_close(&fd);
}

static void gives_up_in_time_and_takes_no_late_answer(void **state)
{
    AUTO_FD raw = -1;
    AUTO_BUF(reply, 100);
    int asking;

    (void)state;
    assert_int_equal(link_pair(&asking, &raw), RC_OK);
    AUTO_FD owned = asking;
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 20, &reply), RC_BUSY);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 20, &reply),
        RC_CLOSED);
    assert_int_equal(buf_bytes(&reply).len, 0);
}

static void a_closed_or_senseless_answer_ends_the_wait(void **state)
{
    AUTO_FD raw = -1;
    static const struct bytes wrong = LINK_RAW("\1", "\1", "\0\3", "\0", "\0", "");
    AUTO_BUF(reply, 100);
    int asking;

    (void)state;
    assert_int_equal(link_pair(&asking, &raw), RC_OK);
    AUTO_FD owned = asking;
    link_raw_send(raw, wrong, 0);
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 1000, &reply),
        RC_MALFORMED);
    close(TAKE_FD(raw));
    assert_int_equal(
        link_ask_and_wait(owned, &LINK_RAW_PROTOCOL, PING, BYTES(""), -1, 1000, &reply),
        RC_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_table_allows_is_taken),
        cmocka_unit_test(what_was_sent_arrives),
        cmocka_unit_test(every_truncated_head_is_refused),
        cmocka_unit_test(a_message_is_as_long_as_it_may_be_and_no_longer),
        cmocka_unit_test(a_full_socket_is_busy_and_nothing_is_sent),
        cmocka_unit_test(waits_for_its_answer_without_a_loop),
        cmocka_unit_test(a_descriptor_goes_along_without_a_loop),
        cmocka_unit_test(gives_up_in_time_and_takes_no_late_answer),
        cmocka_unit_test(a_closed_or_senseless_answer_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
