/* Messages from publishers to subscribers, each with a sequence number, so that what is lost,
 * doubled or led astray is known exactly. */
#pragma once

#include "bench/load_crowd.h"
#include "bench/load_histogram.h"
#include "bench/load_set.h"

enum { LOAD_PAYLOAD_MIN = 16, LOAD_PAYLOAD_MAX = 65536, LOAD_WINDOW_MAX = 32768 };

/*
 * Who publishes to whom: as many subscribers as publishers are pairs; otherwise every
 * subscriber gets everything. With self, each client is its own pair.
 */
struct load_shape {
    size_t publishers, subscribers;
    bool self;
};

struct load_traffic_options {
    struct load_shape shape;
    const char *topic; /* %i: the publisher's number, %d: its id */
    uint8_t qos;       /* 0 or 1, of messages and subscriptions */
    size_t payload;
    size_t window; /* messages of one publisher under way */
    double rate;   /* messages a second over all publishers; 0: as the window allows */
    uint32_t most; /* messages of one publisher; 0: no bound */
    /* What is delivered does not open the window, only what is acknowledged: where receivers
     * come and go. Nothing but the rate bounds QoS 0 then. */
    bool only_acks_open;
    /* NULL, or told of acknowledged sequence numbers in runs, both ends included. */
    void (*acked)(void *with, const struct load_client *client, uint32_t from, uint32_t to);
    void *with;
};

struct load_publisher {
    struct load_client *client;
    struct buf topic;
    size_t fanout;
    uint32_t next; /* sequence number */
    double due_ns; /* when it is due, at a rate; 0: not begun */
    uint64_t delivered;
    uint64_t forgiven; /* deliveries that will not come: their message was refused */
    struct load_set acked, refused; /* refused ones are in both */
    uint32_t run_from, run_to;      /* acknowledged, not told yet: from <= n < to */
};

struct load_subscriber {
    struct load_client *client;
    struct load_set *received; /* by publisher; one where it is in a pair */
    bool denied;               /* its subscription */
};

struct load_counts {
    uint64_t sent, acked, refused, delivered, doubled, astray;
};

struct load_traffic {
    struct load_crowd *crowd;
    struct load_traffic_options options;
    struct load_publisher *publishers;
    struct load_subscriber *subscribers;
    size_t answered; /* SUBSCRIBEs, since the last time that all were sent */
    struct load_counts counts;
    double next_due_ns; /* of all publishers, at a rate */
    struct load_histogram latency;
    uint8_t payload[LOAD_PAYLOAD_MAX];
};

/* Publishers come first, then subscribers. */
size_t load_shape_clients(const struct load_shape *shape);
/* "10to10", or "self" for this many clients; RC_MALFORMED. */
enum rc load_shape_read(const char *text, size_t clients, struct load_shape *shape);

/* On a crowd that is live, and stays; becomes the load's handler. */
enum rc load_traffic_open(struct load_crowd *crowd, const struct load_traffic_options *options,
                          struct load_traffic **traffic);
void load_traffic_free(struct load_traffic *traffic);
AUTO_STRUCT(load_traffic, load_traffic_free)

/* Subscribe all that live, and wait for every SUBACK. RC_DENIED if one was refused. */
enum rc load_traffic_subscribe(struct load_traffic *traffic);
/* Publish for so long. This and what follows: RC_CLOSED as load_crowd_check(). */
enum rc load_traffic_run(struct load_traffic *traffic, int64_t for_ns);
/* One turn: publish what the window or the rate allows, take what comes. */
enum rc load_traffic_turn(struct load_traffic *traffic, bool publish);
/* Wait for what is under way; RC_NOT_FOUND when nothing more came for so long. */
enum rc load_traffic_drain(struct load_traffic *traffic, int64_t patience_ns);
/* Deliveries and acknowledgements that have not come. */
uint64_t load_traffic_missing(const struct load_traffic *traffic);
/* Deliveries of acknowledged messages (QoS 0: of all) that never came. */
uint64_t load_traffic_lost(const struct load_traffic *traffic);
void load_traffic_each_lost(const struct load_traffic *traffic,
                            void (*lost)(void *with, const struct load_publisher *publisher,
                                         const struct load_subscriber *subscriber,
                                         uint32_t sequence),
                            void *with);
/* Tell of the acknowledgements that were not told yet. */
void load_traffic_tell(struct load_traffic *traffic);
/* After a connection came back: subscribe, and send again what was not acknowledged. */
void load_traffic_resume(struct load_traffic *traffic, const struct load_client *client);
