/* What `policy check` says of rules that wait for what nobody asks, tells, or is; held against
 * the engine with all that a device door can know. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "policy/analysis.h"

enum { TEXT_MAX = 64 * 1024, ROUNDS = 120 };

static const char NOW[] = "2026-11-28T10:00:00Z";

static int64_t time_of(const char *text)
{
    int64_t ms = 0;

    assert_int_equal(clock_read_rfc3339(bytes_of_text(text), &ms), RC_OK);
    return ms;
}

static struct policy *compile(const char *text)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    if (policy_compile(bytes_of_text(text), 7, &errors, &policy) != RC_OK)
        fail_msg("%s: %s", fault_text(), text);
    return policy;
}

/* Warnings without their beginnings; the first rule is line 1. */
static void check(const struct policy *policy, struct buf *text)
{
    struct policy_findings findings;

    assert_int_equal(policy_check_at(policy, NULL, time_of(NOW), &findings), RC_OK);
    for (size_t i = 0; i < findings.count; i++) {
        if (!findings.at[i].grave)
            continue;
        buf_addf(text, "%u: ", findings.at[i].where.line);
        buf_add(text, findings.at[i].text);
        buf_addf(text, "\n");
    }
    policy_findings_clear(&findings);
}

/* ---- In words ---- */

