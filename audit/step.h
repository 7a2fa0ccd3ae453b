/* A wall clock that steps, told from one that runs. */
#pragma once

#include "audit/record.h"
#include "base/clock.h"

/*
 * Both clocks are slewed alike (clock.h: CLOCK_BOOTTIME), so wall and monotonic time run side
 * by side until somebody sets the wall clock. Log order is the index: a step dates records
 * differently and moves none.
 */
enum { AUDIT_STEP_LEAST_MS = 1000 };

/* Where they last agreed. */
struct audit_step {
    int64_t wall_ms, monotonic_ms;
};

void audit_step_start(struct audit_step *step, const struct clock *clock);
/* Did the wall clock step by more than a second, back or forth? record is then what is to be
 * told of it, its reason in room, and the actor the caller's to add; the same is found again
 * until audit_step_told(). */
bool audit_step_find(const struct audit_step *step, const struct clock *clock, struct buf *room,
                     struct audit_record *record);
void audit_step_told(struct audit_step *step, const struct audit_record *record);
