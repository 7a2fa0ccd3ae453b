/* The audit log at size: what appending costs beside hashing and a group commit, how long
 * searches and proofs take, what a record takes on disk, and what a door costs with it. */
#include "bench/audit_find.h"
#include "bench/audit_load.h"
#include "bench/subject.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { FILL_GROUP = 1000, ROUNDS = 5, TIMES = 50, PROOFS = 2000 };
enum { FLOORS = AUDIT_FLOOR_STORE + 1, OURS = FLOORS, RIVALS };

static const char HELP[] =
    "usage: bench_audit [--quick] [--records N] [--devices N] [--folder DIR]\n"
    "                   [--no-doors | --doors]\n\n"
    "  --quick      100,000 records and no doors: some seconds\n"
    "  --records N  in the log that is searched (10,000,000: 6 GB of disk, 10 minutes)\n"
    "  --devices N  that they are about (a thousandth of the records, at least 100)\n"
    "  --folder DIR where the log lies (the working folder): its disk is what is measured\n"
    "  --no-doors   without the same load with audit on and off; --doors: nothing else\n\n"
    "One JSON object a line; what is going on to standard error. Exit codes: 0, 1 a measure\n"
    "failed, 64 wrong usage.\n";

struct bench {
    uint64_t records, devices;
    const char *folder;
    bool quick, log, doors;
    struct audit_ours ours;
    struct audit_floor floors[FLOORS]; /* by enum audit_floor_kind */
    double merge_us;                   /* processor time of a record's share in merging */
    double record_bytes, entry_bytes;
};

static void must(enum rc rc, const char *what)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "bench_audit: %s: %s\n", what, fault_text());
    exit(1);
}

static void print_value(const char *bench, const char *unit, double value)
{
    printf("{\"bench\":\"audit.%s\",\"unit\":\"%s\",\"ours\":%.3f}\n", bench, unit, value);
    fflush(stdout);
}

/* ---- Filling ---- */

static enum rc fill(struct bench *b)
{
    struct audit_cost append = { 0 }, merge = { 0 };
    struct audit_ours *ours = &b->ours;

    while (ours->size < b->records) {
        uint64_t left = b->records - ours->size;
        TRY(audit_ours_stage(ours, left < FILL_GROUP ? (size_t)left : FILL_GROUP));
        struct audit_cost began = audit_cost_now();
        TRY(audit_ours_write(ours));
        audit_cost_add(&append, &began);
        b->record_bytes += (double)ours->stage.bytes.len / (double)b->records;
        began = audit_cost_now();
        TRY(audit_ours_index(ours));
        audit_cost_add(&merge, &began);
        if (ours->size % (b->records / 10) < FILL_GROUP)
            fprintf(stderr,
                    "%llu records, %.1f + %.1f us of processor each, %.1f by the clock\n",
                    (unsigned long long)ours->size, append.cpu_us / (double)ours->size,
                    merge.cpu_us / (double)ours->size,
                    (append.wall_us + merge.wall_us) / (double)ours->size);
    }
    b->merge_us = merge.cpu_us / (double)b->records;
    b->entry_bytes = b->record_bytes + PROOF_HASH + AUDIT_SALT;
    print_value("fill.append", "cpu_us/op", append.cpu_us / (double)b->records);
    print_value("fill.merge", "cpu_us/op", b->merge_us);
    print_value("fill.clock", "us/op", (append.wall_us + merge.wall_us) / (double)b->records);
    return RC_OK;
}

/* ---- Appending: floor, store and ours in turn ---- */

struct least {
    double cpu_us, wall_us;
};

static void note_least(struct least *least, const struct audit_cost *sum, size_t count)
{
    double cpu = sum->cpu_us / (double)count, wall = sum->wall_us / (double)count;

    least->cpu_us = least->cpu_us == 0 || cpu < least->cpu_us ? cpu : least->cpu_us;
    least->wall_us = least->wall_us == 0 || wall < least->wall_us ? wall : least->wall_us;
}

