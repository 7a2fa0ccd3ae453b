#include "broker/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64 }; /* bytes of a cache line: the ends do not share one */

/* Both places only grow; what lies between them is in the ring. Each end keeps what it last saw
 * of the other's, so that a busy ring bounces few cache lines. */
struct broker_ring {
    size_t mask, item_bytes;
    _Alignas(LINE) atomic_size_t pushed;
    size_t popped_seen;
    _Alignas(LINE) atomic_size_t popped;
    size_t pushed_seen;
    _Alignas(LINE) uint8_t items[];
};

enum rc broker_ring_new(size_t slots, size_t item_bytes, struct broker_ring **ring)
{
    size_t bytes = sizeof(struct broker_ring) + slots * item_bytes;

    assert(slots > 0 && (slots & (slots - 1)) == 0);
    struct broker_ring *made = aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);
    if (made == NULL)
        return fault(RC_NOMEM, "ring of %zu", slots);
    made->mask = slots - 1;
    made->item_bytes = item_bytes;
    made->popped_seen = 0;
    made->pushed_seen = 0;
    atomic_init(&made->pushed, 0);
    atomic_init(&made->popped, 0);
    *ring = made;
    return RC_OK;
}

void broker_ring_free(struct broker_ring *ring)
{
    free(ring);
}

bool broker_ring_push(struct broker_ring *ring, const void *item)
{
    size_t at = atomic_load_explicit(&ring->pushed, memory_order_relaxed);

    if (at - ring->popped_seen > ring->mask) {
        ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_acquire);
        if (at - ring->popped_seen > ring->mask)
            return false;
    }
    memcpy(ring->items + (at & ring->mask) * ring->item_bytes, item, ring->item_bytes);
    atomic_store_explicit(&ring->pushed, at + 1, memory_order_release);
    return true;
}

bool broker_ring_pop(struct broker_ring *ring, void *item)
{
    size_t at = atomic_load_explicit(&ring->popped, memory_order_relaxed);

    if (at == ring->pushed_seen) {
        ring->pushed_seen = atomic_load_explicit(&ring->pushed, memory_order_acquire);
        if (at == ring->pushed_seen)
            return false;
    }
    memcpy(item, ring->items + (at & ring->mask) * ring->item_bytes, ring->item_bytes);
    atomic_store_explicit(&ring->popped, at + 1, memory_order_release);
    return true;
}
