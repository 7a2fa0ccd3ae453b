#include <string.h>
#include <sys/random.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

/*
 * A door that is full closes what comes, unread. The log has how many, from how many addresses,
 * from when to when; with the first one's address.
 */

/* When there is no slot they are counted in memory, and not each of them asks for one. */
enum { TRY_AGAIN_MS = 100 };

static struct bytes host_of(const char *address)
{
    const char *port = strrchr(address, ':');

    return (struct bytes){ (const uint8_t *)address,
                           port == NULL ? strlen(address) : (size_t)(port - address) };
}

static enum rc begin(struct worker *worker, struct turned_away *away)
{
    static const char *const REASONS[] = {
        [AWAY_NO_PLACE] = "turned away: no place is left",
        [AWAY_NOT_TAKEN] = "turned away: it could not be taken in",
    };
    struct audit_record record = {
        .action = AUDIT_HANDSHAKE,
        .decision = AUDIT_DENIED,
        .wall_ms = away->first_ms,
        .monotonic_ms = clock_monotonic_ms(worker->door->setup.clock),
        .peer = bytes_of_text(away->first),
        .target = bytes_of_text(away->listener->name),
        .reason = bytes_of_text(REASONS[away->why]),
    };

    if (getrandom(record.correlation, sizeof record.correlation, 0) !=
        sizeof record.correlation)
        return fault_errno("random octets for a correlation id");
    TRY(audit_pending_begin(worker->outbox.pending, &record, AUDIT_PENDING_TARGETS,
                            &away->slot));
    audit_slot_count_more(away->slot, away->last_ms, away->untold);
    away->untold = 0;
    return RC_OK;
}

static bool has_slot(struct worker *worker, struct turned_away *away)
{
    int64_t now_ms = loop_now_ms(worker->loop);

    if (away->slot != NULL)
        return true;
    if (away->untold > 0 && now_ms - away->tried_ms < TRY_AGAIN_MS)
        return false;
    away->tried_ms = now_ms;
    return begin(worker, away) == RC_OK;
}

/* Who gets nothing costs a counter, and a look at which addresses there were. */
void broker_turned_away_count(struct worker *worker, const struct listener *listener,
                              enum turned_away_why why, const char *address)
{
    struct turned_away *away = &worker->away[(listener->mqtt ? AWAY_WHYS : 0) + why];
    struct bytes host = host_of(address);

    broker_metric_add(BROKER_HANDSHAKES_REFUSED, 1);
    away->last_ms = clock_wall_ms(worker->door->setup.clock);
    if (away->slot == NULL && away->untold == 0) {
        away->listener = listener;
        away->why = why;
        away->first_ms = away->last_ms;
        memcpy(away->first, address, strlen(address) + 1);
    }
    if (has_slot(worker, away))
        audit_slot_count(away->slot, away->last_ms, broker_tally_hash(&worker->tally_key, host),
                         host);
    else
        away->untold++;
}

void broker_turned_away_flush(struct worker *worker)
{
    for (size_t i = 0; i < sizeof worker->away / sizeof *worker->away; i++) {
        struct turned_away *away = &worker->away[i];
        if ((away->slot != NULL || (away->untold > 0 && has_slot(worker, away))) &&
            broker_witness_ended(worker, away->slot) == RC_OK)
            away->slot = NULL; /* else it is counted on */
    }
}
