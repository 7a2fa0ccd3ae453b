/* What a source of records may say. */
#pragma once

#include "audit/record.h"

/*
 * A door tells what it sees: who came, what was asked of it, that it lives. Whoever has broken
 * into it can write anything into its spool, and the log takes nothing from there that is
 * another's to tell: no policy that was applied, no certificate that was made, no end of the
 * authority, no erasing. So each source has its rows of actions, kinds of actors and decisions.
 */

/* RC_DENIED names what this source does not say. */
enum rc audit_saying_check(enum audit_source source, const struct audit_record *record);

/*
 * Searching and pruning go by time. A moment more than a day ahead of now_ms, when the record
 * is taken, becomes now_ms, and the reason begins with what it was. room holds the new reason;
 * if it stays empty, nothing was changed.
 */
void audit_saying_bound(struct audit_record *record, int64_t now_ms, struct buf *room);
