/* The audit log's queries: from a URL into audit's own form, and what is no query. */
#include "tests/unit/api/world.h"

static int set_up(void **state)
{
    *state = world_open(REGISTRY_OPERATOR_DOOR);
    return 0;
}

static int tear_down(void **state)
{
    world_close(*state);
    return 0;
}

static void audit_queries_travel_in_audits_own_form(void **state)
{
    struct world *world = *state;
    struct audit_query query;
    AUTO_BUF(page, 4096);

    audit_page_write_head(&page, 5, true);
    world->answer.query = buf_bytes(&page);
    world_expect(world, AUDITOR,
                 "GET /v1/audit?limit=3&before=9&device=dev-1&action=device.add&decision=denied"
                 "&since=2026-01-01T00:00:00Z&peer=192.0.2.1&rule=4&correlation="
                 "000102030405060708090a0b0c0d0e0f",
                 "", "", 200, "{\"records\":[],\"next\":5}");
    assert_int_equal(audit_query_read(world->question.query, &query), RC_OK);
    assert_int_equal(query.most, 3);
    assert_int_equal(query.before, 9);
    assert_true(bytes_equal_text(query.device, "dev-1"));
    assert_true(audit_action_set_has(&query.actions, AUDIT_DEVICE_ADD));
    assert_int_equal(query.decisions, 1u << AUDIT_DENIED);
    assert_int_equal(query.since_ms, (int64_t)SOFT_NOW * 1000);
    assert_int_equal(query.rule, 4);
    assert_int_equal(query.correlation.at[15], 15);
}

/* Each form of a value, and what is said of one that is none. */
static void audit_queries_say_what_they_cannot_be(void **state)
{
    static const struct {
        const char *query, *says; /* NULL: it passes */
    } ROWS[] = {
        { "action=nothing", "action: \\\"nothing\\\": no action" },
        { "action=publish,,will", "action: \\\"\\\": no action" },
        { "action=nosuch.*", "action: \\\"nosuch.*\\\": no family" },
        { "action=publish,certificate.*", NULL },
        { "decision=maybe", "decision: one of allowed, denied and failed" },
        { "decision=denied,failed", NULL },
        { "decision=denied,", "decision: " },
        { "source=signer,device-door", NULL },
        { "source=somebody", "source: one of authority, device-door" },
        { "kind=nobody", NULL },
        { "kind=robot", "kind: one of nobody" },
        { "rule=none", NULL },
        { "rule=0", "rule: the number of a rule" },
        { "rule=4294967295", "rule: " },
        { "policy=3", NULL },
        { "serial=0f3a9c", NULL },
        { "serial=0f3", "serial: " },
        { "serial=000102030405060708090a0b0c0d0e0f1011121314", "serial: " },
        { "key=00", "key: " },
        { "topic=plant/%2B/temp", NULL },
        { "topic=plant/%23/temp", "topic: [MQTT-4.7.1-1]" },
        { "topic=plant/a%2B", "topic: [MQTT-4.7.1-2]" },
        { "peer=192.0.2.0/24", NULL },
        { "peer=2001:db8::/32", NULL },
        { "peer=192.0.2.1/24", "peer: the address has bits behind its first 24" },
        { "peer=192.0.2.0/33", "peer: a prefix has 0 to 32 bits here" },
        { "peer=192.0.2", "peer: an address, 192.0.2.1" },
        { "since=yesterday", "since: " },
        { "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until lies before since" },
        { "correlation=00000000000000000000000000000000", "zeros" },
    };
    struct world *world = *state;
    AUTO_BUF(page, 4096);

    audit_page_write_head(&page, 0, false);
    world->answer.query = buf_bytes(&page);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        static const char *const PATHS[] = { "/v1/audit", "/v1/audit/follow" };
        for (size_t k = 0; k < 2; k++) {
            AUTO_BUF(line, 512);
            const char *text = NULL;
            buf_addf(&line, "GET %s?%s", PATHS[k], ROWS[i].query);
            assert_int_equal(buf_text(&line, &text), RC_OK);
            world_expect(world, AUDITOR, text, "", "", ROWS[i].says == NULL ? 200 : 400,
                         ROWS[i].says == NULL ? "\"records\":[]" : ROWS[i].says);
        }
    }
}

static void following_from_the_first_record_is_not_following_from_now(void **state)
{
    static const struct {
        const char *line;
        uint64_t from;
    } ROWS[] = { { "GET /v1/audit/follow", UINT64_MAX },
                 { "GET /v1/audit/follow?from=0", 0 },
                 { "GET /v1/audit/follow?from=17", 17 } };
    struct world *world = *state;
    AUTO_BUF(page, 4096);

    audit_page_write_head(&page, 0, false);
    world->answer.query = buf_bytes(&page);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        world_expect(world, AUDITOR, ROWS[i].line, "", "", 200, NULL);
        struct reader r = READER(world->question.query);
        assert_int_equal(reader_u64(&r), ROWS[i].from);
    }
    world_expect(world, AUDITOR, "GET /v1/audit/follow?from=9223372036854775807", "", "", 400,
                 "from: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(audit_queries_travel_in_audits_own_form, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(audit_queries_say_what_they_cannot_be, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            following_from_the_first_record_is_not_following_from_now, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
