#include "registry/index.h"

#include <stdlib.h>

enum { ROOM_LEAST = 64 };

uint64_t registry_index_hash(struct bytes key)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ key.at[i]) * 0x100000001b3;
    return hash;
}

/* FNV's low bits are its worst; Fibonacci hashing takes the high ones. */
static size_t first_place(const struct registry_index *index, uint64_t hash)
{
    return (size_t)((hash * 0x9e3779b97f4a7c15) >> 32) & (index->room - 1);
}

/* The slot of the key, or the free one where it belongs. */
static struct registry_index_slot *find_slot(const struct registry_index *index, uint64_t hash,
                                             bool (*is)(const void *, const void *),
                                             const void *key)
{
    size_t place = first_place(index, hash);

    for (;;) {
        struct registry_index_slot *slot = &index->slots[place];
        if (slot->item == NULL || (slot->hash == hash && is(slot->item, key)))
            return slot;
        place = (place + 1) & (index->room - 1);
    }
}

void *registry_index_find(const struct registry_index *index, uint64_t hash,
                          bool (*is)(const void *item, const void *key), const void *key)
{
    return index->room == 0 ? NULL : find_slot(index, hash, is, key)->item;
}

static bool is_nobody(const void *item, const void *key)
{
    (void)item, (void)key;
    return false;
}

static enum rc grow(struct registry_index *index)
{
    struct registry_index more = { .room = index->room == 0 ? ROOM_LEAST : 2 * index->room,
                                   .count = index->count };

    more.slots = calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL)
        return fault(RC_NOMEM, "an index of %zu places", more.room);
    for (size_t i = 0; i < index->room; i++)
        if (index->slots[i].item != NULL)
            *find_slot(&more, index->slots[i].hash, is_nobody, NULL) = index->slots[i];
    free(index->slots);
    *index = more;
    return RC_OK;
}

enum rc registry_index_put(struct registry_index *index, uint64_t hash,
                           bool (*is)(const void *item, const void *key), const void *key,
                           void *item)
{
    enum rc rc = index->count >= index->room / 4 * 3 ? grow(index) : RC_OK;

    if (rc != RC_OK) {
        free(item);
        return rc;
    }
    struct registry_index_slot *slot = find_slot(index, hash, is, key);
    if (slot->item == NULL)
        index->count++;
    free(slot->item);
    *slot = (struct registry_index_slot){ hash, item };
    return RC_OK;
}

void registry_index_clear(struct registry_index *index)
{
    for (size_t i = 0; i < index->room; i++)
        free(index->slots[i].item);
    free(index->slots);
    *index = (struct registry_index){ 0 };
}
