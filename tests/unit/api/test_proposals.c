/* Four eyes over HTTP: what waits is 202 and says what it is, and many devices are one request.
 */
#include "tests/unit/api/world.h"

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

static void expect(struct world *world, int who, const char *line, const char *body,
                   unsigned status, const char *has)
{
    AUTO_REPLY(reply);

    world_ask(world, who, line, body[0] != '\0' ? JSON : "", body, &reply);
    if (reply.status != status || (has != NULL && !reply_has(&reply, has)))
        fail_msg("%s: %u %.*s", line, reply.status, (int)reply.body_len, reply.body);
}

static struct registry_proposal open_one(enum registry_act act)
{
    return (struct registry_proposal){
        .number = 7, .act = act, .state = REGISTRY_PROPOSAL_OPEN, .author = "ada"
    };
}

static void what_waits_is_told_as_a_proposal_and_not_as_done(void **state)
{
    struct world *world = *state;

    world->answer.accepted = true;
    world->answer.proposal = open_one(REGISTRY_ACT_POLICY);
    expect(world, ADMIN, "POST /v1/policies",
           "{\"text\":\"x\",\"replaces\":2,\"why\":\"it is time\"}", 202,
           "{\"proposal\":{\"number\":7,\"act\":\"policy\",\"state\":\"open\"");
    assert_string_equal(world->question.why, "it is time");
    world->answer.proposal = open_one(REGISTRY_ACT_REVOCATION);
    expect(world, ADMIN, "POST /v1/devices/revoke?wait=1", "{\"devices\":[\"dev-1\"]}", 202,
           "\"act\":\"revocation\"");
    assert_int_equal(world->asked, REGISTRY_ASK_DEVICE_REVOKE_MANY);
}

static void a_revocation_of_many_tells_of_each(void **state)
{
    static const char BODY[] =
        "{\"devices\":[\"dev-1\",\"dev-2\",\"no\"],\"reason\":\"keyCompromise\"}";
    struct world *world = *state;

    world->answer = (struct registry_answer){
        .list = BYTES("\1\2\3"), .counts = { 1, 1, 1 }, .sequence = 9, .applied = true
    };
    expect(world, ADMIN, "POST /v1/devices/revoke?wait=1", BODY, 200,
           "{\"devices\":[{\"device\":\"dev-1\",\"outcome\":\"revoked\"},"
           "{\"device\":\"dev-2\",\"outcome\":\"was-revoked\"},"
           "{\"device\":\"no\",\"outcome\":\"unknown\"}],\"revoked\":1,\"were_revoked\":1,"
           "\"unknown\":1,\"sequence\":9,\"applied\":true}");
    assert_int_equal(world->asked, REGISTRY_ASK_APPLIED);
    expect(world, ADMIN, "POST /v1/devices/revoke", BODY, 200, "\"applied\":false}");
    assert_int_equal(world->question.reason, 1);
    assert_true(bytes_equal(world->question.ids, BYTES("\5dev-1\5dev-2\2no")));
    world->answer.list = BYTES("\1\2");
    expect(world, ADMIN, "POST /v1/devices/revoke", BODY, 500, NULL);
    world->answer.list = BYTES("\1\2\3\1");
    expect(world, ADMIN, "POST /v1/devices/revoke", BODY, 500, NULL);
    world->answer.list = BYTES("\1\2\4");
    expect(world, ADMIN, "POST /v1/devices/revoke", BODY, 500, NULL);
}

/* Of so many of the longest ids. */
static void so_many(struct buf *body, int count)
{
    buf_addf(body, "{\"devices\":[");
    for (int i = 0; i < count; i++)
        buf_addf(body, "%s\"%064d\"", i == 0 ? "" : ",", i);
    buf_addf(body, "]}");
}

