#include "policy/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 * 1024 };

struct policy_arena {
    struct policy_arena *before;
    size_t used, room;
    alignas(max_align_t) uint8_t at[];
};

void policy_arena_free(struct policy_arena *arena)
{
    while (arena != NULL) {
        struct policy_arena *before = arena->before;
        free(arena);
        arena = before;
    }
}

enum rc policy_arena_take(struct policy_arena **arena, size_t size, void **taken)
{
    size_t rounded =
        (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

    if (*arena == NULL || (*arena)->room - (*arena)->used < rounded) {
        size_t room = rounded > BLOCK ? rounded : BLOCK;
        struct policy_arena *made = calloc(1, sizeof *made + room);
        if (made == NULL)
            return fault(RC_NOMEM, "a result about a policy");
        made->before = *arena;
        made->room = room;
        *arena = made;
    }
    *taken = (*arena)->at + (*arena)->used;
    (*arena)->used += rounded;
    return RC_OK;
}

enum rc policy_arena_copy(struct policy_arena **arena, struct bytes text, struct bytes *copy)
{
    void *at = NULL;

    TRY(policy_arena_take(arena, text.len + 1, &at));
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    *copy = (struct bytes){ at, text.len };
    return RC_OK;
}

/* Room is a power of two, so a count that is one asks for the next. */
enum rc policy_arena_grow(struct policy_arena **arena, void *at, size_t size, size_t count)
{
    void *old = NULL, *made = NULL;

    if (count != 0 && (count & (count - 1)) != 0)
        return RC_OK;
    memcpy(&old, at, sizeof old);
    TRY(policy_arena_take(arena, size * (count == 0 ? 1 : count * 2), &made));
    if (count > 0)
        memcpy(made, old, size * count);
    memcpy(at, &made, sizeof made);
    return RC_OK;
}
