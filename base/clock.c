#include "base/clock.h"

#include <time.h>

enum { DAY_S = 86400, YEAR_MAX = 9999 };

static int64_t read_clock(clockid_t which)
{
    struct timespec now = { 0 };

    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall(void *with)
{
    (void)with;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(void *with)
{
    (void)with;
    return read_clock(CLOCK_BOOTTIME);
}

struct clock clock_system(void)
{
    return (struct clock){ system_wall, system_monotonic, NULL };
}

int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->with);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->with);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return DAYS[month - 1] + (month == 2 && is_leap(year));
}

static int64_t days_before_year(int year)
{
    int64_t past = year - 1;

    /* Year 0 is a leap year of the proleptic calendar: 366 days lie between it and year 1. */
    return year == 0 ? -366 : past * 365 + past / 4 - past / 100 + past / 400;
}

static int64_t epoch_days(void)
{
    return days_before_year(1970);
}

enum rc clock_from_civil(const struct civil *civil, int64_t *seconds)
{
    if (civil->year < 0 || civil->year > YEAR_MAX || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > days_in(civil->year, civil->month) || civil->hour < 0 ||
        civil->hour > 23 || civil->minute < 0 || civil->minute > 59 || civil->second < 0 ||
        civil->second > 59)
        return fault(RC_MALFORMED, "no such time: %04d-%02d-%02d %02d:%02d:%02d", civil->year,
                     civil->month, civil->day, civil->hour, civil->minute, civil->second);

    int64_t days = days_before_year(civil->year) - epoch_days() + civil->day - 1;
    for (int month = 1; month < civil->month; month++)
        days += days_in(civil->year, month);
    *seconds = days * DAY_S + civil->hour * 3600 + civil->minute * 60 + civil->second;
    return RC_OK;
}

enum rc clock_to_civil(int64_t seconds, struct civil *civil)
{
    static const int64_t FIRST = -62167219200, LAST = 253402300799;

    if (seconds < FIRST || seconds > LAST)
        return fault(RC_LIMIT, "time %lld lies outside the years 0 to 9999",
                     (long long)seconds);

    int64_t days = (seconds - FIRST) / DAY_S - 366;
    int rest = (int)((seconds - FIRST) % DAY_S);
    int year = (int)((days + 366) / 366);

    while (days_before_year(year + 1) <= days)
        year++;
    days -= days_before_year(year);
    int month = 1;
    for (; days >= days_in(year, month); month++)
        days -= days_in(year, month);
    *civil =
        (struct civil){ year, month, (int)days + 1, rest / 3600, rest / 60 % 60, rest % 60 };
    return RC_OK;
}

void clock_add_rfc3339(struct buf *buf, int64_t wall_ms)
{
    int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
    struct civil c = { 0 };

    if (clock_to_civil(seconds, &c) != RC_OK) {
        buf->broken = true;
        return;
    }
    buf_addf(buf, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour,
             c.minute, c.second, (int)(wall_ms - seconds * 1000));
}

static int read_digits(struct reader *r, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        uint8_t digit = reader_u8(r);
        r->broken = r->broken || digit < '0' || digit > '9';
        value = value * 10 + (digit - '0');
    }
    return r->broken ? 0 : value;
}

static void expect(struct reader *r, char letter)
{
    r->broken = r->broken || reader_u8(r) != (uint8_t)letter;
}

static int read_fraction_ms(struct reader *r)
{
    int ms = 0, digits = 0;

    if (r->left.len == 0 || r->left.at[0] != '.')
        return 0;
    expect(r, '.');
    for (; r->left.len > 0 && r->left.at[0] != 'Z'; digits++) {
        int digit = read_digits(r, 1);
        if (digits < 3)
            ms = ms * 10 + digit;
        if (r->broken)
            return 0;
    }
    r->broken = digits < 1 || digits > 9;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

enum rc clock_read_rfc3339(struct bytes text, int64_t *wall_ms)
{
    struct reader r = READER(text);
    struct civil c = { 0 };
    int64_t seconds = 0;

    c.year = read_digits(&r, 4);
    expect(&r, '-');
    c.month = read_digits(&r, 2);
    expect(&r, '-');
    c.day = read_digits(&r, 2);
    expect(&r, 'T');
    c.hour = read_digits(&r, 2);
    expect(&r, ':');
    c.minute = read_digits(&r, 2);
    expect(&r, ':');
    c.second = read_digits(&r, 2);
    int ms = read_fraction_ms(&r);
    expect(&r, 'Z');
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "RFC 3339 5.6: not a time like 2026-11-22T22:43:01Z");
    TRY(clock_from_civil(&c, &seconds));
    *wall_ms = seconds * 1000 + ms;
    return RC_OK;
}
