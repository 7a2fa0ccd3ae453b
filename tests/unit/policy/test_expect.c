/*
 * Tests that stand in a policy, against the engine asked with all that a door may know: where
 * one is accepted, each of these decisions is as it says. Where it is refused, and no fact is
 * asked for twice, one of them is not.
 *
 * test_policy_expect [SEED] looks elsewhere.
 */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

enum { ROUNDS = 1500, RULES = 4, TEXT = 4096, VALUES = 3 };

static uint64_t dice = 20261128;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* ---- What may be known, and asked for ---- */

enum { CLIENT, ADDRESS, SERIAL, TYPE, QOS, SIZE, RETAIN, KINDS };

/* As a door knows them; NULL: it does not, which a test cannot give. */
static const struct {
    const char *name, *values[VALUES];
    size_t count;
    bool quoted;
} FACTS[KINDS] = {
    [CLIENT] = { "client.id", { "d", "e", NULL }, 3, true },
    [ADDRESS] = { "connection.address", { "10.0.0.1", "192.0.2.1" }, 2, false },
    [SERIAL] = { "certificate.serial", { "0a", "0b" }, 2, true },
    [TYPE] = { "message.content_type", { "x", "y", NULL }, 3, true },
    [QOS] = { "message.qos", { "0", "1", "2" }, 3, false },
    [SIZE] = { "message.size", { "1", "20" }, 2, false },
    [RETAIN] = { "message.retain", { "false", "true" }, 2, false },
};

static const struct {
    int fact;
    const char *text;
} TESTS[] = {
    { CLIENT, "client.id = \"d\"" },
    { CLIENT, "client.id is known" },
    { CLIENT, "client.id is not known" },
    { ADDRESS, "connection.address in { 10.0.0.0/8 }" },
    { ADDRESS, "connection.address is known" },
    { ADDRESS, "connection.address != 10.0.0.1" },
    { SERIAL, "certificate.serial = \"0a\"" },
    { TYPE, "message.content_type = \"x\"" },
    { TYPE, "message.content_type is not known" },
    { QOS, "message.qos < 1" },
    { QOS, "message.qos between 1 and 2" },
    { SIZE, "message.size <= 10" },
    { RETAIN, "message.retain" },
};

struct world {
    struct buf text;
    size_t asked[KINDS]; /* how often */
    size_t given[KINDS]; /* a value, or VALUES */
    const char *action, *topic;
    bool expects, certain;
};

/* ---- Made up ---- */

static void add_test(struct world *w)
{
    unsigned which = roll(sizeof TESTS / sizeof *TESTS);

    if (roll(4) == 0)
        buf_addf(&w->text, "not ");
    buf_addf(&w->text, "%s", TESTS[which].text);
    w->asked[TESTS[which].fact]++;
    if (strcmp(TESTS[which].text, "connection.address is known") == 0)
        w->asked[ADDRESS]++; /* as doors always do: that it may not be is taken for possible */
}

static void add_rule(struct world *w)
{
    static const char *const RESOURCES[] = { "a/0a", "a/#",
                                             "a/+",  "a/${certificate.serial}",
                                             "b/#",  "a/${line.id}" };
    static const char *const ACTIONS[] = { "publish", "subscribe", "publish, subscribe, retain",
                                           "retain" };
    bool denies = roll(3) == 0;
    const char *resource = RESOURCES[roll(6)];

    w->asked[SERIAL] += strstr(resource, "serial") != NULL;
    buf_addf(&w->text, "%s device %s \"%s\"", denies ? "deny" : "allow", ACTIONS[roll(4)],
             resource);
    if (roll(3) > 0) {
        buf_addf(&w->text, " when ");
        add_test(w);
        if (roll(3) == 0) {
            buf_addf(&w->text, roll(2) == 0 ? " and " : " or ");
            add_test(w);
        }
    }
    if (!denies && roll(6) == 0) {
        buf_addf(&w->text, " payload 10");
        w->asked[SIZE] += 2; /* what is too large for one rule is taken to be so for others */
    }
    buf_addf(&w->text, "\n");
}

static void add_given(struct world *w, bool message)
{
    const char *comma = " with ";

    for (size_t fact = 0; fact < KINDS; fact++) {
        w->given[fact] = VALUES;
        if (roll(2) == 0 || (!message && fact >= TYPE))
            continue;
        w->given[fact] = roll((unsigned)FACTS[fact].count);
        const char *value = FACTS[fact].values[w->given[fact]];
        if (value == NULL)
            w->given[fact] = VALUES;
        else
            buf_addf(&w->text, "%s%s = %s%s%s", comma, FACTS[fact].name,
                     FACTS[fact].quoted ? "\"" : "", value, FACTS[fact].quoted ? "\"" : "");
        comma = value == NULL ? comma : ", ";
    }
}