static void so_many_devices_are_a_request_and_no_more(void **state)
{
    struct world *world = *state;
    const char *text = NULL;
    size_t count = 0;

    world->says = RC_DENIED;
    world->reason = "no";
    for (int over = 0; over < 2; over++) {
        AUTO_BUF(body, HTTP_MAX);
        so_many(&body, REGISTRY_IDS_MAX + over);
        assert_int_equal(buf_text(&body, &text), RC_OK);
        expect(world, ADMIN, "POST /v1/devices/revoke", text, over == 0 ? 403 : 400,
               over == 0 ? NULL : "\"detail\":\"devices: at most 500 ids in a request\"");
        if (over == 0) {
            assert_int_equal(registry_ids_count(world->question.ids, &count), RC_OK);
            assert_int_equal(count, REGISTRY_IDS_MAX);
        }
    }
    assert_int_equal(world->asks, 1);
    expect(world, ADMIN, "POST /v1/devices/revoke", "{\"devices\":[\"a/b\"]}", 400,
           "devices: an id is letters");
    expect(world, ADMIN, "POST /v1/devices/revoke", "{\"devices\":\"dev-1\"}", 400,
           "a list of strings");
    expect(world, ADMIN, "POST /v1/devices/revoke", "{}", 400, "devices: missing");
    assert_int_equal(world->asks, 1);
}

static void a_proposal_shows_exactly_what_it_would_do(void **state)
{
    struct world *world = *state;
    const struct registry_question content = { .ids = BYTES("\5dev-1\5dev-2"), .reason = 1 };
    AUTO_BUF(form, LINK_BODY_MAX);

    assert_int_equal(
        registry_question_write_body(REGISTRY_ASK_DEVICE_REVOKE_MANY, &content, &form), RC_OK);
    world->answer.proposal = open_one(REGISTRY_ACT_REVOCATION);
    world->answer.query = buf_bytes(&form);
    expect(world, AUDITOR, "GET /v1/proposals/7", "", 200,
           "\"text\":null,\"devices\":[\"dev-1\",\"dev-2\"],\"reason\":\"keyCompromise\","
           "\"subject\":null,\"hold\":null}");
    assert_int_equal(world->question.number, 7);
    world->answer.query.len--;
    expect(world, AUDITOR, "GET /v1/proposals/7", "", 500, NULL);
    expect(world, AUDITOR, "GET /v1/proposals/seven", "", 404, NULL);
}

static void an_erasure_and_a_release_are_told_in_their_words(void **state)
{
    struct world *world = *state;
    const struct registry_question erasure = { .query = BYTES("\1\0\5dev-1\0\6ticket") };
    const struct registry_question release = { .query = BYTES("\2\0\0\0\0\0\0\0\3\0\4over") };
    AUTO_BUF(form, LINK_BODY_MAX);

    assert_int_equal(registry_question_write_body(REGISTRY_ASK_AUDIT_ERASE, &erasure, &form),
                     RC_OK);
    world->answer.proposal = open_one(REGISTRY_ACT_ERASURE);
    world->answer.query = buf_bytes(&form);
    expect(world, AUDITOR, "GET /v1/proposals/7", "", 200,
           "\"reason\":\"ticket\",\"subject\":\"device dev-1\",\"hold\":null}");
    world->answer.proposal = open_one(REGISTRY_ACT_RELEASE);
    expect(world, AUDITOR, "GET /v1/proposals/7", "", 500, NULL);
    buf_reset(&form);
    assert_int_equal(registry_question_write_body(REGISTRY_ASK_AUDIT_HOLD, &release, &form),
                     RC_OK);
    world->answer.query = buf_bytes(&form);
    expect(world, AUDITOR, "GET /v1/proposals/7", "", 200,
           "\"reason\":\"over\",\"subject\":null,\"hold\":3}");
    expect(world, ADMIN, "POST /v1/audit/holds/3/release", "{\"reason\":\"over\"}", 202,
           "{\"proposal\":{\"number\":7,\"act\":\"release\"");
    world->answer.proposal = open_one(REGISTRY_ACT_ERASURE);
    expect(world, ADMIN, "POST /v1/audit/erasures",
           "{\"kind\":\"device\",\"id\":\"dev-1\",\"reason\":\"ticket\"}", 202,
           "{\"proposal\":{\"number\":7,\"act\":\"erasure\"");
}

