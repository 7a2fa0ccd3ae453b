#include "audit/step.h"

enum { TRIES = 8 };

/* The wall clock, read between two looks at the other: a process that is held up between them
 * is not a clock that steps. */
struct reading {
    int64_t wall_ms, before_ms, after_ms;
};

static struct reading read_both(const struct clock *clock)
{
    struct reading best = { 0 };

    for (int i = 0; i < TRIES; i++) {
        struct reading one;
        one.before_ms = clock_monotonic_ms(clock);
        one.wall_ms = clock_wall_ms(clock);
        one.after_ms = clock_monotonic_ms(clock);
        if (i == 0 || one.after_ms - one.before_ms < best.after_ms - best.before_ms)
            best = one;
        if (best.after_ms == best.before_ms)
            break;
    }
    return best;
}

static void agree(struct audit_step *step, int64_t least_ms, int64_t most_ms)
{
    *step = (struct audit_step){ most_ms, least_ms, least_ms, most_ms };
}

void audit_step_start(struct audit_step *step, const struct clock *clock)
{
    const struct reading now = read_both(clock);

    agree(step, now.wall_ms - now.after_ms, now.wall_ms - now.before_ms);
}

void audit_step_resume(struct audit_step *step, const struct clock *clock, int64_t wall_ms)
{
    int64_t ahead_ms = wall_ms - clock_monotonic_ms(clock);

    agree(step, ahead_ms, ahead_ms);
}

bool audit_step_find(struct audit_step *step, const struct clock *clock, struct buf *room,
                     struct audit_record *record)
{
    const struct reading now = read_both(clock);
    int64_t from_ms = now.before_ms;

    step->least_ms = now.wall_ms - now.after_ms;
    step->most_ms = now.wall_ms - now.before_ms;
    if (step->ahead_ms - step->most_ms > AUDIT_STEP_BACK_MS)
        from_ms += step->ahead_ms;
    else if (step->least_ms - step->told_ms > AUDIT_STEP_FORTH_MS)
        from_ms += step->told_ms;
    else {
        if (step->ahead_ms < step->least_ms)
            step->ahead_ms = step->least_ms;
        return false;
    }
    buf_reset(room);
    buf_addf(room, "from ");
    clock_add_rfc3339(room, from_ms);
    buf_addf(room, " to ");
    clock_add_rfc3339(room, now.wall_ms);
    *record = (struct audit_record){ .action = AUDIT_CLOCK_STEP,
                                     .decision = AUDIT_ALLOWED,
                                     .wall_ms = now.wall_ms > 0 ? now.wall_ms : 0,
                                     .monotonic_ms = now.before_ms,
                                     .target = BYTES("wall clock"),
                                     .reason = room->broken ? BYTES("out of all bounds")
                                                            : buf_bytes(room) };
    return true;
}

void audit_step_told(struct audit_step *step)
{
    agree(step, step->least_ms, step->most_ms);
}
