#include "tests/support/check.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { DAY_S = 86400 };
static const int64_t FIRST = -62167219200, LAST = 253402300799;

/* Counted on by hand, day by day, and held against the C library's own calendar. */
static void every_day_of_ten_thousand_years_is_the_calendars(void **state)
{
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct civil day = { .year = 0, .month = 1, .day = 1 };

    (void)state;
    for (int64_t at = FIRST; at <= LAST; at += DAY_S) {
        struct civil got;
        int64_t back = 0;
        if (clock_to_civil(at, &got) != RC_OK || got.year != day.year ||
            got.month != day.month || got.day != day.day || got.hour + got.minute + got.second)
            fail_msg("%lld is not %d-%d-%d", (long long)at, day.year, day.month, day.day);
        if (clock_from_civil(&day, &back) != RC_OK || back != at)
            fail_msg("%d-%d-%d is not %lld", day.year, day.month, day.day, (long long)at);
        struct tm tm = { .tm_year = day.year - 1900,
                         .tm_mon = day.month - 1,
                         .tm_mday = day.day };
        if (day.day == 1)
            assert_true(timegm(&tm) == at);
        bool leap = day.year % 4 == 0 && (day.year % 100 != 0 || day.year % 400 == 0);
        if (++day.day > DAYS[day.month - 1] + (day.month == 2 && leap)) {
            day.day = 1;
            day.month = day.month % 12 + 1;
            day.year += day.month == 1;
        }
    }
    assert_int_equal(day.year, 10000);
}

static void the_bounds_are_the_first_and_last_second(void **state)
{
    struct civil c = { .year = 77 };

    (void)state;
    assert_int_equal(clock_to_civil(FIRST - 1, &c), RC_LIMIT);
    assert_int_equal(clock_to_civil(LAST + 1, &c), RC_LIMIT);
    assert_int_equal(clock_to_civil(INT64_MIN, &c), RC_LIMIT);
    assert_int_equal(clock_to_civil(INT64_MAX, &c), RC_LIMIT);
    assert_int_equal(c.year, 77);
    assert_int_equal(clock_to_civil(LAST, &c), RC_OK);
    assert_int_equal(c.year, 9999);
    assert_int_equal(c.second, 59);
    assert_int_equal(clock_to_civil(-1, &c), RC_OK);
    assert_int_equal(c.year, 1969);
    assert_int_equal(c.hour * 3600 + c.minute * 60 + c.second, DAY_S - 1);
}

static void what_no_calendar_holds_is_refused(void **state)
{
    static const struct civil NONE[] = {
        { -1, 1, 1, 0, 0, 0 },    { 10000, 1, 1, 0, 0, 0 },   { 2026, 0, 1, 0, 0, 0 },
        { 2026, 13, 1, 0, 0, 0 }, { 2026, 1, 0, 0, 0, 0 },    { 2026, 1, 32, 0, 0, 0 },
        { 2026, 4, 31, 0, 0, 0 }, { 2026, 2, 29, 0, 0, 0 },   { 1900, 2, 29, 0, 0, 0 },
        { 2026, 1, 1, 24, 0, 0 }, { 2026, 1, 1, -1, 0, 0 },   { 2026, 1, 1, 0, 60, 0 },
        { 2026, 1, 1, 0, -1, 0 }, { 2026, 1, 1, 23, 59, 60 }, { 2026, 1, 1, 0, 0, -1 },
    };
    int64_t seconds = 77;

    (void)state;
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
        assert_int_equal(clock_from_civil(&NONE[i], &seconds), RC_MALFORMED);
    assert_int_equal(seconds, 77);
    assert_int_equal(clock_from_civil(&(struct civil){ 2000, 2, 29, 23, 59, 59 }, &seconds),
                     RC_OK);
    assert_int_equal(seconds, 951868799);
}

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} TIMES[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "2026-11-22T22:43:01Z", 1795387381000 },
    { "2026-11-22T22:43:01.2Z", 1795387381200 },
    { "2026-11-22T22:43:01.250Z", 1795387381250 },
    { "2026-11-22T22:43:01.250999999Z", 1795387381250 },
    { "2026-11-22T22:43:01.2509999999Z", -1 },
    { "2026-11-22T22:43:01.Z", -1 },
    { "2026-11-22T22:43:01", -1 },
    { "2026-11-22T22:43:01z", -1 },
    { "2026-11-22t22:43:01Z", -1 },
    { "2026-11-22 22:43:01Z", -1 },
    { "2026-11-22T22:43:01+00:00", -1 },
    { "2026-11-22T22:43:60Z", -1 },
    { "2026-02-29T00:00:00Z", -1 },
    { "+026-11-22T22:43:01Z", -1 },
    { "2026-11-22T22:43:01ZZ", -1 },
    { " 2026-11-22T22:43:01Z", -1 },
    { "2026-11-2aT22:43:01Z", -1 },
};

static void rfc3339_is_read_in_its_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
        int64_t ms = -1;
        enum rc rc = clock_read_rfc3339(bytes_of_text(TIMES[i].text), &ms);
        assert_int_equal(rc, TIMES[i].ms < 0 ? RC_MALFORMED : RC_OK);
        assert_true(ms == TIMES[i].ms);
    }
    struct bytes whole = BYTES("2026-11-22T22:43:01.250Z");
    int64_t ms;
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(clock_read_rfc3339((struct bytes){ whole.at, len }, &ms),
                         RC_MALFORMED);
}

static void rfc3339_is_written_before_1970_too(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } CASES[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -1000, "1969-12-31T23:59:59.000Z" },
        { -62167219200000, "0000-01-01T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO_BUF(text, 100);
        int64_t back = 0;
        clock_add_rfc3339(&text, CASES[i].ms);
        assert_true(bytes_equal_text(buf_bytes(&text), CASES[i].text));
        assert_int_equal(clock_read_rfc3339(buf_bytes(&text), &back), RC_OK);
        assert_true(back == CASES[i].ms);
    }
    AUTO_BUF(text, 100);
    clock_add_rfc3339(&text, 253402300800000);
    assert_true(text.broken);
    buf_reset(&text);
    clock_add_rfc3339(&text, -62167219200001);
    assert_true(text.broken);
}

static void the_systems_monotonic_clock_never_steps_back(void **state)
{
    struct clock clock = clock_system();
    int64_t last = clock_monotonic_ms(&clock);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic_ms(&clock);
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_wall_ms(&clock) / 1000 <= (int64_t)time(NULL) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_ten_thousand_years_is_the_calendars),
        cmocka_unit_test(the_bounds_are_the_first_and_last_second),
        cmocka_unit_test(what_no_calendar_holds_is_refused),
        cmocka_unit_test(rfc3339_is_read_in_its_one_form),
        cmocka_unit_test(rfc3339_is_written_before_1970_too),
        cmocka_unit_test(the_systems_monotonic_clock_never_steps_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
