/* Which sequence numbers were seen: a bit each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_set {
    uint64_t *words;
    size_t room;    /* in words */
    uint64_t count; /* of numbers that are in */
};

enum { LOAD_SET_MOST = 1 << 28 }; /* a number above is our own bug: what is sent is counted */

/* True if it was not in yet. Aborts without memory. */
bool load_set_add(struct load_set *set, uint32_t number);
bool load_set_has(const struct load_set *set, uint32_t number);
void load_set_clear(struct load_set *set);
