#include "bench/load_events.h"

#include <inttypes.h>
#include <stdio.h>

void load_events_live(const struct load_client *client, struct load_tally *tally)
{
    int64_t took_ns = client->live_ns - client->started_ns;

    tally->live++;
    load_histogram_add(&tally->connecting, took_ns > 0 ? (uint64_t)took_ns : 0);
    printf("{\"event\":\"live\",\"client\":\"%s\",\"at_ms\":%" PRId64 ",\"took_us\":%" PRId64
           ",\"resumed\":%s}\n",
           client->who->id, load_wall_ms(), took_ns / 1000, client->resumed ? "true" : "false");
}

void load_events_ended(const struct load_client *client, bool was_live, const char *why,
                       unsigned code, struct load_tally *tally)
{
    tally->cut += was_live;
    tally->refused += !was_live;
    printf("{\"event\":\"%s\",\"client\":\"%s\",\"at_ms\":%" PRId64
           ",\"why\":\"%s\",\"code\":%u}\n",
           was_live ? "cut" : "refused", client->who->id, load_wall_ms(), why, code);
}

void load_events_ready(const struct load_tally *tally)
{
    printf("{\"event\":\"ready\",\"live\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"at_ms\":%" PRId64 "}\n",
           tally->live, tally->refused, load_wall_ms());
    fflush(stdout);
}

void load_events_phase(const char *name)
{
    printf("{\"event\":\"%s\",\"at_ms\":%" PRId64 "}\n", name, load_wall_ms());
    fflush(stdout);
}

void load_events_acked(void *with, const struct load_client *client, uint32_t from, uint32_t to)
{
    (void)with;
    printf("{\"event\":\"acked\",\"client\":\"%s\",\"from\":%" PRIu32 ",\"to\":%" PRIu32
           ",\"at_ms\":%" PRId64 "}\n",
           client->who->id, from, to, load_wall_ms());
}

static void print_lost(void *with, const struct load_publisher *publisher,
                       const struct load_subscriber *subscriber, uint32_t sequence)
{
    (void)with;
    printf(
        "{\"event\":\"lost\",\"publisher\":\"%s\",\"subscriber\":\"%s\",\"sequence\":%" PRIu32
        "}\n",
        publisher->client->who->id, subscriber->client->who->id, sequence);
}

void load_events_lost(const struct load_traffic *traffic)
{
    load_traffic_each_lost(traffic, print_lost, NULL);
}

static void print_latency(const char *name, const struct load_histogram *histogram)
{
    printf(",\"%s_p50_us\":%.1f,\"%s_p99_us\":%.1f,\"%s_most_us\":%.1f", name,
           (double)load_histogram_at(histogram, 0.5) / 1000, name,
           (double)load_histogram_at(histogram, 0.99) / 1000, name,
           (double)histogram->most / 1000);
}

void load_events_sum(const struct load_crowd *crowd, const struct load_tally *tally,
                     const struct load_traffic *traffic)
{
    size_t still = 0;

    for (size_t i = 0; i < crowd->count; i++)
        still += crowd->clients[i].state == LOAD_LIVE;
    printf("{\"event\":\"sum\",\"at_ms\":%" PRId64 ",\"clients\":%zu,\"live_now\":%zu"
           ",\"connections\":%" PRIu64 ",\"resumed\":%zu,\"refused\":%" PRIu64
           ",\"cut\":%" PRIu64,
           load_wall_ms(), crowd->count, still, tally->live, crowd->resumed, tally->refused,
           tally->cut);
    print_latency("connect", &tally->connecting);
    if (traffic != NULL) {
        const struct load_counts *counts = &traffic->counts;
        printf(",\"sent\":%" PRIu64 ",\"acked\":%" PRIu64 ",\"denied\":%" PRIu64
               ",\"delivered\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"astray\":%" PRIu64
               ",\"lost\":%" PRIu64,
               counts->sent, counts->acked, counts->refused, counts->delivered, counts->doubled,
               counts->astray, load_traffic_lost(traffic));
        print_latency("delivery", &traffic->latency);
    }
    printf("}\n");
    fflush(stdout);
}
