/* Policies that are longer than a message to the authority, through the API. */
#include "api/answer.h"
#include "tests/unit/api/world.h"

#include "pki/key.h"

enum { LEN = 700 * 1024, PARTS = 15, AT_ONCE = 2 };

static void make(struct buf *text, size_t len)
{
    while (text->len < len)
        buf_addf(text, "# line %06zu of a policy\n", text->len);
    buf_cut(text, len);
}

/* JSON, and how the text is written in it. */
static const char *body_of(struct bytes text, struct buf *body)
{
    const char *written = NULL;

    buf_addf(body, "{\"replaces\":1,\"why\":\"to see\",\"text\":\"");
    for (size_t i = 0; i < text.len; i++)
        buf_addf(body, text.at[i] == '\n' ? "\\n" : "%c", text.at[i]);
    buf_addf(body, "\"}");
    assert_int_equal(buf_text(body, &written), RC_OK);
    return written;
}

static void what_is_sent_is_named_and_came_whole(void **state)
{
    struct world *world = *state;
    AUTO_BUF(text, REGISTRY_POLICY_MAX);
    AUTO_BUF(body, HTTP_MAX);
    uint8_t hash[PKI_HASH_LEN];

    make(&text, LEN);
    world->answer = (struct registry_answer){ .accepted = true, .policy.version = 2 };
    world_expect(world, ADMIN, "POST /v1/policies", JSON, body_of(buf_bytes(&text), &body), 201,
                 "{\"version\":2,");
    assert_int_equal(world->parts, PARTS);
    assert_true(bytes_equal(buf_bytes(&world->sent), buf_bytes(&text)));
    assert_int_equal(world->asked, REGISTRY_ASK_POLICY_APPLY);
    assert_int_equal(world->question.text.len, 0);
    assert_int_equal(world->question.name.len, LEN);
    assert_int_equal(pki_key_hash(buf_bytes(&text), hash), RC_OK);
    assert_memory_equal(world->question.name.hash, hash, sizeof hash);
    assert_false(world->question.only_check);
    assert_int_equal(world->question.version, 1);
}

static void the_longest_of_one_message_is_sent_as_ever(void **state)
{
    struct world *world = *state;
    AUTO_BUF(text, REGISTRY_POLICY_MAX);
    AUTO_BUF(body, HTTP_MAX);

    make(&text, REGISTRY_TEXT_PART);
    world->answer = (struct registry_answer){ .accepted = true, .policy.version = 2 };
    world_expect(world, ADMIN, "POST /v1/policies", JSON, body_of(buf_bytes(&text), &body), 201,
                 "{\"version\":2,");
    assert_int_equal(world->parts, 0);
    assert_int_equal(world->question.text.len, REGISTRY_TEXT_PART);
    assert_int_equal(world->question.name.len, 0);
    buf_reset(&body);
    buf_addf(&text, "\n");
    const char *more = body_of(buf_bytes(&text), &body);
    world_expect(world, ADMIN, "POST /v1/policies", JSON, more, 201, "{\"version\":2,");
    assert_int_equal(world->parts, 2);
}

static void a_part_that_is_refused_is_told(void **state)
{
    struct world *world = *state;
    AUTO_BUF(text, REGISTRY_POLICY_MAX);
    AUTO_BUF(body, HTTP_MAX);

    make(&text, LEN);
    for (unsigned i = 1; i <= PARTS; i += PARTS - 1) {
        world->parts = 0;
        world->deaf_at = i;
        buf_reset(&body);
        world_expect(world, ADMIN, "POST /v1/policies", JSON, body_of(buf_bytes(&text), &body),
                     503, "\"code\":\"busy\"");
        assert_int_equal(world->parts, i);
    }
    assert_int_equal(world->asks, 0); /* it was never named */
}

static struct registry_name give(struct world *world)
{
    make(&world->given, LEN);
    return (struct registry_name){ .len = LEN, .hash = { 1 } };
}

static void is_whole(struct world *world, const char *line)
{
    AUTO_BUF(text, HTTP_MAX);
    AUTO_REPLY(reply);

    for (size_t i = 0; i < LEN; i++)
        buf_addf(&text, world->given.at[i] == '\n' ? "\\n" : "%c", world->given.at[i]);
    world_ask(world, AUDITOR, line, "", "", &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body_len > API_ANSWER_MAX);
    assert_non_null(memmem(reply.body, reply.body_len, text.at, text.len));
    assert_int_equal(world->parts, PARTS);
}