static void make_up(struct world *w)
{
    static const char *const FILTERS[] = { "a/0a", "a/+", "a/#" };
    bool message = roll(3) > 0;

    *w = (struct world){ .text = BUF_MAX(TEXT), .expects = roll(2) == 0 };
    for (unsigned count = 1 + roll(RULES); count > 0; count--)
        add_rule(w);
    w->action = message ? "publish" : "subscribe";
    w->topic = FILTERS[message ? 0 : roll(3)];
    buf_addf(&w->text, "expect %s device \"d\" %s \"%s\"", w->expects ? "allow" : "deny",
             w->action, w->topic);
    add_given(w, message);
    w->certain = true;
    for (size_t fact = 0; fact < KINDS; fact++)
        w->certain = w->certain && w->asked[fact] < 2;
}

/* ---- Asked ---- */

static void know(struct policy_facts *facts, struct policy_request *request,
                 const size_t values[KINDS])
{
    struct bytes texts[KINDS];

    for (size_t fact = 0; fact < KINDS; fact++)
        texts[fact] = FACTS[fact].values[values[fact]] == NULL
                          ? (struct bytes){ NULL, 0 }
                          : bytes_of_text(FACTS[fact].values[values[fact]]);
    *facts = (struct policy_facts){ .device_id = BYTES("d"),
                                    .client_id = texts[CLIENT],
                                    .connection_address = texts[ADDRESS],
                                    .certificate_serial = texts[SERIAL] };
    if (request->action == POLICY_SUBSCRIBE)
        return;
    request->known = POLICY_KNOWS_QOS | POLICY_KNOWS_SIZE | POLICY_KNOWS_RETAIN;
    request->content_type = texts[TYPE];
    request->qos = (uint8_t)values[QOS];
    request->size = values[SIZE] == 0 ? 1 : 20;
    request->retain = values[RETAIN] == 1;
}

/* A door's answer; what is retained is asked for as that, too. */
static bool is_allowed(const struct world *w, const struct policy *policy,
                       const size_t values[KINDS])
{
    struct policy_request request = { .resource = bytes_of_text(w->topic) };
    struct policy_facts facts;
    struct policy_session session;

    request.action = strcmp(w->action, "publish") == 0 ? POLICY_PUBLISH : POLICY_SUBSCRIBE;
    know(&facts, &request, values);
    assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
    if (!policy_decide_request(&session, &request).allowed)
        return false;
    if (request.action != POLICY_PUBLISH || w->given[RETAIN] != 1)
        return true;
    request.action = POLICY_RETAIN;
    return policy_decide_request(&session, &request).allowed;
}

/* Of all that a door may know besides what is given. */
static bool holds(const struct world *w, const struct policy *policy)
{
    size_t values[KINDS] = { 0 }, fact = 0;

    for (size_t i = 0; i < KINDS; i++)
        values[i] = w->given[i] < VALUES ? w->given[i] : 0;
    do {
        if (is_allowed(w, policy, values) != w->expects)
            return false;
        for (fact = 0; fact < KINDS; fact++) {
            if (w->given[fact] < VALUES)
                continue;
            values[fact]++;
            if (values[fact] < FACTS[fact].count)
                break;
            values[fact] = 0;
        }
    } while (fact < KINDS);
    return true;
}

static void accepted_is_what_every_door_does(void **state)
{
    size_t accepted = 0, refused = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        AUTO_OF(policy) *with = NULL;
        AUTO_OF(policy) *without = NULL;
        struct policy_errors errors = { 0 };
        struct world w;
        make_up(&w);
        struct bytes text = buf_bytes(&w.text), rules = text;
        while (rules.at[rules.len - 1] != '\n')
            rules.len--;
        enum rc rc = policy_compile(text, 1, &errors, &with);
        assert_int_equal(policy_compile(rules, 1, &errors, &without), RC_OK);
        bool held = holds(&w, without);
        if ((rc == RC_OK && !held) || (rc != RC_OK && w.certain && held))
            fail_msg("%s, but a door %s\n%.*s", rc == RC_OK ? "accepted" : errors.at[0].text,
                     held ? "does so" : "does otherwise", BYTES_FMT(text));
        accepted += rc == RC_OK;
        refused += rc != RC_OK && w.certain;
        buf_clear(&w.text);
    }
    assert_true(accepted > ROUNDS / 10 && refused > ROUNDS / 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(accepted_is_what_every_door_does) };

    if (argc > 1)
        dice = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
