#include "broker/octets.h"

#include <stdatomic.h>
#include <stdlib.h>

struct broker_octets {
    atomic_uint holds;
    atomic_uint_least64_t count;
};

enum rc broker_octets_new(struct broker_octets **octets)
{
    struct broker_octets *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "a count of octets");
    atomic_init(&made->holds, 2);
    atomic_init(&made->count, 0);
    *octets = made;
    return RC_OK;
}

void broker_octets_release(struct broker_octets *octets)
{
    if (octets != NULL && atomic_fetch_sub(&octets->holds, 1) == 1)
        free(octets);
}

void broker_octets_add(struct broker_octets *octets, size_t count)
{
    atomic_fetch_add_explicit(&octets->count, count, memory_order_relaxed);
}

uint64_t broker_octets_count(const struct broker_octets *octets)
{
    return atomic_load_explicit(&octets->count, memory_order_relaxed);
}
