#include "broker/tally.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/topic_hash.h"

struct audit_slot *broker_tally_find(const struct tally *tally, const struct audit_record *act)
{
    for (size_t i = 0; i < tally->used; i++) {
        const struct tally_row *row = &tally->rows[i];
        if (row->action == act->action && row->rule == act->rule &&
            row->policy_version == act->policy_version)
            return row->slot;
    }
    return NULL;
}

enum rc broker_tally_begin(struct tally *tally, const struct audit_record *act,
                           struct audit_slot *slot)
{
    assert(!broker_tally_is_full(tally));
    if (tally->rows == NULL)
        tally->rows = calloc(TALLY_ROWS, sizeof *tally->rows);
    if (tally->rows == NULL)
        return fault(RC_NOMEM, "tally of a session");
    tally->rows[tally->used++] =
        (struct tally_row){ act->action, act->rule, act->policy_version, slot };
    return RC_OK;
}

void broker_tally_count(struct audit_slot *slot, int64_t wall_ms, struct bytes target)
{
    /* To tell a few targets of one session apart; nobody gains by a collision. */
    static const struct topic_hash_key KEY = { 1, 1 };
    uint64_t hash = target.len == 0 ? 0 : broker_topic_hash(&KEY, target);

    audit_slot_count(slot, wall_ms, target.len > 0 && hash == 0 ? 1 : hash);
}

void broker_tally_clear(struct tally *tally)
{
    free(tally->rows);
    *tally = (struct tally){ 0 };
}
