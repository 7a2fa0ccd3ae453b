/* A wall clock that steps, told from one that runs. */
#pragma once

#include "audit/record.h"
#include "base/clock.h"

/*
 * Both clocks are slewed alike (clock.h: CLOCK_BOOTTIME), so wall and monotonic time run side
 * by side, and slewing never sets one back, until somebody sets the wall clock. Log order is
 * the index: a step dates records differently and moves none.
 *
 * Back: whatever shows in the milliseconds that records carry. Two clocks cut to milliseconds
 * differ by up to one without a step; more than that is one. A leap second is one, too.
 * Forth: by more than a second, what creeps added up. A lesser one is time that passed, as far
 * as dates can tell: it dates no two records against their order.
 */
enum { AUDIT_STEP_BACK_MS = 1, AUDIT_STEP_FORTH_MS = 1000 };

/* The wall clock less the monotonic one. */
struct audit_step {
    int64_t told_ms;  /* when that was last told, at most */
    int64_t ahead_ms; /* the furthest ahead since, surely: back is measured from there */
    int64_t least_ms, most_ms; /* as last read */
};

void audit_step_start(struct audit_step *step, const struct clock *clock);
/* As if the wall clock had just been read as wall_ms. */
void audit_step_resume(struct audit_step *step, const struct clock *clock, int64_t wall_ms);
/* Did the wall clock step since? record is then what is to be told of it, its reason in room,
 * and the actor the caller's to add; the same is found again until audit_step_told(). */
bool audit_step_find(struct audit_step *step, const struct clock *clock, struct buf *room,
                     struct audit_record *record);
void audit_step_told(struct audit_step *step);
