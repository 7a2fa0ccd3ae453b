/* What judging costs a broker whose policy has a rule for each of thousands of clients, beside
 * mosquitto's ACL file and its dynamic-security plugin; and how long a new version takes to
 * reach as many live sessions. */
#include "bench/run.h"

#include "bench/load_traffic.h"
#include "bench/subject_rules.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LIVE = 64, AT_ONCE = 16, PAYLOAD = 64, IN_FLIGHT = 1000, VERSIONS = 5 };

static const int64_t WARM_NS = 100000000, PATIENCE_NS = 5000000000, MS = 1000000;
static const int64_t SWITCH_NS = 60000000000, TURN_NS = 1000000, SETTLE_NS = 1000000000;
static const char WHAT[] =
    "Processor time of a delivered message of 64 bytes (64 clients to themselves, QoS 0 and "
    "1)\n"
    "where each of 10,000 clients (--quick 200, default 2,000, --full 10,000) has a rule of "
    "its\n"
    "own, or one rule names the client, beside mosquitto with an ACL file and with its\n"
    "dynamic-security plugin for the same clients; and, ours alone, with as many live "
    "sessions:\n"
    "a version that changes nothing, and one that ends every other session.";

/* ---- Publishing ---- */

struct cost {
    uint8_t qos;
    int64_t for_ns;
    struct run_line all, door;
};

static enum rc check(const struct load_traffic *traffic)
{
    const struct load_counts *counts = &traffic->counts;
    uint64_t lost = load_traffic_lost(traffic);

    if (lost + counts->doubled + counts->astray + counts->refused > 0)
        return fault(RC_CORRUPT, "messages were lost, doubled, led astray or refused");
    return RC_OK;
}

static enum rc publish(const struct subject *subject, struct load_traffic *traffic,
                       struct cost *cost)
{
    TRY(load_traffic_subscribe(traffic));
    TRY(load_traffic_run(traffic, WARM_NS));
    TRY(load_traffic_drain(traffic, PATIENCE_NS));
    uint64_t delivered = traffic->counts.delivered;
    double all = subject_cpu_us(subject), door = subject_door_cpu_us(subject);
    TRY(load_traffic_run(traffic, cost->for_ns));
    TRY(load_traffic_drain(traffic, PATIENCE_NS));
    double count = (double)(traffic->counts.delivered - delivered);
    all = subject_cpu_us(subject) - all;
    door = subject_door_cpu_us(subject) - door;
    TRY(check(traffic));
    run_line_add(&cost->all, subject->kind, all / count);
    run_line_add(&cost->door, subject->kind, door / count);
    return RC_OK;
}

static enum rc connect_and_publish(const struct subject *subject, struct load_crowd *crowd,
                                   struct cost *cost)
{
    const struct load_pace pace = { .at_once = AT_ONCE };
    const struct load_traffic_options options = { .shape = { LIVE, LIVE, true },
                                                  .topic = "bench/%d",
                                                  .qos = cost->qos,
                                                  .payload = PAYLOAD,
                                                  .window = IN_FLIGHT / LIVE };
    AUTO_OF(load_traffic) *traffic = NULL;

    TRY(load_crowd_connect(crowd, &pace));
    TRY(load_traffic_open(crowd, &options, &traffic));
    return publish(subject, traffic, cost);
}

static void take_turns(struct run *run, struct cost *cost)
{
    for (unsigned round = 0; round < run->rounds; round++)
        for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++) {
            const struct subject *subject = &run->subjects[kind];
            AUTO_OF(load) *load = NULL;
            struct load_crowd crowd = { 0 };
            if (!run->wanted[kind] || !subject->running)
                continue;
            if (run_load(subject, false, &load, LIVE, &crowd) != RC_OK ||
                connect_and_publish(subject, &crowd, cost) != RC_OK)
                run_blame(run, subject, cost->all.bench);
            load_crowd_close(&crowd);
        }
}