static const struct told_row {
    const char *policy, *warnings;
} TOLD[] = {
    /* values that a fact never has */
    { "deny device connect when connection.tls = \"TLSv1.2\"\n",
      "1: nothing can meet its condition: connection.tls = \"TLSv1.2\"; connection.tls is here "
      "\"1.2\", \"1.3\", never \"TLSv1.2\"\n" },
    { "deny device connect when connection.tls in { \"1.2\", \"1.1\" }\n",
      "1: connection.tls is here \"1.2\", \"1.3\", never \"1.1\"\n" },
    { "deny device connect when connection.tls != \"1.1\"\n",
      "1: connection.tls is here \"1.2\", \"1.3\", never \"1.1\"\n" },
    { "deny device connect when connection.tls starts with \"1.\"\n", "" },
    { "deny device connect when connection.protocol = \"MQTT\"\n",
      "1: nothing can meet its condition: connection.protocol = \"MQTT\"; connection.protocol "
      "is here \"mqtt\", never \"MQTT\"\n" },
    { "deny operator call \"#\" when connection.protocol = \"https\"\n", "" },
    { "deny device connect when connection.door = \"broker\"\n",
      "1: nothing can meet its condition: connection.door = \"broker\"; connection.door is "
      "here \"device\", never \"broker\"\n" },
    { "deny operator call \"#\" when connection.door in { \"device\", \"operator\" }\n", "" },
    { "deny operator call \"#\" when operator.role = \"root\"\n",
      "1: nothing can meet its condition: operator.role = \"root\"; operator.role is here "
      "\"admin\", \"auditor\", never \"root\"\n" },
    { "deny role \"admin\" call \"#\" when operator.role = \"auditor\"\n",
      "1: nothing can meet its condition: operator.role = \"auditor\"\n" },
    { "deny device enroll when request.key = \"rsa-2048\"\n",
      "1: nothing can meet its condition: request.key = \"rsa-2048\"; request.key is here "
      "\"p-256\", never \"rsa-2048\"\n" },
    { "deny device \"d\" connect when device.profile = \"sensor\"\n",
      "1: nothing can meet its condition: device.profile = \"sensor\"; device.profile is here "
      "\"device\", never \"sensor\"\n" },
    { "deny device \"d\" connect when client.id = \"e\" and client.id is known\n",
      "1: nothing can meet its condition: (client.id = \"e\" and client.id is known)\n" },
    { "deny device publish \"a\" when message.qos = 3\n",
      "1: nothing can meet its condition: message.qos = 3; message.qos is here 0 to 2, never "
      "3\n" },
    { "deny device publish \"a\" when message.qos > 2\n",
      "1: nothing can meet its condition: message.qos > 2; message.qos is here 0 to 2: "
      "message.qos > 2 is never so\n" },
    { "deny device publish \"a\" when not message.qos > 2\n",
      "1: message.qos is here 0 to 2: message.qos > 2 is never so\n" },
    { "deny device publish \"a\" when message.qos <= 100\n",
      "1: message.qos is here 0 to 2: message.qos <= 100 is always so\n" },
    { "deny device publish \"a\" when message.qos between 0 and 2\n",
      "1: message.qos is here 0 to 2: message.qos between 0 and 2 is always so\n" },
    { "deny device publish \"a\" when message.qos >= 2\n", "" },
    { "deny device publish \"a\" when message.qos between 1 and 9\n",
      "1: message.qos is here 0 to 2, never 9\n" },
    { "deny device publish \"a\" when message.size < 0\n",
      "1: nothing can meet its condition: message.size < 0; message.size is here 0 or more: "
      "message.size < 0 is never so\n" },
    { "deny device publish \"a\" when message.size >= 0\n",
      "1: message.size is here 0 or more: message.size >= 0 is always so\n" },
    { "deny device publish \"a\" when message.retain in { true, false }\n",
      "1: message.retain is here false or true: message.retain in { false, true } is always "
      "so\n" },
    { "deny device publish \"a\" when time.of_day < 24:00\n",
      "1: time.of_day is here 00:00 to 23:59:59.999: time.of_day < 24:00 is always so\n" },
    { "deny device publish \"a\" when time.of_day between 00:00 and 23:59:59.999\n",
      "1: time.of_day is here 00:00 to 23:59:59.999: time.of_day between 00:00 and "
      "23:59:59.999 is always so\n" },
    { "deny device publish \"a\" when time.of_day >= 24:00\n",
      "1: nothing can meet its condition: time.of_day >= 24:00; time.of_day is here 00:00 to "
      "23:59:59.999: time.of_day >= 24:00 is never so\n" },
    { "deny device connect when time.weekday in { \"monday\", \"tuesday\", \"wednesday\", "
      "\"thursday\", \"friday\", \"saturday\", \"sunday\" }\n",
      "1: time.weekday is here \"monday\", \"tuesday\", \"wednesday\", \"thursday\", "
      "\"friday\", \"saturday\", \"sunday\": time.weekday in { \"friday\", \"monday\", "
      "\"saturday\", \"sunday\", \"thursday\", \"tuesday\", \"wednesday\" } is always so\n" },
    { "deny device publish \"a\" when message.qos in { 1, 3 }\n",
      "1: message.qos is here 0 to 2, never 3\n" },
    { "deny device publish \"a\" when message.qos < 3\n",
      "1: message.qos is here 0 to 2: message.qos < 3 is always so\n" },
    { "deny device publish \"a\" when time.of_day = 30h\n",
      "1: nothing can meet its condition: time.of_day = 30:00; time.of_day is here 00:00 to "
      "23:59:59.999, never 30:00\n" },
    { "deny device publish \"a\" when time.of_day between 22:00 and 24:00\n", "" },
    { "deny device connect when connection.address in { 10.0.0.0/8 } and not "
      "connection.address in { 0.0.0.0/0 }\n",
      "1: nothing can meet its condition: (connection.address in { 10.0.0.0/8 } and not "
      "(connection.address in { 0.0.0.0/0 }))\n" },
    { "deny device connect when connection.address in { 10.0.0.0/8 } and not "
      "connection.address in { 10.0.0.0/9 }\n",
      "" },
    { "deny device connect when connection.address is not known\n",
      "1: nothing can meet its condition: not (connection.address is known)\n" },
    { "set two = { \"d\", \"e\" }\ndeny device in two publish \"a\" when device.id = \"d\"\n",
      "2: nothing can meet its condition of \"e\": device.id = \"d\"\n" },
    /* times that are over */
    { "deny device connect until 2020-01-01\n",
      "1: it has ended: until 2020-01-01T00:00:00.000Z is past\n" },
    { "deny device connect until 2026-11-28T10:01Z\n", "" },
    { "deny device connect when time.now < 2020-01-01\n",
      "1: nothing can meet its condition: time.now < 2020-01-01T00:00:00.000Z\n" },
    { "deny device connect when time.now between 2026-11-01 and 2026-12-01\n", "" },
    /* facts that nobody tells, anywhere or there */
    { "allow device \"d\" publish \"a\" when attestation.verdict = \"affirming\"\n",
      "1: it never applies: nobody tells attestation.verdict yet\n" },
    { "allow device \"d\" publish \"a\" when attestation.age < 1h or message.qos = 1\n",
      "1: it asks in vain: nobody tells attestation.age yet\n" },
    { "deny device publish \"a\" when attestation.verdict != \"affirming\"\n",
      "1: it denies whatever attestation.verdict could be: nobody tells attestation.verdict "
      "yet\n" },
    { "deny device publish \"a\" when attestation.verdict is known and attestation.verdict = "
      "\"x\"\n",
      "1: it never applies: nobody tells attestation.verdict yet\n" },
    { "allow device \"d\" publish \"a\" when operator.role = \"admin\"\n",
      "1: it never applies: operator.role is not known where devices ask for publish\n" },
    { "deny line call \"#\" when operator.role = \"auditor\"\n",
      "1: it denies whatever operator.role could be: operator.role is not known where lines "
      "ask for call\n" },
    { "deny device publish, subscribe \"a\" when message.size > 10\n",
      "1: it denies whatever message.size could be: message.size is not known where devices "
      "ask for subscribe; \"message.size is known and ...\" spares these\n" },
    { "deny device publish, subscribe \"a\" when message.size is known and message.size > 10\n",
      "" },
    { "allow device \"d\" publish, subscribe \"a\" when message.size > 10\n",
      "1: it never allows subscribe: message.size is not known where devices ask for "
      "subscribe\n" },
    { "deny anyone renew when operator.role = \"auditor\"\n",
      "1: it denies whatever operator.role could be: operator.role is not known where devices "
      "and lines ask for renew; \"operator.role is known and ...\" spares these\n" },
    { "allow anyone renew \"operator\" when operator.role = \"auditor\"\n", "" },
    { "allow device \"d\" publish \"m/${line.id}\", \"n/${line.id}\"\n",
      "1: it never applies: line.id is not known where devices ask for publish\n" },
    { "deny device publish \"m/${line.id}\"\n",
      "1: it denies whatever line.id could be: line.id is not known where devices ask for "
      "publish\n" },
    { "deny operator call \"GET /v1/devices/${device.id}\"\n", "" },
    { "set three = { \"a\", \"b\", \"c\" }\nallow device in three publish \"a\", \"b\" when "
      "attestation.verdict = \"x\" and device.id starts with \"a\"\n",
      "2: it never applies: nobody tells attestation.verdict yet\n" },
    /* what nobody asks */
    { "allow operator \"bob\" publish \"q\"\n",
      "1: operators never ask for publish: devices do\n" },
    { "deny device, operator revoke \"d\"\n",
      "1: devices never ask for revoke: operators do\n" },
    { "deny device call \"GET /v1/devices\"\n",
      "1: devices never ask for call: operators and lines do\n" },
    { "deny line \"l\", line \"k\" connect\n", "1: lines never ask for connect: devices do\n" },
    { "deny sink publish, will \"a\"\n",
      "1: sinks never ask for publish and will: devices do\n" },
    { "deny anyone connect\n", "" },
    { "deny device subscribe \"$share/g/q\"\n",
      "1: no door takes such a filter to subscribe: of a shared subscription what stands "
      "behind $share/NAME/ would be asked\n" },
    { "deny device publish \"$share/g/q\"\n", "" },
    { "deny line enroll \"sensor\"\n",
      "1: no such profile is asked for so, only \"device\"\n" },
    { "deny operator enroll \"device\", \"operators\"\n",
      "1: no such profile is asked for so, only \"device\", \"operator\", \"line\"\n" },
    { "deny device renew \"line\"\n", "1: no such profile is asked for so, only \"device\"\n" },
    { "deny operator revoke \"pump 7\"\n",
      "1: no device has such an id: it is 1 to 64 letters, digits and . _ : -\n" },
    { "deny operator revoke group \"a\", group \"b\" when operator.role = \"admin\"\n"
      "group \"a\" = { \"d\" }\n",
      "" },
    { "deny device revoke group \"a\"\n", "1: devices never ask for revoke: operators do\n" },
    /* the client's own word */
    { "deny device publish \"a\" when message.content_type = \"text/evil\"\n",
      "1: it denies by message.content_type, which the client says of itself: who says "
      "otherwise is not denied\n" },
    { "deny device publish \"a\" when client.id = \"x\"\n", "" },
};

