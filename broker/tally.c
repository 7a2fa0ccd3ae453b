#include "broker/tally.h"

#include <stdlib.h>

#include "broker/topic_hash.h"

static void note_target(struct tally_row *row, struct bytes target)
{
    /* To tell a few targets of one session apart; nobody gains by a collision. */
    static const struct topic_hash_key KEY = { 1, 1 };
    uint64_t hash = broker_topic_hash(&KEY, target);

    for (size_t i = row->known; i-- > 0;)
        if (row->targets[i] == hash)
            return;
    if (row->known == TALLY_TARGETS)
        row->capped = true;
    else
        row->targets[row->known++] = hash;
}

static struct tally_row *find(struct tally *tally, const struct tally_act *act)
{
    for (size_t i = 0; i < tally->used; i++) {
        struct tally_row *row = &tally->rows[i];
        if (row->action == act->action && row->rule == act->rule &&
            row->policy_version == act->policy_version)
            return row;
    }
    return NULL;
}

static enum rc begin(struct tally *tally, const struct tally_act *act, struct tally_row **row)
{
    if (tally->rows == NULL)
        tally->rows = calloc(TALLY_ROWS, sizeof *tally->rows);
    if (tally->rows == NULL)
        return fault(RC_NOMEM, "tally of a session");
    if (tally->used == TALLY_ROWS)
        return fault(RC_LIMIT, "tally of a session: more than %d kinds of act", TALLY_ROWS);
    struct tally_row *made = &tally->rows[tally->used];
    *made = (struct tally_row){ .action = act->action,
                                .rule = act->rule,
                                .policy_version = act->policy_version,
                                .first_ms = act->wall_ms,
                                .monotonic_ms = act->monotonic_ms,
                                .target = BUF_MAX(AUDIT_TARGET_MAX) };
    buf_add(&made->target, act->target);
    if (made->target.broken)
        return fault(RC_NOMEM, "tally of a session");
    tally->used++;
    *row = made;
    return RC_OK;
}

enum rc broker_tally_add(struct tally *tally, const struct tally_act *act)
{
    struct tally_row *row = find(tally, act);

    if (row == NULL)
        TRY(begin(tally, act, &row));
    row->count++;
    row->last_ms = act->wall_ms;
    if (act->target.len > 0)
        note_target(row, act->target);
    return RC_OK;
}

void broker_tally_fill(const struct tally_row *row, struct audit_record *record)
{
    record->action = row->action;
    record->decision = AUDIT_ALLOWED;
    record->rule = row->rule;
    record->policy_version = row->policy_version;
    record->target = buf_bytes(&row->target);
    record->monotonic_ms = row->monotonic_ms;
    record->wall_ms = row->first_ms;
    record->aggregate = (struct audit_aggregate_part){
        .count = row->count,
        .first_ms = row->first_ms,
        /* The wall clock may have stepped back between two acts. */
        .last_ms = row->last_ms > row->first_ms ? row->last_ms : row->first_ms,
        .targets = row->known,
        .targets_capped = row->capped,
    };
}

void broker_tally_clear(struct tally *tally)
{
    for (size_t i = 0; i < tally->used; i++)
        buf_clear(&tally->rows[i].target);
    free(tally->rows);
    *tally = (struct tally){ 0 };
}
