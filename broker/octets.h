/* How many octets came over a stream: who pumps it counts, and who reads it at the other end
 * looks, on another thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

struct broker_octets;
/* One that is held twice, by each end. */
enum rc broker_octets_new(struct broker_octets **octets);
/* The last one frees it. NULL: nothing to release. */
void broker_octets_release(struct broker_octets *octets);

void broker_octets_add(struct broker_octets *octets, size_t count);
uint64_t broker_octets_count(const struct broker_octets *octets);
