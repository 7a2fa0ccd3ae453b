/* Legal holds: records that are neither erased nor pruned as long as somebody says so. */
#pragma once

#include "audit/record.h"

/* A subject's records, as the actor or as what they are about; or those between two moments; or
 * both; or, with neither, all. Texts are borrowed. */
struct audit_hold {
    uint64_t number;            /* 0: not given yet */
    enum audit_actor_kind kind; /* device, operator or line; AUDIT_NOBODY: whoever's */
    struct bytes id;
    int64_t since_ms, until_ms; /* wall, both included; until 0: no end */
    int64_t made_ms;
    struct bytes by, reason;
};

enum { AUDIT_HOLDS_MAX = 128, AUDIT_WHY_MAX = 160, AUDIT_HOLD_BYTES_MAX = 512 };

/* A reason that is no empty or overlong text has no place in the log. RC_MALFORMED. */
enum rc audit_why_check(struct bytes reason);

/* How one is asked for (AUDIT_HOLD): this as u8, then a hold, or number u64 and reason sized16.
 */
enum audit_hold_ask { AUDIT_HOLD_ADD = 1, AUDIT_HOLD_REMOVE = 2 };

/* kind, since, until, made, id, by, reason; the number is written by whoever lists. */
void audit_hold_write(const struct audit_hold *hold, struct buf *buf);
/* From a reader, as one of many; RC_MALFORMED. */
enum rc audit_hold_read(struct reader *r, struct audit_hold *hold);
/* RC_MALFORMED names what no hold can be. */
enum rc audit_hold_check(const struct audit_hold *hold);
bool audit_hold_covers(const struct audit_hold *hold, const struct audit_record *record);
