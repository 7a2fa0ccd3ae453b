/* What a connection costs the server: mutual TLS 1.3, CONNECT, CONNACK, DISCONNECT, close; with
 * a full handshake and with a resumed one. */
#include "bench/run.h"

#include <stdio.h>
#include <time.h>

enum { CLIENTS = 64, AT_ONCE = 8, SETTLE_MS = 50 };

static const char WHAT[] = "Processor time of a full and of a resumed mTLS connection.";

/* The server is still closing what we left. */
static void settle(void)
{
    const struct timespec nap = { .tv_nsec = SETTLE_MS * 1000000 };

    nanosleep(&nap, NULL);
}

struct costs {
    struct run_line all, door;
};

/* Every client connects so many times; the cost of one. */
static enum rc connect_often(struct load_crowd *crowd, const struct subject *subject,
                             size_t passes, bool resumed, struct costs *costs)
{
    const struct load_pace pace = { .at_once = AT_ONCE, .stop_when_live = true };
    double operations = (double)(passes * crowd->count);

    load_set_resume(crowd->load, resumed);
    double all = subject_cpu_us(subject), door = subject_door_cpu_us(subject);
    for (size_t pass = 0; pass < passes; pass++) {
        TRY(load_crowd_connect(crowd, &pace));
        if (crowd->resumed != (resumed ? crowd->count : 0))
            return fault(RC_DENIED, "%zu of %zu connections were resumed", crowd->resumed,
                         crowd->count);
    }
    settle();
    all = subject_cpu_us(subject) - all;
    door = subject_door_cpu_us(subject) - door;
    run_line_add(&costs->all, subject->kind, all / operations);
    run_line_add(&costs->door, subject->kind, door / operations);
    return RC_OK;
}

static enum rc measure(const struct subject *subject, size_t passes, struct costs *full,
                       struct costs *resumed)
{
    AUTO_OF(load) *load = NULL;
    struct load_crowd crowd = { 0 };
    struct costs warm = { 0 };

    enum rc rc = run_load(subject, false, &load, CLIENTS, &crowd);
    if (rc == RC_OK)
        rc = connect_often(&crowd, subject, 1, false, &warm);
    if (rc == RC_OK)
        rc = connect_often(&crowd, subject, passes, false, full);
    if (rc == RC_OK)
        rc = connect_often(&crowd, subject, passes, true, resumed);
    load_crowd_close(&crowd);
    return rc;
}

int main(int argc, char **argv)
{
    static struct costs full = { { .bench = "connect.full", .unit = "cpu_us/op" },
                                 { .bench = "connect.full.door", .unit = "cpu_us/op" } };
    static struct costs resumed = { { .bench = "connect.resumed", .unit = "cpu_us/op" },
                                    { .bench = "connect.resumed.door", .unit = "cpu_us/op" } };
    struct run run;

    run_options(&run, "connect", WHAT, argc, argv);
    size_t passes = run_pick(&run, 3, 20, 60);
    run_open(&run, CLIENTS);
    run_start_all(&run);
    for (unsigned round = 0; round < run.rounds; round++)
        for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++)
            if (run.wanted[kind] &&
                measure(&run.subjects[kind], passes, &full, &resumed) != RC_OK)
                run_blame(&run, &run.subjects[kind], "connect");
    run_line_print(&run, &full.all);
    run_line_print(&run, &resumed.all);
    if (run.wanted[SUBJECT_OURS]) {
        run_line_print(&run, &full.door);
        run_line_print(&run, &resumed.door);
    }
    return run_close(&run);
}
