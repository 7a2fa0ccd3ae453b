/* Durable changes in groups of 1 to 1,000: store/'s queue against bare LMDB in the same run. */
#include "store/feed.h"
#include "store/queue.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { VALUE = 200, GROUP_MAX = 1000, ROUNDS = 5 };

static const struct store_table TABLES[] = { { "rows", STORE_KEY_BYTES, 1024 } };
static const struct store_schema SCHEMA = { "bench", 1, TABLES, 1 };
static const uint8_t BYTES_OF_VALUE[VALUE] = { 1 };

struct cost {
    double cpu_us, per_s;
};

static double cpu_now(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static double wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct store_number random_key(uint64_t *dice)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return store_key_number(*dice);
}

/* One engine under measurement: begins with an open store, writes `group` rows durably. */
struct subject {
    enum rc (*write_group)(struct subject *subject, size_t group);
    uint64_t dice;
    struct store *store;
    struct store_queue *queue;
    MDB_env *env;
    MDB_dbi rows;
};

struct row {
    struct store_job job;
    struct store_number key;
};

static enum rc put_row(struct store_txn *txn, struct store_job *job)
{
    return store_txn_put(txn, 0, BYTES_OF(((struct row *)job)->key.at),
                         BYTES_OF(BYTES_OF_VALUE));
}

static enum rc put_row_and_tell(struct store_txn *txn, struct store_job *job)
{
    TRY(put_row(txn, job));
    return store_feed_add(txn, 1, BYTES_OF(((struct row *)job)->key.at));
}

static void answered(struct store_job *job, enum rc rc)
{
    (void)job;
    if (rc != RC_OK)
        abort();
}

static enum rc write_jobs(struct subject *subject, size_t group,
                          enum rc (*change)(struct store_txn *, struct store_job *))
{
    static struct row rows[GROUP_MAX];

    for (size_t i = 0; i < group; i++) {
        rows[i].job = (struct store_job){ .change = change, .done = answered };
        rows[i].key = random_key(&subject->dice);
        TRY(store_queue_add(subject->queue, &rows[i].job));
    }
    return store_queue_commit(subject->queue);
}

static enum rc write_ours(struct subject *subject, size_t group)
{
    return write_jobs(subject, group, put_row);
}

static enum rc write_ours_with_feed(struct subject *subject, size_t group)
{
    return write_jobs(subject, group, put_row_and_tell);
}

static enum rc write_floor(struct subject *subject, size_t group)
{
    MDB_txn *txn = NULL;

    if (mdb_txn_begin(subject->env, NULL, 0, &txn) != 0)
        return fault(RC_IO, "begin");
    for (size_t i = 0; i < group; i++) {
        struct store_number at = random_key(&subject->dice);
        MDB_val key = { sizeof at.at, at.at };
        MDB_val value = { VALUE, (void *)(uintptr_t)BYTES_OF_VALUE };
        if (mdb_put(txn, subject->rows, &key, &value, 0) != 0)
            return fault(RC_IO, "put");
    }
    return mdb_txn_commit(txn) == 0 ? RC_OK : fault(RC_IO, "commit");
}

static enum rc measure(struct subject *subject, size_t group, struct cost *best)
{
    size_t groups = group < 100 ? 200 : 20000 / group;
    double cpu = cpu_now(), wall = wall_now();

    for (size_t i = 0; i < groups; i++)
        TRY(subject->write_group(subject, group));
    double ops = (double)(groups * group);
    struct cost cost = { (cpu_now() - cpu) / ops, ops / (wall_now() - wall) * 1e6 };
    if (best->per_s == 0 || cost.cpu_us < best->cpu_us)
        best->cpu_us = cost.cpu_us;
    if (cost.per_s > best->per_s)
        best->per_s = cost.per_s;
    return RC_OK;
}

static enum rc compare(const char *name, struct subject *ours, struct subject *floor,
                       size_t group)
{
    struct cost us = { 0 }, least = { 0 };

    for (unsigned round = 0; round < ROUNDS; round++) {
        TRY(measure(floor, group, &least));
        TRY(measure(ours, group, &us));
    }
    printf("{\"bench\":\"store.%s.%zu\",\"ours\":%.2f,\"unit\":\"cpu_us/op\",\"floor\":%.2f,"
           "\"ratio_floor\":%.2f,\"ours_per_s\":%.0f,\"floor_per_s\":%.0f}\n",
           name, group, us.cpu_us, least.cpu_us, us.cpu_us / least.cpu_us, us.per_s,
           least.per_s);
    fflush(stdout);
    return RC_OK;
}

static enum rc open_floor(const char *folder, struct subject *floor)
{
    MDB_txn *txn = NULL;

    if (mdb_env_create(&floor->env) != 0 || mdb_env_set_maxdbs(floor->env, 4) != 0 ||
        mdb_env_set_mapsize(floor->env, 8UL << 30) != 0 ||
        mdb_env_open(floor->env, folder, 0, 0600) != 0 ||
        mdb_txn_begin(floor->env, NULL, 0, &txn) != 0 ||
        mdb_dbi_open(txn, "rows", MDB_CREATE, &floor->rows) != 0 || mdb_txn_commit(txn) != 0)
        return fault(RC_IO, "bare LMDB cannot be opened");
    return RC_OK;
}

static enum rc open_ours(const char *folder, const struct clock *clock, struct subject *ours)
{
    const struct store_settings settings = { .map_bytes = 8UL << 30, .clock = clock };
    const struct store_queue_limits limits = { .waiting = GROUP_MAX, .group = GROUP_MAX };
    AUTO_FD dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return fault_errno("%s", folder);
    TRY(store_open(dir, &SCHEMA, &settings, &ours->store));
    return store_queue_new(ours->store, &limits, &ours->queue);
}

static void remove_folder(const char *folder)
{
    AUTO_FD dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    unlinkat(dir, "data.mdb", 0);
    unlinkat(dir, "lock.mdb", 0);
    rmdir(folder);
}

static enum rc run(const char *ours_at, const char *floor_at)
{
    static const size_t GROUPS[] = { 1, 10, 100, GROUP_MAX };
    const struct clock clock = clock_system();
    struct subject ours = { .write_group = write_ours, .dice = 1 };
    struct subject floor = { .write_group = write_floor, .dice = 1 };

    TRY(open_ours(ours_at, &clock, &ours));
    enum rc rc = open_floor(floor_at, &floor);
    for (size_t i = 0; rc == RC_OK && i < 4; i++)
        rc = compare("put", &ours, &floor, GROUPS[i]);
    ours.write_group = write_ours_with_feed;
    for (size_t i = 0; rc == RC_OK && i < 4; i++)
        rc = compare("put_and_feed", &ours, &floor, GROUPS[i]);
    store_queue_free(ours.queue);
    store_close(ours.store);
    mdb_env_close(floor.env);
    return rc;
}

/* Folders are made where it is started: the disk there is what is measured. */
int main(void)
{
    char ours_at[] = "bench_store.XXXXXX", floor_at[] = "bench_floor.XXXXXX";

    if (mkdtemp(ours_at) == NULL || mkdtemp(floor_at) == NULL)
        return 1;
    enum rc rc = run(ours_at, floor_at);
    if (rc != RC_OK)
        fprintf(stderr, "bench_store: %s\n", fault_reason());
    remove_folder(ours_at);
    remove_folder(floor_at);
    return rc == RC_OK ? 0 : 1;
}