static void it_is_decided_by_its_number_and_with_a_reason(void **state)
{
    struct world *world = *state;

    world->answer.proposal = open_one(REGISTRY_ACT_POLICY);
    world->answer.proposal.state = REGISTRY_PROPOSAL_APPROVED;
    world->answer.policy.version = 5;
    world->answer.sequence = 11;
    expect(world, ADMIN, "POST /v1/proposals/7/approve", "{\"why\":\"I looked\"}", 200,
           "\"policy_version\":5,\"revoked\":0,\"were_revoked\":0,\"sequence\":11,"
           "\"applied\":false}");
    assert_int_equal(world->asked, REGISTRY_ASK_PROPOSAL_APPROVE);
    assert_int_equal(world->question.number, 7);
    assert_string_equal(world->question.why, "I looked");
    expect(world, ADMIN, "POST /v1/proposals/8/reject", "", 200, "{\"proposal\":{\"number\":7");
    assert_int_equal(world->asked, REGISTRY_ASK_PROPOSAL_REJECT);
    assert_int_equal(world->question.number, 8);
    expect(world, AUDITOR, "POST /v1/proposals/7/approve", "{\"why\":\"I looked\"}", 403, NULL);
    expect(world, ADMIN, "POST /v1/proposals/7/approve", "", 400, "why");
    expect(world, ADMIN, "POST /v1/proposals/7/approve", "{\"why\":\"  \"}", 400, "why");
    expect(world, LINE, "GET /v1/proposals", "", 403, NULL);
    world->says = RC_EXISTS;
    world->reason = "proposal 7 is stale";
    expect(world, ADMIN, "POST /v1/proposals/7/approve", "{\"why\":\"I looked\"}", 409,
           "\"detail\":\"proposal 7 is stale\"");
}

/* ---- Roles ---- */

static bool changes(const struct api_route *route)
{
    return strcmp(route->method, "GET") != 0;
}

/* An auditor has no route that changes anything, but the renewal of his own certificate; a line
 * none but what it is there for. */
static void only_administrators_change_anything(void **state)
{
    size_t count = 0, changing = 0;
    const struct api_route *routes = api_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool own = routes[i].right == REGISTRY_RIGHT_RENEW;
        bool issuing = routes[i].right == REGISTRY_RIGHT_ENROL;
        if (!changes(&routes[i]))
            continue;
        changing++;
        assert_int_not_equal(routes[i].right, REGISTRY_RIGHT_NONE);
        assert_int_equal(
            registry_right_held(routes[i].right, REGISTRY_OPERATOR, REGISTRY_AUDITOR), own);
        assert_int_equal(
            registry_right_held(routes[i].right, REGISTRY_LINE, REGISTRY_ROLE_NONE),
            own || issuing);
        assert_int_equal(
            registry_right_held(routes[i].right, REGISTRY_DEVICE, REGISTRY_ROLE_NONE), own);
    }
    assert_true(changing > 15);
}

/* There is no way to delete or to write anything in place. Of the log there is reading; and
 * erasing and holds, whose traces are never erased (docs/audit-retention.md). */
static void no_route_takes_anything_out_of_the_log_without_a_trace(void **state)
{
    size_t count = 0, of_the_log = 0;
    const struct api_route *routes = api_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool log = strncmp(routes[i].path, "/v1/audit", 9) == 0 ||
                   routes[i].right == REGISTRY_RIGHT_AUDIT_READ ||
                   routes[i].right == REGISTRY_RIGHT_AUDIT_WRITE;
        if (strcmp(routes[i].method, "GET") != 0 && strcmp(routes[i].method, "POST") != 0)
            fail_msg("%s %s", routes[i].method, routes[i].path);
        if (!log)
            continue;
        of_the_log++;
        assert_true(routes[i].ask == 0 || registry_right_of(routes[i].ask) == routes[i].right);
        if (!changes(&routes[i])) {
            assert_int_equal(routes[i].right, REGISTRY_RIGHT_AUDIT_READ);
            continue;
        }
        assert_int_equal(routes[i].right, REGISTRY_RIGHT_AUDIT_WRITE);
        assert_true(routes[i].ask == REGISTRY_ASK_AUDIT_ERASE ||
                    routes[i].ask == REGISTRY_ASK_AUDIT_HOLD);
    }
    assert_true(of_the_log > 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_operators, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_told_as_a_proposal_and_not_as_done),
        TEST(a_revocation_of_many_tells_of_each),
        TEST(so_many_devices_are_a_request_and_no_more),
        TEST(a_proposal_shows_exactly_what_it_would_do),
        TEST(an_erasure_and_a_release_are_told_in_their_words),
        TEST(it_is_decided_by_its_number_and_with_a_reason),
        cmocka_unit_test(only_administrators_change_anything),
        cmocka_unit_test(no_route_takes_anything_out_of_the_log_without_a_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
