#include "bench/run.h"

#include "base/text.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const KIND_NAMES[SUBJECT_KINDS] = { "floor", "peer", "ours" };

static void help(const char *name, const char *what)
{
    printf("usage: bench_%s [--quick|--full] [--rounds N] [--only floor|peer|ours]...\n\n%s\n\n"
           "  --quick     a look of some seconds\n"
           "  --full      as the figures in docs/benchmarks.md\n"
           "  --rounds N  how often floor, peer and ours take turns; the least of each counts\n"
           "  --only X    measure this subject; may be given again\n\n"
           "Prints one JSON object a line, then a table to standard error. A subject that is\n"
           "not there is named, and its values are null. Exit codes: 0, 1 a measure failed,\n"
           "64 wrong usage.\n",
           name, what);
}

[[gnu::noreturn]] static void wrong_usage(const char *name)
{
    fprintf(stderr, "bench_%s: see --help\n", name);
    exit(64);
}

static void want_only(struct run *run, const char *kind, bool *only)
{
    bool known = false;

    for (int i = 0; i < SUBJECT_KINDS; i++) {
        bool same = strcmp(kind, KIND_NAMES[i]) == 0;
        run->wanted[i] = same || (*only && run->wanted[i]);
        known |= same;
    }
    *only = true;
    if (!known)
        wrong_usage(run->name);
}

void run_options(struct run *run, const char *name, const char *what, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        { "quick", no_argument, NULL, 'q' },        { "full", no_argument, NULL, 'f' },
        { "rounds", required_argument, NULL, 'r' }, { "only", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    uint64_t rounds = 0;
    bool only = false;
    int option;

    *run = (struct run){ .name = name,
                         .effort = RUN_DEFAULT,
                         .wanted = { true, true, true },
                         .table = BUF_MAX(RUN_TABLE_MAX) };
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (option == 'h') {
            help(name, what);
            exit(0);
        }
        if (option == 'q' || option == 'f')
            run->effort = option == 'q' ? RUN_QUICK : RUN_FULL;
        else if (option == 'o')
            want_only(run, optarg, &only);
        else if (option != 'r' ||
                 text_read_u64(bytes_of_text(optarg), RUN_ROUNDS_MAX, &rounds) != RC_OK)
            wrong_usage(name);
    }
    if (optind != argc)
        wrong_usage(name);
    run->rounds = rounds > 0 ? (unsigned)rounds : (unsigned)run_pick(run, 1, 3, 5);
}

size_t run_pick(const struct run *run, size_t quick, size_t normal, size_t full)
{
    return run->effort == RUN_QUICK ? quick : run->effort == RUN_FULL ? full : normal;
}

/* For end_early(), which is told nothing else. */
static const char *doomed;

/* The servers get their own signal when we are gone; a child waits for that, and removes the
 * folder. Only what is safe in a handler. */
static void end_early(int signal)
{
    if (fork() == 0) {
        sleep(2);
        execl("/bin/rm", "rm", "-rf", doomed, (char *)NULL);
    }
    _exit(128 + signal);
}

void run_open(struct run *run, size_t clients)
{
    const struct sigaction action = { .sa_handler = end_early };

    doomed = run->world.folder;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (subject_world_open(clients, &run->world) != RC_OK) {
        fprintf(stderr, "bench_%s: %s\n", run->name, fault_reason());
        subject_world_close(&run->world);
        exit(1);
    }
}

bool run_start(struct run *run, enum subject_kind kind)
{
    if (!run->wanted[kind])
        return false;
    enum rc rc = subject_start(&run->world, kind, &run->subjects[kind]);
    if (rc == RC_OK)
        return true;
    run->wanted[kind] = false;
    run->failed |= rc != RC_NOT_FOUND;
    fprintf(stderr, "bench_%s: %s is left out: %s\n", run->name, KIND_NAMES[kind],
            fault_text());
    return false;
}

void run_start_all(struct run *run)
{
    for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++)
        run_start(run, kind);
}

static void ignore_live(void *with, struct load_client *client)
{
    (void)with;
    (void)client;
}

enum rc run_load(const struct subject *subject, bool resume, struct load **load, size_t clients,
                 struct load_crowd *crowd)
{
    const struct load_options options = { .host = "127.0.0.1",
                                          .port = subject->port,
                                          .ca_path = subject->ca_path,
                                          .version = LOAD_MQTT_3,
                                          .resume = resume };
    const struct load_handler handler = { .live = ignore_live };

