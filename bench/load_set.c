#include "bench/load_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(struct load_set *set, size_t word)
{
    size_t room = set->room > 0 ? set->room : 64;

    while (room <= word)
        room *= 2;
    uint64_t *words = realloc(set->words, room * sizeof *words);
    if (words == NULL || word > LOAD_SET_MOST / 64) {
        fprintf(stderr, "load: no room for sequence numbers\n");
        abort();
    }
    memset(words + set->room, 0, (room - set->room) * sizeof *words);
    set->words = words;
    set->room = room;
}

bool load_set_add(struct load_set *set, uint32_t number)
{
    size_t word = number / 64;
    uint64_t bit = UINT64_C(1) << (number % 64);

    if (word >= set->room)
        grow(set, word);
    if ((set->words[word] & bit) != 0)
        return false;
    set->words[word] |= bit;
    set->count++;
    return true;
}

bool load_set_has(const struct load_set *set, uint32_t number)
{
    size_t word = number / 64;

    return word < set->room && (set->words[word] >> (number % 64) & 1) != 0;
}

void load_set_clear(struct load_set *set)
{
    free(set->words);
    *set = (struct load_set){ 0 };
}
