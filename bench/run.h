/* One run of a benchmark: its options, its subjects in turn, its lines of JSON and its table.
 */
#pragma once

#include "bench/load_crowd.h"
#include "bench/subject.h"

enum run_effort { RUN_QUICK, RUN_DEFAULT, RUN_FULL };
enum { RUN_ROUNDS_MAX = 32, RUN_TABLE_MAX = 64 * 1024 };

struct run {
    const char *name; /* "publish" */
    enum run_effort effort;
    unsigned rounds;
    bool wanted[SUBJECT_KINDS];
    bool failed;
    struct subject_world world;
    struct subject subjects[SUBJECT_KINDS];
    struct buf table;
};

/* One measure: a value of each subject and round. */
struct run_line {
    const char *bench, *unit;
    bool most_counts; /* of the rounds; else the least */
    double values[SUBJECT_KINDS][RUN_ROUNDS_MAX];
    unsigned counts[SUBJECT_KINDS];
};

/* Read the options; prints help or what is wrong, and ends the process, where that is asked. */
void run_options(struct run *run, const char *name, const char *what, int argc, char **argv);
/* The default of each effort. */
size_t run_pick(const struct run *run, size_t quick, size_t normal, size_t full);
/* Make a world for so many clients. Ends the process on failure. */
void run_open(struct run *run, size_t clients);
/* Start a subject; false (and said why, once) if it is not wanted or not there. */
bool run_start(struct run *run, enum subject_kind kind);
/* All that are to be had. */
void run_start_all(struct run *run);
/* A load of TLS clients against a running subject, with the handler of a crowd. */
enum rc run_load(const struct subject *subject, bool resume, struct load **load, size_t clients,
                 struct load_crowd *crowd);

void run_line_add(struct run_line *line, enum subject_kind kind, double value);
void run_line_print(struct run *run, const struct run_line *line);
/* Says what went wrong with a subject; the run goes on and its exit code will tell. */
void run_blame(struct run *run, const struct subject *subject, const char *what);
/* Prints the table, stops and removes all. What main() returns. */
int run_close(struct run *run);
