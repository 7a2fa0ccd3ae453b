/* wraps: malloc calloc reallocarray aligned_alloc */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

static unsigned fails_at; /* 0: never */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__real_reallocarray(void *at, size_t count, size_t n);
void *__wrap_reallocarray(void *at, size_t count, size_t n);
void *__real_aligned_alloc(size_t to, size_t n);
void *__wrap_aligned_alloc(size_t to, size_t n);

static bool fails_now(void)
{
    return fails_at > 0 && --fails_at == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails_now() ? NULL : __real_calloc(count, n);
}

void *__wrap_reallocarray(void *at, size_t count, size_t n)
{
    return fails_now() ? NULL : __real_reallocarray(at, count, n);
}

void *__wrap_aligned_alloc(size_t to, size_t n)
{
    return fails_now() ? NULL : __real_aligned_alloc(to, n);
}

static enum rc compile(const char *text, struct policy_errors *errors, struct policy **policy)
{
    return policy_compile(bytes_of_text(text), 3, errors, policy);
}

static void leaves_nothing_behind_when_memory_ends(void **state)
{
    static const char TEXT[] =
        "allow device \"a\" publish \"a/+/${device.id}/b\" limit 1/s\n"
        "deny group \"g\" subscribe, receive \"b/#\"\n"
        "import \"f\"\nset s = { 10.0.0.0/8, 192.0.2.7 }\n"
        "group \"g\" = { \"a\", \"b\" }\n"
        "allow operator in t call \"GET /v1\" when connection.address in "
        "s and not message.retain until 2027-01-01\n"
        "expect deny operator \"x\" call \"GET /v1\" with "
        "time.now = 2027-01-01\n"
        "file \"f\"\nset t = { \"x\" }\n";
    enum rc rc = RC_NOMEM;
    unsigned nth = 0;

    (void)state;
    while (rc != RC_OK) {
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        fails_at = ++nth;
        rc = compile(TEXT, &errors, &policy);
        fails_at = 0;
        assert_true(rc == RC_OK || (rc == RC_NOMEM && policy == NULL));
    }
    assert_true(nth > 20);
}

static void binds_only_ids_that_mean_nothing_else(void **state)
{
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    char many[POLICY_NAME_MAX + 1];

    (void)state;
    memset(many, 'a', sizeof many);
    assert_int_equal(compile("allow device connect\n", &errors, &policy), RC_OK);
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t id[] = { 'a', (uint8_t)byte };
        struct policy_facts facts = { .device_id = BYTES_OF(id) };
        struct policy_session session;
        bool good = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                    (byte >= 'A' && byte <= 'Z') || (byte != 0 && strchr("._:-", (int)byte));
        assert_int_equal(policy_bind(policy, &facts, &session), good ? RC_OK : RC_DENIED);
    }
    for (size_t len = 0; len <= sizeof many; len++) {
        struct policy_facts facts = { .device_id = { (const uint8_t *)many, len } };
        struct policy_session session;
        assert_int_equal(policy_bind(policy, &facts, &session),
                         len >= 1 && len <= POLICY_NAME_MAX ? RC_OK : RC_DENIED);
    }
}