static void rules_that_wait_in_vain_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TOLD / sizeof *TOLD; i++) {
        AUTO_OF(policy) *policy = compile(TOLD[i].policy);
        AUTO_BUF(text, TEXT_MAX);
        const char *written = NULL;
        check(policy, &text);
        assert_int_equal(buf_text(&text, &written), RC_OK);
        if (strcmp(written, TOLD[i].warnings) != 0)
            fail_msg("%s%s", TOLD[i].policy, written);
    }
}

/* Without a time nothing is past. */
static void a_check_without_a_time_knows_no_end(void **state)
{
    AUTO_OF(policy) *policy = compile("deny device connect until 2020-01-01\n");
    struct policy_findings findings;

    (void)state;
    assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 0);
    policy_findings_clear(&findings);
}

/* A list of principals has one condition; one that asks who they are is tried for each. */
static void a_condition_is_told_once_and_tries_are_bounded(void **state)
{
    static const char ONCE[] = "set s = { \"a\", \"b\", \"c\" }\n"
                               "deny device in s connect when connection.tls = \"1.1\"\n";
    static const char EACH[] = "set s = { \"a\", \"b\", \"c\" }\n"
                               "deny device in s connect when device.id = \"d\"\n"
                               "deny device \"a\" connect when device.id = \"d\"\n";
    AUTO_OF(policy) *once = compile(ONCE);
    AUTO_OF(policy) *each = compile(EACH);
    struct policy_findings findings;

    (void)state;
    assert_int_equal(policy_check(once, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 1);
    policy_findings_clear(&findings);
    assert_int_equal(policy_check(each, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 2);
    policy_findings_clear(&findings);
    assert_int_equal(policy_check_within(each, NULL, 1, &findings), RC_OK);
    size_t never = 0, unfinished = 0;
    for (size_t i = 0; i < findings.count; i++) {
        never += findings.at[i].concern == POLICY_NEVER;
        unfinished += findings.at[i].concern == POLICY_UNFINISHED && findings.at[i].grave;
    }
    assert_int_equal(never, 1);
    assert_int_equal(unfinished, 2); /* of conditions, and of shadows */
    policy_findings_clear(&findings);
}

/* ---- Against the engine ---- */

static uint32_t dice = 1;

static unsigned roll(unsigned sides)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % sides;
}
#define PICK(array) ((array)[roll(sizeof(array) / sizeof *(array))])

/* Of facts that UNTOLD has, nobody tells at a device door. */
static const char *const TESTS[] = {
    "connection.tls = \"1.2\"",
    "connection.tls != \"1.3\"",
    "connection.tls = \"1.1\"",
    "connection.protocol = \"mqtt\"",
    "connection.protocol = \"https\"",
    "connection.door in { \"device\", \"operator\" }",
    "connection.address in { 10.0.0.0/8 }",
    "connection.address in { 0.0.0.0/0 }",
    "connection.address is known",
    "device.profile = \"device\"",
    "device.id = \"d\"",
    "device.id starts with \"e\"",
    "client.id = \"d\"",
    "client.id = \"e\"",
    "client.id is known",
    "message.qos = 1",
    "message.qos in { 0, 2 }",
    "message.qos > 2",
    "message.retain",
    "message.size >= 10",
    "message.size < 10",
    "message.size is known",
    "message.content_type = \"x\"",
    "message.content_type is known",
    "time.weekday = \"monday\"",
    "time.weekday starts with \"s\"",
    "time.now < 2020-01-01",
    "time.now < 2030-01-01",
    "attestation.verdict = \"x\"",
    "attestation.verdict is known",
    "operator.role = \"admin\"",
    "request.key is known",
};
static const char *const UNTOLD[] = { "attestation.verdict", "operator.role", "request.key" };
static const char *const OF_MESSAGES[] = { "message.qos", "message.retain", "message.size",
                                           "message.content_type" };

static void add_condition(struct buf *text)
{
    unsigned count = 1 + roll(3);

    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "%s%s%s",
                 i == 0         ? ""
                 : roll(3) == 0 ? " or "
                                : " and ",
                 roll(4) == 0 ? "not " : "", PICK(TESTS));
}

