/* Memory of one result: taken in small pieces, released as one; inside policy/ only. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

struct policy_arena; /* NULL: nothing was taken yet */
void policy_arena_free(struct policy_arena *arena);

/* Zeroed; RC_NOMEM. */
enum rc policy_arena_take(struct policy_arena **arena, size_t size, void **taken);
enum rc policy_arena_copy(struct policy_arena **arena, struct bytes text, struct bytes *copy);
/* One more at the end of an array that grows (`*at` of count elements): the old one stays where
 * it was, unused. */
enum rc policy_arena_grow(struct policy_arena **arena, void *at, size_t size, size_t count);
