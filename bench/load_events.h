/* What bench_load prints: one JSON object a line. */
#pragma once

#include "bench/load_traffic.h"

struct load_tally {
    uint64_t live, refused, cut; /* connections, each time that one was made or ended */
    struct load_histogram connecting;
};

void load_events_live(const struct load_client *client, struct load_tally *tally);
/* refused or cut, as it was live or not. */
void load_events_ended(const struct load_client *client, bool was_live, const char *why,
                       unsigned code, struct load_tally *tally);
void load_events_ready(const struct load_tally *tally);
void load_events_phase(const char *name);
/* The acked() of struct load_traffic_options. */
void load_events_acked(void *with, const struct load_client *client, uint32_t from,
                       uint32_t to);
void load_events_lost(const struct load_traffic *traffic);
/* traffic may be NULL. */
void load_events_sum(const struct load_crowd *crowd, const struct load_tally *tally,
                     const struct load_traffic *traffic);
