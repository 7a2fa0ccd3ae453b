#include <stdlib.h>

#include "broker/door_state.h"

/*
 * What the door records of itself: that it serves, and it serves no sooner than that is
 * durable; that it ends, or that a former life was found to have; what that one left on its way
 * to the spool; and that the wall clock stepped.
 */

enum { LOOK_EVERY_MS = 1000 };

static struct audit_record record_of(const struct broker_door *door, enum audit_action action)
{
    const struct clock *clock = door->setup.clock;
    struct bytes self = bytes_of_text(registry_channel_name(door->setup.channel));

    return (struct audit_record){ .action = action,
                                  .decision = AUDIT_ALLOWED,
                                  .wall_ms = clock_wall_ms(clock),
                                  .monotonic_ms = clock_monotonic_ms(clock),
                                  .actor_kind = AUDIT_PROCESS,
                                  .actor = self,
                                  .target = self };
}

/* ---- The former life ---- */

static enum rc put_recovered(struct broker_door *door)
{
    struct audit_slot *slot;

    while ((slot = audit_pending_recovered(door->setup.pending)) != NULL)
        TRY(broker_outbox_put(&door->outbox, slot));
    return RC_OK;
}

static enum rc tell_lost(struct broker_door *door)
{
    struct audit_record record = record_of(door, AUDIT_LOG_SPOOL);
    AUTO_BUF(reason, AUDIT_REASON_MAX);

    buf_addf(&reason,
             "%llu records on their way to the spool were lost with the machine's power",
             (unsigned long long)door->setup.found.lost);
    record.decision = AUDIT_FAILED;
    record.reason = buf_bytes(&reason);
    return broker_outbox_add(&door->outbox, &record);
}

static enum rc tell_former(struct broker_door *door)
{
    struct audit_record record = record_of(door, AUDIT_PROCESS_STOP);

    record.decision = AUDIT_FAILED;
    record.reason =
        BYTES("found to have ended without a word: killed, or the machine went down");
    return broker_outbox_add(&door->outbox, &record);
}

/* ---- This one: each is tried until it is on its way ---- */

static enum rc tell(struct broker_door *door)
{
    struct presence *presence = &door->presence;
    const struct audit_record start = record_of(door, AUDIT_PROCESS_START);

    if (presence->ticket > 0)
        return RC_OK;
    if (door->setup.found.lost > 0)
        TRY(tell_lost(door));
    door->setup.found.lost = 0;
    if (door->setup.found.killed)
        TRY(tell_former(door));
    door->setup.found.killed = false;
    TRY(broker_outbox_add(&door->outbox, &start));
    presence->ticket = door->outbox.ticket;
    return RC_OK;
}

static enum rc tell_step(struct broker_door *door)
{
    struct presence *presence = &door->presence;
    AUTO_BUF(room, AUDIT_REASON_MAX);
    const struct audit_record self = record_of(door, AUDIT_CLOCK_STEP);
    struct audit_record record;

    if (!audit_step_find(&presence->step, door->setup.clock, &room, &record))
        return RC_OK;
    record.actor_kind = self.actor_kind;
    record.actor = self.actor;
    TRY(broker_outbox_add(&door->outbox, &record));
    audit_step_told(&presence->step);
    return RC_OK;
}

static enum rc look(struct loop_timer *timer)
{
    struct broker_door *door =
        (void *)((char *)timer - offsetof(struct broker_door, presence.timer));

    if (tell(door) != RC_OK || tell_step(door) != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", fault_text());
    return loop_arm(door->setup.loop, timer, LOOK_EVERY_MS);
}

enum rc broker_presence_begin(struct broker_door *door)
{
    struct loop_timer *timer = &door->presence.timer;

    timer->due = look;
    audit_step_start(&door->presence.step, door->setup.clock);
    TRY(put_recovered(door));
    return look(timer);
}

void broker_presence_recorded(struct broker_door *door, const struct broker_mail *mail)
{
    struct presence *presence = &door->presence;

    if (mail->rc != RC_OK || presence->ticket == 0 || mail->number < presence->ticket ||
        presence->recorded)
        return;
    presence->recorded = true;
    broker_door_open_up(door);
}

void broker_door_fails(struct broker_door *door)
{
    door->presence.fails = true;
}

void broker_presence_end(struct broker_door *door)
{
    const struct audit_record stop = record_of(door, AUDIT_PROCESS_STOP);

    loop_disarm(&door->presence.timer);
    if (door->presence.fails)
        return;
    if (door->presence.recorded && broker_outbox_add(&door->outbox, &stop) != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", fault_text());
}
