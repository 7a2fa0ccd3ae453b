#include "tests/unit/api/world.h"

#include <jansson.h>

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

/* ---- Conventions ---- */

static void health_is_anybodys(void **state)
{
    world_expect(*state, STRANGER, "GET /v1/health", "", "", 200, "{\"status\":\"ok\"}");
    world_hang_up(*state);
    world_turn(*state);
    world_expect(*state, STRANGER, "GET /v1/health", "", "", 503,
                 "{\"status\":\"no-authority\"}");
}

static void every_answer_has_its_headers(void **state)
{
    static const char *const LINES[] = { "GET /v1/health", "GET /v1/nothing", "PUT /v1/devices",
                                         "GET /v1/devices", "GET /ca/chain.pem" };

    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        world_expect(*state, STRANGER, LINES[i], "", "",
                     0 + (i == 0 || i == 4 ? 200u
                          : i == 1         ? 404u
                          : i == 2         ? 405u
                                           : 401u),
                     "X-Request-Id: ");
        AUTO_REPLY(reply);
        world_ask(*state, STRANGER, LINES[i], "", "", &reply);
        assert_true(reply_has(&reply, "Cache-Control: no-store\r\n"));
        assert_true(reply_has(&reply, "X-Content-Type-Options: nosniff\r\n"));
    }
}

static void a_path_says_which_methods_it_has(void **state)
{
    world_expect(*state, ADMIN, "PUT /v1/devices", "", "", 405, "Allow: GET, HEAD, POST\r\n");
    world_expect(*state, ADMIN, "DELETE /v1/devices/x/revoke", "", "", 405, "Allow: POST\r\n");
    world_expect(*state, ADMIN, "HEAD /v1/health", "", "", 200, "Content-Length: 16\r\n");
}

static void nonsense_paths_are_not_found(void **state)
{
    static const char *const PATHS[] = {
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v1/devices/",
        "/v1//devices",
        "/v1/devices/../devices",
        "/v1/devices/..",
        "/v1/devices/%2e%2e",
        "/v1/devices/..%2f..%2fetc%2fpasswd",
        "/v1/devices/a%00",
        "/v1/devices/a%2",
        "/v1/devices/a%zz",
        "/v1/devices/a/b",
        "/v1/devices/-x",
        "/v1/devices/%ff",
        "/V1/health",
        "/v1/health/",
        "/v1/health;x",
        "/v1/certificates/aa/revoke",
        "/.well-known/est/label/cacerts",
        "/crl/.crl",
        "/crl/..crl",
        "/crl/a/b.crl",
        "/crl/unknown.crl",
        "/ca/unknown.crt",
        "http://door/v1/health",
        "*",
    };

    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        AUTO_REPLY(reply);
        AUTO_BUF(line, 256);
        const char *text = NULL;
        buf_addf(&line, "GET %s", PATHS[i]);
        assert_int_equal(buf_text(&line, &text), RC_OK);
        world_ask(*state, ADMIN, text, "", "", &reply);
        if (reply.status != 404 && reply.status != 405)
            fail_msg("%s: %u", text, reply.status);
    }
    assert_int_equal(((struct world *)*state)->asks, 0);
}

static void queries_are_strict(void **state)
{
    static const char *const QUERIES[] = {
        "x=1",       "limit=0",      "limit=501", "limit=1&limit=2", "limit=-1",
        "limit=",    "limit",        "limit=1;x", "state=gone",      "cursor=zz",
        "cursor=",   "group=a%2fb",  "group=%",   "group=%0",        "&",
        "limit=1&&", "limit=%31%00", "Limit=1",   "limit=01",        "state=%ff",
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) {
        AUTO_REPLY(reply);
        AUTO_BUF(line, 256);
        const char *text = NULL;
        buf_addf(&line, "GET /v1/devices?%s", QUERIES[i]);
        assert_int_equal(buf_text(&line, &text), RC_OK);
        world_ask(world, ADMIN, text, "", "", &reply);
        if (reply.status != 400 || !reply_has(&reply, "\"detail\":"))
            fail_msg("%s: %u %s", text, reply.status, reply.body);
    }
    assert_int_equal(world->asks, 0);
    world_expect(world, ADMIN, "GET /v1/devices?limit=7&state=active&group=a%2Db&cursor=00fF",
                 "", "", 200, "{\"devices\":[],\"next\":null}");
    assert_int_equal(world->question.most, 7);
    assert_int_equal(world->question.state, REGISTRY_ACTIVE);
    assert_string_equal(world->question.group, "a-b");
    assert_true(bytes_equal(world->question.cursor, BYTES("\x00\xff")));
}

