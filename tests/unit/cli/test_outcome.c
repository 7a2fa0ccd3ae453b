#include "tests/support/check.h"

#include "cli/outcome.h"

static const char POLICY[] = "allow device publish \"small\" when message.size <= 10\n"
                             "allow device publish \"all\"\n"
                             "allow device publish \"mixed\"\n"
                             "deny device publish \"mixed\" when message.qos = 0\n"
                             "allow device publish \"never\"\n"
                             "deny device publish \"never\"\n"
                             "deny device publish \"none\" when message.qos = 0\n"
                             "allow device publish \"payload\" payload 10\n"
                             "allow device publish \"split\" when message.qos = 0\n"
                             "allow device publish \"split\" when not message.qos = 0\n"
                             "allow device publish \"mine\" when client.id = \"d\"\n"
                             "allow device subscribe \"s\" when message.qos = 0\n"
                             "allow device subscribe \"t\"\n"
                             "allow device connect\n";

static const struct {
    enum policy_action action;
    const char *resource;
    unsigned known;
    enum cli_outcome outcome;
} ROWS[] = {
    { POLICY_PUBLISH, "small", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "small", POLICY_KNOWS_SIZE, CLI_ALLOWED },
    { POLICY_PUBLISH, "all", 0, CLI_ALLOWED },
    { POLICY_PUBLISH, "mixed", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "mixed", POLICY_KNOWS_QOS, CLI_DENIED },
    { POLICY_PUBLISH, "never", 0, CLI_DENIED },
    { POLICY_PUBLISH, "none", 0, CLI_DENIED },
    { POLICY_PUBLISH, "elsewhere", 0, CLI_DENIED },
    { POLICY_PUBLISH, "payload", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "payload", POLICY_KNOWS_SIZE, CLI_ALLOWED },
    /* Conditions are taken one by one: careful, never wrong. */
    { POLICY_PUBLISH, "split", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "mine", 0, CLI_UNDECIDABLE },
    /* Since the policy asks for client.id somewhere: careful, too. */
    { POLICY_SUBSCRIBE, "s", 0, CLI_UNDECIDABLE },
    { POLICY_SUBSCRIBE, "t", 0, CLI_ALLOWED },
    { POLICY_CONNECT, "", 0, CLI_ALLOWED },
};

static void what_is_not_known_decides_only_if_it_must(void **state)
{
    AUTO_OF(policy) *policy = NULL;
    const struct policy_facts facts = { .device_id = BYTES("d") };
    struct policy_errors errors = { 0 };
    struct policy_session session;

    (void)state;
    assert_int_equal(policy_compile(bytes_of_text(POLICY), 7, &errors, &policy), RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct policy_request request = { .action = ROWS[i].action,
                                                .resource = bytes_of_text(ROWS[i].resource),
                                                .known = ROWS[i].known };
        enum cli_outcome outcome;
        struct policy_decision decision;
        assert_int_equal(cli_outcome_of(&session, &request, &outcome, &decision), RC_OK);
        if (outcome != ROWS[i].outcome)
            fail_msg("%s: %d", ROWS[i].resource, (int)outcome);
        assert_int_equal(decision.version, 7);
    }
}

static void a_subscription_is_judged_without_a_message_as_the_door_does(void **state)
{
    const struct policy_facts facts = { .device_id = BYTES("d") };
    const struct policy_request request = { .action = POLICY_SUBSCRIBE,
                                            .resource = BYTES("s") };
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors = { 0 };
    struct policy_decision decision;
    struct policy_session session;
    enum cli_outcome outcome;

    (void)state;
    assert_int_equal(
        policy_compile(BYTES("allow device subscribe \"s\" when message.qos = 0\n"), 7, &errors,
                       &policy),
        RC_OK);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    assert_int_equal(cli_outcome_of(&session, &request, &outcome, &decision), RC_OK);
    assert_int_equal(outcome, CLI_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_decides_only_if_it_must),
        cmocka_unit_test(a_subscription_is_judged_without_a_message_as_the_door_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
