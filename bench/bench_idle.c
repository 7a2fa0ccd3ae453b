/* What an idle connection costs in memory: the server's share (Pss) with many mutual TLS
 * connections that have said CONNECT and nothing since, less its share before, a connection. */
#include "bench/run.h"

#include <stdio.h>
#include <time.h>

enum { AT_ONCE = 64, SETTLE_MS = 500 };

static const char WHAT[] =
    "Memory of an idle mTLS connection: 200 (--quick), 2,000, or 10,000 (--full) of them.";

static void settle(void)
{
    const struct timespec nap = { .tv_nsec = SETTLE_MS * 1000000 };

    nanosleep(&nap, NULL);
}

/* The first connections pay for what all share: caches, pools, code that was not loaded. */
static enum rc warm(const struct subject *subject)
{
    enum { FEW = 16 };
    const struct load_pace pace = { .at_once = AT_ONCE, .stop_when_live = true };
    AUTO_OF(load) *load = NULL;
    struct load_crowd crowd = { 0 };

    enum rc rc = run_load(subject, false, &load, FEW, &crowd);
    if (rc == RC_OK)
        rc = load_crowd_connect(&crowd, &pace);
    load_crowd_close(&crowd);
    settle();
    return rc;
}

static enum rc measure(const struct subject *subject, size_t count, struct run_line *line)
{
    const struct load_pace pace = { .at_once = AT_ONCE };
    AUTO_OF(load) *load = NULL;
    struct load_crowd crowd = { 0 };

    TRY(warm(subject));
    double before = subject_memory_kb(subject);
    enum rc rc = run_load(subject, false, &load, count, &crowd);
    if (rc == RC_OK)
        rc = load_crowd_connect(&crowd, &pace);
    settle();
    if (rc == RC_OK)
        run_line_add(line, subject->kind,
                     (subject_memory_kb(subject) - before) / (double)count);
    load_crowd_close(&crowd);
    return rc;
}

int main(int argc, char **argv)
{
    static struct run_line line = { .unit = "kB/connection" };
    struct run run;

    run_options(&run, "idle", WHAT, argc, argv);
    size_t count = run_pick(&run, 200, 2000, 10000);
    line.bench = count == 200 ? "idle.200" : count == 2000 ? "idle.2000" : "idle.10000";
    run_open(&run, count);
    /* A fresh process each round: a heap does not shrink. */
    for (unsigned round = 0; round < run.rounds; round++)
        for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++) {
            if (!run_start(&run, kind))
                continue;
            if (measure(&run.subjects[kind], count, &line) != RC_OK)
                run_blame(&run, &run.subjects[kind], "idle");
            subject_stop(&run.subjects[kind]);
        }
    run_line_print(&run, &line);
    return run_close(&run);
}
