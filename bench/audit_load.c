#include "bench/audit_load.h"

#include "bench/load_traffic.h"
#include "bench/run.h"

#include <stdlib.h>
#include <time.h>

/* Clients connect, publish at QoS 1 to each other, and leave; then whatever still waits is sent
 * to the authority, and signed for. */
enum { PAIRS = 32, CLIENTS = 2 * PAIRS, AT_ONCE = 8, SETTLE_MS = 2500, PASSES = 10 };
enum { MESSAGES = 4000, PAYLOAD = 64, WINDOW = 32 };

static const int64_t PATIENCE_NS = 60000000000, SLICE_NS = 10000000;

struct costs {
    struct run_line connect, connect_door, publish, publish_door;
};

static void settle(void)
{
    const struct timespec nap = { SETTLE_MS / 1000, (long)(SETTLE_MS % 1000) * 1000000 };

    nanosleep(&nap, NULL);
}

/* Processor time since: of all its processes, and of the door; when all has settled. */
struct meter {
    double all, door;
};

static struct meter read_meter(const struct subject *subject)
{
    return (struct meter){ subject_cpu_us(subject), subject_door_cpu_us(subject) };
}

static void add_cost(struct run_line *all, struct run_line *door, const struct subject *subject,
                     const struct meter *began, double operations)
{
    struct meter ended;

    settle();
    ended = read_meter(subject);
    run_line_add(all, subject->kind, (ended.all - began->all) / operations);
    run_line_add(door, subject->kind, (ended.door - began->door) / operations);
}

static enum rc connect_all(const struct subject *subject, struct load_crowd *crowd,
                           struct costs *costs)
{
    const struct load_pace pace = { .at_once = AT_ONCE, .stop_when_live = true };
    struct meter began;

    TRY(load_crowd_connect(crowd, &pace)); /* warm */
    settle();
    began = read_meter(subject);
    for (unsigned pass = 0; pass < PASSES; pass++)
        TRY(load_crowd_connect(crowd, &pace));
    add_cost(&costs->connect, &costs->connect_door, subject, &began,
             (double)(PASSES * crowd->count));
    return RC_OK;
}

static bool has_sent_all(const struct load_traffic *traffic)
{
    return traffic->counts.sent == (uint64_t)PAIRS * MESSAGES;
}

static enum rc publish_all(struct load_traffic *traffic)
{
    int64_t end = load_clock_ns() + PATIENCE_NS;

    TRY(load_traffic_subscribe(traffic));
    while (!has_sent_all(traffic) && load_clock_ns() < end)
        TRY(load_traffic_run(traffic, SLICE_NS));
    TRY(load_traffic_drain(traffic, PATIENCE_NS));
    if (!has_sent_all(traffic))
        return fault(RC_BUSY, "%lu messages were sent, not all",
                     (unsigned long)traffic->counts.sent);
    if (load_traffic_lost(traffic) + traffic->counts.doubled + traffic->counts.refused > 0)
        return fault(RC_CORRUPT, "messages were lost, doubled or refused");
    return RC_OK;
}

static enum rc publish(const struct subject *subject, struct load_crowd *crowd,
                       struct costs *costs)
{
    const struct load_traffic_options options = { .shape = { PAIRS, PAIRS, false },
                                                  .topic = "bench/%i",
                                                  .qos = 1,
                                                  .payload = PAYLOAD,
                                                  .window = WINDOW,
                                                  .most = MESSAGES };
    const struct load_pace pace = { .at_once = AT_ONCE };
    AUTO_OF(load_traffic) *traffic = NULL;
    struct meter began;

    TRY(load_crowd_connect(crowd, &pace));
    TRY(load_traffic_open(crowd, &options, &traffic));
    settle();
    began = read_meter(subject);
    TRY(publish_all(traffic));
    double delivered = (double)traffic->counts.delivered;
    load_crowd_close(crowd); /* their windows end, and are told */
    add_cost(&costs->publish, &costs->publish_door, subject, &began, delivered);
    return RC_OK;
}

static void take_turn(struct run *run, const struct subject *subject, struct costs *costs)
{
    AUTO_OF(load) *load = NULL;
    struct load_crowd crowd = { 0 };

    enum rc rc = run_load(subject, false, &load, CLIENTS, &crowd);
    if (rc == RC_OK)
        rc = connect_all(subject, &crowd, costs);
    if (rc == RC_OK)
        rc = publish(subject, &crowd, costs);
    if (rc != RC_OK)
        run_blame(run, subject, "audit on and off");
    load_crowd_close(&crowd);
}

/* The one without is in the floor's place; its folder lies in the other's, which goes last. */
static enum rc start_without(const struct run *run, struct subject_world *world,
                             struct subject *subject)
{
    if (setenv("TMPDIR", run->world.folder, true) != 0)
        return fault_errno("TMPDIR");
    TRY(subject_world_open(CLIENTS, world));
    AUTO_BUF(programs, SUBJECT_PATH_MAX - 1);
    const char *text = NULL;
    buf_addf(&programs, "%s/audit_off", run->world.programs);
    TRY(buf_text(&programs, &text));
    for (size_t i = 0; i <= programs.len; i++)
        world->programs[i] = text[i];
    TRY(subject_start(world, SUBJECT_OURS, subject));
    subject->kind = SUBJECT_FLOOR;
    return RC_OK;
}

static void measure(struct run *run, unsigned rounds)
{
    static struct costs costs = {
        { .bench = "audit.load.connect", .unit = "cpu_us/op" },
        { .bench = "audit.load.connect.door", .unit = "cpu_us/op" },
        { .bench = "audit.load.publish.q1.64", .unit = "cpu_us/op" },
        { .bench = "audit.load.publish.q1.64.door", .unit = "cpu_us/op" },
    };

    for (unsigned round = 0; round < rounds; round++) {
        take_turn(run, &run->subjects[SUBJECT_FLOOR], &costs);
        take_turn(run, &run->subjects[SUBJECT_OURS], &costs);
    }
    run_line_print(run, &costs.connect);
    run_line_print(run, &costs.connect_door);
    run_line_print(run, &costs.publish);
    run_line_print(run, &costs.publish_door);
}

enum rc audit_load_measure(unsigned rounds)
{
    struct run run = { .name = "audit",
                       .rounds = rounds,
                       .wanted = { [SUBJECT_OURS] = true },
                       .table = BUF_MAX(RUN_TABLE_MAX) };
    struct subject_world without = { 0 };

    run_open(&run, CLIENTS);
    bool started = run_start(&run, SUBJECT_OURS);
    enum rc rc = started ? start_without(&run, &without, &run.subjects[SUBJECT_FLOOR])
                         : fault(RC_NOT_FOUND, "nothing to measure");
    if (rc == RC_OK)
        measure(&run, rounds);
    subject_stop(&run.subjects[SUBJECT_FLOOR]);
    subject_world_close(&without);
    return run_close(&run) == 0 ? rc : fault(RC_CORRUPT, "a measure of the doors failed");
}
