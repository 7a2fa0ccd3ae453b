#include "tests/support/check.h"

#include <string.h>

#include "base/clock.h"
#include "cli/replayed.h"

/* Noon of 2026-11-28, to some seconds later. */
enum { NOON_S = 1795867200, SECOND_MS = 1000 };

#define SESSION "allow device connect\n"
#define PUBLISH SESSION "allow device publish \"a\"\n"
#define RETAIN  SESSION "allow device publish, retain \"a\"\n"
#define MANY    "counted together with topics that the log does not name"

static const char TOGETHER[] =
    "counted together over a time in which a condition on time may change";
static const char FACT[] = "it rests on a fact that the log does not have";
static const char LIMIT[] = "it has, or may have, another limit of rate, which is not replayed";
static const char LEASE[] =
    "its session has, or may have, a shorter lease, which is not replayed";
static const char RETAINED[] = "the log does not say whether it was retained";

struct row {
    const char *old, *new;
    enum policy_action action;
    bool denied;    /* it was */
    int64_t over_s; /* from noon on */
    enum cli_change change;
    const char *why; /* NULL: it does not matter */
};

static struct policy *compile(const char *text, uint64_t version)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    assert_int_equal(policy_compile(bytes_of_text(text), version, &errors, &policy), RC_OK);
    return policy;
}

static const struct policy_facts FACTS = {
    .device_id = { (const uint8_t *)"d", 1 },
    .connection_address = { (const uint8_t *)"192.0.2.7", 9 },
    .certificate_ends_ms = (NOON_S + 3602LL) * SECOND_MS,
};

static struct cli_replayed act_of(const struct row *row)
{
    return (struct cli_replayed){
        .action = row->action,
        .target = row->action == POLICY_CONNECT ? BYTES("") : BYTES("a"),
        .facts = &FACTS,
        .first_ms = (int64_t)NOON_S * SECOND_MS,
        .last_ms = (NOON_S + row->over_s) * SECOND_MS,
        .allowed = !row->denied,
        .changed = true,
    };
}

static void expect(const struct row *row, const struct cli_replayed *act)
{
    AUTO_OF(policy) *old = compile(row->old, 1);
    AUTO_OF(policy) *new = compile(row->new, 2);
    AUTO_BUF(why, 1024);
    enum cli_change change = CLI_SAME;
    const char *text = NULL;

    assert_int_equal(cli_replayed_judge(old, new, act, &change, &why), RC_OK);
    assert_int_equal(buf_text(&why, &text), RC_OK);
    if (change != row->change || (row->why != NULL && strcmp(text, row->why) != 0))
        fail_msg("%s: %d, %s", row->new, (int)change, text);
}

static void expect_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct cli_replayed act = act_of(&rows[i]);
        expect(&rows[i], &act);
    }
}

#define EXPECT(rows)         expect_all(rows, sizeof(rows) / sizeof *(rows))
#define DENY_WHEN(condition) PUBLISH "deny device publish \"a\" when " condition "\n"

