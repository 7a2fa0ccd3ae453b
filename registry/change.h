/* What doors follow: the feed's records since a position, and snapshots to begin with. */
#pragma once

#include "registry/answer.h"
#include "registry/registry.h"

/*
 * As many records after *position as fit into the list; position moves to the last one.
 * RC_OK and an empty list: nothing is new. RC_NOT_FOUND: take a snapshot.
 */
enum rc registry_change_watch(struct store_txn *txn, struct registry_position *position,
                              struct buf *list);

/*
 * A page of all that a projection holds. cursor: empty for the first page, then what the last
 * page appended to next; nothing appended: that was all. The position is the feed's end as
 * this page saw it: the door watches from the first page's. RC_MALFORMED: no cursor of ours.
 */
enum rc registry_change_snapshot(struct store_txn *txn, struct bytes cursor, struct buf *list,
                                 struct buf *next, struct registry_position *position);
