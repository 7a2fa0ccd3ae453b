#include "policy/room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, LARGE_PAGE = 2 * 1024 * 1024 };

void *policy_room(size_t bytes)
{
    size_t unit = bytes < LARGE_PAGE ? LINE : LARGE_PAGE;
    size_t whole = (bytes / unit + 1) * unit;
    void *made = aligned_alloc(unit, whole);

    if (made != NULL && unit == LARGE_PAGE)
        (void)madvise(made, whole, MADV_HUGEPAGE); /* advice: without it the same, slower */
    return made;
}

void *policy_room_move(void *at, size_t bytes)
{
    void *made = policy_room(bytes);

    if (made == NULL || at == NULL)
        return made;
    memcpy(made, at, bytes);
    free(at);
    return made;
}
