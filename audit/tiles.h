/* What the files of the log's tiles hold, from the store. */
#pragma once

#include "audit/log.h"
#include "audit/tile.h"

/* All derived: a file that is missing is made again from here, one that says anything else is
 * replaced. Appends. RC_CORRUPT, RC_NOT_FOUND: the log is not that long. */
enum rc audit_tiles_read(struct audit_log *log, struct store_txn *txn,
                         const struct audit_tile *tile, struct buf *content);
