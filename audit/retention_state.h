/* What holding, erasing and pruning share: rows of AUDIT_HOLDS. Private to audit/. */
#pragma once

#include "audit/log_state.h"

enum audit_row {
    AUDIT_ROW_HOLD = 1,  /* || number u64 -> hold.h */
    AUDIT_ROW_ERASURE,   /* || kind u8 || id -> limit u64, next u64, records u64, key u32 */
    AUDIT_ROW_PRUNING,   /* -> prune.c */
    AUDIT_ROW_NEXT_HOLD, /* -> u64 */
};

/* May this record ever lose its body? Erasing, holding and pruning leave their own traces. */
static inline bool audit_action_stays(enum audit_action action)
{
    return action == AUDIT_LOG_ERASE || action == AUDIT_LOG_HOLD || action == AUDIT_LOG_PRUNE;
}

enum rc audit_erase_is_under_way(struct audit_log *log, struct store_txn *txn,
                                 enum audit_actor_kind kind, struct bytes id, bool *under_way);
/* Pruning begins again where a hold held it up first. */
enum rc audit_prune_again(struct audit_log *log, struct store_txn *txn);
