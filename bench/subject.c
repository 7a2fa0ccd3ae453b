#include "bench/subject_internal.h"

#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { STOP_MS = 10000, ROLLUP_BYTES_MAX = 8192 };

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    (void)stat;
    (void)kind;
    (void)where;
    return remove(path);
}

static enum rc find_programs(struct subject_world *world)
{
    ssize_t len = readlink("/proc/self/exe", world->programs, SUBJECT_PATH_MAX - 1);

    if (len <= 0)
        return fault_errno("/proc/self/exe");
    world->programs[len] = 0;
    *strrchr(world->programs, '/') = 0;
    return RC_OK;
}

enum rc subject_world_open(size_t clients, struct subject_world *world)
{
    const char *under = getenv("TMPDIR");
    char path[SUBJECT_PATH_MAX];

    *world = (struct subject_world){ 0 };
    TRY(find_programs(world));
    TRY(subject_path(world->folder, under != NULL ? under : "/tmp", "touchmark-bench-XXXXXX"));
    /* Servers that change their user must get in. */
    if (mkdtemp(world->folder) == NULL || chmod(world->folder, 0755) != 0)
        return fault_errno("%s", world->folder);
    TRY(load_identities_make(world->folder, clients));
    TRY(subject_path(path, world->folder, "clients"));
    return load_identities_read(path, clients, &world->clients);
}

void subject_remove_folder(const char *folder)
{
    enum { DESCRIPTORS = 16 };

    nftw(folder, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

void subject_world_close(struct subject_world *world)
{
    load_identities_clear(&world->clients);
    load_identities_clear(&world->devices);
    if (world->folder[0] != 0 && strstr(world->folder, "touchmark-bench-") != NULL)
        subject_remove_folder(world->folder);
    world->folder[0] = 0;
}

static const struct {
    const char *folder;
    enum rc (*start)(struct subject_world *world, struct subject *subject);
} KINDS[SUBJECT_KINDS] = {
    [SUBJECT_FLOOR] = { "floor", subject_start_floor },
    [SUBJECT_PEER] = { "peer", subject_start_mosquitto },
    [SUBJECT_OURS] = { "ours", subject_start_ours },
};

static enum rc start(struct subject_world *world, struct subject *subject)
{
    AUTO_FD top = -1;
    AUTO_FD own = -1;
    const char *folder = KINDS[subject->kind].folder;

    TRY(file_open_dir(AT_FDCWD, world->folder, &top));
    enum rc made = file_make_dir(top, folder, 0755, &own);
    if (made != RC_OK && made != RC_EXISTS)
        return made;
    TRY(subject_path(subject->folder, world->folder, folder));
    return KINDS[subject->kind].start(world, subject);
}

enum rc subject_start(struct subject_world *world, enum subject_kind kind,
                      struct subject *subject)
{
    *subject = (struct subject){ .kind = kind, .clients = &world->clients };
    TRY(subject_path(subject->ca_path, world->folder, "ca.pem"));
    enum rc rc = start(world, subject);
    if (rc != RC_OK) {
        subject_stop(subject);
        return rc;
    }
    subject->running = true;
    if (subject->door == 0)
        subject->door = subject->pids[0];
    return RC_OK;
}

/* SIGTERM, then some patience, then SIGKILL: by the pid that we started. */
static void end_process(pid_t pid)
{
    const struct timespec nap = { .tv_nsec = 10000000 };

    kill(pid, SIGTERM);
    for (int waited = 0; waited < STOP_MS; waited += 10) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        nanosleep(&nap, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void subject_stop(struct subject *subject)
{
    if (subject->count > 0)
        end_process(subject->pids[0]);
    subject->count = 0;
    subject->running = false;
}

/* What /proc/PID/stat's utime and stime round to ticks: the same clock, in nanoseconds. */
static double cpu_us(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

double subject_cpu_us(const struct subject *subject)
{
    double sum = 0;

    for (size_t i = 0; i < subject->count; i++)
        sum += cpu_us(subject->pids[i]);
    return sum;
}

double subject_door_cpu_us(const struct subject *subject)
{
    return cpu_us(subject->door);
}

static double memory_kb(pid_t pid)
{
    AUTO_BUF(path, 64);
    AUTO_BUF(text, ROLLUP_BYTES_MAX);
    const char *name, *rollup;

    buf_addf(&path, "/proc/%d/smaps_rollup", (int)pid);
    if (buf_text(&path, &name) != RC_OK)
        return 0;
    AUTO_FD file = open(name, O_RDONLY | O_CLOEXEC);
    uint8_t *at = buf_extend(&text, ROLLUP_BYTES_MAX - 1);
    ssize_t got = file >= 0 && at != NULL ? read(file, at, ROLLUP_BYTES_MAX - 1) : -1;
    if (got <= 0)
        return 0;
    buf_cut(&text, (size_t)got);
    if (buf_text(&text, &rollup) != RC_OK)
        return 0;
    const char *share = strstr(rollup, "\nPss:");
    return share != NULL ? strtod(share + 5, NULL) : 0;
}

double subject_memory_kb(const struct subject *subject)
{
    double sum = 0;

    for (size_t i = 0; i < subject->count; i++)
        sum += memory_kb(subject->pids[i]);
    return sum;
}
