/* What is answered has the shape that the OpenAPI document says. */
#include "tests/unit/api/world.h"

#include <jansson.h>

#include "api/schema.h"
#include "audit/erasure.h"

static const struct api_shape *find(const char *name, size_t len)
{
    size_t count = 0;
    const struct api_shape *shapes = api_schema_list(&count);

    for (size_t i = 0; i < count; i++)
        if (strlen(shapes[i].name) == len && strncmp(shapes[i].name, name, len) == 0)
            return &shapes[i];
    return NULL;
}

static void check_shape(const char *name, size_t len, const json_t *json);

static void check_type(const char *where, const char *type, const json_t *json)
{
    size_t len = strcspn(type, "?*");
    bool good = true;

    if (json_is_null(json) && type[len] == '?')
        return;
    if (type[0] == '[') {
        assert_true(json_is_array(json));
        for (size_t i = 0; i < json_array_size(json); i++)
            check_type(where, type + 1, json_array_get(json, i));
    } else if (strncmp(type, "integer", len) == 0) {
        good = json_is_integer(json);
    } else if (strncmp(type, "boolean", len) == 0) {
        good = json_is_boolean(json);
    } else if (type[0] >= 'a') {
        good = json_is_string(json);
    } else {
        check_shape(type, len, json);
    }
    if (!good)
        fail_msg("%s is no %s", where, type);
}

static void check_shape(const char *name, size_t len, const json_t *json)
{
    const struct api_shape *shape = find(name, len);
    size_t seen = 0;

    assert_non_null(shape);
    assert_true(json_is_object(json));
    for (size_t i = 0; i < shape->count; i++) {
        const struct api_member *member = &shape->members[i];
        const json_t *value = json_object_get(json, member->name);
        if (value == NULL && strchr(member->type, '*') == NULL)
            fail_msg("%s lacks %s", shape->name, member->name);
        if (value == NULL)
            continue;
        check_type(member->name, member->type, value);
        seen++;
    }
    if (seen != json_object_size(json))
        fail_msg("%s has members that are not in its shape", shape->name);
}

static void add_record(struct buf *page)
{
    static const uint8_t SALT[AUDIT_SALT];
    uint8_t hash[32] = { 1 };
    const struct audit_certificate shown = { BYTES_OF(hash), BYTES("\1"), BYTES_OF(hash),
                                             BYTES_OF(hash) };
    struct audit_record record = { .action = AUDIT_PUBLISH,
                                   .decision = AUDIT_DENIED,
                                   .wall_ms = 1,
                                   .monotonic_ms = 1,
                                   .correlation = { 1 },
                                   .source = AUDIT_FROM_DEVICE_DOOR,
                                   .source_sequence = 3,
                                   .actor_kind = AUDIT_DEVICE,
                                   .actor = BYTES("dev-1"),
                                   .actor_certificate = shown,
                                   .device = BYTES("dev-2"),
                                   .target = BYTES("a/b"),
                                   .peer = BYTES("192.0.2.1:1"),
                                   .tls = BYTES("TLSv1.3"),
                                   .reason = BYTES("no"),
                                   .policy_version = 3,
                                   .rule = 4,
                                   .aggregate = { 5, 1, 2, 3, true } };
    struct audit_hit hit = { .index = 9 };
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);
    AUTO_BUF(entry, AUDIT_ENTRY_MAX);
    AUTO_OF(audit_hasher) *hasher = NULL;

    assert_int_equal(audit_hasher_new(&hasher), RC_OK);
    assert_int_equal(audit_record_write(&record, &bytes), RC_OK);
    audit_leaf_write(hasher, buf_bytes(&bytes), SALT, &entry);
    hit.entry = buf_bytes(&entry);
    audit_page_write_hit(page, &hit);
    hit.entry.len = AUDIT_LEAF; /* erased */
    audit_page_write_hit(page, &hit);
}

static struct registry_proposal a_proposal(enum registry_act act)
{
    return (struct registry_proposal){ .number = 3,
                                       .act = act,
                                       .state = REGISTRY_PROPOSAL_REJECTED,
                                       .base = 2,
                                       .author = "ada",
                                       .decider = "bob",
                                       .decided_ms = 5 };
}

/* Of routes that answer with a proposal. */
static bool fill_proposal(const struct api_route *route, struct registry_answer *answer,
                          struct buf *list, struct buf *query)
{
    const struct registry_question content = { .text = BYTES("allow"), .version = 2 };
    struct registry_proposal one = a_proposal(REGISTRY_ACT_POLICY);

