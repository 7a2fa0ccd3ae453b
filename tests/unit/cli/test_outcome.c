#include "tests/support/check.h"

#include "cli/outcome.h"
#include "registry/judged.h"

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
                             "allow device publish \"less\"\n"
                             "allow device publish \"less\" when message.qos = 1 payload 10\n"
                             "allow device publish \"bad\"\n"
                             "deny device publish \"bad\" when attestation.verdict = \"bad\"\n"
                             "allow device publish \"by/${certificate.serial}\"\n"
                             "allow device publish \"of/${line.id}\"\n"
                             "allow device subscribe \"s\" when message.qos = 0\n"
                             "allow device subscribe \"t\"\n"
                             "allow device subscribe \"u/+\" when client.id is known\n"
                             "allow device subscribe \"u/+/#\" when client.id is not known\n"
                             "allow device connect\n";

static const struct {
    enum policy_action action;
    const char *resource;
    unsigned known; /* of a message of 11 octets, QoS 0 */
    enum cli_outcome outcome;
} ROWS[] = {
    { POLICY_PUBLISH, "small", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "small", POLICY_KNOWS_SIZE, CLI_DENIED },
    { POLICY_PUBLISH, "all", 0, CLI_ALLOWED },
    { POLICY_PUBLISH, "mixed", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "mixed", POLICY_KNOWS_QOS, CLI_DENIED },
    { POLICY_PUBLISH, "never", 0, CLI_DENIED },
    { POLICY_PUBLISH, "none", 0, CLI_DENIED },
    { POLICY_PUBLISH, "elsewhere", 0, CLI_DENIED },
    { POLICY_PUBLISH, "payload", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "payload", POLICY_KNOWS_SIZE, CLI_DENIED },
    /* Tests are taken one by one: careful, never wrong. */
    { POLICY_PUBLISH, "split", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "mine", 0, CLI_UNDECIDABLE },
    /* A rule that may apply obliges, too. */
    { POLICY_PUBLISH, "less", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "less", POLICY_KNOWS_SIZE, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "less", POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS, CLI_ALLOWED },
    /* What the door does not know either is decided. */
    { POLICY_PUBLISH, "bad", 0, CLI_DENIED },
    { POLICY_PUBLISH, "by/0a", 0, CLI_UNDECIDABLE },
    { POLICY_PUBLISH, "by", 0, CLI_DENIED },
    { POLICY_PUBLISH, "of/7", 0, CLI_DENIED },
    /* The door knows no message either when it judges a subscription. */
    { POLICY_SUBSCRIBE, "s", 0, CLI_DENIED },
    { POLICY_SUBSCRIBE, "t", 0, CLI_ALLOWED },
    { POLICY_SUBSCRIBE, "u/1", 0, CLI_UNDECIDABLE },
    { POLICY_SUBSCRIBE, "u/+", 0, CLI_UNDECIDABLE },
    { POLICY_SUBSCRIBE, "u/#", 0, CLI_DENIED },
    { POLICY_CONNECT, "", 0, CLI_ALLOWED },
};

static enum cli_outcome outcome_of(const struct policy *policy,
                                   const struct policy_request *request)
{
    const struct policy_facts facts = { .device_id = BYTES("d"),
                                        .untold = registry_judged_untold(request->action) };
    struct policy_session session;
    enum cli_outcome outcome;
    struct policy_decision decision;

    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    assert_int_equal(cli_outcome_of(&session, request, &outcome, &decision), RC_OK);
    assert_int_equal(decision.version, 7);
    return outcome;
}

static struct policy *compile(struct bytes text)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    assert_int_equal(policy_compile(text, 7, &errors, &policy), RC_OK);
    return policy;
}

