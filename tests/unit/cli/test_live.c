#include "tests/support/check.h"

#include <string.h>

#include "base/clock.h"
#include "cli/live.h"

#define OPENED "2026-11-28T12:00:00.000Z"

static json_t *opened(void)
{
    return json_pack("[{s:s, s:s, s:s, s:s, s:{s:s, s:s}}]", "action", "session.open",
                     "decision", "allowed", "correlation", "c1", "time", OPENED, "actor",
                     "kind", "device", "id", "d");
}

/* One record, of acts between two moments of a minute, as "10.000". */
struct row {
    const char *action, *decision, *filter, *first, *last;
    int targets;
};

static json_t *moment(const char *seconds)
{
    return json_sprintf("2026-11-28T12:00:%sZ", seconds);
}

static json_t *record_of(const struct row *row)
{
    const char *reason =
        strcmp(row->decision, "denied") == 0 ? "no longer allowed: it was removed" : "";

    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:{s:i, s:o, s:o, s:i}}", "action",
                     row->action, "decision", row->decision, "correlation", "c1", "target",
                     row->filter, "time", moment(row->first), "reason", reason, "aggregate",
                     "count", 2, "first", moment(row->first), "last", moment(row->last),
                     "targets", row->targets);
}

enum held { GONE, PERHAPS, HELD };

/* The records as they happened; the log is searched newest first. */
static enum held held_after(const struct row *rows, size_t count)
{
    AUTO(json_value) *sessions = NULL;
    AUTO(json_value) *open = opened();
    AUTO(json_value) *records = json_array();

    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_array_insert_new(records, 0, record_of(&rows[i])), 0);
    assert_int_equal(cli_live_take(open, records, &sessions), RC_OK);
    const json_t *held =
        json_object_get(json_object_get(json_object_get(sessions, "c1"), "subscriptions"), "a");
    return held == NULL ? GONE : json_is_true(held) ? HELD : PERHAPS;
}

#define ON(first, last)                                                                        \
    {                                                                                          \
        "subscribe", "allowed", "a", first, last, 1                                            \
    }
#define OFF(first, last)                                                                       \
    {                                                                                          \
        "unsubscribe", "allowed", "a", first, last, 1                                          \
    }

static void the_last_act_counts_not_the_order_of_records(void **state)
{
    static const struct {
        struct row rows[3];
        size_t count;
        enum held held;
    } ROWS[] = {
        { { ON("10.000", "10.000") }, 1, HELD },
        { { ON("10.000", "10.000"), OFF("11.000", "11.000") }, 2, GONE },
        /* Subscribed to, given up, subscribed to again, all in one window. */
        { { ON("10.000", "12.000"), OFF("11.000", "11.000") }, 2, HELD },
        { { ON("10.000", "12.000"), OFF("11.000", "13.000") }, 2, GONE },
        /* Nobody knows which came first. */
        { { ON("10.000", "12.000"), OFF("12.000", "12.000") }, 2, PERHAPS },
        { { ON("10.000", "12.000"), OFF("11.000", "13.000"), ON("13.500", "13.500") },
          3,
          HELD },
        /* Taken away, and subscribed to again. */
        { { ON("10.000", "10.000"), { "subscribe", "denied", "a", "11.000", "11.000", 1 } },
          2,
          GONE },
        { { ON("10.000", "12.000"), { "subscribe", "denied", "a", "11.000", "11.000", 1 } },
          2,
          HELD },
        /* Some that the log does not name were given up since. */
        { { ON("10.000", "10.000"), { "unsubscribe", "allowed", "+", "11.000", "12.000", 3 } },
          2,
          PERHAPS },
        { { { "unsubscribe", "allowed", "+", "11.000", "12.000", 3 }, ON("13.000", "13.000") },
          2,
          HELD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (held_after(ROWS[i].rows, ROWS[i].count) != ROWS[i].held)
            fail_msg("row %zu", i);
}

static void a_session_outlasts_a_lease_from_its_opening_on(void **state)
{
    AUTO(json_value) *session = json_pack("{s:s}", "since", OPENED);
    int64_t since_ms = 0;

    (void)state;
    assert_int_equal(clock_read_rfc3339(BYTES(OPENED), &since_ms), RC_OK);
    assert_false(cli_live_outlasts(session, 1000, since_ms + 999));
    assert_true(cli_live_outlasts(session, 1000, since_ms + 1000));
    assert_false(cli_live_outlasts(session, 0, since_ms + 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_act_counts_not_the_order_of_records),
        cmocka_unit_test(a_session_outlasts_a_lease_from_its_opening_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