static void binds_no_more_groups_than_it_has_room_for(void **state)
{
    AUTO_OF(policy) *policy = NULL;
    AUTO_BUF(text, 4096);
    AUTO_BUF(names, 4096);
    struct policy_errors errors;
    struct bytes groups[POLICY_GROUPS_MAX + 1];
    struct policy_facts facts = { .device_id = BYTES("a"),
                                  .groups = groups,
                                  .group_count = POLICY_GROUPS_MAX };
    struct policy_session session;

    (void)state;
    for (unsigned i = 0; i <= POLICY_GROUPS_MAX; i++) {
        buf_addf(&text, "allow group \"g%02u\" connect\n", i);
        buf_addf(&names, "g%02u", i);
    }
    buf_addf(&text, "deny device \"a\" connect\nallow device connect\n");
    for (size_t i = 0; i <= POLICY_GROUPS_MAX; i++)
        groups[i] = (struct bytes){ names.at + 3 * i, 3 };
    assert_int_equal(policy_compile(buf_bytes(&text), 3, &errors, &policy), RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    assert_int_equal(session.root_count, 2 + POLICY_GROUPS_MAX);
    groups[1] = groups[0];
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    assert_int_equal(session.root_count, 1 + POLICY_GROUPS_MAX);
    facts.group_count++;
    assert_int_equal(policy_bind(policy, &facts, &session), RC_LIMIT);
}

/* Words and + beside each other at each of n levels: 2^n ways for one topic. */
static void write_every_way(struct buf *text, unsigned levels)
{
    for (unsigned code = 0; code < 1U << levels; code++) {
        buf_addf(text, "allow group \"g\" publish \"a");
        for (unsigned i = 0; i < levels; i++)
            buf_addf(text, code >> i & 1 ? "/+" : "/b");
        buf_addf(text, "\"\n");
    }
}

static void refuses_rules_that_make_a_topic_slow(void **state)
{
    (void)state;
    for (unsigned levels = 1; levels <= 11; levels++) {
        AUTO_BUF(text, 1 << 20);
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        buf_addf(&text, "allow device connect\n");
        write_every_way(&text, levels);
        enum rc rc = policy_compile(buf_bytes(&text), 1, &errors, &policy);
        /* root, a, and 2 + 4 + ... + 2^n below it */
        bool fits = 2U + (2U << levels) - 2 <= POLICY_STEPS_MAX;
        assert_int_equal(rc, fits ? RC_OK : RC_MALFORMED);
        assert_int_equal(errors.count, fits ? 0 : 1);
        if (!fits)
            assert_int_equal(errors.at[0].line, 2);
    }
}

/* Root, the topic's level, and a test for each rule. */
static void refuses_conditions_that_make_a_topic_slow(void **state)
{
    (void)state;
    for (unsigned count = POLICY_STEPS_MAX - 3; count <= POLICY_STEPS_MAX; count++) {
        AUTO_BUF(text, 1 << 20);
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        for (unsigned i = 0; i < count; i++)
            buf_addf(&text, "%s device publish \"a\" when message.size = %u\n",
                     i % 2 ? "allow" : "deny", i);
        bool fits = count + 2 <= POLICY_STEPS_MAX;
        assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy),
                         fits ? RC_OK : RC_MALFORMED);
    }
}

static void tells_each_of_many_rules_for_one_topic_once(void **state)
{
    AUTO_BUF(text, 4 << 20);
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    const struct policy_facts facts = { .device_id = BYTES("a") };
    struct policy_session session;

    (void)state;
    for (unsigned i = 0; i < 3 * POLICY_STEPS_MAX; i++)
        buf_addf(&text, "allow device publish \"a\" when message.size = %u payload %u\n", i % 9,
                 i % 9);
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (unsigned i = 0; i < 9; i++) {
        struct policy_request request = { .action = POLICY_PUBLISH,
                                          .resource = BYTES("a"),
                                          .known = POLICY_KNOWS_SIZE,
                                          .size = i };
        assert_int_equal(policy_decide_request(&session, &request).line, i + 1);
    }
}

/* More conditions than are worked out when a session is bound. */
static void answers_any_number_of_conditions(void **state)
{
    AUTO_BUF(text, 1 << 20);
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    const struct policy_facts facts = { .device_id = BYTES("a"), .client_id = BYTES("c7") };
    struct policy_session session;

    (void)state;
    for (unsigned i = 0; i < 3 * POLICY_SLOTS_MAX; i++) {
        buf_addf(&text, "allow device publish \"y/%u\" when client.id != \"c%u\"\n", i, i);
        buf_addf(&text, "deny device publish \"u/%u\" when connection.tls = \"%u\"\n", i, i);
    }
    buf_addf(&text, "allow device publish \"u/#\"\n");
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (unsigned i = 0; i < 3 * POLICY_SLOTS_MAX; i++) {
        buf_reset(&text);
        buf_addf(&text, "y/%u", i);
        assert_true(policy_decide(&session, POLICY_PUBLISH, buf_bytes(&text)).allowed ==
                    (i != 7));
        text.at[0] = 'u';
        assert_int_equal(policy_decide(&session, POLICY_PUBLISH, buf_bytes(&text)).line,
                         2 * i + 2);
    }
}

