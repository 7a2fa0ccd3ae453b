#include <stdlib.h>
#include <string.h>

#include "broker/door_state.h"

/* Readings of the log that the door serves by itself, as records in its spool. */

struct recorded {
    struct recorded *next;
    uint64_t ticket;
    void (*done)(void *with, enum rc rc);
    void *with;
};

static struct audit_record record_of(const struct broker_door *door,
                                     const struct broker_reading *reading)
{
    struct audit_record record = broker_peer_record(reading->peer);

    record.action = AUDIT_LOG_READ;
    record.decision = AUDIT_ALLOWED;
    record.wall_ms = clock_wall_ms(door->setup.clock);
    record.monotonic_ms = clock_monotonic_ms(door->setup.clock);
    record.target = bytes_of_text(reading->target);
    if (reading->count > 1) /* which ones is not kept: one, or more */
        record.aggregate = (struct audit_aggregate_part){ .count = reading->count,
                                                          .first_ms = reading->first_ms,
                                                          .last_ms = reading->last_ms,
                                                          .targets = 1,
                                                          .targets_capped = true };
    return record;
}

enum rc broker_door_record_reading(struct broker_door *door,
                                   const struct broker_reading *reading,
                                   void (*done)(void *with, enum rc rc), void *with)
{
    const struct audit_record record = record_of(door, reading);
    struct recorded *waiting = NULL, **at = &door->waiting;

    if (done == NULL)
        return broker_door_send_record(door, &record, NULL);
    waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL)
        return fault(RC_NOMEM, "a reading of the log");
    waiting->done = done;
    waiting->with = with;
    enum rc rc = broker_door_send_record(door, &record, &waiting->ticket);
    if (rc != RC_OK) {
        free(waiting);
        return rc;
    }
    while (*at != NULL)
        at = &(*at)->next;
    *at = waiting;
    return RC_OK;
}

static void tell(struct recorded *waiting, enum rc rc)
{
    waiting->done(waiting->with, rc);
    free(waiting);
}

bool broker_readings_recorded(struct broker_door *door, uint64_t ticket, enum rc rc)
{
    struct recorded **at = &door->waiting;
    bool waited = false;

    while (*at != NULL) {
        struct recorded *found = *at;
        if (found->ticket != ticket) {
            at = &found->next;
            continue;
        }
        *at = found->next;
        tell(found, rc == RC_OK ? RC_OK : fault(rc, "the reading could not be recorded"));
        waited = true;
    }
    return waited;
}

void broker_readings_free(struct broker_door *door)
{
    while (door->waiting != NULL) {
        struct recorded *first = door->waiting;
        door->waiting = first->next;
        tell(first, fault(RC_CLOSED, "the door ends"));
    }
}