static void acts_of_a_span_are_decided_only_if_they_all_are(void **state)
{
    static const struct row ROWS[] = {
        { PUBLISH, DENY_WHEN("time.now > 2026-11-28T12:00:04Z"), POLICY_PUBLISH, .over_s = 8,
          .change = CLI_UNDECIDED, .why = TOGETHER },
        { PUBLISH, DENY_WHEN("time.now < 2026-11-28T12:00:04Z"), POLICY_PUBLISH, .over_s = 8,
          .change = CLI_UNDECIDED, .why = TOGETHER },
        /* Both ends are as before, what is between is not. */
        { PUBLISH, DENY_WHEN("time.of_day between 12:00:03 and 12:00:04"), POLICY_PUBLISH,
          .over_s = 8, .change = CLI_UNDECIDED, .why = TOGETHER },
        { PUBLISH, DENY_WHEN("certificate.left < 1h"), POLICY_PUBLISH, .over_s = 8,
          .change = CLI_UNDECIDED, .why = TOGETHER },
        { PUBLISH, DENY_WHEN("time.now > 2026-11-28T12:00:04Z"), POLICY_PUBLISH, .over_s = 3,
          .change = CLI_SAME },
        { PUBLISH, DENY_WHEN("time.now < 2026-11-28T12:00:04Z"), POLICY_PUBLISH, .over_s = 3,
          .change = CLI_NEWLY_DENIED, .why = "denied by line 3 of version 2" },
        { PUBLISH, DENY_WHEN("certificate.left < 1h"), POLICY_PUBLISH, .over_s = 1,
          .change = CLI_SAME },
        /* Whatever the time is. */
        { PUBLISH, DENY_WHEN("time.now > 2026-11-28T12:00:04Z") "deny device publish \"a\"\n",
          POLICY_PUBLISH, .over_s = 8, .change = CLI_NEWLY_DENIED },
        /* Another rule's hour does not matter. */
        { PUBLISH, PUBLISH "deny device receive \"a\" when time.of_day > 12:00:04\n",
          POLICY_PUBLISH, .over_s = 8, .change = CLI_SAME },
        { PUBLISH, DENY_WHEN("message.qos = 1"), POLICY_PUBLISH, .over_s = 8,
          .change = CLI_UNDECIDED, .why = FACT },
    };

    (void)state;
    EXPECT(ROWS);
}

static void another_limit_of_rate_is_not_replayed(void **state)
{
    static const struct row ROWS[] = {
        { PUBLISH, SESSION "allow device publish \"a\" limit 1/h\n", POLICY_PUBLISH,
          .change = CLI_UNDECIDED, .why = LIMIT },
        { SESSION "allow device publish \"a\" limit 1/h\n",
          SESSION "allow device publish \"a\" limit 2/h\n", POLICY_PUBLISH,
          .change = CLI_UNDECIDED, .why = LIMIT },
        { SESSION "allow device publish \"a\" limit 1/h\n",
          SESSION "allow device publish \"a\" limit 1/h\nallow device receive \"b\"\n",
          POLICY_PUBLISH, .change = CLI_SAME },
        { SESSION "allow device publish \"a\" limit 1/h\n", PUBLISH, POLICY_PUBLISH,
          .change = CLI_SAME },
        { PUBLISH, PUBLISH "allow device publish \"a\" when message.qos = 1 limit 1/h\n",
          POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = LIMIT },
        { SESSION, SESSION "allow device publish \"a\" limit 1/h\n", POLICY_PUBLISH,
          .denied = true, .change = CLI_UNDECIDED, .why = LIMIT },
        { SESSION, "allow device connect limit 1/h\n", POLICY_CONNECT, .change = CLI_UNDECIDED,
          .why = LIMIT },
        { PUBLISH, "allow device connect lease 1h\nallow device publish \"a\"\n",
          POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = LEASE },
        { "allow device connect lease 1h\nallow device publish \"a\"\n", PUBLISH,
          POLICY_PUBLISH, .change = CLI_SAME },
        { PUBLISH, PUBLISH "allow device connect when client.id = \"x\" lease 1h\n",
          POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = LEASE },
    };

    (void)state;
    EXPECT(ROWS);
}