/* The same records, one after the other: merging is not in it, it is added. */
static enum rc append_round(struct bench *b, size_t group, size_t count,
                            struct least least[RIVALS])
{
    struct audit_cost sums[RIVALS] = { 0 };

    for (size_t done = 0; done < count; done += group) {
        TRY(audit_ours_stage(&b->ours, group));
        for (size_t i = 0; i < RIVALS; i++) {
            struct audit_cost began = audit_cost_now();
            TRY(i == OURS ? audit_ours_write(&b->ours)
                          : audit_floor_write(&b->floors[i], &b->ours.stage));
            audit_cost_add(&sums[i], &began);
        }
        TRY(audit_ours_index(&b->ours));
    }
    for (size_t i = 0; i < RIVALS; i++)
        note_least(&least[i], &sums[i], count);
    return RC_OK;
}

static void print_append(size_t group, const char *what, const char *unit, double ours,
                         const double floors[FLOORS])
{
    printf("{\"bench\":\"audit.append.%zu%s\",\"unit\":\"%s\",\"ours\":%.3f,\"floor\":%.3f,"
           "\"ratio_floor\":%.2f,\"unsealed\":%.3f,\"ratio_unsealed\":%.2f,\"store\":%.3f,"
           "\"ratio_store\":%.2f}\n",
           group, what, unit, ours, floors[AUDIT_FLOOR_SEALED],
           ours / floors[AUDIT_FLOOR_SEALED], floors[AUDIT_FLOOR_BARE],
           ours / floors[AUDIT_FLOOR_BARE], floors[AUDIT_FLOOR_STORE],
           ours / floors[AUDIT_FLOOR_STORE]);
    fflush(stdout);
}

static enum rc append(struct bench *b, size_t group)
{
    size_t count = group == 1 ? 300 : group == 10 ? 2000 : group * 64;
    struct least least[RIVALS] = { 0 };
    double cpu[FLOORS], wall[FLOORS];

    if (b->quick && count > 10000)
        count = 10000;
    for (unsigned round = 0; round < ROUNDS; round++)
        TRY(append_round(b, group, count, least));
    for (size_t i = 0; i < FLOORS; i++) {
        cpu[i] = least[i].cpu_us;
        wall[i] = least[i].wall_us;
    }
    print_append(group, "", "cpu_us/op", least[OURS].cpu_us + b->merge_us, cpu);
    print_append(group, ".wall", "us/op", least[OURS].wall_us, wall);
    return RC_OK;
}

/* ---- Answers ---- */

static enum rc find(struct bench *b, const struct audit_find *find)
{
    static struct audit_found found;

    TRY(audit_find_measure(&b->ours, find, TIMES, &found));
    printf("{\"bench\":\"audit.search.%s\",\"unit\":\"ms\",\"ours\":%.3f,\"least\":%.3f,"
           "\"worst\":%.3f,\"again\":%.3f,\"again_worst\":%.3f,\"cpu_worst\":%.3f,\"hits\":%."
           "1f,\"pages_most\":%"
           "zu}\n",
           find->name, found.ms[found.times / 2], found.ms[0], found.ms[found.times - 1],
           found.again_ms[found.times / 2], found.again_ms[found.times - 1], found.cpu_ms_most,
           (double)found.hits / (double)found.times, found.pages_most);
    fflush(stdout);
    return RC_OK;
}

static enum rc prove(struct bench *b)
{
    struct audit_proof_cost cost = { 0 };

    TRY(audit_find_prove(&b->ours, PROOFS, &cost));
    print_value("prove.inclusion", "us", cost.inclusion_us);
    print_value("prove.consistency", "us", cost.consistency_us);
    print_value("prove.verify", "us", cost.verify_us);
    print_value("prove.nodes", "nodes", cost.nodes);
    return RC_OK;
}

static enum rc weigh(struct bench *b, int dir)
{
    struct stat stat;

