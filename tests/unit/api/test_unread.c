/* Requests that never become one: refused by the HTTP server, or cut short. */
#include "tests/unit/api/world.h"

#include "broker/octets.h"

/* What the HTTP server refuses by itself, or what never becomes whole, is told as what we
 * refuse. */
static void what_never_becomes_a_request_is_told(void **state)
{
    struct world *world = world_open(REGISTRY_OPERATOR_DOOR);
    static const struct bytes ROWS[] = {
        BYTES("GET /v1/health HTTP/1.1\r\n\r\n"), /* no Host */
        BYTES("GET /v1/health HTTP/1.1\r\nno field\r\n\r\n"),
        BYTES("POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
              "Content-Length: 20\r\n\r\n{\"id\""),
        BYTES("POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
              "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int fd = world_dial(world, ADMIN, ALL_SERVICES);
        unsigned before = world->refusals;
        world_write(world, fd, ROWS[i]);
        for (int k = 0; k < 20; k++)
            world_turn(world);
        close(fd);
        for (int k = 0; k < 20; k++)
            world_turn(world);
        assert_int_equal(world->refusals, before + 1);
        assert_int_equal(world->refused_peer.kind, REGISTRY_OPERATOR);
    }
    world_close(world);
}

static void turn(struct world *world)
{
    for (int i = 0; i < 20; i++)
        world_turn(world);
}

static void say(struct world *world, int fd, struct broker_octets *octets, struct bytes sent)
{
    while (sent.len > 0) {
        ssize_t taken = send(fd, sent.at, sent.len < 4096 ? sent.len : 4096, MSG_NOSIGNAL);
        if (taken < 0)
            break;
        broker_octets_add(octets, (size_t)taken);
        sent = (struct bytes){ sent.at + taken, sent.len - (size_t)taken };
        turn(world);
    }
}

/* Says one, then the other, and leaves; how many refusals were told of. */
static unsigned refusals_of(struct world *world, struct bytes one, struct bytes other)
{
    struct broker_peer peer = world_peer(ADMIN);
    struct broker_octets *octets = NULL;
    unsigned before = world->refusals;
    int ends[2];

    assert_int_equal(broker_octets_new(&octets), RC_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                     0);
    assert_int_equal(api_adopt(world->api, ends[0], ALL_SERVICES, &peer, octets), RC_OK);
    say(world, ends[1], octets, one);
    say(world, ends[1], octets, other);
    close(ends[1]);
    turn(world);
    broker_octets_release(octets);
    return world->refusals - before;
}

static const struct bytes GOOD = BYTES("GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n");

static void octets_that_are_no_request_are_told_once(void **state)
{
    static uint8_t long_line[40000] = "GET /";
    static const struct bytes ROWS[] = {
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
        BYTES("no words of ours\r\n\r\n"),
        BYTES("garbage\r\n\r\n"),
        BYTES("GET"), /* and away */
        BYTES("GET /v1/health HTTP/9.9\r\nHost: a\r\n\r\n"),
        BYTES_OF(long_line),
    };
    struct world *world = world_open(REGISTRY_OPERATOR_DOOR);
    (void)state;

    memset(long_line + 5, 'x', sizeof long_line - 5);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(refusals_of(world, BYTES(""), ROWS[i]), 1);
        assert_int_equal(refusals_of(world, GOOD, ROWS[i]), 1);
        assert_int_equal(world->refused_peer.kind, REGISTRY_OPERATOR);
    }
    world_close(world);
}

static void silence_and_requests_are_not_told(void **state)
{
    static const struct bytes ROWS[] = {
        BYTES(""),
        BYTES("GET /v1/health HTTP/1.1\r\n"
              "Host: a\r\nConnection: close\r\n\r\n"),
    };
    struct world *world = world_open(REGISTRY_OPERATOR_DOOR);
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        for (int good = 0; good < 2; good++)
            assert_int_equal(refusals_of(world, good != 0 ? GOOD : BYTES(""), ROWS[i]), 0);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_becomes_a_request_is_told),
        cmocka_unit_test(octets_that_are_no_request_are_told_once),
        cmocka_unit_test(silence_and_requests_are_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