    if (strcmp(route->answers, "DevicesRevoked") == 0)
        buf_add(list, BYTES("\1\2\3"));
    else if (strncmp(route->answers, "Proposal", 8) != 0)
        return false;
    else
        answer->proposal = one;
    if (strcmp(route->answers, "Proposals") == 0) {
        registry_answer_add_proposal(list, &one);
        one.state = REGISTRY_PROPOSAL_OPEN;
        one.decider[0] = '\0';
        one.base = 0;
        registry_answer_add_proposal(list, &one);
    }
    if (strcmp(route->answers, "ProposalShown") == 0)
        assert_int_equal(
            registry_question_write_body(REGISTRY_ASK_POLICY_APPLY, &content, query), RC_OK);
    answer->list = buf_bytes(list);
    answer->query = buf_bytes(query);
    return true;
}

static void add_holds(struct buf *query)
{
    const struct audit_hold some = { .kind = AUDIT_DEVICE,
                                     .id = BYTES("dev-1"),
                                     .since_ms = 1,
                                     .until_ms = 2,
                                     .made_ms = 3,
                                     .by = BYTES("ada"),
                                     .reason = BYTES("case 4711") };
    const struct audit_hold all = { .made_ms = 3,
                                    .by = BYTES("ada"),
                                    .reason = BYTES("case 4711") };
    const struct audit_erasure erasure = { AUDIT_LINE, BYTES("hall-2"), 9, 5, 3, 0 };

    buf_add_u16(query, 2);
    buf_add_u64(query, 1);
    audit_hold_write(&some, query);
    buf_add_u64(query, 2);
    audit_hold_write(&all, query);
    audit_erasure_write(&erasure, query);
}

/* Everything that any answer may hold; its list is that of the route. */
static void fill(const struct api_route *route, struct registry_answer *answer,
                 struct buf *list, struct buf *query)
{
    struct registry_subject device =
        world_subject(REGISTRY_DEVICE, "dev-1", REGISTRY_ROLE_NONE);
    struct registry_certificate one = world_certificate(7, REGISTRY_DEVICE, "dev-1");
    const struct registry_policy policy = { 3, "ada", 1, true, "calmer pumps" };

    *answer = (struct registry_answer){ .subject = device,
                                        .sequence = 5,
                                        .accepted = true,
                                        .policy = policy,
                                        .text = BYTES("text"),
                                        .token_id = BYTES("tok1"),
                                        .token_secret = BYTES("secret"),
                                        .expires_ms = 1,
                                        .der = BYTES("0der"),
                                        .cursor = BYTES("\1") };
    if (fill_proposal(route, answer, list, query))
        return;
    if (strcmp(route->answers, "Devices") == 0) {
        registry_answer_add_subject(list, &device);
    } else if (strcmp(route->answers, "Operators") == 0) {
        struct registry_subject ada = world_subject(REGISTRY_OPERATOR, "ada", REGISTRY_ADMIN);
        struct registry_subject line = world_subject(REGISTRY_LINE, "l", REGISTRY_ROLE_NONE);
        registry_answer_add_subject(list, &ada);
        registry_answer_add_subject(list, &line);
    } else if (strcmp(route->answers, "Policies") == 0) {
        registry_answer_add_policy(list, &policy);
    } else {
        registry_answer_add_certificate(list, &one);
        one.state = REGISTRY_CERTIFICATE_REVOKED;
        one.revoked_ms = 5;
        one.reason = 1;
        registry_answer_add_certificate(list, &one);
    }
    if (route->ask == REGISTRY_ASK_AUDIT_HOLD_LIST) {
        add_holds(query);
    } else {
        audit_page_write_head(query, 4, true);
        add_record(query);
    }
    answer->list = buf_bytes(list);
    answer->query = buf_bytes(query);
}

