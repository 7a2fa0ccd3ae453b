#include "tests/support/check.h"

#include "audit/step.h"

struct hands {
    int64_t wall_ms, monotonic_ms;
};

static int64_t wall(void *with)
{
    return ((const struct hands *)with)->wall_ms;
}

static int64_t monotonic(void *with)
{
    return ((const struct hands *)with)->monotonic_ms;
}

enum { BEGAN = 1000000000 };

static void a_step_is_found_until_it_is_told(void **state)
{
    static const struct {
        int64_t wall_by, monotonic_by;
        bool steps;
        const char *reason;
    } ROWS[] = {
        { 0, 0, false, "" },
        { 60000, 60000, false, "" },
        { 61000, 60000, false, "" },
        { 59999, 60000, false, "" },
        { 59998, 60000, true, "from 1970-01-12T13:47:40.000Z to 1970-01-12T13:47:39.998Z" },
        { 59000, 60000, true, "from 1970-01-12T13:47:40.000Z to 1970-01-12T13:47:39.000Z" },
        { 61001, 60000, true, "from 1970-01-12T13:47:40.000Z to 1970-01-12T13:47:41.001Z" },
        { -3600000, 0, true, "from 1970-01-12T13:46:40.000Z to 1970-01-12T12:46:40.000Z" },
        { 3600000, 0, true, "from 1970-01-12T13:46:40.000Z to 1970-01-12T14:46:40.000Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct hands hands = { BEGAN, 5000 };
        const struct clock clock = { wall, monotonic, &hands };
        struct audit_step step;
        struct audit_record record;
        AUTO_BUF(room, AUDIT_REASON_MAX);
        AUTO_BUF(form, AUDIT_RECORD_MAX);

        audit_step_start(&step, &clock);
        hands.wall_ms += ROWS[i].wall_by;
        hands.monotonic_ms += ROWS[i].monotonic_by;
        for (int looks = 0; looks < 2; looks++)
            assert_int_equal(audit_step_find(&step, &clock, &room, &record), ROWS[i].steps);
        if (!ROWS[i].steps)
            continue;
        assert_int_equal(record.action, AUDIT_CLOCK_STEP);
        assert_int_equal(record.wall_ms, hands.wall_ms);
        assert_true(bytes_equal_text(record.reason, ROWS[i].reason));
        assert_int_equal(audit_record_write(&record, &form), RC_OK);
        audit_step_told(&step);
        assert_false(audit_step_find(&step, &clock, &room, &record));
        hands.wall_ms -= ROWS[i].wall_by - ROWS[i].monotonic_by; /* and back again */
        bool shows = ROWS[i].wall_by > ROWS[i].monotonic_by ||
                     ROWS[i].wall_by < ROWS[i].monotonic_by - AUDIT_STEP_FORTH_MS;
        assert_int_equal(audit_step_find(&step, &clock, &room, &record), shows);
    }
}

/* Ten steps of a tenth are a second: what creeps is found, too. */
static void small_steps_add_up(void **state)
{
    struct hands hands = { BEGAN, 0 };
    const struct clock clock = { wall, monotonic, &hands };
    struct audit_step step;
    struct audit_record record;
    AUTO_BUF(room, AUDIT_REASON_MAX);

    (void)state;
    audit_step_start(&step, &clock);
    for (int i = 1; i <= 11; i++) {
        hands.wall_ms += 1100;
        hands.monotonic_ms += 1000;
        assert_int_equal(audit_step_find(&step, &clock, &room, &record), i == 11);
    }
}

/* Half a second ahead is not told, but half a second back from there is; and two steps of a
 * millisecond are one of two. */
static void back_is_measured_from_the_furthest_ahead(void **state)
{
    static const struct {
        int64_t wall_by;
        bool steps;
    } ROWS[] = { { 500, false }, { -500, true }, { -1, false }, { -1, true }, { 0, false } };
    struct hands hands = { BEGAN, 0 };
    const struct clock clock = { wall, monotonic, &hands };
    struct audit_step step;
    struct audit_record record;
    AUTO_BUF(room, AUDIT_REASON_MAX);

    (void)state;
    audit_step_start(&step, &clock);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        hands.wall_ms += 1000 + ROWS[i].wall_by;
        hands.monotonic_ms += 1000;
        assert_int_equal(audit_step_find(&step, &clock, &room, &record), ROWS[i].steps);
        if (ROWS[i].steps)
            audit_step_told(&step);
    }
}

/* Each read of a clock takes up to 40 ms of both, as on a machine that is loaded. */
static int64_t slow_wall(void *with)
{
    struct hands *hands = with;

    hands->monotonic_ms += hands->wall_ms * 7 % 41;
    hands->wall_ms += hands->wall_ms * 7 % 41;
    return hands->wall_ms;
}

static int64_t slow_monotonic(void *with)
{
    struct hands *hands = with;

    hands->wall_ms += hands->monotonic_ms * 11 % 41;
    hands->monotonic_ms += hands->monotonic_ms * 11 % 41;
    return hands->monotonic_ms;
}

static void a_process_that_is_held_up_is_no_step(void **state)
{
    struct hands hands = { BEGAN, 5 };
    const struct clock clock = { slow_wall, slow_monotonic, &hands };
    struct audit_step step;
    struct audit_record record;
    AUTO_BUF(room, AUDIT_REASON_MAX);

    (void)state;
    audit_step_start(&step, &clock);
    for (int i = 0; i < 5000; i++) {
        assert_false(audit_step_find(&step, &clock, &room, &record));
        hands.wall_ms += 1000;
        hands.monotonic_ms += 1000;
    }
    hands.wall_ms -= 200; /* more than both readings may be out */
    assert_true(audit_step_find(&step, &clock, &room, &record));
}

/* No slewing, scheduling or rounding of this machine's makes a step. */
static void the_machines_own_clocks_do_not_step(void **state)
{
    const struct clock clock = clock_system();
    struct audit_step step;
    struct audit_record record;
    AUTO_BUF(room, AUDIT_REASON_MAX);

    (void)state;
    audit_step_start(&step, &clock);
    for (int i = 0; i < 100000; i++)
        assert_false(audit_step_find(&step, &clock, &room, &record));
}

static void a_clock_out_of_all_bounds_is_told_all_the_same(void **state)
{
    struct hands hands = { BEGAN, 0 };
    const struct clock clock = { wall, monotonic, &hands };
    struct audit_step step;
    struct audit_record record;
    AUTO_BUF(room, AUDIT_REASON_MAX);
    AUTO_BUF(form, AUDIT_RECORD_MAX);

    (void)state;
    audit_step_start(&step, &clock);
    hands.wall_ms = INT64_C(4000000000000000);
    assert_true(audit_step_find(&step, &clock, &room, &record));
    assert_int_equal(audit_record_write(&record, &form), RC_OK);
    hands.wall_ms = -5;
    assert_true(audit_step_find(&step, &clock, &room, &record));
    assert_int_equal(audit_record_write(&record, &form), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_found_until_it_is_told),
        cmocka_unit_test(small_steps_add_up),
        cmocka_unit_test(back_is_measured_from_the_furthest_ahead),
        cmocka_unit_test(a_process_that_is_held_up_is_no_step),
        cmocka_unit_test(the_machines_own_clocks_do_not_step),
        cmocka_unit_test(a_clock_out_of_all_bounds_is_told_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
