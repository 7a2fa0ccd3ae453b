/* Tells a write that a crash cut short from damage to what had been written. Private to
 * journal/. */
#pragma once

#include "journal/segment.h"

/*
 * The group at the offset of the last segment, which would continue `before`, did not load.
 * torn: what is there may be cut off, since nothing committed is among it, as far as the file
 * can tell: docs/protocol/journal.md, "Torn or damaged".
 */
enum rc journal_tail_judge(const struct segment *segment, struct journal_digest *digest,
                           uint64_t offset, const struct journal_head *before, bool *torn);
