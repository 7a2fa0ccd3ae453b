#include "tests/support/check.h"

#include "base/clock.h"
#include "policy/analysis.h"

/* A Saturday. The certificate ends an hour after noon. */
#define DAY  "2026-11-28T"
#define NOON DAY "12:00:00Z"

static int64_t at(const char *time)
{
    int64_t ms = 0;

    assert_int_equal(clock_read_rfc3339(bytes_of_text(time), &ms), RC_OK);
    return ms;
}

static bool turns(const char *condition, const char *first, const char *last)
{
    AUTO_BUF(text, 1024);
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors = { 0 };

    buf_addf(&text, "allow device connect %s\n", condition);
    assert_int_equal(policy_compile(buf_bytes(&text), 1, &errors, &policy), RC_OK);
    return policy_turns(policy, at(DAY "13:00:00Z"), at(first), at(last));
}

static void a_bound_between_two_moments_is_found_and_no_other(void **state)
{
    static const struct {
        const char *condition, *first, *last;
        bool turns;
    } ROWS[] = {
        { "when time.now > " NOON, DAY "11:59:59Z", DAY "12:00:01Z", true },
        { "when time.now > " NOON, DAY "11:59:58Z", DAY "11:59:59Z", false },
        { "when time.now > " NOON, DAY "12:00:01Z", DAY "12:00:09Z", false },
        { "when time.now > " NOON, DAY "12:00:00Z", DAY "12:00:00Z", false },
        { "until " NOON, DAY "11:59:59Z", DAY "12:00:01Z", true },
        { "when time.of_day between 11:00 and 12:00", DAY "11:59:59Z", DAY "12:00:01Z", true },
        { "when time.of_day between 11:00 and 12:00", DAY "11:30:00Z", DAY "11:59:00Z", false },
        { "when time.of_day between 11:00 and 12:00", DAY "10:00:00Z", DAY "13:00:00Z", true },
        { "when time.of_day < 00:00:01", "2026-11-27T23:59:59Z", DAY "00:00:05Z", true },
        { "when time.of_day > 12:00", "2026-11-27T23:59:59Z", DAY "00:00:05Z", true },
        { "when time.weekday = \"saturday\"", "2026-11-27T23:59:59Z", DAY "00:00:00Z", true },
        { "when time.weekday = \"saturday\"", DAY "00:00:00Z", DAY "23:59:59Z", false },
        { "when certificate.left < 1h", DAY "11:59:59Z", DAY "12:00:01Z", true },
        { "when certificate.left < 1h", DAY "12:00:01Z", DAY "12:00:09Z", false },
        { "when certificate.left is known", DAY "11:59:59Z", DAY "12:00:01Z", false },
        { "when connection.tls = \"1.3\"", DAY "11:59:59Z", DAY "12:00:01Z", false },
        { "", DAY "11:59:59Z", DAY "12:00:01Z", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (turns(ROWS[i].condition, ROWS[i].first, ROWS[i].last) != ROWS[i].turns)
            fail_msg("%s, %s to %s", ROWS[i].condition, ROWS[i].first, ROWS[i].last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_between_two_moments_is_found_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
