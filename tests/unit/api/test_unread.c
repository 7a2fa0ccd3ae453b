/* Requests that never become one: refused by the HTTP server, or cut short. */
#include "tests/unit/api/world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_becomes_a_request_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
