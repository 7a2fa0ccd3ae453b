/* Room for what a judgement walks at random; inside policy/ only. */
#pragma once

#include <stddef.h>

/*
 * On lines of its own, and where it is large on large pages if the kernel has them: each step
 * in a table of megabytes would else miss the TLB as well as the cache. Unset; free() it. NULL
 * without memory.
 */
void *policy_room(size_t bytes);
/* The same bytes in such room; NULL: no memory, and it is as it was. */
void *policy_room_move(void *at, size_t bytes);
