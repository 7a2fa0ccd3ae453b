/* Every route of the real table against those who may not, and against what it does not take:
 * never 5xx, never yes, and the authority is not asked. */
#include "tests/unit/api/world.h"

static int open_operators(void **state)
{
    *state = world_open(REGISTRY_OPERATOR_DOOR);
    return 0;
}

static int open_devices(void **state)
{
    *state = world_open(REGISTRY_DEVICE_DOOR);
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

/* A path that the pattern matches. */
static void fill_in(const struct api_route *route, struct buf *line)
{
    buf_addf(line, "%s ", route->method);
    for (const char *at = route->path; *at != '\0'; at++) {
        if (*at != '{') {
            buf_add_u8(line, (uint8_t)*at);
            continue;
        }
        if (strncmp(at, "{fingerprint}", 13) == 0)
            for (int i = 0; i < 32; i++)
                buf_addf(line, "d1");
        else
            buf_addf(line, strncmp(at, "{version}", 9) == 0 ? "1" : "devices");
        at = strchr(at, '}');
    }
}

static const char *line_of(const struct api_route *route, struct buf *room)
{
    const char *text = NULL;

    fill_in(route, room);
    assert_int_equal(buf_text(room, &text), RC_OK);
    return text;
}

static const char *type_of(const struct api_route *route)
{
    if (route->body_type != NULL)
        return "Content-Type: application/pkcs10\r\n";
    return route->body_max > 0 ? JSON : "";
}

/* Neither yes nor our fault. */
static void is_no(const char *line, const char *what, const struct reply *reply)
{
    if (reply->status < 400 || reply->status >= 500)
        fail_msg("%s, %s: %u", line, what, reply->status);
}

static void each_route_refuses_those_without_its_right(void **state)
{
    static const int WHO[] = { STRANGER, ADMIN, AUDITOR, LINE, DEVICE };
    struct world *world = *state;
    size_t count = 0, refused = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        for (size_t w = 0; w < sizeof WHO / sizeof *WHO; w++) {
            const struct api_route *route = &routes[i];
            struct broker_peer peer = world_peer(WHO[w]);
            if (route->right == REGISTRY_RIGHT_NONE ||
                (peer.actor.known && registry_right_held(route->right, peer.kind, peer.role)))
                continue;
            AUTO_BUF(room, 512);
            AUTO_REPLY(reply);
            const char *line = line_of(route, &room);
            world_ask(world, WHO[w], line, type_of(route), "", &reply);
            is_no(line, "without the right", &reply);
            assert_int_equal(reply.status, WHO[w] == STRANGER || route->token ? 401 : 403);
            refused++;
        }
    }
    assert_true(refused > count);
    assert_int_equal(world->asks, 0);
    assert_int_equal(world->refusals, refused);
}

/* So long a body need not come to be refused. */
static void says_that_it_is_too_large(struct world *world, const struct api_route *route,
                                      const char *line)
{
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_BUF(request, 4096);
    AUTO_REPLY(reply);

    buf_addf(&request, "%s HTTP/1.1\r\nHost: a\r\n" JSON "Content-Length: %zu\r\n\r\n", line,
             route->body_max + 1);
    world_write(world, fd, buf_bytes(&request));
    world_read(world, fd, false, &reply);
    assert_int_equal(reply.status, 413);
    close(fd);
}

static void each_route_refuses_a_body_that_is_too_large(void **state)
{
    struct world *world = *state;
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(room, 512);
        AUTO_BUF(body, HTTP_MAX);
        AUTO_REPLY(reply);
        const char *line = line_of(&routes[i], &room), *text = NULL;
        if (routes[i].body_max > API_BODY_LARGE) {
            says_that_it_is_too_large(world, &routes[i], line);
            continue;
        }
        for (size_t n = 0; n <= routes[i].body_max; n++)
            buf_add_u8(&body, ' ');
        assert_int_equal(buf_text(&body, &text), RC_OK);
        world_ask(world, ADMIN, line, type_of(&routes[i]), text, &reply);
        is_no(line, "too large", &reply);
        /* What an operator may not do anyway he may not do at length. */
        assert_true(reply.status == 413 || reply.status == 401 || reply.status == 403);
    }
    assert_int_equal(world->asks, 0);
}

