#include "bench/load_histogram.h"

enum { FINE = 32, FINE_BITS = 5 };

static unsigned cell_of(uint64_t value)
{
    if (value < FINE)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - FINE_BITS;
    return (shift + 1) * FINE + (unsigned)((value >> shift) - FINE);
}

/* The largest value of a cell. */
static uint64_t most_of(unsigned cell)
{
    if (cell < FINE)
        return cell;
    unsigned shift = cell / FINE - 1;
    return ((uint64_t)(cell % FINE + FINE + 1) << shift) - 1;
}

void load_histogram_add(struct load_histogram *histogram, uint64_t value)
{
    histogram->cells[cell_of(value)]++;
    histogram->count++;
    if (value > histogram->most)
        histogram->most = value;
}

uint64_t load_histogram_at(const struct load_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count + 0.999999), seen = 0;

    if (histogram->count == 0)
        return 0;
    for (unsigned cell = 0; cell < LOAD_CELLS; cell++) {
        seen += histogram->cells[cell];
        if (seen >= wanted && seen > 0)
            return most_of(cell) < histogram->most ? most_of(cell) : histogram->most;
    }
    return histogram->most;
}