struct seen {
    bool applied, spared;
};

static void ask(const struct policy_session *session, const struct policy_request *request,
                enum policy_action action, struct seen *seen)
{
    struct policy_decision decided = policy_decide_request(session, request);

    assert_int_equal(request->action, action);
    if (decided.by_rule)
        seen->applied = true;
    else
        seen->spared = true;
}

static void ask_all_messages(const struct policy_session *session,
                             const struct policy_request *base, struct seen *seen)
{
    static const struct bytes TYPES[] = { { NULL, 0 }, BYTES("x"), BYTES("y") };
    struct policy_request asked = *base;

    asked.known |= POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS | POLICY_KNOWS_RETAIN;
    for (unsigned which = 0; which < 3 * 2 * 2 * 3; which++) {
        asked.qos = which % 3;
        asked.retain = which / 3 % 2;
        asked.size = 9 + which / 6 % 2;
        asked.content_type = TYPES[which / 12];
        ask(session, &asked, POLICY_PUBLISH, seen);
    }
}

/* All that is told of the device "d" at its door, of what TESTS tell apart. */
static void ask_all(const struct policy *policy, enum policy_action action, struct seen *seen)
{
    static const char *const TLS[] = { "1.2", "1.3" };
    static const char *const ADDRESSES[] = { "10.1.2.3", "192.0.2.1", "2001:db8::1" };
    static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;
    struct policy_facts facts = { .device_id = BYTES("d"),
                                  .device_profile = BYTES("device"),
                                  .connection_door = BYTES("device"),
                                  .connection_protocol = BYTES("mqtt") };
    struct policy_session session;

    for (unsigned which = 0; which < 2 * 3 * 2; which++) {
        facts.connection_tls = bytes_of_text(TLS[which % 2]);
        facts.connection_address = bytes_of_text(ADDRESSES[which / 2 % 3]);
        facts.client_id = which / 6 == 0 ? facts.device_id : (struct bytes){ NULL, 0 };
        assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
        for (int day = 0; day < 2 * 7; day++) {
            const struct policy_request asked = {
                .action = action,
                .resource = BYTES("a"),
                .known = POLICY_KNOWS_NOW,
                .now_ms = time_of(day < 7 ? NOW : "2031-01-01T00:00:00Z") + day * DAY_MS,
            };
            if (action == POLICY_PUBLISH)
                ask_all_messages(&session, &asked, seen);
            else
                ask(&session, &asked, action, seen);
        }
    }
}

