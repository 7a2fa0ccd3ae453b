#include "broker/tally.h"

#include <assert.h>
#include <stdlib.h>

uint64_t broker_tally_hash(const struct topic_hash_key *key, struct bytes topic)
{
    uint64_t hash = topic.len == 0 ? 0 : broker_topic_hash(key, topic);

    return topic.len > 0 && hash == 0 ? 1 : hash;
}

static bool is_of(const struct tally_row *row, const struct audit_record *act)
{
    return row->action == act->action && row->decision == act->decision &&
           row->rule == act->rule && row->policy_version == act->policy_version;
}

struct audit_slot *broker_tally_find(const struct tally *tally, const struct audit_record *act,
                                     uint64_t *topic)
{
    struct audit_slot *wide = NULL;
    size_t alike = 0, all = 0;

    for (size_t i = 0; i < tally->used; i++) {
        const struct tally_row *row = &tally->rows[i];
        if (row->topic == *topic && is_of(row, act))
            return row->slot;
        if (row->topic == 0 && is_of(row, act))
            wide = row->slot;
        all += row->topic != 0;
        alike += row->topic != 0 && row->action == act->action;
    }
    if (alike < TALLY_TOPICS && all < TALLY_TOPICS_ALL)
        return NULL;
    *topic = 0;
    return wide;
}

enum rc broker_tally_begin(struct tally *tally, const struct audit_record *act, uint64_t topic,
                           struct audit_slot *slot)
{
    assert(!broker_tally_is_full(tally));
    if (tally->rows == NULL)
        tally->rows = calloc(TALLY_ROWS, sizeof *tally->rows);
    if (tally->rows == NULL)
        return fault(RC_NOMEM, "tally of a session");
    tally->rows[tally->used++] = (struct tally_row){ .action = act->action,
                                                     .decision = act->decision,
                                                     .rule = act->rule,
                                                     .policy_version = act->policy_version,
                                                     .topic = topic,
                                                     .slot = slot };
    return RC_OK;
}

void broker_tally_clear(struct tally *tally)
{
    free(tally->rows);
    *tally = (struct tally){ 0 };
}