static void bodies_are_strict(void **state)
{
    static const struct {
        const char *body, *says;
    } ROWS[] = {
        { "{\"id\":\"a\",\"more\":1}", "\\\"more\\\" is unknown" },
        { "{\"label\":\"a\"}", "id: missing" },
        { "{\"id\":1}", "id: must be a string" },
        { "{\"id\":null}", "id: must be a string" },
        { "{\"id\":\"a\",\"groups\":\"x\"}", "groups: must be a list" },
        { "{\"id\":\"a\",\"groups\":[1]}", "groups: must be a list" },
        { "{\"id\":\"a\",\"groups\":[\"x\",\"x\"]}", "groups: " },
        { "{\"id\":\"a\",\"id\":\"b\"}", "JSON, line 1" },
        { "{\"id\":\"a/b\"}", "id: " },
        { "{\"id\":\"\"}", "id: " },
        { "{\"id\":\"a\\u0000b\"}", "JSON, line 1" },
        { "{\"id\":\"a\"}x", "JSON, line 1" },
        { "[\"id\"]", "must be an object" },
        { "\"id\"", "JSON, line 1" },
        { "{", "JSON, line 1" },
        { "\xff", "JSON, line 1" },
        { "{\"id\":\"a\",\"label\":\"\\u00e4\"}", "label: " },
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        world_expect(world, ADMIN, "POST /v1/devices", JSON, ROWS[i].body, 400, ROWS[i].says);
    world_expect(world, ADMIN, "POST /v1/devices", "", "", 400, "id: missing");
    assert_int_equal(world->asks, 0);
}

static void a_stranger_is_told_nothing(void **state)
{
    struct world *world = *state;
    AUTO_REPLY(reply);

    world_ask(world, STRANGER, "POST /v1/devices", JSON, "{\"id\":1}", &reply);
    assert_int_equal(reply.status, 401);
    assert_true(reply_has(&reply, "WWW-Authenticate: "));
    assert_true(reply_has(&reply, "{\"error\":{\"code\":\"denied\",\"request\":\""));
    assert_false(reply_has(&reply, "detail"));
    assert_int_equal(world->refusals, 1);
    assert_int_equal(world->refused_status, 401);
    assert_string_equal(world->refused_target, "POST /v1/devices");
    assert_non_null(strstr(world->refused_reason, "device.write: not a right of a stranger"));
}

static void content_types_are_checked(void **state)
{
    struct world *world = *state;

    world_expect(world, ADMIN, "POST /v1/devices", "", "{\"id\":\"a\"}", 415, "malformed");
    world_expect(world, ADMIN, "POST /v1/devices", "Content-Type: text/plain\r\n", "{}", 415,
                 NULL);
    world_expect(world, ADMIN, "POST /v1/devices", "Content-Type: application/jsonx\r\n", "{}",
                 415, NULL);
    world_expect(world, ADMIN, "POST /v1/devices",
                 "Content-Type: application/json; charset=latin1\r\n", "{}", 415, NULL);
    world_expect(world, ADMIN, "POST /v1/devices",
                 "Content-Type: Application/JSON; charset=UTF-8\r\n", "{\"id\":\"a\"}", 201,
                 NULL);
}

static void a_browser_is_refused(void **state)
{
    world_expect(*state, ADMIN, "GET /v1/devices", "Origin: https://evil.example\r\n", "", 403,
                 "denied");
}

/* ---- What is asked, and what comes back ---- */

static void a_device_is_added(void **state)
{
    struct world *world = *state;

    world->answer.subject = world_subject(REGISTRY_DEVICE, "dev-9", REGISTRY_ROLE_NONE);
    world->answer.sequence = 77;
    world_expect(
        world, ADMIN, "POST /v1/devices", JSON,
        "{\"id\":\"dev-9\",\"label\":\"pump\",\"groups\":[\"a\",\"b\"]}", 201,
        "{\"device\":{\"id\":\"dev-9\",\"kind\":\"device\",\"state\":\"active\",\"label\":\"\","
        "\"groups\":[\"pumps\"],\"created\":\"2026-01-01T00:00:00.000Z\"");
    assert_int_equal(world->asked, REGISTRY_ASK_DEVICE_ADD);
    assert_string_equal(world->question.id, "dev-9");
    assert_string_equal(world->question.label, "pump");
    assert_int_equal(world->question.groups.count, 2);
    assert_true(world->question.preamble.actor.known);
    assert_int_equal(world->question.preamble.actor.fingerprint.at[5], ADMIN);
    assert_string_equal(world->question.preamble.peer, "192.0.2.1:55000");
    assert_string_equal(world->question.preamble.tls, "TLSv1.3 TEST");
}

static void a_change_waits_for_the_doors(void **state)
{
    struct world *world = *state;

    world->answer.sequence = 9;
    world_expect(world, ADMIN, "POST /v1/devices/dev-1/revoke", JSON,
                 "{\"reason\":\"keyCompromise\"}", 200, "{\"sequence\":9,\"applied\":false}");
    assert_int_equal(world->asked, REGISTRY_ASK_DEVICE_STATE);
    assert_int_equal(world->question.state, REGISTRY_REVOKED);
    assert_int_equal(world->question.reason, 1);
    world->answer.applied = true;
    world_expect(world, ADMIN, "POST /v1/devices/dev-1/suspend?wait=1", "", "", 200,
                 "{\"sequence\":9,\"applied\":true}");
    assert_int_equal(world->asked, REGISTRY_ASK_APPLIED);
    assert_int_equal(world->question.sequence, 9);
}

static void holders_are_revoked_by_their_kind(void **state)
{
    struct world *world = *state;

    world_expect(world, ADMIN, "POST /v1/lines/line-1/revoke", "", "", 200, NULL);
    assert_int_equal(world->question.kind, REGISTRY_LINE);
    world_expect(world, ADMIN, "POST /v1/operators/otto/revoke", "", "", 200, NULL);
    assert_int_equal(world->question.kind, REGISTRY_OPERATOR);
    assert_string_equal(world->question.id, "otto");
}

static void the_authoritys_no_has_its_status(void **state)
{
    static const struct {
        enum rc says;
        unsigned status;
        const char *has;
    } ROWS[] = {
        { RC_MALFORMED, 400, "\"detail\":\"because\"" },
        { RC_DENIED, 403, "\"code\":\"denied\"" },
        { RC_NOT_FOUND, 404, "\"detail\":\"because\"" },
        { RC_EXISTS, 409, "\"code\":\"exists\"" },
        { RC_LIMIT, 429, "\"code\":\"limit\"" },
        { RC_BUSY, 503, "Retry-After: 2" },
        { RC_CORRUPT, 500, "\"code\":\"internal\"" },
    };
    struct world *world = *state;

    world->reason = "because";
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        world->says = ROWS[i].says;
        world_expect(world, ADMIN, "GET /v1/devices/dev-1", "", "", ROWS[i].status,
                     ROWS[i].has);
    }
    world->says = RC_DENIED;
    AUTO_REPLY(reply);
    world_ask(world, ADMIN, "GET /v1/devices/dev-1", "", "", &reply);
    assert_false(reply_has(&reply, "because"));
}

