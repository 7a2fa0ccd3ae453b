/* GET /crl/{key}.crl: however long, to whoever takes it in time. */
#include "tests/unit/api/world.h"

/* Whoever takes a STEP in STEP_MS is not slow; both are under the api's bounds. */
enum { LONG = 3 * 1024 * 1024 + 17, STEP_MS = 20000, STEP = 600 * 1024 };
static const char GET[] = "GET /crl/devices.crl";

static int prepare(void **state)
{
    *state = world_open(REGISTRY_DEVICE_DOOR);
    return 0;
}

static int clean(void **state)
{
    world_close(*state);
    return 0;
}

static uint8_t octet(size_t at)
{
    return (uint8_t)(at * 11 + at / 257);
}

/* The feed tells of a new one. */
static void tell(struct world *world, uint64_t number, size_t len)
{
    AUTO_BUF(der, REGISTRY_CRL_MAX);
    AUTO_BUF(list, REGISTRY_LIST_MAX);

    for (size_t i = 0; i < len; i++)
        buf_add_u8(&der, octet(i));
    world_set_crl(world, number, buf_bytes(&der));
    world_add_crl(world, &list);
    for (int i = 0; i < TURNS_MOST && !world->keeps_watch; i++)
        world_turn(world);
    world_news(world, &list, number);
}

static void is_whole(const struct reply *reply, size_t len)
{
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->body_len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal((uint8_t)reply->body[i], octet(i));
}

static void a_long_one_comes_whole_and_the_connection_goes_on(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, API_PUBLIC);

    tell(world, 8, LONG);
    world_wait_for_crl(world);
    for (int i = 0; i < 2; i++) {
        AUTO_REPLY(reply);
        world_say(world, fd, GET, "", BYTES(""), &reply);
        is_whole(&reply, LONG);
        assert_true(reply_has(&reply, "Content-Type: application/pkix-crl\r\n"));
        assert_true(reply_has(&reply, "ETag: \"8\"\r\n"));
        assert_true(reply_has(&reply, "Cache-Control: no-cache\r\n"));
    }
    AUTO_REPLY(head);
    world_say(world, fd, "HEAD /crl/devices.crl", "", BYTES(""), &head);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body_len, 0);
    assert_true(reply_has(&head, "Content-Length: 3145745\r\n"));
    close(fd);
}

static void until_it_is_here_the_client_is_asked_to_wait(void **state)
{
    struct world *world = world_open(REGISTRY_DEVICE_DOOR);
    AUTO_REPLY(reply);
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_crl operators = { "operators", 1, 10 };
    AUTO_BUF(body, 64);

    (void)state;
    world->keeps_parts = true;
    registry_crl_write(&operators, &body);
    world_add_change(&list, REGISTRY_CHANGE_CRL, buf_bytes(&body));
    world_news(world, &list, 2);
    for (int i = 0; i < TURNS_MOST && !world->keeps_watch; i++)
        world_turn(world);
    world_ask(world, STRANGER, "GET /crl/operators.crl", "", "", &reply);
    assert_int_equal(reply.status, 503);
    assert_true(reply_has(&reply, "Retry-After: "));
    world_close(world);
}

static void who_has_it_already_is_told_so(void **state)
{
    static const struct {
        const char *headers;
        unsigned status;
    } ROWS[] = {
        { "", 200 },
        { "If-None-Match: \"7\"\r\n", 304 },
        { "If-None-Match: W/\"7\"\r\n", 304 },
        { "If-None-Match: \"6\", \"7\"\r\n", 304 },
        { "If-None-Match: *\r\n", 304 },
        { "If-None-Match: \"6\"\r\n", 200 },
        { "If-None-Match: \"77\"\r\n", 200 },
        { "If-None-Match: 7\r\n", 200 },
        { "If-None-Match: \r\n", 200 },
    };
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, API_PUBLIC);

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_REPLY(reply);
        world_say(world, fd, GET, ROWS[i].headers, BYTES(""), &reply);
        if (reply.status != ROWS[i].status)
            fail_msg("%s: %u", ROWS[i].headers, reply.status);
        assert_true(reply_has(&reply, "ETag: \"7\"\r\n"));
        assert_int_equal(reply.body_len, reply.status == 200 ? 4 : 0);
    }
    close(fd);
}

/* So many octets more, at least, unless it ends before, whole or cut. */
static void take(struct world *world, int fd, size_t least, struct reply *reply)
{
    static uint8_t room[64 * 1024];
    size_t wanted = reply->all.len + least;

    reply->all.max = HTTP_MAX;
    for (int i = 0; i < TURNS_MOST && reply->all.len < wanted && !reply->closed; i++) {
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n > 0)
            buf_add(&reply->all, (struct bytes){ room, (size_t)n });
        else if (n == 0 || errno != EAGAIN)
            reply->closed = true;
        else if (reply->all.len > LONG && reply_read(reply, false))
            return;
        else
            world_turn(world);
    }
}

static void begin(struct world *world, int fd)
{
    tell(world, 8, LONG);
    world_wait_for_crl(world);
    world_write(world, fd, BYTES("GET /crl/devices.crl HTTP/1.1\r\nHost: door\r\n\r\n"));
}

static void pass(struct world *world)
{
    world->shift_ms += STEP_MS;
    for (int i = 0; i < 3; i++)
        world_turn(world);
}

static void who_takes_it_slowly_gets_it_whole(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, API_PUBLIC);
    AUTO_REPLY(reply);

    begin(world, fd);
    for (int i = 0; i < 20 && reply.status == 0 && !reply.closed; i++) {
        take(world, fd, STEP, &reply);
        pass(world);
    }
    assert_false(reply.closed);
    is_whole(&reply, LONG);
    close(fd);
}

static void who_does_not_take_it_is_cut_off(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, API_PUBLIC);
    AUTO_REPLY(reply);

    begin(world, fd);
    take(world, fd, 1000, &reply);
    for (int i = 0; i < 4; i++)
        pass(world);
    take(world, fd, 2 * LONG, &reply); /* what was on its way */
    assert_true(reply.closed);
    assert_true(reply.all.len < LONG);
    close(fd);
}

static void who_reads_one_that_is_long_replaced_is_cut_off(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, API_PUBLIC);
    AUTO_REPLY(reply);

    begin(world, fd);
    take(world, fd, 1000, &reply);
    for (uint64_t number = 9; number < 18; number++) {
        tell(world, number, 10);
        world_wait_for_crl(world);
    }
    take(world, fd, 2 * LONG, &reply);
    assert_true(reply.closed);
    assert_true(reply.all.len < LONG);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_long_one_comes_whole_and_the_connection_goes_on),
        cmocka_unit_test(until_it_is_here_the_client_is_asked_to_wait),
        TEST(who_has_it_already_is_told_so),
        TEST(who_takes_it_slowly_gets_it_whole),
        TEST(who_does_not_take_it_is_cut_off),
        TEST(who_reads_one_that_is_long_replaced_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
