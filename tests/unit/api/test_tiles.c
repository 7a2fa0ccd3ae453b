/* The log's files over HTTP: nothing is answered before its reading is recorded. */
#include "tests/unit/api/world.h"

#include <unistd.h>

#include "audit/tile_file.h"

#define TILE "GET /v1/audit/log/tile/entries/000.p/2"

struct ground {
    struct world *world;
    char path[32];
    int dir;
};

static int set_up(void **state)
{
    const struct audit_tile tile = { true, 0, 0, 2 };
    struct ground *g = calloc(1, sizeof *g);
    enum audit_tile_found found;

    world_copy(g->path, sizeof g->path, "/tmp/test_tiles.XXXXXX");
    assert_non_null(mkdtemp(g->path));
    g->dir = open(g->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(audit_tile_file_put(g->dir, &tile, BYTES("two leaves"), false, &found),
                     RC_OK);
    assert_int_equal(
        audit_tile_file_publish(g->dir, BYTES("a note\n"), BYTES(""), false, &found), RC_OK);
    g->world = world_open_with(REGISTRY_OPERATOR_DOOR, g->dir);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    static const struct {
        const char *name;
        int flags;
    } THERE[] = { { "tile/entries/000.p/2", 0 },
                  { "tile/entries/000.p", AT_REMOVEDIR },
                  { "tile/entries", AT_REMOVEDIR },
                  { "tile", AT_REMOVEDIR },
                  { "checkpoint", 0 } };
    struct ground *g = *state;

    world_close(g->world);
    for (size_t i = 0; i < sizeof THERE / sizeof *THERE; i++)
        assert_int_equal(unlinkat(g->dir, THERE[i].name, THERE[i].flags), 0);
    close(g->dir);
    assert_int_equal(rmdir(g->path), 0);
    free(g);
    return 0;
}

/* The recorder's word, once it was asked. */
static void record(struct world *world, enum rc rc)
{
    for (int i = 0; i < TURNS_MOST && world->reading_done == NULL; i++)
        world_turn(world);
    assert_non_null(world->reading_done);
    void (*done)(void *whom, enum rc rc) = TAKE(world->reading_done);
    done(world->reading_whom, rc);
}

static void ask(struct world *world, int fd, const char *line)
{
    AUTO_BUF(request, 512);

    buf_addf(&request, "%s HTTP/1.1\r\nHost: door\r\n\r\n", line);
    world_write(world, fd, buf_bytes(&request));
}

static void the_first_waits_for_its_record_the_others_are_counted(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    int fd = world_dial(world, AUDITOR, ALL_SERVICES);
    AUTO_REPLY(first);

    ask(world, fd, TILE);
    for (int i = 0; i < 20; i++)
        world_turn(world);
    uint8_t octet;
    assert_int_equal(recv(fd, &octet, 1, 0), -1); /* nothing yet */
    record(world, RC_OK);
    world_read(world, fd, false, &first);
    assert_int_equal(first.status, 200);
    assert_true(reply_has(&first, "application/octet-stream"));
    assert_true(reply_has(&first, "private, max-age=31536000, immutable"));
    assert_false(reply_has(&first, "no-store"));
    assert_int_equal(first.body_len, 10);
    assert_string_equal(world->reading_target, "log/tile/entries/000.p/2");
    assert_string_equal(world->reading_peer.id, "otto");
    assert_int_equal(world->readings, 1);
    for (int i = 0; i < 3; i++) {
        AUTO_REPLY(next);
        world_say(world, fd, i == 0 ? "GET /v1/audit/log/checkpoint" : TILE, "", BYTES(""),
                  &next);
        assert_int_equal(next.status, 200);
        assert_true(i > 0 || reply_has(&next, "no-store"));
    }
    assert_int_equal(world->readings, 1);
    struct broker_peer of_first = world->reading_peer;
    close(fd);
    for (int i = 0; i < TURNS_MOST && world->readings == 1; i++)
        world_turn(world);
    assert_int_equal(world->readings, 2);
    assert_int_equal(world->reading_count, 3);
    assert_string_equal(world->reading_target, "log/checkpoint");
    assert_memory_equal(world->reading_peer.correlation, of_first.correlation,
                        REGISTRY_CORRELATION);
}

/* The first is recorded, the second counted. */
static int read_twice(struct world *world)
{
    int fd = world_dial(world, AUDITOR, ALL_SERVICES);
    AUTO_REPLY(first);
    AUTO_REPLY(second);

    ask(world, fd, TILE);
    record(world, RC_OK);
    world_read(world, fd, false, &first);
    world_say(world, fd, TILE, "", BYTES(""), &second);
    return fd;
}

static void what_was_counted_goes_out_when_its_window_is_over(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    int fd = read_twice(world);

    assert_int_equal(world->readings, 1);
    world->shift_ms += 10001;
    for (int i = 0; i < TURNS_MOST && world->readings == 1; i++)
        world_turn(world);
    assert_int_equal(world->readings, 2);
    assert_int_equal(world->reading_count, 1);
    close(fd);
}

/* The authority is away when the connection ends: what was read is told when it is back. */
static void what_could_not_be_told_at_the_end_is_told_later(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    int fd = read_twice(world);

    world->takes_reading = RC_LIMIT;
    close(fd);
    for (int i = 0; i < 200; i++)
        world_turn(world);
    assert_true(world->readings > 1);
    world->takes_reading = RC_OK;
    unsigned before = world->readings;
    for (int i = 0; i < TURNS_MOST && world->readings == before; i++)
        world_turn(world);
    assert_int_equal(world->readings, before + 1);
    assert_int_equal(world->reading_count, 1);
    for (int i = 0; i < 100; i++)
        world_turn(world);
    assert_int_equal(world->readings, before + 1);
}

static void without_its_record_nothing_is_shown(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    int fd = world_dial(world, AUDITOR, ALL_SERVICES);
    AUTO_REPLY(full);
    AUTO_REPLY(refused);
    AUTO_REPLY(again);

    ask(world, fd, TILE);
    record(world, RC_LIMIT);
    world_read(world, fd, false, &full);
    assert_int_equal(full.status, 503);
    assert_false(reply_has(&full, "two leaves"));
    world->takes_reading = RC_NOMEM;
    world_say(world, fd, TILE, "", BYTES(""), &refused);
    assert_int_equal(refused.status, 503);
    world->takes_reading = RC_OK;
    ask(world, fd, TILE);
    record(world, RC_OK);
    world_read(world, fd, false, &again);
    assert_int_equal(again.status, 200);
    close(fd);
}

static void what_is_not_there_is_not_read(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    AUTO_REPLY(absent);
    AUTO_REPLY(garbage);

    world_ask(world, AUDITOR, "GET /v1/audit/log/tile/0/000", "", "", &absent);
    assert_int_equal(absent.status, 404);
    world_ask(world, AUDITOR, "GET /v1/audit/log/tile/0/000/..", "", "", &garbage);
    assert_int_equal(garbage.status, 400);
    assert_int_equal(world->readings, 0);
}

/* The client went away before its record was on disk. */
static void whoever_left_is_forgotten(void **state)
{
    struct world *world = ((struct ground *)*state)->world;
    int fd = world_dial(world, AUDITOR, ALL_SERVICES);

    ask(world, fd, TILE);
    for (int i = 0; i < TURNS_MOST && world->reading_done == NULL; i++)
        world_turn(world);
    close(fd);
    for (int i = 0; i < 20; i++)
        world_turn(world);
    record(world, RC_OK);
    for (int i = 0; i < 20; i++)
        world_turn(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_waits_for_its_record_the_others_are_counted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_counted_goes_out_when_its_window_is_over,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_told_at_the_end_is_told_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_its_record_nothing_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_left_is_forgotten, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