static void measure_publish(struct run *run, const char *name, const char *door_name,
                            uint8_t qos)
{
    struct cost cost = { .qos = qos,
                         .for_ns = (int64_t)run_pick(run, 200, 700, 2000) * MS,
                         .all = { .bench = name, .unit = "cpu_us/op" },
                         .door = { .bench = door_name, .unit = "cpu_us/op" } };

    take_turns(run, &cost);
    run_line_print(run, &cost.all);
    run_line_print(run, &cost.door);
}

/* ---- Switching ---- */

/* A new version, given on a thread of its own, since libcurl waits for the answer. */
struct giving {
    const struct subject *subject;
    struct bytes text;
    enum rc rc;
    int64_t began_ns, answered_ns;
};

static void *give(void *with)
{
    struct giving *giving = with;

    giving->began_ns = load_clock_ns();
    giving->rc = subject_apply_policy(giving->subject, giving->text);
    giving->answered_ns = load_clock_ns();
    if (giving->rc != RC_OK)
        fprintf(stderr, "bench_policy_door: the policy: %s\n", fault_text());
    return NULL;
}

struct ends {
    double *at_ns;
    size_t count;
};

static void note_end(void *with, struct load_client *client, const char *why, unsigned code)
{
    struct ends *ends = with;

    (void)client;
    (void)why;
    (void)code;
    ends->at_ns[ends->count++] = (double)load_clock_ns();
}

static void note_live(void *with, struct load_client *client)
{
    (void)with;
    (void)client;
}

static enum rc turn_for(struct load *load, int64_t ns)
{
    for (int64_t end = load_clock_ns() + ns; load_clock_ns() < end;)
        TRY(load_turn(load, TURN_NS));
    return RC_OK;
}

static enum rc turn_until(struct load *load, const struct ends *ends, size_t wanted)
{
    for (int64_t end = load_clock_ns() + SWITCH_NS; ends->count < wanted;) {
        TRY(load_turn(load, TURN_NS));
        if (load_clock_ns() > end)
            return fault(RC_BUSY, "%zu of %zu sessions were ended", ends->count, wanted);
    }
    return RC_OK;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static void print_value(const char *bench, const char *unit, double value)
{
    printf("{\"bench\":\"policy_door.%s\",\"unit\":\"%s\",\"ours\":%.2f}\n", bench, unit,
           value);
    fflush(stdout);
}

/* The same rules, with a comment that makes another text of them. */
static enum rc switch_nothing(const struct subject *subject, struct load_crowd *crowd,
                              struct bytes policy)
{
    double cpu_us = 0, ms = 0;

    for (unsigned i = 0; i < VERSIONS; i++) {
        AUTO_BUF(text, SUBJECT_RULES_MAX);
        buf_add(&text, policy);
        buf_addf(&text, "# %u\n", i);
        TRY(turn_for(crowd->load, SETTLE_NS));
        double before = subject_door_cpu_us(subject);
        int64_t began = load_clock_ns();
        TRY(subject_apply_policy(subject, buf_bytes(&text)));
        TRY(subject_wait_followed(subject));
        ms += (double)(load_clock_ns() - began) / 1e6 / VERSIONS;
        TRY(turn_for(crowd->load, SETTLE_NS));
        cpu_us += (subject_door_cpu_us(subject) - before) / VERSIONS;
    }
    print_value("switch.nothing.followed", "ms", ms);
    print_value("switch.nothing.door", "cpu_ms", cpu_us / 1e3);
    print_value("switch.nothing.door.session", "cpu_us", cpu_us / (double)crowd->count);
    return load_crowd_check(crowd);
}

static void print_ends(struct ends *ends, const struct giving *giving)
{
    qsort(ends->at_ns, ends->count, sizeof ends->at_ns[0], compare);
    double p50 = ends->at_ns[ends->count / 2], p99 = ends->at_ns[ends->count * 99 / 100];
    double last = ends->at_ns[ends->count - 1];

    print_value("switch.cut.p50", "ms since it was given",
                (p50 - (double)giving->began_ns) / 1e6);
    print_value("switch.cut.p99", "ms since it was given",
                (p99 - (double)giving->began_ns) / 1e6);
    print_value("switch.cut.last", "ms since it was given",
                (last - (double)giving->began_ns) / 1e6);
    print_value("switch.cut.answered", "ms since it was given",
                (double)(giving->answered_ns - giving->began_ns) / 1e6);
}

static enum rc switch_and_cut(const struct subject *subject, struct load_crowd *crowd,
                              struct bytes policy)
{
    struct ends ends = { calloc(crowd->count, sizeof *ends.at_ns), 0 };
    struct giving giving = { .subject = subject, .text = policy };
    pthread_t thread;

