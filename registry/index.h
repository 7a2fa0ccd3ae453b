/* An open-addressing hash index of heap items: find by key, put, clear. Private to the
 * projection. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

/* Zero is empty. Owns its items, which are freed with free(). Never more than 3/4 full; nothing
 * is ever removed singly. */
struct registry_index {
    struct registry_index_slot *slots;
    size_t room, count; /* room is 0 or a power of two */
};

struct registry_index_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

/* FNV-1a, 64 bits. */
uint64_t registry_index_hash(struct bytes key);
/* NULL if there is none. */
void *registry_index_find(const struct registry_index *index, uint64_t hash,
                          bool (*is)(const void *item, const void *key), const void *key);
/* The item is the index's from here on, also on failure (RC_NOMEM); one of the same key is
 * freed. */
enum rc registry_index_put(struct registry_index *index, uint64_t hash,
                           bool (*is)(const void *item, const void *key), const void *key,
                           void *item);
void registry_index_clear(struct registry_index *index);