    if (fstatat(dir, "data.mdb", &stat, 0) != 0)
        return fault_errno("data.mdb");
    double each = (double)stat.st_blocks * 512 / (double)b->ours.size;
    printf("{\"bench\":\"audit.disk\",\"unit\":\"bytes/record\",\"ours\":%.1f,\"floor\":%.1f,"
           "\"ratio_floor\":%.2f,\"record\":%.1f,\"records\":%llu}\n",
           each, b->entry_bytes, each / b->entry_bytes, b->record_bytes,
           (unsigned long long)b->ours.size);
    fflush(stdout);
    return RC_OK;
}

/* ---- All of it ---- */

static enum rc measure(struct bench *b, int dir)
{
    static const size_t GROUPS[] = { 1, 10, 100, 1000 };

    TRY(fill(b));
    TRY(weigh(b, dir));
    TRY(prove(b));
    for (size_t i = 0; i < AUDIT_FIND_COUNT; i++)
        TRY(find(b, &AUDIT_FINDS[i]));
    for (size_t i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++)
        TRY(append(b, GROUPS[i]));
    return RC_OK;
}

static enum rc measure_log(struct bench *b)
{
    char path[] = "bench_audit.XXXXXX";
    int dir = -1, ours = -1, floor = -1;

    if (chdir(b->folder) != 0 || mkdtemp(path) == NULL)
        return fault_errno("%s", b->folder);
    TRY(file_open_dir(AT_FDCWD, path, &dir));
    TRY(file_make_dir(dir, "ours", 0700, &ours));
    TRY(file_make_dir(dir, "floor", 0700, &floor));
    const struct audit_fleet fleet = audit_fleet_of(b->records, b->devices);
    enum rc rc = audit_ours_open(ours, &fleet, &b->ours);
    for (size_t i = 0; i < FLOORS && rc == RC_OK; i++)
        rc = audit_floor_open(floor, (enum audit_floor_kind)i, &b->floors[i]);
    if (rc == RC_OK)
        rc = measure(b, ours);
    for (size_t i = 0; i < FLOORS; i++)
        audit_floor_close(&b->floors[i]);
    audit_ours_close(&b->ours);
    own_close(&dir);
    own_close(&ours);
    own_close(&floor);
    subject_remove_folder(path);
    return rc;
}

static void wrong_usage(void)
{
    fputs(HELP, stderr);
    exit(64);
}

/* An option with a number behind it. */
static bool read_number(struct bytes word, const char *value, struct bench *b)
{
    uint64_t *number = bytes_equal(word, BYTES("--records"))   ? &b->records
                       : bytes_equal(word, BYTES("--devices")) ? &b->devices
                                                               : NULL;

    return number != NULL && value != NULL &&
           text_read_u64(bytes_of_text(value), UINT32_MAX, number) == RC_OK;
}

static void read_options(struct bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct bytes word = bytes_of_text(argv[i]);
        if (bytes_equal(word, BYTES("--help"))) {
            fputs(HELP, stdout);
            exit(0);
        } else if (bytes_equal(word, BYTES("--quick"))) {
            b->quick = true;
            b->doors = false;
            b->records = 100000;
        } else if (bytes_equal(word, BYTES("--no-doors"))) {
            b->doors = false;
        } else if (bytes_equal(word, BYTES("--doors"))) {
            b->log = false;
        } else if (bytes_equal(word, BYTES("--folder")) && i + 1 < argc) {
            b->folder = argv[++i];
        } else if (!read_number(word, argv[++i], b)) {
            wrong_usage();
        }
    }
    if (b->records < 10 * FILL_GROUP)
        wrong_usage();
}

int main(int argc, char **argv)
{
    static struct bench b = { .records = 10000000, .folder = ".", .log = true, .doors = true };

    read_options(&b, argc, argv);
    if (b.log)
        must(measure_log(&b), "the log");
    if (b.doors)
        must(audit_load_measure(ROUNDS), "the doors");
    return 0;
}
