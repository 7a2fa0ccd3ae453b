/*
 * What policy_derive() says of what is untold, against all that it can be: yes is yes and no is
 * no of each, be it known or not. Policies, requests and what is told are made up.
 *
 * test_policy_untold [SEED] looks elsewhere; TOUCHMARK_POLICIES=N (./dev policies), at N times
 * as many.
 */
#include "tests/support/check.h"
#include "tests/support/policy_world.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ROUNDS = 600, REQUESTS = 10, RULES_MOST = 9, TEXT_MAX = 4096, DEPTH_MOST = 2 };

/* ---- Made up ---- */

static const char *const TESTS[] = {
    "client.id is known",
    "client.id is not known",
    "client.id = \"d\"",
    "client.id != \"d\"",
    "message.size is known",
    "message.size > 10",
    "message.qos is not known",
    "message.qos = 1",
    "message.content_type is known",
    "message.content_type starts with \"t\"",
    "certificate.serial = \"0a\"",
    "certificate.serial is known",
    "certificate.issuer is not known",
    "certificate.issuer = \"i\"",
    "attestation.verdict is known",
    "attestation.verdict = \"good\"",
};
static const char *const RESOURCES[] = {
    "a",
    "a/b",
    "+",
    "#",
    "a/#",
    "a/+/#",
    "+/b",
    "x/0a",
    "x/+",
    "x/${certificate.serial}",
    "x/0${certificate.serial}/#",
    "a/${line.id}",
    "${certificate.serial}",
};
static const char *const NAMES[] = { "a", "a/b", "x/0a", "x/00a", "0a", "x/0a/b" };
static const char *const FILTERS[] = { "a", "+", "#", "a/#", "a/+", "x/+", "x/0a", "+/b" };
static const enum policy_action ACTIONS[] = { POLICY_CONNECT, POLICY_PUBLISH, POLICY_SUBSCRIBE,
                                              POLICY_PUBLISH, POLICY_SUBSCRIBE };

static void add_condition(struct buf *text, unsigned depth)
{
    unsigned kind = depth == DEPTH_MOST ? 0 : world_roll(5);

    if (kind < 2) {
        buf_addf(text, "%s", WORLD_PICK(TESTS));
    } else if (kind == 2) {
        buf_addf(text, "not (");
        add_condition(text, depth + 1);
        buf_addf(text, ")");
    } else {
        buf_addf(text, "(");
        add_condition(text, depth + 1);
        buf_addf(text, kind == 3 ? " and " : " or ");
        add_condition(text, depth + 1);
        buf_addf(text, ")");
    }
}

static void add_rule(struct buf *text)
{
    enum policy_action action = WORLD_PICK(ACTIONS);
    bool allows = world_roll(3) > 0;

    buf_addf(text, "%s device %s", allows ? "allow" : "deny", policy_action_name(action));
    if (action != POLICY_CONNECT)
        buf_addf(text, " \"%s\"", WORLD_PICK(RESOURCES));
    if (world_roll(4) > 0) {
        buf_addf(text, " when ");
        add_condition(text, 0);
    }
    if (allows && action == POLICY_PUBLISH && world_roll(4) == 0)
        buf_addf(text, " payload 10");
    buf_addf(text, "\n");
}

static struct policy *make_policy(struct buf *text)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    for (unsigned left = 1 + world_roll(RULES_MOST); left > 0; left--)
        add_rule(text);
    if (policy_compile(buf_bytes(text), 7, &errors, &policy) != RC_OK)
        fail_msg("%s\n%.*s", errors.at[0].text, BYTES_FMT(buf_bytes(text)));
    return policy;
}

/* ---- All that there is to know ---- */

/* What somebody knows; each has a number of values, of which 0 is that it is not known. */
enum { ID, SIZE, QOS, TYPE, SERIAL, ISSUER, KINDS };
static const unsigned VALUES[KINDS] = {
    [ID] = 2, [SIZE] = 3, [QOS] = 3, [TYPE] = 3, [SERIAL] = 3, [ISSUER] = 2,
};
static const enum policy_fact FACTS[KINDS] = {
    [ID] = POLICY_CLIENT_ID,
    [SIZE] = POLICY_MESSAGE_SIZE,
    [QOS] = POLICY_MESSAGE_QOS,
    [TYPE] = POLICY_MESSAGE_CONTENT_TYPE,
    [SERIAL] = POLICY_CERTIFICATE_SERIAL,
    [ISSUER] = POLICY_CERTIFICATE_ISSUER,
};

struct known {
    unsigned value[KINDS];
    bool untold[KINDS];
    uint32_t facts; /* that are untold */
};

static bool is_of_message(unsigned kind)
{
    return kind == SIZE || kind == QOS || kind == TYPE;
}

/* Half of it is untold. */
static struct known make_known(enum policy_action action)
{
    struct known known = { .facts = 0 };

    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (is_of_message(kind) && action != POLICY_PUBLISH)
            continue;
        known.untold[kind] = world_roll(2) == 0;
        known.value[kind] = known.untold[kind] ? 0 : world_roll(VALUES[kind]);
        known.facts |= known.untold[kind] ? 1U << FACTS[kind] : 0;
    }
    return known;
}

