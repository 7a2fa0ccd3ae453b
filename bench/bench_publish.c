/* What a delivered message costs the server, in the shapes of DESIGN.md section 7, at as much
 * load as a window of a thousand messages makes; and its latency at a fixed rate. */
#include "bench/run.h"

#include "bench/load_traffic.h"

#include <stdio.h>

enum { IN_FLIGHT = 1000, CLIENTS = 101, AT_ONCE = 16, LATENCY_RATE = 10000 };

static const int64_t WARM_NS = 100000000, PATIENCE_NS = 5000000000, MS = 1000000;
static const char TOPIC[] = "bench/%i";
static const char WHAT[] =
    "Processor time of a delivered message (10 to 10, 1 to 100, 50 to 1; QoS 0 and 1; 64 "
    "bytes\n"
    "and 1 KiB), 1,000 in flight; deliveries a second; latency at 10,000 messages a second.\n"
    "A message that is lost or comes twice fails the run.";

struct shape {
    const char *name;
    struct load_shape shape;
    bool quick;
};

static const struct shape SHAPES[] = {
    { "10to10", { 10, 10, false }, true },
    { "1to100", { 1, 100, false }, true },
    { "50to1", { 50, 1, false }, true },
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof SHAPES[0] };

struct measure {
    struct load_traffic_options options;
    int64_t for_ns;
    struct run_line cost, door, rate, p50, p99;
};

static enum rc check(const struct load_traffic *traffic)
{
    const struct load_counts *counts = &traffic->counts;
    uint64_t lost = load_traffic_lost(traffic);

    if (lost + counts->doubled + counts->astray + counts->refused > 0)
        return fault(RC_CORRUPT, "%lu lost, %lu doubled, %lu astray, %lu refused of %lu",
                     (unsigned long)lost, (unsigned long)counts->doubled,
                     (unsigned long)counts->astray, (unsigned long)counts->refused,
                     (unsigned long)counts->sent);
    return RC_OK;
}

/* Warmed up, then measured from full windows to empty ones. */
static enum rc run_traffic(const struct subject *subject, struct load_traffic *traffic,
                           struct measure *measure)
{
    enum subject_kind kind = subject->kind;

    TRY(load_traffic_subscribe(traffic));
    TRY(load_traffic_run(traffic, WARM_NS));
    TRY(load_traffic_drain(traffic, PATIENCE_NS));
    traffic->latency = (struct load_histogram){ 0 };
    uint64_t delivered = traffic->counts.delivered;
    double all = subject_cpu_us(subject), door = subject_door_cpu_us(subject);
    int64_t began = load_clock_ns();
    TRY(load_traffic_run(traffic, measure->for_ns));
    TRY(load_traffic_drain(traffic, PATIENCE_NS));
    double took = (double)(load_clock_ns() - began) / 1e9;
    all = subject_cpu_us(subject) - all;
    door = subject_door_cpu_us(subject) - door;
    TRY(check(traffic));
    double deliveries = (double)(traffic->counts.delivered - delivered);
    run_line_add(&measure->cost, kind, all / deliveries);
    run_line_add(&measure->door, kind, door / deliveries);
    run_line_add(&measure->rate, kind, deliveries / took);
    run_line_add(&measure->p50, kind, (double)load_histogram_at(&traffic->latency, 0.5) / 1000);
    run_line_add(&measure->p99, kind,
                 (double)load_histogram_at(&traffic->latency, 0.99) / 1000);
    return RC_OK;
}

static enum rc connect_and_run(const struct subject *subject, struct load_crowd *crowd,
                               struct measure *measure)
{
    const struct load_pace pace = { .at_once = AT_ONCE };
    AUTO_OF(load_traffic) *traffic = NULL;

    TRY(load_crowd_connect(crowd, &pace));
    TRY(load_traffic_open(crowd, &measure->options, &traffic));
    return run_traffic(subject, traffic, measure);
}

static void take_turns(struct run *run, struct measure *measure)
{
    size_t clients = load_shape_clients(&measure->options.shape);

    for (unsigned round = 0; round < run->rounds; round++)
        for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++) {
            struct subject *subject = &run->subjects[kind];
            AUTO_OF(load) *load = NULL;
            struct load_crowd crowd = { 0 };
            if (!run->wanted[kind])
                continue;
            if (run_load(subject, false, &load, clients, &crowd) != RC_OK ||
                connect_and_run(subject, &crowd, measure) != RC_OK)
                run_blame(run, subject, measure->cost.bench);
            load_crowd_close(&crowd);
        }
}

struct names {
    struct buf cost, door, rate;
};

static const char *name_of(struct buf *buf, const char *prefix, const char *shape, unsigned qos,
                           size_t payload, const char *what)
{
    const char *text;

    *buf = BUF_MAX(96);
    buf_addf(buf, "%s.%s.q%u.%zu%s", prefix, shape, qos, payload, what);
    return buf_text(buf, &text) == RC_OK ? text : "";
}

static void measure_shape(struct run *run, const struct shape *shape, uint8_t qos,
                          size_t payload)
{
    struct names names;
    struct measure measure = {
        .options = { .shape = shape->shape,
                     .topic = TOPIC,
                     .qos = qos,
                     .payload = payload,
                     .window = IN_FLIGHT / shape->shape.publishers },
        .for_ns = (int64_t)run_pick(run, 200, 700, 2000) * MS,
    };

    measure.cost.bench = name_of(&names.cost, "publish", shape->name, qos, payload, "");
    measure.door.bench = name_of(&names.door, "publish", shape->name, qos, payload, ".door");
    measure.rate.bench = name_of(&names.rate, "publish", shape->name, qos, payload, ".rate");
    measure.cost.unit = measure.door.unit = "cpu_us/op";
    measure.rate.unit = "deliveries/s";
    measure.rate.most_counts = true;
    take_turns(run, &measure);
    run_line_print(run, &measure.cost);
    if (run->wanted[SUBJECT_OURS])
        run_line_print(run, &measure.door);
    run_line_print(run, &measure.rate);
    buf_clear(&names.cost);
    buf_clear(&names.door);
    buf_clear(&names.rate);
}

static void measure_latency(struct run *run)
{
    struct measure measure = {
        .options = { .shape = SHAPES[0].shape,
                     .topic = TOPIC,
                     .qos = 1,
                     .payload = 64,
                     .window = IN_FLIGHT,
                     .rate = LATENCY_RATE },
        .for_ns = (int64_t)run_pick(run, 300, 2000, 5000) * MS,
        .p50 = { .bench = "publish.latency.10to10.q1.64.10000.p50", .unit = "us" },
        .p99 = { .bench = "publish.latency.10to10.q1.64.10000.p99", .unit = "us" },
    };

    measure.cost.bench = "publish.latency";
    take_turns(run, &measure);
    run_line_print(run, &measure.p50);
    run_line_print(run, &measure.p99);
}

int main(int argc, char **argv)
{
    struct run run;

    run_options(&run, "publish", WHAT, argc, argv);
    run_open(&run, CLIENTS);
    run_start_all(&run);
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        for (uint8_t qos = 0; qos <= 1; qos++)
            for (size_t payload = 64; payload <= 1024; payload *= 16)
                if (run.effort != RUN_QUICK || payload == 64)
                    measure_shape(&run, &SHAPES[i], qos, payload);
    measure_latency(&run);
    return run_close(&run);
}