static void what_is_not_told_decides_only_if_it_must(void **state)
{
    AUTO_OF(policy) *policy = compile(bytes_of_text(POLICY));

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct policy_request request = { .action = ROWS[i].action,
                                                .resource = bytes_of_text(ROWS[i].resource),
                                                .known = ROWS[i].known,
                                                .size = 11 };
        enum cli_outcome outcome = outcome_of(policy, &request);
        if (outcome != ROWS[i].outcome)
            fail_msg("%s: %s", ROWS[i].resource, cli_outcome_name(outcome));
    }
}

/* ---- is known: of each fact, for each act ---- */

/* D: the door may know it of any act of a device; M: of a message. The others it never knows,
 * or it is told: device.id. */
static const char *door_knows(enum policy_fact fact)
{
    static const char *const KNOWS[POLICY_FACTS] = {
        [POLICY_CERTIFICATE_ISSUER] = "D",
        [POLICY_CERTIFICATE_SUBJECT] = "D",
        [POLICY_CERTIFICATE_SERIAL] = "D",
        [POLICY_CERTIFICATE_FINGERPRINT] = "D",
        [POLICY_CERTIFICATE_LEFT] = "D",
        [POLICY_CONNECTION_ADDRESS] = "D",
        [POLICY_CONNECTION_TLS] = "D",
        [POLICY_CLIENT_ID] = "D",
        [POLICY_TIME_NOW] = "D",
        [POLICY_TIME_OF_DAY] = "D",
        [POLICY_TIME_WEEKDAY] = "D",
        [POLICY_MESSAGE_SIZE] = "M",
        [POLICY_MESSAGE_QOS] = "M",
        [POLICY_MESSAGE_RETAIN] = "M",
        [POLICY_MESSAGE_CONTENT_TYPE] = "M",
    };

    return KNOWS[fact] == NULL ? "" : KNOWS[fact];
}

static enum cli_outcome ask(enum policy_action action, const char *effect, const char *fact,
                            const char *is)
{
    const char *what = action == POLICY_CONNECT ? "" : " \"t\"";
    const char *name = policy_action_name(action);
    const struct policy_request request = { .action = action,
                                            .resource =
                                                bytes_of_text(*what == '\0' ? "" : "t") };
    AUTO_BUF(text, 512);

    if (effect[0] == 'd')
        buf_addf(&text, "allow device %s%s\n", name, what);
    buf_addf(&text, "%s device %s%s when %s %s known\n", effect, name, what, fact, is);
    AUTO_OF(policy) *policy = compile(buf_bytes(&text));
    return outcome_of(policy, &request);
}

static void whether_a_fact_is_known_is_open_where_the_door_may_know_it(void **state)
{
    static const enum policy_action ACTIONS[] = { POLICY_CONNECT, POLICY_SUBSCRIBE,
                                                  POLICY_PUBLISH, POLICY_RECEIVE,
                                                  POLICY_RETAIN,  POLICY_WILL };

    (void)state;
    for (size_t a = 0; a < sizeof ACTIONS / sizeof *ACTIONS; a++)
        for (enum policy_fact fact = POLICY_DEVICE_PROFILE; fact < POLICY_FACTS; fact++) {
            if (fact == POLICY_TARGET)
                continue; /* of revoke alone, and no test of it is written */
            const char *name = policy_fact_get(fact)->name, *knows = door_knows(fact);
            bool open = *knows == 'D' || (*knows == 'M' && a >= 2);
            enum cli_outcome yes = open ? CLI_UNDECIDABLE : CLI_ALLOWED;
            enum cli_outcome no = open ? CLI_UNDECIDABLE : CLI_DENIED;
            assert_int_equal(ask(ACTIONS[a], "deny", name, "is"), yes);
            assert_int_equal(ask(ACTIONS[a], "deny", name, "is not"), no);
            assert_int_equal(ask(ACTIONS[a], "allow", name, "is"), no);
            assert_int_equal(ask(ACTIONS[a], "allow", name, "is not"), yes);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_told_decides_only_if_it_must),
        cmocka_unit_test(whether_a_fact_is_known_is_open_where_the_door_may_know_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