static void without_an_authority_it_is_busy(void **state)
{
    struct world *world = *state;

    world_hang_up(world);
    world_turn(world);
    world_expect(world, ADMIN, "GET /v1/devices/dev-1", "", "", 503, "Retry-After: ");
    world_expect(world, ADMIN, "GET /metrics", "", "", 200, "touchmark_authority_up 0");
    world_expect(world, STRANGER, "GET /metrics", "", "", 401, NULL);
    world_expect(world, STRANGER, "GET /crl/devices.crl", "", "", 200, "application/pkix-crl");
}

static void a_policy_needs_a_reason(void **state)
{
    static const char *const WITHOUT[] = {
        "{\"text\":\"x\",\"replaces\":1}",
        "{\"text\":\"x\",\"replaces\":1,\"why\":\"\"}",
        "{\"text\":\"x\",\"replaces\":1,\"why\":\"   \"}",
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof WITHOUT / sizeof *WITHOUT; i++) {
        world_expect(world, ADMIN, "POST /v1/policies", JSON, WITHOUT[i], 400, "why");
        world_expect(world, ADMIN, "POST /v1/policies/propose", JSON, WITHOUT[i], 400, "why");
    }
}

static void policies_tell_their_errors(void **state)
{
    struct world *world = *state;

    world->answer.text = BYTES("line 1 column 2: no\nline 3 column 4: no\n");
    world_expect(world, ADMIN, "POST /v1/policies", JSON,
                 "{\"text\":\"x\",\"replaces\":1,\"why\":\"to see\"}", 422,
                 "\"errors\":[\"line 1 column 2: no\",\"line 3 column 4: no\"]");
    assert_int_equal(world->question.version, 1);
    assert_false(world->question.only_check);
    world_expect(world, ADMIN, "POST /v1/policies/check", JSON, "{\"text\":\"x\"}", 200,
                 "{\"accepted\":false,\"errors\":[");
    assert_true(world->question.only_check);
    world->answer = (struct registry_answer){ .accepted = true, .policy.version = 2 };
    world_expect(world, ADMIN, "POST /v1/policies", JSON,
                 "{\"text\":\"x\",\"replaces\":1,\"why\":\"to see\"}", 201, "{\"version\":2,");
    world_expect(world, ADMIN, "GET /v1/policies/active", "", "", 200, NULL);
    assert_int_equal(world->question.version, 0);
    world_expect(world, ADMIN, "GET /v1/policies/0", "", "", 404, NULL);
    world_expect(world, ADMIN, "GET /v1/policies/12", "", "", 200, NULL);
    assert_int_equal(world->question.version, 12);
}