    TRY(load_new(&options, &handler, load));
    return load_crowd_open(*load, subject->clients, clients, crowd);
}

void run_line_add(struct run_line *line, enum subject_kind kind, double value)
{
    if (line->counts[kind] < RUN_ROUNDS_MAX)
        line->values[kind][line->counts[kind]++] = value;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* 0 without values. */
static double at_share(const struct run_line *line, unsigned kind, bool median)
{
    double sorted[RUN_ROUNDS_MAX];
    unsigned count = line->counts[kind];

    if (count == 0)
        return 0;
    memcpy(sorted, line->values[kind], sizeof sorted);
    qsort(sorted, count, sizeof sorted[0], compare);
    return sorted[median ? count / 2 : line->most_counts ? count - 1 : 0];
}

static void add_number(struct buf *out, const char *name, double value, bool known)
{
    if (known)
        buf_addf(out, ",\"%s\":%.2f", name, value);
    else
        buf_addf(out, ",\"%s\":null", name);
}

static void add_ratio(struct buf *out, const char *name, double value, double by)
{
    add_number(out, name, by > 0 ? value / by : 0, value > 0 && by > 0);
}

static void add_json(struct buf *out, const struct run *run, const struct run_line *line)
{
    double ours = at_share(line, SUBJECT_OURS, false);
    double floor_ = at_share(line, SUBJECT_FLOOR, false);
    double peer = at_share(line, SUBJECT_PEER, false);

    buf_addf(out, "{\"bench\":\"%s\",\"unit\":\"%s\"", line->bench, line->unit);
    add_number(out, "ours", ours, line->counts[SUBJECT_OURS] > 0);
    add_number(out, "floor", floor_, line->counts[SUBJECT_FLOOR] > 0);
    add_number(out, "peer", peer, line->counts[SUBJECT_PEER] > 0);
    buf_addf(out, ",\"peer_name\":\"%s\"", run->subjects[SUBJECT_PEER].name);
    add_ratio(out, "ratio_floor", ours, floor_);
    add_ratio(out, "ratio_peer", ours, peer);
    add_ratio(out, "peer_ratio_floor", peer, floor_);
    buf_addf(out, ",\"rounds\":%u", run->rounds);
    for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++) {
        AUTO_BUF(name, 32);
        const char *text;
        buf_addf(&name, "median_%s", KIND_NAMES[kind]);
        if (buf_text(&name, &text) == RC_OK)
            add_number(out, text, at_share(line, kind, true), line->counts[kind] > 0);
    }
    buf_addf(out, "}\n");
}

static void add_cell(struct buf *out, double value, bool known)
{
    if (known)
        buf_addf(out, " %10.2f", value);
    else
        buf_addf(out, " %10s", "-");
}

static void add_row(struct buf *out, const struct run_line *line)
{
    double ours = at_share(line, SUBJECT_OURS, false);

    if (out->len == 0)
        buf_addf(out, "\n%-34s %-12s %10s %10s %10s %10s %10s\n", "", "", "floor", "peer",
                 "ours", "ours/floor", "ours/peer");
    buf_addf(out, "%-34s %-12s", line->bench, line->unit);
    for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++)
        add_cell(out, at_share(line, kind, false), line->counts[kind] > 0);
    for (unsigned kind = 0; kind < SUBJECT_OURS; kind++) {
        double by = at_share(line, kind, false);
        add_cell(out, by > 0 ? ours / by : 0, by > 0 && ours > 0);
    }
    buf_addf(out, "\n");
}

void run_line_print(struct run *run, const struct run_line *line)
{
    AUTO_BUF(json, 4096);
    const char *text;

    for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++)
        if (line->counts[kind] > 0) {
            add_json(&json, run, line);
            add_row(&run->table, line);
            break;
        }
    if (buf_text(&json, &text) == RC_OK)
        fputs(text, stdout);
    fflush(stdout);
}

void run_blame(struct run *run, const struct subject *subject, const char *what)
{
    run->failed = true;
    fprintf(stderr, "bench_%s: %s: %s: %s\n", run->name, subject->name, what, fault_text());
}

int run_close(struct run *run)
{
    const char *text;

    for (unsigned kind = 0; kind < SUBJECT_KINDS; kind++)
        subject_stop(&run->subjects[kind]);
    if (buf_text(&run->table, &text) == RC_OK)
        fputs(text, stderr);
    buf_clear(&run->table);
    subject_world_close(&run->world);
    return run->failed;
}
