/* The holds of a log, in its store. */
#pragma once

#include "audit/hold.h"
#include "audit/log.h"

/* RC_MALFORMED; RC_LIMIT: AUDIT_HOLDS_MAX are there; RC_BUSY: its subject is being erased. */
enum rc audit_holds_add(struct audit_log *log, struct store_txn *txn,
                        const struct audit_hold *hold, uint64_t *number);
/* What it held is pruned next, if it is due. *hold borrows from room. RC_NOT_FOUND. */
enum rc audit_holds_remove(struct audit_log *log, struct store_txn *txn, uint64_t number,
                           struct buf *room, struct audit_hold *hold);

/* All of them, as of this transaction. */
struct audit_holds {
    struct buf bytes; /* audit_holds_clear() */
    struct audit_hold at[AUDIT_HOLDS_MAX];
    size_t count;
};
#define AUTO_HOLDS(name)                                                                       \
    [[gnu::cleanup(audit_holds_clear)]] struct audit_holds name = {                            \
        .bytes = BUF_MAX(AUDIT_HOLDS_MAX * AUDIT_HOLD_BYTES_MAX)                               \
    }
enum rc audit_holds_read(struct audit_log *log, struct store_txn *txn,
                         struct audit_holds *holds);
void audit_holds_clear(struct audit_holds *holds);
/* NULL: none covers it. */
const struct audit_hold *audit_holds_find(const struct audit_holds *holds,
                                          const struct audit_record *record);
