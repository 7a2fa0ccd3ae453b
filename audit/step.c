#include "audit/step.h"

void audit_step_start(struct audit_step *step, const struct clock *clock)
{
    *step = (struct audit_step){ clock_wall_ms(clock), clock_monotonic_ms(clock) };
}

bool audit_step_find(const struct audit_step *step, const struct clock *clock, struct buf *room,
                     struct audit_record *record)
{
    int64_t to_ms = clock_wall_ms(clock), now_ms = clock_monotonic_ms(clock);
    int64_t from_ms = step->wall_ms + (now_ms - step->monotonic_ms);

    if (to_ms - from_ms <= AUDIT_STEP_LEAST_MS && from_ms - to_ms <= AUDIT_STEP_LEAST_MS)
        return false;
    buf_reset(room);
    buf_addf(room, "from ");
    clock_add_rfc3339(room, from_ms);
    buf_addf(room, " to ");
    clock_add_rfc3339(room, to_ms);
    *record = (struct audit_record){ .action = AUDIT_CLOCK_STEP,
                                     .decision = AUDIT_ALLOWED,
                                     .wall_ms = to_ms > 0 ? to_ms : 0,
                                     .monotonic_ms = now_ms,
                                     .target = BYTES("wall clock"),
                                     .reason = room->broken ? BYTES("out of all bounds")
                                                            : buf_bytes(room) };
    return true;
}

void audit_step_told(struct audit_step *step, const struct audit_record *record)
{
    *step = (struct audit_step){ record->wall_ms, record->monotonic_ms };
}
