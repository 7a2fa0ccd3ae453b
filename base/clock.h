/* Time, passed in: code that needs to know the hour takes a clock, tests turn its hands. */
#pragma once

#include "base/buf.h"

/*
 * wall is milliseconds since 1970-01-01T00:00:00Z and may step; it dates things.
 * monotonic is milliseconds since some start and never steps; it measures things.
 */
struct clock {
    int64_t (*wall_ms)(void *with);
    int64_t (*monotonic_ms)(void *with);
    void *with;
};

/* The machine's own clocks (CLOCK_REALTIME, CLOCK_BOOTTIME). */
struct clock clock_system(void);

int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);

/* Civil time in UTC, proleptic Gregorian, no leap seconds; year 0 to 9999. */
struct civil {
    int year, month, day, hour, minute, second;
};

/* RC_LIMIT outside the years 0 to 9999. */
enum rc clock_to_civil(int64_t seconds, struct civil *civil);
/* RC_MALFORMED for a date or time that does not exist. */
enum rc clock_from_civil(const struct civil *civil, int64_t *seconds);
/* Append RFC 3339 with milliseconds, "2026-11-22T22:43:01.250Z"; breaks buf outside the years 0
 * to 9999. */
void clock_add_rfc3339(struct buf *buf, int64_t wall_ms);
/* Read RFC 3339 in UTC ("Z"), seconds with or without a fraction of up to nine digits.
 * RC_MALFORMED. */
enum rc clock_read_rfc3339(struct bytes text, int64_t *wall_ms);