static bool has_any(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

static void is_right(const char *rule, enum policy_action action)
{
    AUTO_OF(policy) *policy = compile(rule);
    AUTO_BUF(text, TEXT_MAX);
    const char *told = NULL;
    struct seen seen = { false, false };

    check(policy, &text);
    assert_int_equal(buf_text(&text, &told), RC_OK);
    ask_all(policy, action, &seen);
    bool never =
        strstr(told, "nothing can meet") != NULL || strstr(told, "it never applies") != NULL;
    bool always = strstr(told, "it denies whatever") != NULL;
    bool untold = has_any(rule, UNTOLD, sizeof UNTOLD / sizeof *UNTOLD) ||
                  (action != POLICY_PUBLISH &&
                   has_any(rule, OF_MESSAGES, sizeof OF_MESSAGES / sizeof *OF_MESSAGES));
    if (never == seen.applied || (always && seen.spared) ||
        (rule[0] == 'd' && untold && !seen.spared && !always))
        fail_msg("%s%sapplied %d, spared %d", rule, told, seen.applied, seen.spared);
}

static void what_is_told_of_conditions_is_so_at_the_door(void **state)
{
    static const struct {
        const char *begin;
        enum policy_action action;
    } RULES[] = {
        { "allow device \"d\" connect", POLICY_CONNECT },
        { "deny device \"d\" connect", POLICY_CONNECT },
        { "allow device \"d\" publish \"a\"", POLICY_PUBLISH },
        { "deny device \"d\" publish \"a\"", POLICY_PUBLISH },
        { "deny device \"d\" subscribe \"a\"", POLICY_SUBSCRIBE },
    };

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        AUTO_BUF(rule, TEXT_MAX);
        const char *text = NULL;
        unsigned which = roll(sizeof RULES / sizeof *RULES);
        buf_addf(&rule, "%s when ", RULES[which].begin);
        add_condition(&rule);
        buf_addf(&rule, "\n");
        assert_int_equal(buf_text(&rule, &text), RC_OK);
        is_right(text, RULES[which].action);
    }
}

int main(void)
{
    static const struct CMUnitTest TESTS_HERE[] = {
        cmocka_unit_test(rules_that_wait_in_vain_are_told),
        cmocka_unit_test(a_check_without_a_time_knows_no_end),
        cmocka_unit_test(a_condition_is_told_once_and_tries_are_bounded),
        cmocka_unit_test(what_is_told_of_conditions_is_so_at_the_door),
    };

    return cmocka_run_group_tests(TESTS_HERE, NULL, NULL);
}