static void proofs_are_lists_of_hashes(void **state)
{
    struct world *world = *state;
    uint8_t nodes[64] = { 0 };

    world->answer.query = BYTES_OF(nodes);
    world_expect(world, AUDITOR, "GET /v1/audit/proofs/inclusion?index=1&size=3", "", "", 200,
                 "{\"nodes\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"AAAA");
    assert_int_equal(world->question.query.len, 17);
    assert_int_equal(world->question.query.at[0], 1);
    world_expect(world, AUDITOR, "GET /v1/audit/proofs/consistency?old=1&new=3", "", "", 200,
                 NULL);
    assert_int_equal(world->question.query.at[0], 2);
    world_expect(world, AUDITOR, "GET /v1/audit/proofs/consistency?old=1", "", "", 400,
                 "new: missing");
    world->answer.query = BYTES("\0\0\0\0\0\0\0\7note\n");
    world_expect(world, AUDITOR, "GET /v1/audit/checkpoint", "", "", 200, "\r\n\r\nnote\n");
}

static void entries_and_copies_are_asked_for(void **state)
{
    struct world *world = *state;

    world->answer.query = BYTES("entries");
    world->answer.text = BYTES("registry-20260101");
    world_expect(world, AUDITOR, "GET /v1/audit/entries?from=7", "", "", 200,
                 "\r\n\r\nentries");
    assert_true(bytes_equal(world->question.query, BYTES("\0\0\0\0\0\0\0\7")));
    world_expect(world, AUDITOR, "GET /v1/audit/entries", "", "", 400, "from: missing");
    world_expect(world, ADMIN, "POST /v1/backups", "", "", 201,
                 "{\"name\":\"registry-20260101\"}");
    world_expect(world, AUDITOR, "POST /v1/backups", "", "", 403, NULL);
}

static void an_answer_that_is_broken_is_not_the_askers_fault(void **state)
{
    struct world *world = *state;

    world->answer.list = BYTES("\0\0\0\x09x");
    world_expect(world, ADMIN, "GET /v1/devices", "", "", 500, "\"code\":\"internal\"");
    world_expect(world, ADMIN, "GET /v1/certificates", "", "", 500, NULL);
    world_expect(world, ADMIN, "GET /v1/policies", "", "", 500, NULL);
    world->answer.query = BYTES("x");
    world_expect(world, AUDITOR, "GET /v1/audit", "", "", 500, NULL);
    world_expect(world, AUDITOR, "GET /v1/audit/checkpoint", "", "", 500, NULL);
}

static void public_files_come_from_the_projection(void **state)
{
    struct world *world = *state;

    world_expect(world, STRANGER, "GET /crl/devices.crl", "", "", 200, "\r\n\r\n0crl");
    world_expect(world, STRANGER, "GET /ca/chain.pem", "", "", 200,
                 "-----BEGIN CERTIFICATE-----");
    AUTO_REPLY(reply);
    world_ask(world, STRANGER, "GET /ca/root.crt", "", "", &reply);
    assert_int_equal(reply.status, 200);
    assert_true(bytes_equal((struct bytes){ (const uint8_t *)reply.body, reply.body_len },
                            buf_bytes(&world->ca.root_der)));
    assert_int_equal(world->asks, 0);
}

static void metrics_hold_the_registrys_numbers(void **state)
{
    struct world *world = *state;

    world->answer.status.devices[REGISTRY_ACTIVE] = 12;
    world_expect(world, AUDITOR, "GET /metrics", "", "", 200,
                 "touchmark_devices{state=\"active\"} 12\n");
    world_expect(world, AUDITOR, "GET /metrics", "", "", 200, "touchmark_authority_up 1\n");
    world_expect(world, AUDITOR, "GET /v1/status", "", "", 200, "\"active\":12");
    world_expect(world, LINE, "GET /metrics", "", "", 403, NULL);
}

/* ---- Connections ---- */

static void a_connection_is_kept_and_pipelined(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_REPLY(first);
    AUTO_REPLY(second);

    world_say(world, fd, "GET /v1/devices", "", BYTES(""), &first);
    assert_int_equal(first.status, 200);
    assert_false(first.closed);
    world_write(world, fd,
                BYTES("GET /v1/devices HTTP/1.1\r\nHost: a\r\n\r\n"
                      "GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n"));
    second.all.max = HTTP_MAX;
    for (int i = 0;
         i < TURNS_MOST &&
         (second.all.len == 0 || memmem(second.all.at, second.all.len, "ok\"}", 4) == NULL);
         i++) {
        world_turn(world);
        world_read(world, fd, false, &second);
    }
    assert_non_null(memmem(second.all.at, second.all.len, "ok\"}", 4));
    assert_int_equal(world->asks, 2);
    close(fd);
}

static void a_refusal_keeps_the_connection(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_REPLY(first);
    AUTO_REPLY(second);

    world_say(world, fd, "POST /v1/devices", JSON, BYTES("{\"id\":1}"), &first);
    assert_int_equal(first.status, 400);
    world_say(world, fd, "GET /v1/health", "", BYTES(""), &second);
    assert_int_equal(second.status, 200);
    close(fd);
}

static void a_revoked_operators_connection_ends(void **state)
{
    struct world *world = *state;
    struct registry_certificate ada = world_certificate(ADMIN, REGISTRY_OPERATOR, "ada");
    int busy = world_dial(world, ADMIN, ALL_SERVICES),
        idle = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    AUTO_REPLY(before);
    AUTO_REPLY(after);
    AUTO_REPLY(cut);

    world_say(world, busy, "GET /v1/devices", "", BYTES(""), &before);
    assert_int_equal(before.status, 200);
    ada.state = REGISTRY_CERTIFICATE_REVOKED;
    ada.revoked_ms = 1;
    ada.revision = 2;
    world_add_certificate(&list, &ada);
    world_news(world, &list, 2);
    for (int i = 0; i < TURNS_MOST && !world->keeps_watch; i++)
        world_turn(world);
    unsigned asks = world->asks;
    world_say(world, busy, "GET /v1/devices", "", BYTES(""), &after);
    if (after.status != 0) { /* or the sweep was there first */
        assert_int_equal(after.status, 403);
        assert_true(reply_has(&after, "Connection: close"));
    }
    assert_int_equal(world->asks, asks);
    world_read(world, idle, false, &cut);
    assert_true(cut.closed);
    assert_int_equal(cut.status, 0);
    close(busy);
    close(idle);
}

static void the_slow_are_cut_off(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, STRANGER, ALL_SERVICES);
    AUTO_REPLY(reply);

    world_write(world, fd, BYTES("GET /v1/health HTTP/1.1\r\nX-A: "));
    for (int i = 0; i < 40; i++) { /* a byte now and then does not help */
        world_turn(world);
        world->shift_ms += 1000;
        if (send(fd, "b", 1, MSG_NOSIGNAL) != 1)
            break;
    }
    world_read(world, fd, false, &reply);
    assert_true(reply.closed);
    assert_int_equal(reply.status, 0);
    close(fd);
}

