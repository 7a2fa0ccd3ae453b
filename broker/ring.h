/* A bounded queue from one thread to another, without locks: one pushes, one pops. */
#pragma once

#include "base/own.h"
#include "base/rc.h"

#include <stdbool.h>

struct broker_ring;

/* Items are copied in and out. slots is a power of two (assert). RC_NOMEM. */
enum rc broker_ring_new(size_t slots, size_t item_bytes, struct broker_ring **ring);
void broker_ring_free(struct broker_ring *ring);
AUTO_STRUCT(broker_ring, broker_ring_free)

bool broker_ring_push(struct broker_ring *ring, const void *item); /* false: full */
bool broker_ring_pop(struct broker_ring *ring, void *item);        /* false: empty */