    if (ends.at_ns == NULL)
        return fault(RC_NOMEM, "ends");
    crowd->outer = (struct load_handler){ .live = note_live, .ended = note_end, .with = &ends };
    enum rc rc =
        pthread_create(&thread, NULL, give, &giving) == 0 ? RC_OK : fault(RC_NOMEM, "a thread");
    if (rc == RC_OK) {
        rc = turn_until(crowd->load, &ends, crowd->count / 2);
        pthread_join(thread, NULL);
    }
    if (rc == RC_OK)
        rc = giving.rc;
    if (rc == RC_OK)
        print_ends(&ends, &giving);
    free(ends.at_ns);
    crowd->outer = (struct load_handler){ 0 };
    return rc;
}

static enum rc switch_all(struct run *run, struct load_crowd *crowd)
{
    const struct load_pace pace = { .at_once = AT_ONCE };
    const struct subject *subject = &run->subjects[SUBJECT_OURS];
    AUTO_BUF(same, SUBJECT_RULES_MAX);
    AUTO_BUF(half, SUBJECT_RULES_MAX);

    TRY(subject_rules_policy(&run->world, SUBJECT_EACH, &same));
    TRY(subject_rules_policy(&run->world, SUBJECT_EVERY_OTHER, &half));
    TRY(load_crowd_connect(crowd, &pace));
    TRY(switch_nothing(subject, crowd, buf_bytes(&same)));
    return switch_and_cut(subject, crowd, buf_bytes(&half));
}

static void measure_switch(struct run *run, size_t sessions)
{
    struct subject *subject = &run->subjects[SUBJECT_OURS];
    AUTO_OF(load) *load = NULL;
    struct load_crowd crowd = { 0 };

    if (!run->wanted[SUBJECT_OURS] || !subject->running)
        return;
    enum rc rc = run_load(subject, false, &load, sessions, &crowd);
    if (rc == RC_OK)
        rc = switch_all(run, &crowd);
    if (rc != RC_OK)
        run_blame(run, subject, "switch");
    load_crowd_close(&crowd);
}

/* ---- Beside whom ---- */

static void beside_acl_file(struct run *run)
{
    run->world.judge = SUBJECT_ACL_FILE;
    if (run_start(run, SUBJECT_PEER)) {
        measure_publish(run, "policy_door.acl_file.q0", "policy_door.acl_file.q0.door", 0);
        measure_publish(run, "policy_door.acl_file.q1", "policy_door.acl_file.q1.door", 1);
    }
    subject_stop(&run->subjects[SUBJECT_PEER]);
}

static void beside_plugin(struct run *run)
{
    run->world.judge = SUBJECT_DYNAMIC_SECURITY;
    if (run_start(run, SUBJECT_PEER)) {
        measure_publish(run, "policy_door.plugin.q0", "policy_door.plugin.q0.door", 0);
        measure_publish(run, "policy_door.plugin.q1", "policy_door.plugin.q1.door", 1);
    }
    subject_stop(&run->subjects[SUBJECT_PEER]);
}

int main(int argc, char **argv)
{
    struct run run;

    run_options(&run, "policy_door", WHAT, argc, argv);
    run.wanted[SUBJECT_FLOOR] = false; /* a floor judges nothing */
    size_t clients = run_pick(&run, 200, 2000, 10000);
    run_open(&run, clients);
    run.world.rules = SUBJECT_OWN_RULES;
    run_start(&run, SUBJECT_OURS);
    beside_acl_file(&run);
    beside_plugin(&run);
    measure_switch(&run, clients);
    return run_close(&run);
}
