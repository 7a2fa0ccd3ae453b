/* Erasures and holds: JSON in, audit's own form to the authority, JSON back. */
#include "tests/unit/api/world.h"

static const char BODY[] = "{\"kind\":\"device\",\"id\":\"dev-1\",\"reason\":\"case 4711\"}";

static int open_operators(void **state)
{
    *state = world_open(REGISTRY_OPERATOR_DOOR);
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

struct row {
    int who;
    const char *line, *body;
    unsigned status;
    const char *has; /* NULL: whatever */
};

static void check(struct world *world, const struct row *row)
{
    AUTO_REPLY(reply);

    world_ask(world, row->who, row->line, row->body[0] == '\0' ? "" : JSON, row->body, &reply);
    if (reply.status != row->status)
        fail_msg("%s %s: %u, wanted %u", row->line, row->body, reply.status, row->status);
    if (row->has != NULL && !reply_has(&reply, row->has))
        fail_msg("%s %s: no \"%s\"", row->line, row->body, row->has);
}

static void an_erasure_travels_in_audits_own_form(void **state)
{
    struct world *world = *state;
    static const char WHERE[] = "POST /v1/audit/erasures";
    const struct row good = { ADMIN, WHERE, BODY, 202, "{\"index\":77}" };
    const struct row others[] = {
        { AUDITOR, WHERE, BODY, 403, NULL },
        { ADMIN, WHERE, "{\"kind\":\"device\",\"id\":\"dev-1\"}", 400, "reason: missing" },
        { ADMIN, WHERE, "{\"kind\":\"device\",\"reason\":\"x\"}", 400, "id: missing" },
        { ADMIN, WHERE, "{\"kind\":\"process\",\"id\":\"x\",\"reason\":\"x\"}", 400, "kind: " },
        { ADMIN, WHERE, "{\"kind\":\"device\",\"id\":\"x\",\"reason\":\"a\\nb\"}", 400,
          "reason: a control character" },
    };

    world->answer.sequence = 77;
    check(world, &good);
    assert_true(bytes_equal(world->question.query, BYTES("\1\0\5dev-1\0\11case 4711")));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(world, &others[i]);
}

static void a_hold_travels_in_audits_own_form(void **state)
{
    struct world *world = *state;
    static const char WHERE[] = "POST /v1/audit/holds";
    const struct row good = { ADMIN, WHERE, BODY, 201, "{\"number\":77}" };
    const struct row others[] = {
        { ADMIN, WHERE, "{\"reason\":\"all of it\"}", 201, NULL },
        { AUDITOR, WHERE, BODY, 403, NULL },
        { ADMIN, WHERE, "{\"reason\":\"x\",\"kind\":\"device\"}", 400, "hold: " },
        { ADMIN, WHERE, "{\"reason\":\"x\",\"id\":\"dev-1\"}", 400, "hold: " },
        { ADMIN, WHERE,
          "{\"reason\":\"x\",\"since\":\"2026-01-02T00:00:00Z\","
          "\"until\":\"2026-01-01T00:00:00Z\"}",
          400, "hold: " },
    };
    struct audit_hold hold;

    world->answer.sequence = 77;
    check(world, &good);
    struct reader r = READER(world->question.query);
    assert_int_equal(reader_u8(&r), AUDIT_HOLD_ADD);
    assert_int_equal(audit_hold_read(&r, &hold), RC_OK);
    assert_true(reader_done(&r));
    assert_int_equal(hold.kind, AUDIT_DEVICE);
    assert_true(bytes_equal_text(hold.id, "dev-1"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(world, &others[i]);
}

static void a_hold_is_removed_by_its_number(void **state)
{
    struct world *world = *state;
    static const char WHY[] = "{\"reason\":\"over\"}";
    const struct row good = { ADMIN, "POST /v1/audit/holds/9/release", WHY, 200,
                              "{\"number\":9}" };
    const struct row others[] = {
        { AUDITOR, "POST /v1/audit/holds/9/release", WHY, 403, NULL },
        { ADMIN, "POST /v1/audit/holds/x/release", WHY, 404, NULL },
        { ADMIN, "POST /v1/audit/holds/9/release", "{\"reason\":\"\"}", 400, "reason: " },
    };

    world->answer.sequence = 9;
    check(world, &good);
    assert_true(bytes_equal(world->question.query, BYTES("\2\0\0\0\0\0\0\0\11\0\4over")));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(world, &others[i]);
}

static void lists_are_read_strictly(void **state)
{
    struct world *world = *state;
    const struct {
        struct bytes answer;
        struct row row;
    } rows[] = {
        { BYTES("\0\0"), { AUDITOR, "GET /v1/audit/holds", "", 200, "{\"holds\":[]}" } },
        { BYTES("\0\0"), { AUDITOR, "GET /v1/audit/erasures", "", 200, "{\"erasures\":[]}" } },
        { BYTES("\0\1x"), { AUDITOR, "GET /v1/audit/holds", "", 500, NULL } },
        { BYTES("\0\0\1x"), { AUDITOR, "GET /v1/audit/erasures", "", 500, NULL } },
        { BYTES("\0"), { AUDITOR, "GET /v1/audit/holds", "", 500, NULL } },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world->answer.query = rows[i].answer;
        check(world, &rows[i].row);
    }
}

#define IN_A_WORLD(f) cmocka_unit_test_setup_teardown(f, open_operators, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(an_erasure_travels_in_audits_own_form),
        IN_A_WORLD(a_hold_travels_in_audits_own_form),
        IN_A_WORLD(a_hold_is_removed_by_its_number),
        IN_A_WORLD(lists_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