static void too_many_connections_are_refused(void **state)
{
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER);
    int fds[33], ends[2];

    for (size_t i = 0; i < 32; i++) /* half of the world's 64: the others are plain HTTP's */
        fds[i] = world_dial(world, STRANGER, ALL_SERVICES);
    fds[32] = world_dial(world, STRANGER, API_PUBLIC);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(api_adopt(world->api, ends[0], ALL_SERVICES, &peer, NULL), RC_LIMIT);
    close(ends[1]);
    for (size_t i = 0; i < 33; i++)
        close(fds[i]);
    for (int i = 0; i < 5; i++)
        world_turn(world);
    world_expect(world, STRANGER, "GET /v1/health", "", "", 200, NULL);
}

static void one_that_waits_may_be_freed(void **state)
{
    struct world *world = *state;
    int fd = world_dial(world, ADMIN, ALL_SERVICES);

    world->silent = true;
    world_write(world, fd, BYTES("GET /v1/devices HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (int i = 0; i < TURNS_MOST && !world->has_kept; i++)
        world_turn(world);
    assert_true(world->has_kept);
    close(fd);
    world_turn(world);
}

static void plain_http_has_public_files_only(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *line;
        unsigned status;
    } ROWS[] = { { "GET /crl/devices.crl", 200 },
                 { "GET /ca/chain.pem", 200 },
                 { "GET /v1/health", 404 },
                 { "GET /metrics", 404 },
                 { "GET /.well-known/est/cacerts", 404 } };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_REPLY(reply);
        int fd = world_dial(world, STRANGER, API_PUBLIC);
        world_say(world, fd, ROWS[i].line, "", BYTES(""), &reply);
        assert_int_equal(reply.status, ROWS[i].status);
        close(fd);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_operators, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(health_is_anybodys),
        TEST(every_answer_has_its_headers),
        TEST(a_path_says_which_methods_it_has),
        TEST(nonsense_paths_are_not_found),
        TEST(queries_are_strict),
        TEST(bodies_are_strict),
        TEST(a_stranger_is_told_nothing),
        TEST(content_types_are_checked),
        TEST(a_browser_is_refused),
        TEST(a_device_is_added),
        TEST(a_change_waits_for_the_doors),
        TEST(holders_are_revoked_by_their_kind),
        TEST(the_authoritys_no_has_its_status),
        TEST(without_an_authority_it_is_busy),
        TEST(a_policy_needs_a_reason),
        TEST(policies_tell_their_errors),
        TEST(proofs_are_lists_of_hashes),
        TEST(entries_and_copies_are_asked_for),
        TEST(an_answer_that_is_broken_is_not_the_askers_fault),
        TEST(public_files_come_from_the_projection),
        TEST(metrics_hold_the_registrys_numbers),
        TEST(a_connection_is_kept_and_pipelined),
        TEST(a_refusal_keeps_the_connection),
        TEST(a_revoked_operators_connection_ends),
        TEST(the_slow_are_cut_off),
        TEST(too_many_connections_are_refused),
        TEST(one_that_waits_may_be_freed),
        TEST(plain_http_has_public_files_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
