/* The topic filter that several topics have in common. */
#pragma once

#include "base/buf.h"

/*
 * What is counted together was done to several topics: their pattern is the first of them with
 * + for each level in which they differ, and # from where one of them ends. It matches all of
 * them and is kept in one number, so that a kill leaves it whole: bit i (0 to 55) says that
 * level i is anything; the highest octet n > 0 that # follows after n - 1 levels. 0: only the
 * first topic. Topics may be filters.
 */

/* The pattern that has next in it, too. */
uint64_t audit_pattern_widen(uint64_t pattern, struct bytes first, struct bytes next);
/* Its text, of AUDIT_TARGET_MAX octets at most: in room, or first itself. */
struct bytes audit_pattern_text(uint64_t pattern, struct bytes first, struct buf *room);
