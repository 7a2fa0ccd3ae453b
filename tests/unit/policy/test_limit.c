#include "tests/support/check.h"

#include "policy/limit.h"

/* Of the first rule that has one. */
static uint64_t key_of(const char *text)
{
    struct policy_effort effort = { .most = UINT64_MAX };
    struct policy_rules rules = { 0 };
    struct policy_errors errors = { 0 };
    uint64_t key = 0;

    if (policy_parse(bytes_of_text(text), &effort, &errors, &rules) != RC_OK)
        fail_msg("%s: %s", text, fault_text());
    assert_int_equal(policy_limit_keys(&rules), RC_OK);
    for (size_t i = 0; i < rules.count; i++) {
        assert_int_equal(rules.at[i].limit_key != 0, rules.at[i].obligations.rate > 0);
        if (key == 0)
            key = rules.at[i].limit_key;
    }
    policy_rules_clear(&rules);
    return key;
}

static const char RULE[] =
    "allow device publish, retain \"a\", \"b/#\" when message.qos = 1 and "
    "device.id in { \"x\", \"y\" } limit 10/s burst 20\n";

static void a_limit_is_the_same_whatever_changes_elsewhere(void **state)
{
    static const char *const SAME[] = {
        "# a remark\n\n\nallow device publish, retain \"a\", \"b/#\"\n  when message.qos = 1 "
        "and "
        "(device.id in { \"y\", \"x\" })\n  limit 10/s burst 20",
        "deny device publish \"b/c\" when message.size > 7 or message.qos = 1\n"
        "allow device publish \"a\"\n"
        "allow device publish, retain \"a\", \"b/#\" when message.qos = 1 and "
        "device.id in { \"x\", \"y\" } limit 10/s burst 20\n",
        "allow device retain, publish \"b/#\", \"a\", \"b/#\" when message.qos = 1 and "
        "device.id in { \"x\", \"y\" } payload 64KiB limit 10/s burst 20 log full lease 1h\n",
        "allow device \"x\", group \"g\", device \"x\" publish, retain \"a\", \"b/#\" when "
        "message.qos = 1 and device.id in { \"x\", \"y\" } limit 10/s burst 20\n",
        "import \"f\"\nfile \"f\"\nset few = { \"x\", \"y\" }\n"
        "allow device publish, retain \"a\", \"b/#\" when message.qos = 1 and "
        "device.id in few limit 10/s burst 20\n",
    };
    uint64_t key = key_of(RULE);

    (void)state;
    assert_true(key != 0);
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        if (key_of(SAME[i]) != key)
            fail_msg("another limit: %s", SAME[i]);
}

/* Each of these is another one than each other. */
static void what_it_counts_and_how_often_makes_it_another(void **state)
{
    static const char *const OTHERS[] = {
        RULE,
        "allow device publish \"a\", \"b/#\" when message.qos = 1 limit 10/s burst 20",
        "allow device publish \"a\" limit 1/s",
        "allow device publish \"a\" limit 2/s",
        "allow device publish \"a\" limit 2/s burst 1",
        "allow device publish \"a\" limit 2/m",
        "allow device subscribe \"a\" limit 1/s",
        "allow device publish \"a\", \"b\" limit 1/s",
        "allow device publish \"ab\" limit 1/s",
        "allow device publish \"+\" limit 1/s",
        "allow device publish \"${device.id}\" limit 1/s",
        "allow device publish \"a\" when message.retain limit 1/s",
        "allow device publish \"a\" when not message.retain limit 1/s",
        "allow device publish \"a\" when message.qos = 0 limit 1/s",
        "allow device publish \"a\" when message.qos = 1 limit 1/s",
        "allow device publish \"a\" when message.qos > 1 limit 1/s",
        "allow device publish \"a\" when message.size = 1 limit 1/s",
        "allow device publish \"a\" when message.qos in { 0, 1 } limit 1/s",
        "allow device publish \"a\" when message.qos between 0 and 1 limit 1/s",
        "allow device publish \"a\" when message.qos = 0 or message.size = 1 limit 1/s",
        "allow device publish \"a\" when message.qos = 0 and message.size = 1 limit 1/s",
        "allow device publish \"a\" when client.id = \"a\" limit 1/s",
        "allow device publish \"a\" when client.id = \"b\" limit 1/s",
        "allow device publish \"a\" when client.id starts with \"a\" limit 1/s",
        "allow device publish \"a\" when client.id is known limit 1/s",
        "allow device publish \"a\" when connection.address = 192.0.2.7 limit 1/s",
        "allow device publish \"a\" when connection.address in { 192.0.2.0/24 } limit 1/s",
        "allow device publish \"a\" when connection.address in { 192.0.2.0/25 } limit 1/s",
        "allow device publish \"a\" when firmware.version > 1.0 limit 1/s",
        "allow device publish \"a\" when firmware.version > 1.1 limit 1/s",
        "allow device publish \"a\" when firmware.version > 1.1-rc limit 1/s",
        "allow device publish \"a\" limit 1/s until 2027-01-01",
        "allow device publish \"a\" limit 1/s until 2028-01-01",
        "allow device connect limit 1/s",
        "allow operator revoke limit 1/s",
        "allow operator revoke \"a\" limit 1/s",
    };

    (void)state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        for (size_t j = 0; j < i; j++)
            if (key_of(OTHERS[i]) == key_of(OTHERS[j]))
                fail_msg("the same limit: %s and %s", OTHERS[i], OTHERS[j]);
}

/* Rules of many principals and resources, each hashed but once. */
static void a_list_is_one_limit(void **state)
{
    AUTO_BUF(text, 1 << 20);
    struct policy_rules rules = { 0 };
    struct policy_errors errors = { 0 };
    struct policy_effort effort = { .most = UINT64_MAX };

    (void)state;
    buf_addf(&text, "allow device \"d\" connect\nallow device \"d0\"");
    for (unsigned i = 1; i < 90; i++)
        buf_addf(&text, ", device \"d%u\"", i);
    buf_addf(&text, " publish \"t0\"");
    for (unsigned i = 1; i < 1000; i++)
        buf_addf(&text, ", \"t%u\"", i);
    buf_addf(&text, " limit 1/s\nallow device publish \"t0\" limit 1/s");
    assert_int_equal(policy_parse(buf_bytes(&text), &effort, &errors, &rules), RC_OK);
    assert_int_equal(policy_limit_keys(&rules), RC_OK);
    assert_int_equal(rules.count, 90002);
    assert_int_equal(rules.at[0].limit_key, 0);
    for (size_t i = 1; i <= 90000; i++)
        assert_int_equal(rules.at[i].limit_key, rules.at[1].limit_key);
    assert_int_not_equal(rules.at[90001].limit_key, rules.at[1].limit_key);
    policy_rules_clear(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_the_same_whatever_changes_elsewhere),
        cmocka_unit_test(what_it_counts_and_how_often_makes_it_another),
        cmocka_unit_test(a_list_is_one_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
