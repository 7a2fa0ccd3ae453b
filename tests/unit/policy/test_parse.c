#include "tests/support/check.h"

#include <string.h>

#include "policy/policy.h"

struct wrong {
    const char *text;
    unsigned line, column;
    const char *expected;
};

#define WORD_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct wrong WRONG[] = {
    { "permit device connect\n", 1, 1,
      "found \"permit\", expected allow, deny, expect, set, group or import" },
    { " allow device connect\n", 1, 2, "a rule starts at the beginning of its line" },
    { "allow\n", 1, 6, "found the end of the rule, expected device, group, operator" },
    { "allow device\ndeny device connect\n", 1, 13,
      "found the end of the rule, expected an action" },
    { "allow group connect\n", 1, 13,
      "found \"connect\", expected the group's name in quotes" },
    { "allow device \"*\" connect\n", 1, 14, "a name is 1 to 64" },
    { "allow device \"\" connect\n", 1, 14, "a name is 1 to 64" },
    { "allow device publish, publish \"a\"\n", 1, 23, "publish is named twice" },
    { "allow device connect, publish \"a\"\n", 1, 23, "publish is about something else" },
    { "allow device connect \"a\"\n", 1, 22, "expected the end of the rule" },
    { "allow device publish a\n", 1, 22, "found \"a\", expected a topic filter in quotes" },
    { "allow device publish \"a\n", 1, 22, "this text has no closing quote on its line" },
    { "allow device publish \"\"\n", 1, 22, "[MQTT-4.7.3-1]" },
    { "allow device publish \"a/b+\"\n", 1, 22, "[MQTT-4.7.1-2] + stands alone" },
    { "allow device publish \"a/#/b\"\n", 1, 22,
      "[MQTT-4.7.1-1] # stands alone in the last level" },
    { "allow device publish \"a/${device.name}\"\n", 1, 22, "unknown fact at byte 3" },
    { "allow device publish \"a/${\"\n", 1, 22, "unknown fact at byte 3" },
    { "allow device publish \"a/${device.id}" WORD_64 WORD_64 WORD_64 WORD_64 "/b\"\n", 1, 22,
      "a level with ${...} has at most 256 bytes" },
    { "# x\r\nallow device\r\n\t\xc3\xa4 connect\n", 3, 2,
      "found \"\xc3\xa4\", expected an action" },
    { "# a\xff\n", 1, 4, "the byte 0xff is not UTF-8 here" },
    { "# a\rdeny device connect\n", 1, 4, "the character U+000D has no place" },
    { "\xef\xbb\xbf"
      "allow device connect\n",
      1, 1, "the character U+FEFF has no place" },
    { "# \xe2\x80\xae\n", 1, 3, "the character U+202E has no place" },
};

static void names_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        const struct wrong *w = &WRONG[i];
        struct policy_errors errors;
        struct policy *policy = NULL;
        assert_int_equal(policy_compile(bytes_of_text(w->text), 1, &errors, &policy),
                         RC_MALFORMED);
        assert_null(policy);
        if (errors.count != 1 || errors.at[0].line != w->line ||
            errors.at[0].column != w->column || strstr(errors.at[0].text, w->expected) == NULL)
            fail_msg("%s: %zu errors, line %u column %u: %s", w->text, errors.count,
                     errors.at[0].line, errors.at[0].column, errors.at[0].text);
    }
}

static void tells_of_all_faults_up_to_its_limit(void **state)
{
    AUTO_BUF(text, 4096);
    struct policy_errors errors;
    struct policy *policy = NULL;

    (void)state;
    for (unsigned i = 1; i <= POLICY_ERRORS_MAX + 2; i++) {
        buf_addf(&text, "allow\n  nobody \"x\",\n");
        assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_MALFORMED);
        assert_int_equal(errors.count, i < POLICY_ERRORS_MAX ? i : POLICY_ERRORS_MAX);
        assert_int_equal(errors.at[errors.count - 1].line, 2 * errors.count);
    }
}

static void reads_wrapped_rules_and_comments(void **state)
{
    static const char TEXT[] =
        "# first\r\n\r\nallow device # any\r\n  # between\r\n"
        "\tpublish,\n # and\n  retain \"caf\xc3\xa9/#\" # not a comment\n\n"
        "deny device \"a\" connect";
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    struct policy_facts facts = { .device_id = BYTES("a") };
    struct policy_session session;

    (void)state;
    if (policy_compile(bytes_of_text(TEXT), 1, &errors, &policy) != RC_OK)
        fail_msg("%s", fault_text());
    assert_int_equal(policy_rule_count(policy), 2);
    assert_true(bytes_equal(policy_text(policy), bytes_of_text(TEXT)));
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    assert_int_equal(policy_decide(&session, POLICY_RETAIN, BYTES("caf\xc3\xa9")).line, 3);
    assert_int_equal(policy_decide(&session, POLICY_CONNECT, BYTES("")).line, 9);
}

static void survives_every_truncation(void **state)
{
    static const char TEXT[] = "allow group \"g\" publish, retain \"a/${device.id}/#\"\n"
                               "deny device \"d\" subscribe\n  \"b/+\" # x\n";
    (void)state;
    for (size_t len = 0; len < sizeof TEXT - 1; len++) {
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors;
        enum rc rc =
            policy_compile((struct bytes){ (const uint8_t *)TEXT, len }, 1, &errors, &policy);
        assert_true((rc == RC_OK) == (errors.count == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_wrong_and_where),
        cmocka_unit_test(tells_of_all_faults_up_to_its_limit),
        cmocka_unit_test(reads_wrapped_rules_and_comments),
        cmocka_unit_test(survives_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