static void chunked_bodies_have_the_same_limit(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_BUF(request, HTTP_MAX);
    AUTO_REPLY(reply);

    buf_addf(&request, "POST /v1/devices HTTP/1.1\r\nHost: a\r\n" JSON
                       "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++)
        buf_addf(&request, "64\r\n%0100d\r\n", 0);
    buf_addf(&request, "0\r\n\r\n");
    world_write(world, fd, buf_bytes(&request));
    world_read(world, fd, false, &reply);
    assert_int_equal(reply.status, 413);
    close(fd);
}

static void endless_bodies_end_the_connection(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_BUF(request, HTTP_MAX);
    AUTO_REPLY(reply);

    buf_addf(&request, "POST /v1/devices HTTP/1.1\r\nHost: a\r\n" JSON
                       "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5000; i++)
        buf_addf(&request, "64\r\n%0100d\r\n", 0);
    world_write(world, fd, buf_bytes(&request));
    world_read(world, fd, false, &reply);
    assert_true(reply.closed);
    close(fd);
}

static void each_route_refuses_garbage(void **state)
{
    static const char *const GARBAGE[] = {
        "\x01\x02\xff\xfe", "{\"a\":", "[[[[[[", "null", "{\"no-such-member\":0}", "MIIB"
    };
    struct world *world = *state;
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        for (size_t g = 0; g < sizeof GARBAGE / sizeof *GARBAGE; g++) {
            AUTO_BUF(room, 512);
            AUTO_REPLY(reply);
            const char *line = line_of(&routes[i], &room);
            if (strcmp(routes[i].name, "estCaCerts") == 0)
                continue; /* takes a stray body and does not look at it */
            if (strcmp(routes[i].name, "estEnroll") == 0 ||
                strcmp(routes[i].name, "estReenroll") == 0) {
                if (g == 3 || g == 5)
                    continue; /* base64: the authority's to refuse */
            }
            world_ask(world, ADMIN, line, type_of(&routes[i]), GARBAGE[g], &reply);
            is_no(line, GARBAGE[g], &reply);
        }
    }
    assert_int_equal(world->asks, 0);
}

static void each_route_refuses_an_unknown_parameter(void **state)
{
    struct world *world = *state;
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(room, 512);
        AUTO_REPLY(reply);
        fill_in(&routes[i], &room);
        buf_addf(&room, "?no-such-parameter=1");
        const char *line = NULL;
        assert_int_equal(buf_text(&room, &line), RC_OK);
        world_ask(world, ADMIN, line, "", "", &reply);
        is_no(line, "unknown parameter", &reply);
    }
    assert_int_equal(world->asks, 0);
}

static void the_device_door_has_no_operators_routes(void **state)
{
    struct world *world = *state;
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        if ((routes[i].service & API_OPERATORS) == 0)
            continue;
        AUTO_BUF(room, 512);
        AUTO_REPLY(reply);
        int fd = world_dial(world, ADMIN, API_PUBLIC | API_EST);
        world_say(world, fd, line_of(&routes[i], &room), "", BYTES(""), &reply);
        assert_int_equal(reply.status, 404);
        close(fd);
        /* Were it served by mistake, the channel still has no such right. */
        if (routes[i].right == REGISTRY_RIGHT_NONE)
            continue;
        AUTO_BUF(again, 512);
        AUTO_REPLY(other);
        world_ask(world, ADMIN, line_of(&routes[i], &again), "", "", &other);
        assert_int_equal(other.status, 403);
    }
    assert_int_equal(world->asks, 0);
}

static void bad_http_is_the_senders_fault(void **state)
{
    static const char *const REQUESTS[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /v1/health\r\n\r\n",
        "GET /v1/health HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++) {
        AUTO_REPLY(reply);
        int fd = world_dial(world, ADMIN, ALL_SERVICES);
        world_write(world, fd, bytes_of_text(REQUESTS[i]));
        shutdown(fd, SHUT_WR);
        for (int turn = 0; turn < 5; turn++)
            world_turn(world);
        world->shift_ms += 31000; /* what is not answered is cut off */
        world_read(world, fd, false, &reply);
        if (reply.status >= 500 && reply.status != 505)
            fail_msg("%zu: %u", i, reply.status);
        if (reply.status >= 200 && reply.status < 300)
            fail_msg("%zu: %u", i, reply.status);
        close(fd);
    }
    assert_int_equal(world->asks, 0);
}

static void long_lines_and_headers_are_bounded(void **state)
{
    struct world *world = *state;

    for (size_t kb = 1; kb <= 64; kb *= 4) {
        for (int where = 0; where < 3; where++) {
            AUTO_BUF(request, HTTP_MAX);
            AUTO_REPLY(reply);
            int fd = world_dial(world, ADMIN, ALL_SERVICES);
            buf_addf(&request, where == 0   ? "GET /v1/devices/"
                               : where == 1 ? "GET /v1/devices?group="
                                            : "GET /v1/nothing HTTP/1.1\r\nHost: a\r\nX-A: ");
            for (size_t n = 0; n < kb * 1024; n++)
                buf_add_u8(&request, 'a');
            buf_addf(&request, where == 2 ? "\r\n\r\n" : " HTTP/1.1\r\nHost: a\r\n\r\n");
            world_write(world, fd, buf_bytes(&request));
            world_read(world, fd, false, &reply);
            if (reply.status != 0)
                is_no("long", where == 2 ? "header" : "line", &reply);
            else
                assert_true(reply.closed);
            close(fd);
        }
    }
    assert_int_equal(world->asks, 0);
}

static void rows_are_whole(void **state)
{
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(routes[i].handle);
        assert_non_null(routes[i].name);
        assert_non_null(routes[i].answers);
        assert_true(routes[i].field_count < API_FIELDS_MAX);
        if (routes[i].ask != 0) {
            assert_non_null(routes[i].told);
            assert_int_equal(routes[i].right, registry_right_of(routes[i].ask));
        }
        for (size_t j = 0; j < i; j++)
            assert_true(strcmp(routes[i].name, routes[j].name) != 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_operators, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_route_refuses_those_without_its_right),
        TEST(each_route_refuses_a_body_that_is_too_large),
        TEST(chunked_bodies_have_the_same_limit),
        TEST(endless_bodies_end_the_connection),
        TEST(each_route_refuses_garbage),
        TEST(each_route_refuses_an_unknown_parameter),
        cmocka_unit_test_setup_teardown(the_device_door_has_no_operators_routes, open_devices,
                                        close_world),
        TEST(bad_http_is_the_senders_fault),
        TEST(long_lines_and_headers_are_bounded),
        cmocka_unit_test(rows_are_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
