/* Latencies in nanoseconds, counted in cells of at most 1/32 of their value. */
#pragma once

#include <stdint.h>

enum { LOAD_CELLS = 32 * 60 };

struct load_histogram {
    uint64_t cells[LOAD_CELLS];
    uint64_t count, most;
};

void load_histogram_add(struct load_histogram *histogram, uint64_t value);
/* The value that this share (0..1) of all does not exceed, at most 1/32 too high; 0 of none. */
uint64_t load_histogram_at(const struct load_histogram *histogram, double share);