static const char *line_for(const struct api_route *route)
{
    static const struct {
        const char *name, *line;
    } LINES[] = {
        { "showDevice", "GET /v1/devices/dev-1" },
        { "suspendDevice", "POST /v1/devices/dev-1/suspend" },
        { "resumeDevice", "POST /v1/devices/dev-1/resume" },
        { "revokeDevice", "POST /v1/devices/dev-1/revoke" },
        { "newToken", "POST /v1/devices/dev-1/tokens" },
        { "revokeCertificate", "POST /v1/certificates/"
                               "00000000000000000000000000000000"
                               "00000000000000000000000000000000/revoke" },
        { "revokeOperator", "POST /v1/operators/x/revoke" },
        { "revokeLine", "POST /v1/lines/x/revoke" },
        { "showPolicy", "GET /v1/policies/3" },
        { "proveInclusion", "GET /v1/audit/proofs/inclusion?index=0&size=1" },
        { "proveConsistency", "GET /v1/audit/proofs/consistency?old=0&new=1" },
        { "health", "GET /v1/health" },
        { "status", "GET /v1/status" },
        { "listDevices", "GET /v1/devices" },
        { "addDevice", "POST /v1/devices" },
        { "listCertificates", "GET /v1/certificates" },
        { "listOperators", "GET /v1/operators" },
        { "addOperator", "POST /v1/operators" },
        { "listPolicies", "GET /v1/policies" },
        { "applyPolicy", "POST /v1/policies" },
        { "checkPolicy", "POST /v1/policies/check" },
        { "proposePolicy", "POST /v1/policies/propose" },
        { "listAudit", "GET /v1/audit" },
        { "followAudit", "GET /v1/audit/follow" },
        { "backUp", "POST /v1/backups" },
        { "revokeDevices", "POST /v1/devices/revoke" },
        { "listProposals", "GET /v1/proposals?open=1" },
        { "showProposal", "GET /v1/proposals/3" },
        { "approveProposal", "POST /v1/proposals/3/approve" },
        { "rejectProposal", "POST /v1/proposals/3/reject" },

        { "listErasures", "GET /v1/audit/erasures" },
        { "eraseRecords", "POST /v1/audit/erasures" },
        { "listHolds", "GET /v1/audit/holds" },
        { "addHold", "POST /v1/audit/holds" },
        { "removeHold", "POST /v1/audit/holds/3/release" },
    };

    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        if (strcmp(LINES[i].name, route->name) == 0)
            return LINES[i].line;
    fail_msg("no request for %s", route->name);
    return NULL;
}

static const char *body_for(const struct api_route *route)
{
    if (strcmp(route->name, "addDevice") == 0)
        return "{\"id\":\"dev-1\"}";
    if (strcmp(route->name, "applyPolicy") == 0 || strcmp(route->name, "proposePolicy") == 0)
        return "{\"text\":\"x\",\"replaces\":2,\"why\":\"to see\"}";
    if (strcmp(route->name, "approveProposal") == 0)
        return "{\"why\":\"I looked\"}";
    if (strcmp(route->name, "checkPolicy") == 0)
        return "{\"text\":\"x\"}";
    if (strcmp(route->name, "addOperator") == 0)
        return "{\"kind\":\"line\",\"id\":\"l\",\"csr\":"
               "\"-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\\n"
               "-----END CERTIFICATE REQUEST-----\\n\"}";
    if (strcmp(route->name, "revokeDevices") == 0)
        return "{\"devices\":[\"dev-1\",\"dev-2\",\"dev-3\"]}";
    if (strcmp(route->name, "eraseRecords") == 0 || strcmp(route->name, "addHold") == 0)
        return "{\"kind\":\"device\",\"id\":\"dev-1\",\"reason\":\"case 4711\"}";
    if (strcmp(route->name, "removeHold") == 0)
        return "{\"reason\":\"over\"}";
    return "";
}

static void answers_have_the_shapes_of_the_document(void **state)
{
    struct world *world = world_open(REGISTRY_OPERATOR_DOOR);
    size_t count = 0, checked = 0;
    const struct api_route *routes = api_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        if (strchr(routes[i].answers, '/') != NULL)
            continue;
        AUTO_BUF(list, REGISTRY_LIST_MAX);
        AUTO_BUF(query, REGISTRY_LIST_MAX);
        AUTO_REPLY(reply);
        json_error_t error;
        fill(&routes[i], &world->answer, &list, &query);
        world_ask(world, ADMIN, line_for(&routes[i]), JSON, body_for(&routes[i]), &reply);
        if (reply.status != (routes[i].status == 0 ? 200 : routes[i].status))
            fail_msg("%s: %u %s", routes[i].name, reply.status, reply.body);
        json_t *json = json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, &error);
        assert_non_null(json);
        check_shape(routes[i].answers, strlen(routes[i].answers), json);
        json_decref(json);
        checked++;
    }
    assert_true(checked > 15);
    AUTO_REPLY(no);
    json_error_t error;
    world_ask(world, ADMIN, "GET /v1/nothing", "", "", &no);
    json_t *json = json_loadb(no.body, no.body_len, JSON_REJECT_DUPLICATES, &error);
    check_shape("Error", 5, json);
    json_decref(json);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_shapes_of_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