static void what_falls_with_another_act_is_denied_with_it(void **state)
{
    static const struct row ROWS[] = {
        { PUBLISH, "allow device publish \"a\"\n", POLICY_PUBLISH, .change = CLI_NEWLY_DENIED,
          .why = "it may not connect: no rule of version 2 allows it" },
        { PUBLISH, "allow device publish \"a\"\nallow device connect when client.id = \"x\"\n",
          POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = FACT },
        { SESSION, "allow device publish \"a\"\n", POLICY_PUBLISH, .denied = true,
          .change = CLI_SAME },
        { RETAIN, SESSION "allow device retain \"a\"\n", POLICY_RETAIN,
          .change = CLI_NEWLY_DENIED,
          .why = "it may not be published: no rule of version 2 allows it" },
        { PUBLISH, SESSION "allow device retain \"a\"\n", POLICY_RETAIN, .denied = true,
          .change = CLI_SAME },
        { PUBLISH, RETAIN, POLICY_RETAIN, .denied = true, .change = CLI_NEWLY_ALLOWED },
        { PUBLISH, PUBLISH "allow device receive \"a\"\n", POLICY_PUBLISH, .change = CLI_SAME },
        { RETAIN, PUBLISH, POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = RETAINED },
        { SESSION, PUBLISH, POLICY_PUBLISH, .denied = true, .change = CLI_NEWLY_ALLOWED },
        { SESSION, SESSION "allow device will \"a\"\n", POLICY_WILL, .denied = true,
          .change = CLI_UNDECIDED, .why = RETAINED },
        { SESSION "allow device will \"a\"\n", PUBLISH "allow device will \"a\"\n", POLICY_WILL,
          .change = CLI_SAME },
    };

    (void)state;
    EXPECT(ROWS);
}

/* ---- What a record does not say ---- */

static void what_was_limited_or_has_no_name_is_undecidable(void **state)
{
    struct row row = { SESSION,
                       PUBLISH,
                       POLICY_PUBLISH,
                       .denied = true,
                       .change = CLI_UNDECIDED,
                       .why = "it was denied by a limit of rate" };
    struct cli_replayed act = act_of(&row);

    (void)state;
    act.limited = true;
    expect(&row, &act);
    row =
        (struct row){ PUBLISH, SESSION, POLICY_PUBLISH, .change = CLI_UNDECIDED, .why = MANY };
    act = act_of(&row);
    act.nameless = MANY;
    expect(&row, &act);
    /* But its session falls, whatever they are. */
    row = (struct row){ PUBLISH, "allow device publish \"a\"\n", POLICY_PUBLISH,
                        .change = CLI_NEWLY_DENIED };
    expect(&row, &act);
    act.changed = false;
    expect(&row, &act);
    row = (struct row){ PUBLISH, PUBLISH, POLICY_PUBLISH, .change = CLI_SAME };
    expect(&row, &act);
}

static void what_was_counted_over_sessions_has_no_connection(void **state)
{
    struct row row = { SESSION,
                       SESSION "allow device publish \"a\" when connection.address in { "
                               "192.0.2.0/24 }\n",
                       POLICY_PUBLISH, .denied = true, .change = CLI_NEWLY_ALLOWED };
    struct cli_replayed act = act_of(&row);

    (void)state;
    expect(&row, &act);
    act.of_any_session = true;
    row.change = CLI_UNDECIDED;
    row.why = FACT;
    expect(&row, &act);
}

static void a_lease_matters_once_it_would_be_over(void **state)
{
    struct row row = { PUBLISH, "allow device connect lease 1h\nallow device publish \"a\"\n",
                       POLICY_PUBLISH, .change = CLI_SAME };
    struct cli_replayed act = act_of(&row);

    (void)state;
    act.opened_ms = act.last_ms - 3599LL * SECOND_MS;
    expect(&row, &act);
    act.opened_ms = act.last_ms - 3600LL * SECOND_MS;
    row.change = CLI_UNDECIDED;
    row.why = LEASE;
    expect(&row, &act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acts_of_a_span_are_decided_only_if_they_all_are),
        cmocka_unit_test(another_limit_of_rate_is_not_replayed),
        cmocka_unit_test(what_falls_with_another_act_is_denied_with_it),
        cmocka_unit_test(what_was_limited_or_has_no_name_is_undecidable),
        cmocka_unit_test(what_was_counted_over_sessions_has_no_connection),
        cmocka_unit_test(a_lease_matters_once_it_would_be_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