static void what_is_shown_is_whole(void **state)
{
    struct world *world = *state;

    world->answer = (struct registry_answer){ .policy.version = 3, .name = give(world) };
    is_whole(world, "GET /v1/policies/3");
    for (unsigned i = 1; i <= PARTS; i += PARTS - 1) {
        world->parts = 0;
        world->deaf_at = i;
        world_expect(world, ADMIN, "GET /v1/policies/3", "", "", 503, "\"code\":\"busy\"");
    }
}

static void a_proposal_is_shown_whole(void **state)
{
    struct world *world = *state;
    const struct registry_question asked = { .name = give(world), .version = 2 };
    AUTO_BUF(content, REGISTRY_CONTENT_MAX);

    assert_int_equal(registry_question_write_body(REGISTRY_ASK_POLICY_APPLY, &asked, &content),
                     RC_OK);
    world->answer = (struct registry_answer){
        .proposal = { .number = 7,
                      .act = REGISTRY_ACT_POLICY,
                      .state = REGISTRY_PROPOSAL_OPEN,
                      .author = "ada" },
        .query = buf_bytes(&content),
    };
    is_whole(world, "GET /v1/proposals/7");
}

/* Begun, and not ended: so many take all the room. */
static int begin_one(struct world *world, bool chunked)
{
    int fd = world_dial(world, ADMIN, ALL_SERVICES);
    AUTO_BUF(request, HTTP_MAX);

    buf_addf(&request, "POST /v1/policies HTTP/1.1\r\nHost: a\r\n" JSON);
    if (chunked)
        buf_addf(&request, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%0*d\r\n",
                 API_BODY_LARGE + 1, API_BODY_LARGE + 1, 0);
    else
        buf_addf(&request, "Content-Length: %d\r\n\r\n{", API_BODY_POLICY);
    world_write(world, fd, buf_bytes(&request));
    for (int i = 0; i < 50; i++)
        world_turn(world);
    return fd;
}

static void only_a_few_are_long_at_a_time(void **state)
{
    struct world *world = *state;
    AUTO_REPLY(reply);
    int held[AT_ONCE];

    for (int i = 0; i < AT_ONCE; i++)
        held[i] = begin_one(world, i == 1);
    world->answer = (struct registry_answer){ .policy.version = 3, .name = give(world) };
    world_expect(world, ADMIN, "GET /v1/policies/3", "", "", 503, "\"code\":\"busy\"");
    int third = begin_one(world, false);
    world_read(world, third, false, &reply);
    assert_int_equal(reply.status, 503);
    close(third);
    world->answer = (struct registry_answer){ .policy.version = 3, .text = BYTES("short") };
    world_expect(world, ADMIN, "GET /v1/policies/3", "", "", 200, "\"text\":\"short\"");
    for (int i = 0; i < AT_ONCE; i++)
        close(held[i]);
    for (int i = 0; i < 50; i++)
        world_turn(world);
    world->answer =
        (struct registry_answer){ .policy.version = 3, .name = { .len = LEN, .hash = { 1 } } };
    is_whole(world, "GET /v1/policies/3");
}

static void who_has_gone_is_not_answered(void **state)
{
    struct world *world = *state;

    world->answer = (struct registry_answer){ .policy.version = 3, .name = give(world) };
    for (int i = 0; i < AT_ONCE + 1; i++) {
        int fd = world_dial(world, ADMIN, ALL_SERVICES);
        world->parts = 0;
        world_write(world, fd, BYTES("GET /v1/policies/3 HTTP/1.1\r\nHost: a\r\n\r\n"));
        while (world->parts < 2)
            world_turn(world);
        close(fd);
        for (int turn = 0; turn < 50; turn++)
            world_turn(world);
    }
    world->parts = 0;
    is_whole(world, "GET /v1/policies/3");
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_operators, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_sent_is_named_and_came_whole),
        TEST(the_longest_of_one_message_is_sent_as_ever),
        TEST(a_part_that_is_refused_is_told),
        TEST(what_is_shown_is_whole),
        TEST(a_proposal_is_shown_whole),
        TEST(only_a_few_are_long_at_a_time),
        TEST(who_has_gone_is_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