static bool next(struct known *known)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (!known->untold[kind])
            continue;
        known->value[kind] = (known->value[kind] + 1) % VALUES[kind];
        if (known->value[kind] != 0)
            return true;
    }
    return false;
}

static struct bytes text_of(const struct known *known, unsigned kind)
{
    static const char *const TEXTS[KINDS][3] = {
        [ID] = { NULL, "d" },
        [TYPE] = { NULL, "t", "u" },
        [SERIAL] = { NULL, "0a", "bb" },
        [ISSUER] = { NULL, "i" },
    };
    const char *text = TEXTS[kind][known->value[kind]];

    return text == NULL ? (struct bytes){ NULL, 0 } : bytes_of_text(text);
}

struct asked {
    const struct policy *policy;
    enum policy_action action;
    struct bytes resource;
    struct policy_facts facts;
    struct policy_request request;
    struct policy_session session;
};

static void ask(struct asked *a, const struct known *known, uint32_t untold)
{
    unsigned size = known->value[SIZE], qos = known->value[QOS];

    a->facts = (struct policy_facts){ .device_id = BYTES("d"),
                                      .client_id = text_of(known, ID),
                                      .certificate_serial = text_of(known, SERIAL),
                                      .certificate_issuer = text_of(known, ISSUER),
                                      .untold = untold };
    a->request = (struct policy_request){ .action = a->action,
                                          .resource = a->resource,
                                          .known = (size > 0 ? POLICY_KNOWS_SIZE : 0U) |
                                                   (qos > 0 ? POLICY_KNOWS_QOS : 0U),
                                          .size = size == 2 ? 20 : 0,
                                          .qos = qos == 2,
                                          .content_type = text_of(known, TYPE) };
    assert_int_equal(policy_bind(a->policy, &a->facts, &a->session), RC_OK);
}

/* ---- Held against each other ---- */

struct seen {
    bool allowed, denied, by_rule, by_none; /* by some of what it can be */
};

static bool is_possible(enum policy_answer said, bool yes, bool no)
{
    return said == POLICY_IS_OPEN || (said == POLICY_IS_SO ? !no : !yes);
}

static uint64_t opened, rightly;

static void hold(struct asked *a, const struct known *told, struct bytes text)
{
    struct policy_derivation derivation;
    struct known known = *told;
    struct seen seen = { 0 };

    ask(a, told, told->facts);
    bool asks = policy_asks_untold(&a->session, &a->request);
    assert_int_equal(policy_derive(&a->session, &a->request, &derivation), RC_OK);
    do {
        ask(a, &known, 0);
        struct policy_decision one = policy_decide_request(&a->session, &a->request);
        bool by_size = one.too_large && told->untold[SIZE] && derivation.limits_payload;
        bool denied = !one.allowed && one.by_rule && !one.too_large;
        seen.allowed = seen.allowed || one.allowed;
        seen.denied = seen.denied || (!one.allowed && !by_size);
        seen.by_rule = seen.by_rule || denied;
        seen.by_none = seen.by_none || !denied;
        assert_true(asks || one.allowed == derivation.decision.allowed);
    } while (next(&known));
    if (!is_possible(derivation.allowed, seen.allowed, seen.denied) ||
        !is_possible(derivation.denied, seen.by_rule, seen.by_none) ||
        (!asks && derivation.allowed == POLICY_IS_OPEN) ||
        (derivation.allowed == POLICY_IS_OPEN && derivation.untold == 0))
        fail_msg("%s %.*s: allowed %d, denied %d; allowed %d, not %d, by rule %d, not %d\n%.*s",
                 policy_action_name(a->action), BYTES_FMT(a->resource), derivation.allowed,
                 derivation.denied, seen.allowed, seen.denied, seen.by_rule, seen.by_none,
                 BYTES_FMT(text));
    opened += derivation.allowed == POLICY_IS_OPEN;
    rightly += derivation.allowed == POLICY_IS_OPEN && seen.allowed && seen.denied;
    policy_derivation_clear(&derivation);
}

static void yes_and_no_are_so_whatever_the_door_knows(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS * world_times(); round++) {
        AUTO_BUF(text, TEXT_MAX);
        AUTO_OF(policy) *policy = make_policy(&text);
        for (unsigned i = 0; i < REQUESTS; i++) {
            struct asked asked = { .policy = policy, .action = WORLD_PICK(ACTIONS) };
            const char *what = asked.action == POLICY_CONNECT     ? ""
                               : asked.action == POLICY_SUBSCRIBE ? WORLD_PICK(FILTERS)
                                                                  : WORLD_PICK(NAMES);
            const struct known told = make_known(asked.action);
            asked.resource = bytes_of_text(what);
            hold(&asked, &told, buf_bytes(&text));
        }
    }
    print_message("%" PRIu64 " open, %" PRIu64 " of them rightly\n", opened, rightly);
    assert_true(opened > ROUNDS / 2 && rightly > opened / 2); /* or perhaps would always do */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yes_and_no_are_so_whatever_the_door_knows),
    };

    world_seed(argc > 1 ? strtoull(argv[1], NULL, 10) : 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