static void knows_whether_time_changes_it(void **state)
{
    static const struct {
        const char *text;
        bool timed;
    } CASES[] = {
        { "allow device connect\n", false },
        { "allow device connect when connection.tls = \"1.3\"\n", false },
        { "allow device connect until 2027-01-01\n", true },
        { "allow device connect when certificate.left > 1d\n", true },
        { "allow device connect when not time.weekday = \"friday\"\n", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        assert_int_equal(compile(CASES[i].text, &errors, &policy), RC_OK);
        assert_true(policy_is_timed(policy) == CASES[i].timed);
    }
}

static void refuses_more_denials_than_a_wildcard_may_visit(void **state)
{
    (void)state;
    for (unsigned count = POLICY_DENIALS_MAX - 1; count <= POLICY_DENIALS_MAX; count++) {
        AUTO_BUF(text, 4 << 20);
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        for (unsigned i = 0; i < count; i++)
            buf_addf(&text, "deny device subscribe \"%u\"\n", i);
        enum rc rc = policy_compile(buf_bytes(&text), 1, &errors, &policy);
        assert_int_equal(rc, count < POLICY_DENIALS_MAX ? RC_OK : RC_MALFORMED); /* + root */
    }
}

static void refuses_a_text_above_its_limits(void **state)
{
    AUTO_BUF(text, POLICY_TEXT_MAX + 1);
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;

    (void)state;
    memset(buf_extend(&text, POLICY_TEXT_MAX), ' ', POLICY_TEXT_MAX);
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_OK);
    buf_add_u8(&text, ' ');
    policy_unref(TAKE(policy));
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_LIMIT);
    buf_reset(&text);
    for (unsigned i = 0; i < POLICY_RULES_MAX; i++)
        buf_addf(&text, "deny device connect\n");
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_OK);
    assert_int_equal(policy_rule_count(policy), POLICY_RULES_MAX);
    policy_unref(TAKE(policy));
    buf_addf(&text, "deny device connect\n");
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_LIMIT);
}

/* A record has one number for its rule: of the text that it can be looked up in. */
static void a_rule_has_its_line_in_the_whole_text(void **state)
{
    static const char TEXT[] = "import \"one\"\n"
                               "allow device publish \"main\"\n"
                               "file \"two\"\n"
                               "allow device publish \"two\"\n"
                               "file \"one\"\n"
                               "# first\n"
                               "import \"two\"\n"
                               "allow device publish \"one\"\n";
    static const struct {
        const char *topic, *file;
        unsigned line, text_line;
    } ROWS[] = { { "main", "", 2, 2 }, { "two", "two", 1, 4 }, { "one", "one", 3, 8 } };
    const struct policy_facts facts = { .device_id = BYTES("d") };
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    struct policy_session session;
    (void)state;

    assert_int_equal(compile(TEXT, &errors, &policy), RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct policy_decision decided =
            policy_decide(&session, POLICY_PUBLISH, bytes_of_text(ROWS[i].topic));
        assert_true(decided.allowed && bytes_equal_text(decided.file, ROWS[i].file));
        assert_int_equal(decided.line, ROWS[i].line);
        assert_int_equal(decided.text_line, ROWS[i].text_line);
    }
}

/* It is refused where the limit is passed: what follows is not even looked at. */
static void facts_beside_each_other_are_bounded(void **state)
{
    struct policy_errors errors;
    AUTO_BUF(text, 4 << 20);
    struct policy *policy = NULL;
    (void)state;

    for (unsigned i = 0; i < 50000; i++)
        buf_addf(&text, "allow device publish \"%u${device.id}\"\n", i);
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_MALFORMED);
    assert_null(policy);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.at[0].line, POLICY_STEPS_MAX + 2);
    assert_non_null(strstr(errors.at[0].text, "${...} beside each other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_has_its_line_in_the_whole_text),
        cmocka_unit_test(facts_beside_each_other_are_bounded),
        cmocka_unit_test(leaves_nothing_behind_when_memory_ends),
        cmocka_unit_test(binds_only_ids_that_mean_nothing_else),
        cmocka_unit_test(binds_no_more_groups_than_it_has_room_for),
        cmocka_unit_test(refuses_rules_that_make_a_topic_slow),
        cmocka_unit_test(refuses_conditions_that_make_a_topic_slow),
        cmocka_unit_test(tells_each_of_many_rules_for_one_topic_once),
        cmocka_unit_test(answers_any_number_of_conditions),
        cmocka_unit_test(knows_whether_time_changes_it),
        cmocka_unit_test(refuses_more_denials_than_a_wildcard_may_visit),
        cmocka_unit_test(refuses_a_text_above_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
